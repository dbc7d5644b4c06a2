//! trace-port: sets a trace port for a child task by RPC, reads it back, and takes it away again.
//!
//! Run untraced it is a tracer of its own: records of the child's messages come while the trace port is set and stop when it
//! is `MACH_PORT_NULL`. Its own trace must show `task_set_special_port` and `task_get_special_port` with port 5. On a kernel
//! without trace ports it says so in one line and exits with status 3.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use mach::boot::TASK_TRACE_PORT;
use mach::error::KernReturn;
use mach::msg::{Message, Received};
use mach::port::{Disposition, PortName, ReceiveRight, SendRight};
use mach::rt::arguments::Arguments;
use mach::rt::exit::terminate;
use mach::sys::msg::{MACH_RCV_MSG, MACH_RCV_TIMEOUT, mach_msg};
use mach::sys::trap::{mach_port_insert_right, task_set_special_port};
use mach::thread::Child;
use mach::{println, stubs, thread};
use programs::{Doing, Mismatch, expect};
use trace_port::event::Direction;
use trace_port::record::{MAX_BODY, Record, wire_size};

mach::entry!(main);

/// Exit status on a kernel that knows no trace port.
const NO_TRACE_PORT: i32 = 3;
/// What the child calls its send right to the parent.
const PARENT: PortName = PortName(0x101);
/// What the child calls the receive right of its own port.
const CHILD: PortName = PortName(0x102);
/// Ids of the messages between parent and child.
const GO: i32 = 6500;
const DONE: i32 = 6501;
/// Most bytes of those messages.
const LIMIT: u32 = 64;

fn main(_arguments: Arguments) -> Result<i32, Mismatch> {
    let trace = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let right = trace.make_send().doing("a send right to the trace port")?;
    let from_child = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let (child, to_child) = start_child(&from_child)?;

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
    wait_for_answer(&trace)?;
    println!("trace-port: records came");

    task_set_special_port(child.task.name(), TASK_TRACE_PORT, PortName::NULL).doing("task_set_special_port")?;
    expect("the trace port read back", PortName::NULL, trace_port_of(&child)?.name())?;
    while receive_record(&trace, Some(0))?.is_some() {}
    exchange(&to_child, &from_child)?;
    expect("a record after the trace port was taken away", true, receive_record(&trace, Some(0))?.is_none())?;
    println!("trace-port: records stopped");
    mach::sys::trap::task_terminate(child.task.name()).doing("task_terminate")?;
    Ok(0)
}

/// A child that answers every message, and a send right to it.
fn start_child(from_child: &ReceiveRight) -> Result<(Child, SendRight), Mismatch> {
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let to_child = port.make_send().doing("a send right to the child's port")?;
    let child = thread::fork(answer).doing("making the child")?;
    mach_port_insert_right(child.task.name(), PARENT, from_child.name(), Disposition::MakeSend)
        .doing("inserting a send right into the child")?;
    mach_port_insert_right(child.task.name(), CHILD, port.into_name(), Disposition::MoveReceive)
        .doing("inserting a receive right into the child")?;
    child.resume().doing("starting the child")?;
    Ok((child, to_child))
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
    terminate()
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
fn wait_for_answer(trace: &ReceiveRight) -> Result<(), Mismatch> {
    loop {
        if receive_record(trace, None)? == Some((Direction::Send, DONE)) {
            return Ok(());
        }
    }
}

/// One record, the last one of a message: its direction and the id of the message in it. `None` if none came in time.
fn receive_record(trace: &ReceiveRight, timeout: Option<u32>) -> Result<Option<(Direction, i32)>, Mismatch> {
    let mut buffer = alloc::vec![0u64; wire_size(MAX_BODY) / 8];
    let option = MACH_RCV_MSG | timeout.map_or(0, |_| MACH_RCV_TIMEOUT);
    let limit = size_of_val(&buffer[..]) as u32;
    let answer = mach_msg(&mut buffer, option, 0, limit, trace.name(), timeout.unwrap_or(0), PortName::NULL);
    match KernReturn::from_mach_msg(answer) {
        KernReturn::MACH_RCV_TIMED_OUT => return Ok(None),
        other => other.into_result().doing("receiving a record")?,
    }
    let bytes: alloc::vec::Vec<u8> = buffer.iter().flat_map(|word| word.to_le_bytes()).collect();
    let size = bytes[4..].first_chunk().map_or(0, |size| u32::from_le_bytes(*size)) as usize;
    let (record, reply) = Record::parse_all(&bytes[..size.min(bytes.len())]).ok().doing("well-formed record")?;
    drop(SendRight::from_name(PortName(record.task)));
    let record = reply.unwrap_or(record);
    let id = record.message.get(28..32).and_then(|id| id.try_into().ok()).map_or(0, i32::from_le_bytes);
    Ok(Some((record.direction, id)))
}
