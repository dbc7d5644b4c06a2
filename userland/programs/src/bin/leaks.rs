// SPDX-License-Identifier: GPL-2.0-or-later
//! leaks HOST_PORT: 10,000 children of a traced task, then as many traced tasks as there may be: nothing is left behind.
//!
//! A tracer of its own; run it untraced. What could be left is a right to the trace port (the no-senders notification tells),
//! an entry of a traced task (1,000 tasks can still be traced at once), a name in this task, and memory (host_slab_info).
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use mach::port::{PortName, Right, SendRight};
use mach::rt::arguments::Arguments;
use mach::sys::trap::{mach_task_self, task_create, task_terminate};
use mach::{println, stubs, task_self};
use programs::left;
use programs::tracer::{Tracer, child, tell_when_untraced};
use programs::{Doing, Mismatch, expect};

mach::entry!(main);

/// Children that a traced task makes.
const CHILDREN: u32 = 10_000;
/// Children made before memory is counted, for what is made once and kept.
const FIRST_CHILDREN: u32 = 300;
/// Objects by which a cache may grow meanwhile: far less than one for each child.
const GROWTH: u64 = 100;
/// Tasks that are traced at once.
const CAPACITY: usize = 1000;
/// `msgh_id` of task_create's reply in mach.defs.
const TASK_CREATE_REPLY: i32 = 2107;

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let host = arguments.get_str(1).and_then(|name| name.parse().ok()).map(PortName).doing("the host's port")?;
    let mut tracer = Tracer::new(16)?;
    children(&mut tracer, FIRST_CHILDREN)?;
    capacity(&tracer)?;
    let (names, before) = (left::names()?, left::caches(host)?);
    children(&mut tracer, CHILDREN)?;
    let (names_after, after) = (left::names()?, left::caches(host)?);
    expect("names of this task", names, names_after)?;
    println!("leaks: {CHILDREN} children of a traced task leave no right and no name behind");
    expect("caches that grew by more than a few objects", Vec::new(), left::grown(&before, &after, GROWTH))?;
    expect("caches looked at", true, after.len() > 20)?;
    println!("leaks: no cache of the kernel has grown by more than {GROWTH} objects");
    capacity(&tracer)?;
    println!("leaks: {CAPACITY} tasks are traced at once");
    Ok(())
}

/// A traced task makes children, which are traced, too, and ends them and itself.
fn children(tracer: &mut Tracer, count: u32) -> Result<(), Mismatch> {
    let body = if count == CHILDREN { || make_children(CHILDREN) } else { || make_children(FIRST_CHILDREN) };
    let parent = child(body)?;
    tracer.trace(parent.task.name()).doing("task_set_special_port")?;
    tell_when_untraced(&tracer.port)?;
    parent.resume().doing("thread_resume")?;
    let (mut made, mut dropped) = (0, 0);
    // What is no record is the notification that no right to the port is left: none of an entry, none of a record.
    while let Some(record) = tracer.record(None)? {
        made += u32::from(record.id == TASK_CREATE_REPLY && record.header.retval.get() == 0);
        dropped += record.header.lost();
    }
    expect("children made, and records lost", (count, 0), (made, dropped))?;
    let refs = stubs::mach_port::mach_port_get_refs(task_self(), parent.task.name(), Right::DeadName as u32);
    expect("references of the dead parent's name", Ok(1), refs)
}

/// What the traced parent runs. It has its parent's memory but rights of its own.
fn make_children(count: u32) {
    let this = mach_task_self();
    for _ in 0..count {
        let Ok(task) = stubs::mach::task_create(this, false).map(SendRight::into_name) else { break };
        if stubs::mach::task_terminate(task).is_err() || stubs::mach_port::mach_port_deallocate(this, task).is_err() {
            break;
        }
    }
}

/// Traces many tasks at once.
fn capacity(tracer: &Tracer) -> Result<(), Mismatch> {
    let mut tasks = Vec::new();
    for _ in 0..CAPACITY {
        let task = SendRight::from_name(task_create(task_self(), false).doing("task_create")?);
        tracer.trace(task.name()).doing("task_set_special_port")?;
        tasks.push(task);
    }
    tasks.iter().try_for_each(|task| task_terminate(task.name())).doing("task_terminate")
}
