// SPDX-License-Identifier: GPL-2.0-or-later
//! unanswered itself | keeps | destroys: three ways in which a server does not answer a client.
//!
//! The server, a child task of one thread, answers one request. When it receives the second one, it asks its own port, from which nobody else
//! receives, and waits for ever (`itself`); or it keeps the right to answer and goes on without (`keeps`); or it gives that right back, of which
//! the kernel tells the client (`destroys`), so that the program ends. The answer to `stuck` must say each of this.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::error::KernReturn;
use mach::msg::Received;
use mach::port::{Disposition, ReceiveRight, SendOnceRight};
use mach::rt::arguments::Arguments;
use mach::sys::trap::mach_port_insert_right;
use mach::{println, stubs, task_self};
use programs::ping::{client, serve_one};
use programs::tracer::{FIRST, SECOND, child_with_port, send};
use programs::{Doing, Mismatch, expect, expect_error};

mach::entry!(main);

/// Most bytes of a request.
const LIMIT: u32 = 128;
/// Id of the server's message to its parent.
const ALIVE: i32 = 6900;

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let server: fn() = match arguments.get(1) {
        Some(b"itself") => || finish(asks_itself()),
        Some(b"keeps") => || finish(keeps()),
        Some(b"destroys") => || finish(destroys()),
        _ => return Err(Mismatch::new("usage: unanswered itself | keeps | destroys")),
    };
    let ready = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let (child, to_server) = child_with_port(server, &ready)?;
    child.resume().doing("starting the server")?;
    expect("the first answer", 2, client::ping(to_server.name(), 1).doing("asking the server")?)?;
    println!("unanswered: the first request is answered");
    let second = client::ping(to_server.name(), 2);
    expect_error("the second answer", KernReturn::MIG_SERVER_DIED, second)?;
    println!("unanswered: the server will not answer");
    stubs::mach::task_terminate(child.task.name()).doing("ending the server")?;
    Ok(())
}

/// Answers the first request and takes the second one.
fn take() -> Result<Received, KernReturn> {
    serve_one(SECOND)?;
    // The right is this task's for as long as it runs.
    let port = ReceiveRight::from_name(SECOND);
    let received = Received::receive(&port, LIMIT, None);
    port.into_name();
    received
}

/// What a server that is at its end has to say: nothing is expected of it.
fn finish(result: Result<(), KernReturn>) {
    if let Err(error) = result {
        println!("unanswered: {error}");
    }
}

fn asks_itself() -> Result<(), KernReturn> {
    let _request = take()?;
    mach_port_insert_right(task_self(), SECOND, SECOND, Disposition::MakeSend)?;
    client::ping(SECOND, 3).map(drop)
}

fn keeps() -> Result<(), KernReturn> {
    let _request = take()?;
    // To whoever waits for it that is a sign of life, and no answer.
    send(ALIVE, FIRST, Disposition::CopySend, 2).into_result()?;
    serve_one(SECOND).map(drop)
}

fn destroys() -> Result<(), KernReturn> {
    let request = take()?;
    drop(SendOnceRight::from_name(request.reply_port()));
    // It must not be the server's end that tells the client.
    serve_one(SECOND).map(drop)
}
