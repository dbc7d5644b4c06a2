// SPDX-License-Identifier: GPL-2.0-or-later
//! inject: an engine lets messages fail, be answered by nobody, be late, or wait for its word.
//!
//! A tracer of its own; run it untraced.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::error::KernReturn;
use mach::msg::Received;
use mach::port::{Disposition, ReceiveRight, SendRight};
use mach::rt::arguments::Arguments;
use mach::stubs::mach::{task_threads, thread_abort};
use mach::stubs::mach_port::mach_port_get_set_status;
use mach::stubs::trace_control::{trace_action_t, trace_answer, trace_set_actions};
use mach::sys::trap::task_terminate;
use mach::thread::Child;
use mach::{println, task_self};
use programs::engine::{Wish, attach, barrier};
use programs::tracer::{FIRST as PARENT, SECOND as CHILD, Seen, Tracer, child_with_port, number, send};
use programs::{Doing, Mismatch, expect};
use trace_port::control::{event, flag, what};
use trace_port::{Direction, EventKind};

mach::entry!(main);

/// Ids of the messages between parent and child.
const GO: i32 = 6800;
const DONE: i32 = 6801;
/// `msgh_id` of `mach_port_get_set_status`.
const GET_SET_STATUS: u32 = 3212;
/// Ids of all requests to a task, a thread or the host, and of those about ports.
const KERNELS: (u32, u32) = (2000, 3999);
/// Most bytes of those messages.
const LIMIT: u32 = 64;
/// How long a record may take, in milliseconds.
const PATIENCE: u32 = 2000;

fn main(_: Arguments) -> Result<(), Mismatch> {
    failing()?;
    failing_all()?;
    replying()?;
    late()?;
    stopping()?;
    ending()
}

/// A child that answers each message with what the kernel has said to a request, until it is heard; and its tracer.
struct Watched {
    child: Child,
    to_child: SendRight,
    from_child: ReceiveRight,
    tracer: Tracer,
    engine: SendRight,
}

impl Watched {
    fn new() -> Result<Self, Mismatch> {
        let from_child = ReceiveRight::allocate().doing("mach_port_allocate")?;
        let (child, to_child) = child_with_port(answer, &from_child)?;
        let tracer = Tracer::new(16)?;
        let wish = Wish::new("inject").of(event::SEND | event::RECEIVE | event::STOP | event::TASK_DEATH);
        let engine = attach(child.task.name(), &tracer, wish.with(flag::CONTROL)).doing("trace_attach")?;
        child.resume().doing("starting the child")?;
        Ok(Self { child, to_child, from_child, tracer, engine })
    }

    fn act(&self, id: u32, what: u32, value: u32, nth: u32, step: u32) -> Result<(), Mismatch> {
        self.act_on((id, id), what, value, nth, step)
    }

    fn act_on(&self, (first, last): (u32, u32), what: u32, value: u32, nth: u32, step: u32) -> Result<(), Mismatch> {
        let action = trace_action_t { first, last, what, value, nth, step };
        trace_set_actions(self.engine.name(), &[action]).doing("trace_set_actions")
    }

    fn go(&self) -> Result<(), Mismatch> {
        let sent = send(GO, self.to_child.name(), Disposition::CopySend, 0);
        expect("sending to the child", KernReturn::KERN_SUCCESS, sent)
    }

    fn answer(&self) -> Result<u32, Mismatch> {
        let answer = Received::receive(&self.from_child, LIMIT, Some(PATIENCE)).doing("receiving from the child")?;
        number(&answer).doing("a number")
    }

    /// The next record of a message with this id.
    fn next(&mut self, id: u32) -> Result<Seen, Mismatch> {
        loop {
            let seen = self.tracer.record(Some(PATIENCE))?.doing("a record")?;
            if seen.id as u32 == id {
                return Ok(seen);
            }
        }
    }

    fn end(self) -> Result<(), Mismatch> {
        task_terminate(self.child.task.name()).doing("task_terminate")
    }
}

/// What the child runs.
fn answer() {
    let port = ReceiveRight::from_name(CHILD);
    while Received::receive(&port, LIMIT, None).is_ok() {
        // It is no port set.
        let said = mach_port_get_set_status(task_self(), CHILD).map_or_else(|code| code.0, |_| 0);
        while send(DONE, PARENT, Disposition::CopySend, said as u32) != KernReturn::KERN_SUCCESS {}
    }
}

/// Messages of one id fail, the first and every second one after it; the sender tries again.
fn failing() -> Result<(), Mismatch> {
    let mut watched = Watched::new()?;
    let refused = KernReturn::MACH_SEND_INVALID_DEST.0 as u32;
    watched.act(DONE as u32, what::FAIL, refused, 1, 2)?;
    for _ in 0..2 {
        watched.go()?;
        expect("what the kernel has said", KernReturn::KERN_INVALID_RIGHT.0 as u32, watched.answer()?)?;
        for outcome in [refused, 0] {
            let seen = watched.next(DONE as u32)?;
            expect("its outcome", (Direction::Send, outcome), (seen.direction, seen.header.retval.get()))?;
        }
    }
    println!("inject: messages fail as told, and their sender tries again");
    watched.end()
}

/// Every request to the kernel fails: what a failed one leaves is given back by another, which fails, too, and that is the end of it.
fn failing_all() -> Result<(), Mismatch> {
    let watched = Watched::new()?;
    let refused = KernReturn::MACH_SEND_INVALID_DEST.0 as u32;
    watched.act_on(KERNELS, what::FAIL, refused, 1, 1)?;
    watched.go()?;
    expect("what the kernel has said", refused, watched.answer()?)?;
    watched.act(GET_SET_STATUS, what::GO, 0, 1, 1)?;
    watched.go()?;
    expect("what the kernel says", KernReturn::KERN_INVALID_RIGHT.0 as u32, watched.answer()?)?;
    println!("inject: every request fails, and the program goes on");
    watched.end()
}

