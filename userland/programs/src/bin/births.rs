// SPDX-License-Identifier: GPL-2.0-or-later
//! births: an engine is told of the births and deaths of tasks and threads, each once and in order.
//!
//! A tracer of its own; run it untraced.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use mach::msg::Received;
use mach::port::{ReceiveRight, SendRight};
use mach::rt::arguments::Arguments;
use mach::sys::trap::{mach_task_self, task_create, task_terminate};
use mach::{println, thread};
use programs::engine::{Wish, attach, barrier};
use programs::tracer::{Seen, Tracer, child};
use programs::{Doing, Mismatch, expect};
use trace_port::EventKind;
use trace_port::control::{event, flag};

mach::entry!(main);

/// How long a record may take, in milliseconds.
const PATIENCE: u32 = 2000;
/// What is asked for besides messages.
const LIVES: u32 = event::TASK_BIRTH | event::THREAD_BIRTH | event::THREAD_DEATH | event::TASK_DEATH | event::END;

fn main(_: Arguments) -> Result<(), Mismatch> {
    own_end()?;
    other_end()?;
    engine_end()
}

/// A task makes a thread, and a task, and ends both and itself.
fn own_end() -> Result<(), Mismatch> {
    let parent = child(family)?;
    let mut tracer = Tracer::new(16)?;
    let wish = Wish::new("lives").of(LIVES | event::SEND).with(flag::CHILDREN);
    let engine = attach(parent.task.name(), &tracer, wish).doing("trace_attach")?;
    parent.resume().doing("starting the task")?;
    let seen = until(&mut tracer, EventKind::TaskDeath, 2)?;
    barrier(&engine).doing("trace_barrier")?;
    expect("what comes after the last death", None, tracer.record(Some(0))?)?;
    let lives: Vec<&Seen> = seen.iter().filter(|seen| seen.kind != EventKind::Normal).collect();
    let kinds: Vec<EventKind> = lives.iter().map(|seen| seen.kind).collect();
    // When the thread that was made dies is its own affair.
    let others: Vec<EventKind> = kinds.iter().copied().filter(|&kind| kind != EventKind::ThreadDeath).collect();
    let expected = [EventKind::ThreadBirth, EventKind::TaskBirth, EventKind::TaskDeath, EventKind::TaskDeath];
    expect("births and deaths of tasks, and the thread's birth", expected.to_vec(), others)?;
    expect("births and deaths", 6, kinds.len())?;
    expect("the last two", [EventKind::ThreadDeath, EventKind::TaskDeath].as_slice(), &kinds[4..])?;
    let tasks: Vec<&Seen> = lives.into_iter().filter(|seen| is_of_task(seen.kind)).collect();
    let number = |seen: &Seen| seen.header.task.get();
    let (birth, death, last) = (tasks[0], tasks[1], tasks[2]);
    expect("the child's number", number(birth), number(death))?;
    expect("whose child it is", number(last), birth.header.sender.get())?;
    expect("two tasks", true, number(birth) != number(last) && number(birth) != 0)?;
    let mut born: Vec<u32> = Vec::new();
    // The thread that was there before the engine.
    let mut elder = None;
    for seen in &seen {
        let thread = seen.header.thread.get();
        match seen.kind {
            EventKind::ThreadBirth => born.push(thread),
            EventKind::ThreadDeath => born.retain(|&other| other != thread),
            EventKind::Normal if !born.contains(&thread) => {
                let is_elder = *elder.get_or_insert(thread) == thread;
                expect("nothing of a thread comes before its birth, or after its death", true, is_elder)?;
            }
            _ => {}
        }
    }
    expect("threads that were born and did not die", Vec::new(), born)?;
    println!("births: of a task, its thread and its child, each once and in order");
    Ok(())
}

/// What the task runs.
fn family() {
    let _ = thread::spawn(|| {
        let _ = mach_task_self();
    });
    if let Ok(child) = task_create(mach_task_self(), false) {
        let _ = task_terminate(child);
    }
}

const fn is_of_task(kind: EventKind) -> bool {
    matches!(kind, EventKind::TaskBirth | EventKind::TaskDeath)
}

/// Records up to the `count`th of a kind.
fn until(tracer: &mut Tracer, kind: EventKind, count: usize) -> Result<Vec<Seen>, Mismatch> {
    let mut seen = Vec::new();
    while seen.iter().filter(|seen: &&Seen| seen.kind == kind).count() < count {
        seen.push(tracer.record(Some(PATIENCE))?.doing("a record")?);
    }
    Ok(seen)
}

/// A task that sleeps is ended by another.
fn other_end() -> Result<(), Mismatch> {
    let parent = child(sleep)?;
    let mut tracer = Tracer::new(16)?;
    let wish = Wish::new("lives").of(LIVES | event::RECEIVE);
    let _engine = attach(parent.task.name(), &tracer, wish).doing("trace_attach")?;
    parent.resume().doing("starting the task")?;
    task_terminate(parent.task.name()).doing("task_terminate")?;
    let seen = until(&mut tracer, EventKind::TaskDeath, 1)?;
    let kinds: Vec<EventKind> = seen.iter().map(|seen| seen.kind).filter(|&kind| kind != EventKind::Normal).collect();
    expect("deaths", [EventKind::ThreadDeath, EventKind::TaskDeath].to_vec(), kinds)?;
    expect("what comes after them", None, tracer.record(Some(0))?)?;
    println!("births: a task that another ends dies once, its thread first");
    Ok(())
}

fn sleep() {
    // Nothing comes: nobody has a right to send there.
    if let Ok(port) = ReceiveRight::allocate() {
        let _ = Received::receive(&port, 64, None);
    }
}

/// An engine is told of its own end.
fn engine_end() -> Result<(), Mismatch> {
    let parent = child(sleep)?;
    let mut tracer = Tracer::new(16)?;
    let engine: SendRight =
        attach(parent.task.name(), &tracer, Wish::new("own").of(event::END)).doing("trace_attach")?;
    expect("before", None, tracer.record(Some(0))?)?;
    drop(engine);
    let seen = tracer.record(Some(PATIENCE))?.doing("a record")?;
    expect("the end of the engine", (EventKind::EngineEnd, 0), (seen.kind, seen.header.task.get()))?;
    expect("the engine's number", true, seen.header.thread.get() != 0)?;
    task_terminate(parent.task.name()).doing("task_terminate")?;
    println!("births: an engine is told of its own end");
    Ok(())
}
