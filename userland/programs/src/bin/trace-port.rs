// SPDX-License-Identifier: GPL-2.0-or-later
//! trace-port: sets a trace port for a child task by RPC, reads it back, and takes it away again.
//!
//! Run untraced it is a tracer of its own: records of the child's messages come while the trace port is set and stop when it
//! is `MACH_PORT_NULL`. Its own trace must show `task_set_special_port` and `task_get_special_port` with port 5. On a kernel
//! without trace ports it says so in one line and exits with status 3.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::error::KernReturn;
use mach::msg::{Message, Received};
use mach::port::{Disposition, PortName, ReceiveRight, SendRight};
use mach::rt::arguments::Arguments;
use mach::sys::trap::task_set_special_port;
use mach::thread::Child;
use mach::{println, stubs};
use mach_abi::special_port::TASK_TRACE_PORT;
use programs::tracer::{FIRST as PARENT, SECOND as CHILD, Tracer, child_with_port};
use programs::{Doing, Mismatch, expect};
use trace_port::event::Direction;

mach::entry!(main);

/// Exit status on a kernel that knows no trace port.
const NO_TRACE_PORT: i32 = 3;
/// Ids of the messages between parent and child.
const GO: i32 = 6500;
const DONE: i32 = 6501;
/// Most bytes of those messages.
const LIMIT: u32 = 64;
/// Records that the trace port holds.
const QUEUE: u32 = 5;

fn main(_arguments: Arguments) -> Result<i32, Mismatch> {
    let mut tracer = Tracer::new(QUEUE)?;
    let right = tracer.port.make_send().doing("a send right to the trace port")?;
    let from_child = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let (child, to_child) = child_with_port(answer, &from_child)?;
    child.resume().doing("starting the child")?;

    match task_set_special_port(child.task.name(), TASK_TRACE_PORT, right.name()) {
        Err(KernReturn::KERN_INVALID_ARGUMENT) => {
            let _ = mach::sys::trap::task_terminate(child.task.name());
            println!("trace-port: this kernel has no trace port");
            return Ok(NO_TRACE_PORT);
        }
        other => other.doing("task_set_special_port")?,
    }
    expect("the trace port read back", right.name(), trace_port_of(&child)?.name())?;
    println!("trace-port: set and read back");

    exchange(&to_child, &from_child)?;
    wait_for_answer(&mut tracer)?;
    println!("trace-port: records came");

    task_set_special_port(child.task.name(), TASK_TRACE_PORT, PortName::NULL).doing("task_set_special_port")?;
    expect("the trace port read back", PortName::NULL, trace_port_of(&child)?.name())?;
    while tracer.record(Some(0))?.is_some() {}
    exchange(&to_child, &from_child)?;
    expect("a record after the trace port was taken away", true, tracer.record(Some(0))?.is_none())?;
    println!("trace-port: records stopped");
    mach::sys::trap::task_terminate(child.task.name()).doing("task_terminate")?;
    Ok(0)
}

/// What the child runs, until it is terminated or its parent is gone.
fn answer() {
    let port = ReceiveRight::from_name(CHILD);
    while Received::receive(&port, LIMIT, None).is_ok() {
        let sent = Message::new(DONE, PARENT, Disposition::CopySend).send(None);
        if sent != KernReturn::KERN_SUCCESS {
            break;
        }
    }
}

/// One message to the child and one back.
fn exchange(to_child: &SendRight, from_child: &ReceiveRight) -> Result<(), Mismatch> {
    let sent = Message::new(GO, to_child.name(), Disposition::CopySend).send(None);
    expect("sending to the child", KernReturn::KERN_SUCCESS, sent)?;
    let done = Received::receive(from_child, LIMIT, None).doing("receiving from the child")?;
    expect("the child's message", DONE, done.id())
}

fn trace_port_of(child: &Child) -> Result<SendRight, Mismatch> {
    stubs::mach::task_get_special_port(child.task.name(), TASK_TRACE_PORT).doing("task_get_special_port")
}

/// Reads records until the one of the child's answer; the child's next record can only be that of another message.
fn wait_for_answer(tracer: &mut Tracer) -> Result<(), Mismatch> {
    loop {
        let seen = tracer.record(None)?.doing("record")?;
        if (seen.direction, seen.id) == (Direction::Send, DONE) {
            return Ok(());
        }
    }
}