/// The kernel is not asked, and its answer is made up.
fn replying() -> Result<(), Mismatch> {
    let mut watched = Watched::new()?;
    watched.act(GET_SET_STATUS, what::REPLY, 46, 1, 1)?;
    watched.go()?;
    expect("what was made up", 46, watched.answer()?)?;
    let asked = watched.next(GET_SET_STATUS)?;
    let answered = watched.next(GET_SET_STATUS + 100)?;
    let shown = |seen: &Seen| (seen.direction, seen.header.retval.get(), seen.header.message_size.get());
    expect("the request", (Direction::Send, 0), (asked.direction, asked.header.retval.get()))?;
    expect("the reply", (Direction::Receive, 0, 48), shown(&answered))?;
    watched.act(GET_SET_STATUS, what::GO, 0, 1, 1)?;
    watched.go()?;
    expect("what the kernel says", KernReturn::KERN_INVALID_RIGHT.0 as u32, watched.answer()?)?;
    println!("inject: a reply that nobody has sent");
    watched.end()
}

/// A message comes late, but it comes.
fn late() -> Result<(), Mismatch> {
    let mut watched = Watched::new()?;
    watched.act(DONE as u32, what::DELAY, 30, 1, 1)?;
    watched.go()?;
    watched.answer()?;
    let (before, sent) = (watched.next(GET_SET_STATUS + 100)?, watched.next(DONE as u32)?);
    expect("the message is sent in the end", 0, sent.header.retval.get())?;
    expect("what came before it", true, before.header.sequence.get() < sent.header.sequence.get())?;
    println!("inject: a message is late");
    watched.end()
}

/// A thread waits until it is answered, and goes on when its tracer goes.
fn stopping() -> Result<(), Mismatch> {
    let mut watched = Watched::new()?;
    watched.act(DONE as u32, what::STOP, 0, 1, 1)?;
    watched.go()?;
    let seen = watched.next(DONE as u32)?;
    expect("the message that waits", EventKind::Stopped, seen.kind)?;
    let nothing = Received::receive(&watched.from_child, LIMIT, Some(0)).map(drop);
    expect("what the child has sent", Err(KernReturn::MACH_RCV_TIMED_OUT), nothing)?;
    for thread in task_threads(watched.child.task.name()).doing("task_threads")? {
        thread_abort(thread.name()).doing("thread_abort")?;
    }
    let interrupted = watched.next(DONE as u32)?.header.retval.get();
    expect("what thread_abort makes of it", KernReturn::MACH_SEND_INTERRUPTED.0 as u32, interrupted)?;
    let seen = watched.next(DONE as u32)?;
    expect("the message that its sender tries again", EventKind::Stopped, seen.kind)?;
    let thread = seen.header.thread.get();
    let wrong = trace_answer(watched.engine.name(), thread + 1, what::GO, 0);
    expect("answering another thread", Err(KernReturn::KERN_INVALID_ARGUMENT), wrong)?;
    trace_answer(watched.engine.name(), thread, what::GO, 0).doing("trace_answer")?;
    watched.answer()?;
    let sent = watched.next(DONE as u32)?;
    expect("the same event", (EventKind::Normal, seen.header.sequence), (sent.kind, sent.header.sequence))?;
    // With another answer the sender tries again, and waits again.
    watched.go()?;
    for code in [KernReturn::MACH_SEND_INVALID_DEST.0 as u32, 0] {
        let seen = watched.next(DONE as u32)?;
        expect("the message that waits", EventKind::Stopped, seen.kind)?;
        let what = if code == 0 { what::GO } else { what::FAIL };
        trace_answer(watched.engine.name(), thread, what, code).doing("trace_answer")?;
        expect("its outcome", code, watched.next(DONE as u32)?.header.retval.get())?;
    }
    watched.answer()?;
    println!("inject: a thread waits for its tracer's word");
    watched.go()?;
    expect("the message that waits", EventKind::Stopped, watched.next(DONE as u32)?.kind)?;
    let Watched { child, engine, from_child, .. } = watched;
    drop(engine);
    Received::receive(&from_child, LIMIT, None).doing("receiving from the child")?;
    println!("inject: and goes on when the tracer goes");
    task_terminate(child.task.name()).doing("task_terminate")
}

/// A task is ended while a thread of it waits: at once, and nothing of the message is sent.
fn ending() -> Result<(), Mismatch> {
    let mut watched = Watched::new()?;
    watched.act(DONE as u32, what::STOP, 0, 1, 1)?;
    watched.go()?;
    expect("the message that waits", EventKind::Stopped, watched.next(DONE as u32)?.kind)?;
    task_terminate(watched.child.task.name()).doing("task_terminate")?;
    let mut kinds = 0;
    while watched.tracer.record(Some(PATIENCE))?.doing("a record")?.kind != EventKind::TaskDeath {
        kinds += 1;
    }
    expect("records before the death, at most that of the message", true, kinds <= 1)?;
    let nothing = Received::receive(&watched.from_child, LIMIT, Some(0)).map(drop);
    expect("what the child has sent", Err(KernReturn::MACH_RCV_TIMED_OUT), nothing)?;
    barrier(&watched.engine).doing("trace_barrier")?;
    println!("inject: a task ends though a thread of it waits");
    Ok(())
}
