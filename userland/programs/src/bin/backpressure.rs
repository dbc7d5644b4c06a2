// SPDX-License-Identifier: GPL-2.0-or-later
//! backpressure: full trace queues, trace ports that die or move, tasks that would trace themselves or each other.
//!
//! A tracer of its own; run it untraced. Each line it prints is one thing that was shown: nobody but the traced thread waits
//! for a tracer, and nothing waits for one that is gone.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use mach::error::KernReturn;
use mach::msg::Received;
use mach::port::{Disposition, PortName, ReceiveRight};
use mach::rt::arguments::Arguments;
use mach::sys::trap::task_terminate;
use mach::thread::Child;
use mach::{println, stubs, task_self, thread};
use mach_abi::port::MACH_PORT_TYPE_DEAD_NAME;
use mach_abi::special_port::TASK_TRACE_PORT;
use programs::tracer::{FIRST, Tracer, child, give, number, send, untrace};
use programs::{Doing, Mismatch, expect, expect_error};
use trace_port::event::EventKind;
use trace_port::record::{MAX_BATCH, TASK_OFFSET, part_size};

mach::entry!(main);

/// Id of the messages a child sends.
const DATA: i32 = 6900;
/// Most bytes of a message other than a record.
const LIMIT: u32 = 128;
/// Room for the records of small messages.
const RECORDS: u32 = MAX_BATCH as u32;
/// Sizes of thread_resume's request and reply, and of a message with a number.
const RESUME: usize = 32;
const RESUMED: usize = 40;
const NUMBER: usize = 48;
/// Messages that may be in a trace port's queue beyond its limit.
const BEYOND_LIMIT: usize = 64;
/// Milliseconds after which a thread that could run would have run.
const SETTLED: u32 = 200;
/// Nanoseconds within which a record is expected.
const LATE: u64 = 1_000_000_000;

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    full_queue()?;
    dead_thread()?;
    suspended()?;
    dead_port()?;
    moved_port()?;
    own_trace()?;
    each_other()?;
    dead_tracer()?;
    busy_thread()
}

/// A child that sends numbers, traced to a queue of one record.
struct Sender {
    child: Child,
    data: ReceiveRight,
    next: u32,
}

impl Sender {
    fn start(tracer: &Tracer) -> Result<Self, Mismatch> {
        Self::start_with(|task| tracer.trace(task))
    }

    /// A child that sends numbers, traced by `trace`.
    fn start_with(trace: impl FnOnce(PortName) -> Result<(), KernReturn>) -> Result<Self, Mismatch> {
        Self::start_with_body(send_numbers, trace)
    }

    /// A child, traced by `trace`, that runs `body`.
    fn start_with_body(body: fn(), trace: impl FnOnce(PortName) -> Result<(), KernReturn>) -> Result<Self, Mismatch> {
        let data = ReceiveRight::allocate().doing("mach_port_allocate")?;
        data.set_queue_limit(16).doing("mach_port_set_qlimit")?;
        let child = child(body)?;
        give(&child, FIRST, data.name(), Disposition::MakeSend)?;
        trace(child.task.name()).doing("task_set_special_port")?;
        child.resume().doing("thread_resume")?;
        Ok(Self { child, data, next: 1 })
    }

    /// Receives the next number; false if it does not come in time.
    fn number(&mut self, timeout: Option<u32>) -> Result<bool, Mismatch> {
        match Received::receive(&self.data, LIMIT, timeout) {
            Err(KernReturn::MACH_RCV_TIMED_OUT) => return Ok(false),
            other => expect("the next number", Some(self.next), number(&other.doing("receiving a number")?))?,
        }
        self.next += 1;
        Ok(true)
    }

    /// Receives numbers until the child's thread waits for its tracer. Each message is sent before its record, so that the
    /// last one has come when no more do.
    fn until_blocked(&mut self) -> Result<(), Mismatch> {
        while self.next == 1 || self.number(Some(SETTLED))? {
            if self.next == 1 {
                self.number(None)?;
            }
        }
        Ok(())
    }

    /// The child runs: its numbers go on.
    fn runs(&mut self) -> Result<(), Mismatch> {
        for _ in 0..20 {
            self.number(None)?;
        }
        Ok(())
    }

    fn end(self) -> Result<(), Mismatch> {
        let task = self.child.task.name();
        task_terminate(task).doing("task_terminate")?;
        let kind = stubs::mach_port::mach_port_type(task_self(), task).doing("mach_port_type")?;
        expect("type of the right to a terminated task", MACH_PORT_TYPE_DEAD_NAME, kind)
    }
}

/// What the child runs.
fn send_numbers() {
    for number in 1.. {
        if send(DATA, FIRST, Disposition::CopySend, number) != KernReturn::KERN_SUCCESS {
            break;
        }
    }
}

