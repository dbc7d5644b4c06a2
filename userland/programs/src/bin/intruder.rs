// SPDX-License-Identifier: GPL-2.0-or-later
//! intruder: what another task can and cannot do to a trace that is not its own.
//!
//! A tracer of its own; run it untraced. Each step stopped the kernel, hid messages or let something out before.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use mach::error::KernReturn;
use mach::msg::{Message, Received};
use mach::port::{Disposition, PortName, ReceiveRight, SendRight};
use mach::rt::arguments::Arguments;
use mach::sys::msg::mach_msg;
use mach::sys::trap::{mach_host_self, task_create, task_set_special_port, task_terminate};
use mach::{println, stubs, task_self};
use mach_abi::Descriptor;
use mach_abi::header::LP64;
use mach_abi::option::MACH_SEND_MSG;
use mach_abi::special_port::TASK_TRACE_PORT;
use mach_abi::type_name::{COPY_SEND, INTEGER_32};
use programs::tracer::{FIRST, SECOND, Tracer, child, child_with_port, give, number, send, untrace};
use programs::{Doing, Mismatch, expect, expect_error};
use trace_port::event::{Direction, EventKind};

mach::entry!(main);

/// Messages of the traced tasks here, which no interface has.
const DATA: i32 = 6900;
/// Messages of this task, which is not traced.
const OURS: i32 = 7777;
/// How often spoofing is tried, and how many requests' replies are looked at.
const TRIES: u32 = 50;
const REQUESTS: u32 = 400;
/// The type descriptor of one integer of 32 bits, and how many bytes the header before the first has.
const INTEGER: u64 = Descriptor::inline(INTEGER_32, 32, 1).to_word();
/// Milliseconds: until something is there surely, and until nothing comes any more.
const SURELY: u32 = 3000;
const NO_MORE: u32 = 200;

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    kernel_ports()?;
    println!("intruder: a port that the kernel receives from is no trace port");
    detach()?;
    println!("intruder: who waits for a tracer goes on when the trace ends");
    invisible()?;
    println!("intruder: a traced task's own port as a trace port hides nothing from its trace");
    spoof()?;
    println!("intruder: no message takes over another's correlation in {TRIES} tries");
    padding()?;
    println!("intruder: what pads the replies to {REQUESTS} requests is 0");
    Ok(())
}

fn idle() {}

/// The kernel would send records to itself, and wait for itself.
fn kernel_ports() -> Result<(), Mismatch> {
    let (task, other) = (child(idle)?, child(idle)?);
    for port in [task.task.name(), other.task.name(), other.thread.name(), mach_host_self()] {
        let refused = task_set_special_port(task.task.name(), TASK_TRACE_PORT, port);
        expect_error("a kernel's port as trace port", KernReturn::KERN_INVALID_ARGUMENT, refused)?;
    }
    stubs::mach::task_suspend(task.task.name()).doing("suspend the task")?;
    task_terminate(other.task.name()).doing("terminate")?;
    task_terminate(task.task.name()).doing("terminate")
}

fn numbers() {
    for n in 1.. {
        if send(DATA, FIRST, Disposition::CopySend, n) != KernReturn::KERN_SUCCESS {
            break;
        }
    }
}

/// A sender waits for room at a trace port that nobody receives from; the trace's end must free it.
fn detach() -> Result<(), Mismatch> {
    let tracer = Tracer::new(1)?;
    let data = ReceiveRight::allocate().doing("allocate")?;
    let sender = child(numbers)?;
    give(&sender, FIRST, data.name(), Disposition::MakeSend)?;
    tracer.trace(sender.task.name()).doing("trace")?;
    sender.resume().doing("resume")?;
    while Received::receive(&data, 128, Some(NO_MORE)).is_ok() {}
    untrace(sender.task.name()).doing("end the trace")?;
    Received::receive(&data, 128, Some(SURELY)).doing("a number after the trace's end")?;
    task_terminate(sender.task.name()).doing("terminate")
}

fn answer() {
    let port = ReceiveRight::from_name(SECOND);
    while let Ok(message) = Received::receive(&port, 128, None) {
        send(DATA, FIRST, Disposition::CopySend, number(&message).unwrap_or(0));
    }
}

/// What arrives at a trace port is not recorded, but only from the kernel: the port may be one that a traced task receives from.
fn invisible() -> Result<(), Mismatch> {
    let mut tracer = Tracer::new(16)?;
    let back = ReceiveRight::allocate().doing("allocate")?;
    let (traced, to) = child_with_port(answer, &back)?;
    tracer.trace(traced.task.name()).doing("trace")?;
    let other = SendRight::from_name(task_create(task_self(), false).doing("task_create")?);
    traced.resume().doing("resume")?;
    for trace_port in [false, true] {
        if trace_port {
            task_set_special_port(other.name(), TASK_TRACE_PORT, to.name()).doing("make it a trace port")?;
        }
        Message::new(OURS, to.name(), Disposition::CopySend).integer(42).send(None);
        let answered = number(&Received::receive(&back, 128, Some(SURELY)).doing("the answer")?);
        expect("the answer", Some(42), answered)?;
        let mut seen = 0;
        while let Some(record) = tracer.record(Some(NO_MORE))? {
            seen += u32::from(record.id == OURS);
        }
        expect("records of a message that was received", 1, seen)?;
    }
    task_terminate(other.name()).doing("terminate")?;
    task_terminate(traced.task.name()).doing("terminate")
}

