// SPDX-License-Identifier: GPL-2.0-or-later
//! chain: follows one RPC across three tasks by its correlation number.
//!
//! A client asks a server, which passes the request on, reply right included, to a third task, where one thread receives it and
//! another one answers the client. This program traces all three and checks that the six records have one correlation number,
//! in the order of cause and effect.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use core::sync::atomic::{AtomicU32, Ordering};

use mach::error::KernReturn;
use mach::msg::{Message, Received};
use mach::port::{Disposition, PortName, ReceiveRight};
use mach::println;
use mach::rt::arguments::Arguments;
use mach::thread::{self, Child};
use programs::tracer::{FIRST, SECOND, Seen, Tracer, child, give};
use programs::{Doing, Mismatch, expect};
use trace_port::event::{Direction, EventKind};

mach::entry!(main);

/// Ids of the request, of the request passed on, of the reply.
const ASK: i32 = 6700;
const PASS_ON: i32 = 6701;
const ANSWER: i32 = 6800;
/// Most bytes of those messages.
const LIMIT: u32 = 64;

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    let mut tracer = Tracer::new(16)?;
    let (client, server) = (child(client)?, child(server)?);
    let (last, answerer) = thread::fork_two(receive_last, answer).doing("making a child with two threads")?;
    for task in [&client, &server, &last] {
        tracer.trace(task.task.name()).doing("task_set_special_port")?;
    }
    let to_server = served_by(&server)?;
    let to_last = served_by(&last)?;
    give(&client, SECOND, to_server.name(), Disposition::CopySend)?;
    give(&server, SECOND, to_last.name(), Disposition::CopySend)?;
    let reply = ReceiveRight::allocate().doing("mach_port_allocate")?;
    give(&client, FIRST, reply.into_name(), Disposition::MoveReceive)?;
    mach::stubs::mach::thread_resume(answerer.name()).doing("starting the other thread")?;
    for task in [&last, &server, &client] {
        task.resume().doing("starting a task")?;
    }

    let mut seen = alloc::vec::Vec::new();
    while seen.len() < 6 {
        let record = tracer.record(None)?.doing("record")?;
        if record.kind == EventKind::Normal && [ASK, PASS_ON, ANSWER].contains(&record.id) {
            seen.push(record);
        }
    }
    seen.sort_by_key(|record| record.header.sequence.get());
    check(&seen)?;
    println!("chain: six records of three tasks, one correlation number");
    for task in [&client, &server, &last] {
        // The client may have ended by itself.
        let _ = mach::sys::trap::task_terminate(task.task.name());
    }
    Ok(())
}

/// Gives a task the receive right of a new port; returns a send right.
fn served_by(task: &Child) -> Result<mach::port::SendRight, Mismatch> {
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let right = port.make_send().doing("a send right")?;
    give(task, FIRST, port.into_name(), Disposition::MoveReceive)?;
    Ok(right)
}

fn check(seen: &[Seen]) -> Result<(), Mismatch> {
    let steps: alloc::vec::Vec<_> = seen.iter().map(|record| (record.id, record.direction)).collect();
    let expected = [
        (ASK, Direction::Send),
        (ASK, Direction::Receive),
        (PASS_ON, Direction::Send),
        (PASS_ON, Direction::Receive),
        (ANSWER, Direction::Send),
        (ANSWER, Direction::Receive),
    ];
    expect("steps", &expected[..], &steps[..])?;
    let first = seen[0].header.correlation.get();
    expect("a correlation number", true, first != 0)?;
    for record in seen {
        expect("the correlation number of a step", first, record.header.correlation.get())?;
        expect("records dropped before a step", 0, record.header.lost())?;
    }
    let task = |step: usize| seen[step].header.task.get();
    expect("the tasks of each message", [task(0), task(1), task(3)], [task(5), task(2), task(4)])?;
    expect("three tasks", true, task(0) != task(1) && task(1) != task(3) && task(3) != task(0))?;
    let thread = |step: usize| seen[step].header.thread.get();
    expect("another thread answers than received", true, thread(3) != thread(4) && thread(3) != 0 && thread(4) != 0)
}

fn client() {
    let asked = Message::new(ASK, SECOND, Disposition::CopySend).reply_to(FIRST, Disposition::MakeSendOnce).send(None);
    if asked == KernReturn::KERN_SUCCESS {
        let _ = Received::receive(&ReceiveRight::from_name(FIRST), LIMIT, None);
    }
    wait_for_ever()
}

fn server() {
    if let Ok(request) = Received::receive(&ReceiveRight::from_name(FIRST), LIMIT, None) {
        let _ = Message::new(PASS_ON, SECOND, Disposition::CopySend)
            .reply_to(request.reply_port(), Disposition::MoveSendOnce)
            .send(None);
    }
    wait_for_ever()
}

/// The reply right that one thread of the last task received, for the other.
static REPLY: AtomicU32 = AtomicU32::new(0);

fn receive_last() {
    if let Ok(request) = Received::receive(&ReceiveRight::from_name(FIRST), LIMIT, None) {
        REPLY.store(request.reply_port().0, Ordering::SeqCst);
    }
    wait_for_ever()
}

fn answer() {
    while REPLY.load(Ordering::SeqCst) == 0 {
        mach::sys::trap::thread_switch();
    }
    let _ = Message::new(ANSWER, PortName(REPLY.load(Ordering::SeqCst)), Disposition::MoveSendOnce).send(None);
    wait_for_ever()
}

/// Until the tracer ends the task: nothing comes to a port that nobody has a right to.
fn wait_for_ever() {
    let name: PortName = mach::sys::trap::mach_reply_port();
    let _ = Received::receive(&ReceiveRight::from_name(name), LIMIT, None);
}