fn full_queue() -> Result<(), Mismatch> {
    let mut tracer = Tracer::new(1)?;
    let mut sender = Sender::start(&tracer)?;
    sender.until_blocked()?;
    // The queue is full from the start: of the call that started the thread, with whose records are those of the first numbers.
    let room = MAX_BATCH - TASK_OFFSET - 8 - part_size(RESUME, 2) - part_size(RESUMED, 1);
    expect("the number after the one whose record waits", (room / part_size(NUMBER, 1)) as u32 + 2, sender.next)?;
    println!("backpressure: a full queue stops the traced thread");

    let (task, thread) = (sender.child.task.name(), sender.child.thread.name());
    stubs::mach::task_suspend(task).doing("task_suspend with a full queue")?;
    stubs::mach::task_resume(task).doing("task_resume with a full queue")?;
    // More than the messages beyond the queue's limit hold.
    for _ in 0..BEYOND_LIMIT * MAX_BATCH / part_size(NUMBER, 1) {
        stubs::mach_port::mach_port_names(task).doing("mach_port_names with a full queue")?;
    }
    println!("backpressure: the tracer's own calls on the task go past it");

    stubs::mach::thread_abort(thread).doing("thread_abort with a full queue")?;
    sender.number(None)?;
    expect("a number after the one whose record waits", false, sender.number(Some(SETTLED))?)?;
    println!("backpressure: thread_abort gives a waiting record up, not the message");

    let mut dropped = 0;
    let more = sender.next + 6;
    while sender.next < more {
        if let Some(record) = tracer.record(Some(0))? {
            dropped += record.header.lost();
        }
        sender.number(Some(0))?;
    }
    while let Some(record) = tracer.record(Some(0))? {
        dropped += record.header.lost();
        sender.number(Some(0))?;
        if sender.next > more + 50 {
            break;
        }
    }
    // All but what the messages beyond the limit hold of the tracer's calls, two records for each, and the one that was aborted.
    expect("records dropped are counted", true, dropped > 0)?;
    println!("backpressure: draining lets it run, and says how many records were lost");
    sender.until_blocked()?;
    sender.end()?;
    println!("backpressure: task_terminate works on a waiting thread");
    Ok(())
}

/// Ends a blocked thread alone; its task stays.
fn dead_thread() -> Result<(), Mismatch> {
    let tracer = Tracer::new(1)?;
    let mut sender = Sender::start(&tracer)?;
    sender.until_blocked()?;
    let thread = sender.child.thread.name();
    stubs::mach::thread_terminate(thread).doing("thread_terminate with a full queue")?;
    let kind = stubs::mach_port::mach_port_type(task_self(), thread).doing("mach_port_type")?;
    expect("type of the right to a terminated thread", MACH_PORT_TYPE_DEAD_NAME, kind)?;
    let left = stubs::mach::task_threads(sender.child.task.name()).doing("task_threads")?.count();
    expect("threads left", 0, left)?;
    sender.end()?;
    println!("backpressure: thread_terminate works on a waiting thread");
    Ok(())
}

/// A suspended task does not run when there is room again, and does when it is resumed.
fn suspended() -> Result<(), Mismatch> {
    let mut tracer = Tracer::new(1)?;
    let mut sender = Sender::start(&tracer)?;
    sender.until_blocked()?;
    let task = sender.child.task.name();
    stubs::mach::task_suspend(task).doing("task_suspend of a waiting thread")?;
    while tracer.record(Some(SETTLED))?.is_some() {}
    expect("a number of a suspended task", false, sender.number(Some(SETTLED))?)?;
    stubs::mach::task_resume(task).doing("task_resume")?;
    // The record of this call, which has filled the queue, may be the first in it.
    while !sender.number(Some(0))? {
        tracer.record(Some(0))?;
    }
    sender.end()?;
    println!("backpressure: task_suspend holds a thread whose record waited, task_resume lets it go on");
    Ok(())
}

fn dead_port() -> Result<(), Mismatch> {
    let tracer = Tracer::new(1)?;
    let mut sender = Sender::start(&tracer)?;
    sender.until_blocked()?;
    drop(tracer);
    sender.runs()?;
    let port = stubs::mach::task_get_special_port(sender.child.task.name(), TASK_TRACE_PORT);
    expect("the trace port after its death", PortName::NULL, port.doing("task_get_special_port")?.name())?;
    sender.end()?;
    println!("backpressure: the death of the trace port frees the thread and ends the trace");
    Ok(())
}

fn moved_port() -> Result<(), Mismatch> {
    let tracer = Tracer::new(1)?;
    let mut sender = Sender::start(&tracer)?;
    sender.until_blocked()?;
    let reader = child(read_records)?;
    give(&reader, FIRST, tracer.port.into_name(), Disposition::MoveReceive)?;
    expect("a number before anybody reads", false, sender.number(Some(SETTLED))?)?;
    reader.resume().doing("thread_resume")?;
    sender.runs()?;
    sender.end()?;
    task_terminate(reader.task.name()).doing("task_terminate")?;
    println!("backpressure: a receive right that moves to another task takes the records there");
    Ok(())
}

