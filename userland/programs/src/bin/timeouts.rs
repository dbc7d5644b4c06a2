// SPDX-License-Identifier: GPL-2.0-or-later
//! timeouts: everything `mach_msg` refuses, one after the other: timeouts, messages that are too large, names and data that
//! are not valid.
//!
//! Its trace must show each return value once, on the half of `mach_msg` that it belongs to, and for
//! `MACH_RCV_TOO_LARGE` that the message stays queued with `MACH_RCV_LARGE` and is destroyed without it.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::error::KernReturn;
use mach::memory::{PAGE_SIZE, Pages};
use mach::msg::{Message, Received};
use mach::port::{Disposition, PortName, ReceiveRight};
use mach::rt::arguments::Arguments;
use mach::sys::msg::send_at;
use mach::{println, task_self};
use mach_abi::header::LP64;
use mach_abi::option::MACH_RCV_LARGE;
use programs::{Doing, Mismatch, expect, expect_error};

mach::entry!(main);

/// Id of the messages this program sends to itself.
const MESSAGE: i32 = 6300;
/// How long a timeout is, in milliseconds.
const TIMEOUT: u32 = 10;
/// Room for any message here.
const LIMIT: u32 = 256;

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    times_out(&port)?;
    too_large(&port)?;
    invalid_names(&port)?;
    invalid_data(&port)?;
    println!("timeouts: all as expected");
    Ok(())
}

fn message(port: &ReceiveRight) -> Message {
    Message::new(MESSAGE, port.name(), Disposition::MakeSend)
}

/// A queue that is full and a queue that is empty.
fn times_out(port: &ReceiveRight) -> Result<(), Mismatch> {
    port.set_queue_limit(1).doing("mach_port_set_qlimit")?;
    expect("sending to an empty queue", KernReturn::KERN_SUCCESS, message(port).send(Some(TIMEOUT)))?;
    expect("sending to a full queue", KernReturn::MACH_SEND_TIMED_OUT, message(port).send(Some(TIMEOUT)))?;
    expect("sending to a full queue without waiting", KernReturn::MACH_SEND_TIMED_OUT, message(port).send(Some(0)))?;
    println!("timeouts: a full queue");
    Received::receive(port, LIMIT, Some(TIMEOUT)).doing("receiving the queued message")?;
    let found = Received::receive(port, LIMIT, Some(TIMEOUT));
    expect_error("receiving from an empty queue", KernReturn::MACH_RCV_TIMED_OUT, found)?;
    println!("timeouts: an empty queue");
    Ok(())
}

/// A message that is larger than the receiver wants.
fn too_large(port: &ReceiveRight) -> Result<(), Mismatch> {
    let mut large = message(port).bytes(&[b'x'; 80]);
    expect("sending a large message", KernReturn::KERN_SUCCESS, large.send(None))?;
    let small = LP64.end as u32;
    match Received::receive_with(port.name(), MACH_RCV_LARGE, small, Some(TIMEOUT)) {
        Ok(_) => expect("a large message in a small buffer", KernReturn::MACH_RCV_TOO_LARGE, KernReturn::KERN_SUCCESS)?,
        Err((error, header)) => {
            expect("a large message in a small buffer", KernReturn::MACH_RCV_TOO_LARGE, error)?;
            expect("the size it is said to have", large.size(), header.size())?;
        }
    }
    let received = Received::receive(port, LIMIT, Some(TIMEOUT)).doing("receiving it with more room")?;
    expect("its size", large.size(), received.size())?;
    println!("timeouts: too large, kept");

    expect("sending a large message again", KernReturn::KERN_SUCCESS, large.send(None))?;
    let found = Received::receive(port, small, Some(TIMEOUT));
    expect_error("a large message in a small buffer", KernReturn::MACH_RCV_TOO_LARGE, found)?;
    let found = Received::receive(port, LIMIT, Some(TIMEOUT));
    expect_error("receiving it after it was destroyed", KernReturn::MACH_RCV_TIMED_OUT, found)?;
    println!("timeouts: too large, destroyed");
    Ok(())
}

/// Names that lack the right that is asked of them. They do name something: names that name nothing at all are refused
/// alike, but a debug kernel also complains about those on the console, in the middle of this program's own lines.
fn invalid_names(port: &ReceiveRight) -> Result<(), Mismatch> {
    let mut nowhere = Message::new(MESSAGE, PortName::NULL, Disposition::CopySend);
    expect("sending to no port", KernReturn::MACH_SEND_INVALID_DEST, nowhere.send(None))?;
    let mut wrong_right = Message::new(MESSAGE, port.name(), Disposition::CopySend);
    expect("sending by a receive right", KernReturn::MACH_SEND_INVALID_DEST, wrong_right.send(None))?;
    let mut no_reply = message(port).reply_to(task_self(), Disposition::MakeSendOnce);
    expect("a send right to make the reply right of", KernReturn::MACH_SEND_INVALID_REPLY, no_reply.send(None))?;
    let mut no_right = message(port).port(port.name(), Disposition::CopySend);
    expect("a receive right to copy", KernReturn::MACH_SEND_INVALID_RIGHT, no_right.send(None))?;
    let found = Received::receive_with(task_self(), 0, LIMIT, Some(TIMEOUT)).map_err(|(error, _)| error);
    expect_error("receiving by a send right", KernReturn::MACH_RCV_INVALID_NAME, found)?;
    println!("timeouts: invalid names");
    Ok(())
}

/// Memory that cannot be read, and sizes that cannot be.
fn invalid_data(port: &ReceiveRight) -> Result<(), Mismatch> {
    let gone = Pages::allocate(PAGE_SIZE).doing("vm_allocate")?.address();
    let sent = |size| KernReturn::from_mach_msg(send_at(gone, size, 0, 0));
    expect("a message in memory given back", KernReturn::MACH_SEND_INVALID_DATA, sent(LP64.end as u32))?;
    expect("a message without a whole header", KernReturn::MACH_SEND_MSG_TOO_SMALL, sent(LP64.end as u32 - 8))?;
    let mut no_memory = message(port).out_of_line(gone, PAGE_SIZE as u32, false);
    expect("memory given back out of line", KernReturn::MACH_SEND_INVALID_MEMORY, no_memory.send(None))?;
    println!("timeouts: invalid data");
    Ok(())
}