fn numbers_and_wait() {
    for n in 0..TRIES {
        send(DATA, FIRST, Disposition::CopySend, n);
    }
    loop {
        mach::sys::trap::thread_switch();
    }
}

fn receive_all() {
    let port = ReceiveRight::from_name(SECOND);
    while Received::receive(&port, 128, None).is_ok() {}
}

/// Takes the correlation numbers of the sender's messages from the tracer's records, into `sent`, until none comes any more.
fn watch(tracer: &mut Tracer, sent: &mut Vec<u64>, spoofed: &mut u32, ours: &mut u32) -> Result<(), Mismatch> {
    while let Some(record) = tracer.record(Some(50))? {
        let correlation = record.header.correlation.get();
        if record.id == OURS {
            *ours += 1;
            *spoofed += u32::from(sent.contains(&correlation));
        } else if record.kind == EventKind::Normal && record.direction == Direction::Send && record.id == DATA {
            sent.push(correlation);
        }
    }
    Ok(())
}

/// A message that was received leaves its place to the next; this one writes the last correlation where `msgh_seqno` stands.
fn spoof() -> Result<(), Mismatch> {
    let mut tracer = Tracer::new(16)?;
    let data = ReceiveRight::allocate().doing("allocate")?;
    let sender = child(numbers_and_wait)?;
    give(&sender, FIRST, data.name(), Disposition::MakeSend)?;
    let (receiver, to) = child_with_port(receive_all, &data)?;
    for traced in [&sender, &receiver] {
        tracer.trace(traced.task.name()).doing("trace")?;
        traced.resume().doing("resume")?;
    }
    let (mut sent, mut spoofed, mut ours) = (Vec::new(), 0, 0);
    for n in 0..TRIES {
        Received::receive(&data, 128, Some(SURELY)).doing("a number")?;
        watch(&mut tracer, &mut sent, &mut spoofed, &mut ours)?;
        let correlation = *sent.get(n as usize).doing("a record of each number")?;
        let id_and_seqno = u64::from(OURS.cast_unsigned()) << 32 | correlation & 0xffff_ffff;
        let mut message = [u64::from(COPY_SEND) | 48 << 32, u64::from(to.name().0), 0, id_and_seqno, INTEGER, 1];
        mach_msg(&mut message, MACH_SEND_MSG, 48, 0, PortName::NULL, 0, PortName::NULL);
        watch(&mut tracer, &mut sent, &mut spoofed, &mut ours)?;
    }
    expect("records of our messages", TRIES, ours)?;
    expect("correlations that were taken over", 0, spoofed)?;
    task_terminate(sender.task.name()).doing("terminate")?;
    task_terminate(receiver.task.name()).doing("terminate")
}

/// The integers at the start of a reply, each padded to 8 bytes: how many, and how many are not padded with 0.
fn padded(reply: &[u8]) -> (u32, u32) {
    let (mut integers, mut dirty) = (0, 0);
    for item in reply.get(LP64.end..).unwrap_or_default().chunks_exact(16) {
        let (descriptor, value) = item.split_at(8);
        if descriptor != INTEGER.to_le_bytes() {
            break;
        }
        integers += 1;
        dirty += u32::from(value[4..] != [0; 4]);
    }
    (integers, dirty)
}

/// The kernel's replies stand in memory that was used for others' messages; what pads their integers must not be of those.
fn padding() -> Result<(), Mismatch> {
    let mut tracer = Tracer::new(16)?;
    let traced = child(idle)?;
    tracer.trace(traced.task.name()).doing("trace")?;
    let task = traced.task.name();
    let (mut integers, mut dirty) = (0, 0);
    for n in 0..REQUESTS {
        match n % 3 {
            0 => drop(stubs::mach_port::mach_port_type(task, PortName(n))),
            1 => drop(stubs::mach_port::mach_port_names(task)),
            _ => drop(stubs::mach_port::mach_port_get_refs(task, PortName(1), 0)),
        }
        while tracer.each(Some(0), |record| {
            if record.kind == EventKind::Task && record.direction == Direction::Send {
                let (more, not_zero) = padded(record.message);
                integers += more;
                dirty += not_zero;
            }
            Ok(())
        })? {}
    }
    expect("a reply with an integer for each request", true, integers >= REQUESTS)?;
    expect("integers padded with something else than 0", 0, dirty)?;
    task_terminate(task).doing("terminate")
}