/// What the other reader runs.
fn read_records() {
    let port = ReceiveRight::from_name(FIRST);
    while Received::receive(&port, RECORDS, None).is_ok() {}
}

fn own_trace() -> Result<(), Mismatch> {
    let tracer = Tracer::new(1)?;
    expect_error("tracing oneself", KernReturn::KERN_FAILURE, tracer.trace(task_self()))?;
    println!("backpressure: a task cannot receive its own trace");
    Ok(())
}

fn each_other() -> Result<(), Mismatch> {
    let mut of_other = Tracer::new(4)?;
    let of_us = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let right = of_us.make_send().doing("a send right")?;
    let other = child(read_records)?;
    give(&other, FIRST, of_us.into_name(), Disposition::MoveReceive)?;
    of_other.trace(other.task.name()).doing("task_set_special_port")?;
    other.resume().doing("thread_resume")?;
    mach::sys::trap::task_set_special_port(task_self(), TASK_TRACE_PORT, right.name())
        .doing("task_set_special_port of this task")?;
    for _ in 0..50 {
        stubs::mach_port::mach_port_type(task_self(), right.name()).doing("mach_port_type, traced")?;
    }
    expect_error("ending one's own trace", KernReturn::KERN_NO_ACCESS, untrace(task_self()))?;
    // The other's receipt of our records is no event, or each record would make another one.
    let mut circular = 0;
    while let Some(record) = of_other.record(Some(SETTLED))? {
        circular += u32::from(trace_port::is_record(record.id as u32));
    }
    expect("records about records", 0, circular)?;
    task_terminate(other.task.name()).doing("task_terminate")?;
    untrace(task_self()).doing("task_set_special_port to null, the tracer being dead")?;
    println!("backpressure: two tasks that trace each other do not go round in circles");
    Ok(())
}

/// A tracer of lower priority than a traced thread that never sleeps.
fn busy_thread() -> Result<(), Mismatch> {
    let mut tracer = Tracer::new(16)?;
    thread::step_back().doing("thread_priority")?;
    let sender = Sender::start_with_body(send_and_stay_busy, |task| tracer.trace(task))?;
    let mut sent = 0;
    while let Some(record) = tracer.record(Some(SETTLED))? {
        sent = if record.kind == EventKind::Normal { record.header.time.get() } else { sent };
    }
    // Its record says how late it is.
    stubs::mach::task_suspend(sender.child.task.name()).doing("task_suspend")?;
    let now = tracer.record(None)?.doing("a record of task_suspend")?.header.time.get();
    let late = now.saturating_sub(sent) < LATE + u64::from(SETTLED) * 1_000_000;
    expect("a record of a busy thread within a second", true, sent != 0 && late)?;
    sender.end()?;
    println!("backpressure: a tracer of lower priority gets the records of a thread that never sleeps");
    Ok(())
}

/// What that thread runs.
fn send_and_stay_busy() {
    send(DATA, FIRST, Disposition::CopySend, 1);
    // No pause instruction, which a machine that counts instructions is slow at.
    for number in 0u64.. {
        core::hint::black_box(number);
    }
}

/// Another task receives a few records, stops, and is ended while the traced thread waits for it.
fn dead_tracer() -> Result<(), Mismatch> {
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    port.set_queue_limit(1).doing("mach_port_set_qlimit")?;
    let right = port.make_send().doing("a send right")?;
    let tracer = child(read_some_records)?;
    give(&tracer, FIRST, port.into_name(), Disposition::MoveReceive)?;
    let trace = |task| mach::sys::trap::task_set_special_port(task, TASK_TRACE_PORT, right.name());
    let mut sender = Sender::start_with(trace)?;
    tracer.resume().doing("thread_resume")?;
    sender.until_blocked()?;
    expect("numbers while the tracer received", true, sender.next > 2)?;
    task_terminate(tracer.task.name()).doing("task_terminate of the tracer")?;
    sender.runs()?;
    let port = stubs::mach::task_get_special_port(sender.child.task.name(), TASK_TRACE_PORT);
    expect("the trace port of a dead tracer", PortName::NULL, port.doing("task_get_special_port")?.name())?;
    sender.end()?;
    println!("backpressure: the death of the tracer's task frees the thread and ends the trace");
    Ok(())
}

/// What that tracer runs.
fn read_some_records() {
    let port = ReceiveRight::from_name(FIRST);
    for _ in 0..8 {
        let _ = Received::receive(&port, RECORDS, None);
    }
    loop {
        mach::sys::trap::thread_switch();
    }
}
