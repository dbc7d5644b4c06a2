// SPDX-License-Identifier: GPL-2.0-or-later
//! untold: records that a task loses after its last one are told to its trace port, to the last of them.
//!
//! A tracer of its own; run it untraced. It does not receive while it asks so much of a traced task that records are lost, and then ends the
//! task: before that has done anything, and while its thread waits with a record for which there is no room any more. Every record
//! has a place in the order of all, so that those that came and those that are said to be lost must add up to the last place.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::error::KernReturn;
use mach::msg::Received;
use mach::port::ReceiveRight;
use mach::println;
use mach::rt::arguments::Arguments;
use mach::stubs::mach_port::mach_port_names;
use mach::sys::trap::task_terminate;
use programs::tracer::{Tracer, child};
use programs::{Doing, Mismatch, expect, expect_error};
use trace_port::event::EventKind;

mach::entry!(main);

/// Calls of the tracer on the task: more than the messages that may be queued beyond the port's limit hold the records of.
const CALLS: usize = 800;
/// Milliseconds after which nothing comes any more.
const SETTLED: u32 = 200;
/// Most bytes of a message that is not expected.
const LIMIT: u32 = 64;

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    for (waits, what) in [(false, "that has not begun"), (true, "that waited for its tracer")] {
        let (lost, told) = lose(waits)?;
        println!("untold: of a task {what} {lost} records were lost, {told} of them told after its last one");
    }
    Ok(())
}

/// How many records a task lost, and how many of these only its end told of.
fn lose(waits: bool) -> Result<(u64, u64), Mismatch> {
    let mut tracer = Tracer::new(1)?;
    let child = child(|| {})?;
    tracer.trace(child.task.name()).doing("task_set_special_port")?;
    for _ in 0..CALLS {
        mach_port_names(child.task.name()).doing("mach_port_names")?;
    }
    if waits {
        child.resume().doing("thread_resume")?;
        let nothing = ReceiveRight::allocate().doing("mach_port_allocate")?;
        expect_error("a message", KernReturn::MACH_RCV_TIMED_OUT, Received::receive(&nothing, LIMIT, Some(SETTLED)))?;
    }
    task_terminate(child.task.name()).doing("task_terminate")?;
    let (mut came, mut lost, mut told) = (0, 0, 0);
    let (mut first, mut last) = (u64::MAX, 0);
    while let Some(record) = tracer.record(Some(SETTLED))? {
        let (sequence, dropped) = (record.header.sequence.get(), u64::from(record.header.lost()));
        came += 1;
        lost += dropped;
        if record.kind == EventKind::Lost {
            expect("news of lost records", true, dropped > 0)?;
            told += dropped;
        }
        first = first.min(sequence);
        last = last.max(sequence);
    }
    expect("records that were lost", true, told > 0)?;
    expect("records that came and were lost", last + 1 - first, came + lost)?;
    Ok((lost, told))
}
