// SPDX-License-Identifier: GPL-2.0-or-later
//! trace-boot HOST_PORT: traces the boot server, which takes part in everybody's start, console and end.
//!
//! A tracer of its own; run it untraced. While its tracer receives, the boot server goes on as before; while its tracer does
//! not, the server's thread waits as any traced thread does; when the tracer's port dies, it goes on.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use mach::boot;
use mach::error::KernReturn;
use mach::mig::AnyRight;
use mach::msg::{Message, Received};
use mach::port::{Disposition, PortName, ReceiveRight, SendRight};
use mach::rt::arguments::Arguments;
use mach::{println, stubs, task_self, thread};
use programs::tracer::{Tracer, untrace};
use programs::{Doing, Mismatch, expect};
use trace_port::event::{Direction, EventKind};
use trace_port::record::{MAX_BATCH, part_size};

mach::entry!(main);

/// `msgh_id` of the request that is made, `boot_list` of boot.defs.
const BOOT_LIST: i32 = 5303;
/// Says that a request was answered.
const ANSWERED: i32 = 6900;
/// Most bytes of that message.
const LIMIT: u32 = 64;
/// More answers than fit into a message, with a record of each request and each answer.
const MOST: usize = MAX_BATCH / (2 * part_size(0, 0));
/// Milliseconds after which an answer would have come.
const SETTLED: u32 = 200;

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let host = arguments.get_str(1).and_then(|name| name.parse().ok()).map(PortName).doing("the host's port")?;
    println!("trace-boot: looking for the boot server");
    let mut tracer = Tracer::new(16)?;
    let server = boot_server(host, &mut tracer)?;
    println!("trace-boot: the boot server answers while it is traced");

    let full = Tracer::new(1)?;
    full.trace(server.name()).doing("task_set_special_port")?;
    let mut answer = ask()?;
    // The records of some answers fit into the one message that the queue holds.
    for asked in 1.. {
        match Received::receive(&answer, LIMIT, Some(SETTLED)) {
            Err(KernReturn::MACH_RCV_TIMED_OUT) => break,
            other => drop(other.doing("an answer of the boot server")?),
        }
        expect("answers of the boot server whose tracer does not receive, at most", MOST.min(asked), asked)?;
        answer = ask()?;
    }
    drop(full);
    let late = Received::receive(&answer, LIMIT, None).doing("the answer when the tracer is gone")?;
    expect("msgh_id", ANSWERED, late.id())?;
    println!("trace-boot: it waits for a tracer that does not receive, and goes on when that is gone");
    Ok(())
}

/// The task whose trace shows our request to the boot server.
fn boot_server(host: PortName, tracer: &mut Tracer) -> Result<SendRight, Mismatch> {
    let set = stubs::mach_host::processor_set_default(host).doing("processor_set_default")?;
    let set = stubs::mach_host::host_processor_set_priv(host, set.name()).doing("host_processor_set_priv")?;
    for task in stubs::mach_host::processor_set_tasks(set.name()).doing("processor_set_tasks")? {
        let AnyRight::Send(task) = task else { continue };
        if task.name() == task_self() {
            continue;
        }
        match tracer.trace(task.name()) {
            // The kernel's own task.
            Err(KernReturn::KERN_NO_ACCESS) => continue,
            other => other.doing("task_set_special_port")?,
        }
        let answer = ask()?;
        let (mut found, mut answered) = (false, false);
        while !answered {
            while let Some(record) = tracer.record(Some(SETTLED))? {
                found |=
                    (record.kind, record.direction, record.id) == (EventKind::Normal, Direction::Receive, BOOT_LIST);
            }
            answered = match Received::receive(&answer, LIMIT, Some(0)) {
                Err(KernReturn::MACH_RCV_TIMED_OUT) => false,
                answer => answer.doing("the boot server's answer")?.id() == ANSWERED,
            };
        }
        untrace(task.name()).doing("task_set_special_port to null")?;
        while tracer.record(Some(SETTLED))?.is_some() {}
        if found {
            return Ok(task);
        }
    }
    Err(Mismatch::new("the boot server: expected it among the tasks, found none that received our request"))
}

/// Lets another thread ask the boot server something; what it gets to say when there was an answer.
fn ask() -> Result<ReceiveRight, Mismatch> {
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let right = port.make_send().doing("a send right")?;
    thread::spawn(move || {
        if boot::tasks().is_ok() {
            Message::new(ANSWERED, right.name(), Disposition::CopySend).send(None);
        }
    })
    .map(drop)
    .doing("starting a thread")?;
    Ok(port)
}
