// SPDX-License-Identifier: GPL-2.0-or-later
//! engines: several tracers of one task, each told of what it asks for, and none noticing another.
//!
//! A tracer of its own; run it untraced.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use mach::error::KernReturn;
use mach::msg::Received;
use mach::port::{Disposition, PortName, ReceiveRight, SendRight};
use mach::rt::arguments::Arguments;
use mach::stubs::mach_port::mach_port_type;
use mach::stubs::trace_control::{trace_engine, trace_set_events, trace_set_filter, trace_version};
use mach::thread::Child;
use mach::{println, task_self};
use programs::engine::{self, Wish, attach, barrier, detach, engines, find, rule};
use programs::tracer::{FIRST as PARENT, SECOND as CHILD, Seen, Tracer, child_with_port, number, send};
use programs::{Doing, Mismatch, expect};
use trace_port::control::{event, flag, policy, rule as control_rule};
use trace_port::{Direction, EventKind};

mach::entry!(main);

/// Ids of the messages between parent and child.
const GO: i32 = 6700;
const DONE: i32 = 6701;
/// `mach_port_allocate` of mach_port.defs.
const MACH_PORT_ALLOCATE: i32 = 3204;
/// `mach_port_type` of mach_port.defs.
const MACH_PORT_TYPE: i32 = 3201;
/// Most bytes of those messages.
const LIMIT: u32 = 64;
/// How long a record may take, in milliseconds; it is there before the answer of the child.
const PATIENCE: u32 = 1000;

fn main(_: Arguments) -> Result<(), Mismatch> {
    let limits = trace_version(task_self()).doing("trace_version")?;
    expect("the version of the interface", trace_port::control::VERSION, limits.version)?;
    expect("the version of records", u32::from(trace_port::record::VERSION), limits.record)?;
    println!("engines: {} engines of a task, {} rules of an engine", limits.engines, limits.rules);
    masks()?;
    detaching()?;
    lists()?;
    dying()?;
    filters()?;
    kinds()
}

/// A child that answers each number with the same number.
struct Echo {
    child: Child,
    to_child: SendRight,
    from_child: ReceiveRight,
}

impl Echo {
    fn new() -> Result<Self, Mismatch> {
        let from_child = ReceiveRight::allocate().doing("mach_port_allocate")?;
        let (child, to_child) = child_with_port(answer, &from_child)?;
        Ok(Self { child, to_child, from_child })
    }

    fn started() -> Result<Self, Mismatch> {
        let echo = Self::new()?;
        echo.child.resume().doing("starting the child")?;
        echo.go(0)?;
        Ok(echo)
    }

    fn task(&self) -> PortName {
        self.child.task.name()
    }

    /// The child receives a message and sends one, and comes to receive the next.
    fn go(&self, value: u32) -> Result<(), Mismatch> {
        let sent = send(GO, self.to_child.name(), Disposition::CopySend, value);
        expect("sending to the child", KernReturn::KERN_SUCCESS, sent)?;
        let answer = Received::receive(&self.from_child, LIMIT, None).doing("receiving from the child")?;
        expect("the child's answer", (DONE, Some(value)), (answer.id(), number(&answer)))
    }

    fn end(self) -> Result<(), Mismatch> {
        mach::sys::trap::task_terminate(self.task()).doing("task_terminate")
    }
}

/// What the child runs.
fn answer() {
    let port = ReceiveRight::from_name(CHILD);
    while let Ok(message) = Received::receive(&port, LIMIT, None) {
        if send(DONE, PARENT, Disposition::CopySend, number(&message).unwrap_or(u32::MAX)) != KernReturn::KERN_SUCCESS {
            break;
        }
    }
}

/// What comes next to a tracer of the child's own calls, if something does. What this program asks of the child's control port comes, too.
fn seen(tracer: &mut Tracer, patience: u32) -> Result<Option<Seen>, Mismatch> {
    loop {
        match tracer.record(Some(patience))? {
            Some(seen) if seen.kind == EventKind::Task => {}
            seen => return Ok(seen),
        }
    }
}

/// Direction, `msgh_id`, and place in the order of events of what comes next.
fn next(tracer: &mut Tracer) -> Result<(Direction, i32, u64), Mismatch> {
    let seen = seen(tracer, PATIENCE)?.doing("a record")?;
    expect("its kind", EventKind::Normal, seen.kind)?;
    Ok((seen.direction, seen.id, seen.header.sequence.get()))
}

fn nothing(tracer: &mut Tracer, what: &str) -> Result<(), Mismatch> {
    expect(what, None, seen(tracer, 0)?)
}

/// An event comes to all that ask for it, with the same numbers.
fn masks() -> Result<(), Mismatch> {
    let echo = Echo::started()?;
    let (mut own, mut all, mut sent, mut failed) =
        (Tracer::new(16)?, Tracer::new(16)?, Tracer::new(16)?, Tracer::new(16)?);
    let first = attach(echo.task(), &all, Wish::new("all")).doing("trace_attach")?;
    let second = attach(echo.task(), &sent, Wish::new("sent").of(event::SEND)).doing("trace_attach")?;
    own.trace(echo.task()).doing("task_set_special_port")?;
    let third = attach(echo.task(), &failed, Wish::new("failed").of(event::FAILED)).doing("trace_attach")?;
    echo.go(1)?;
    let (received, answered) = (next(&mut all)?, next(&mut all)?);
    expect("what the child received", (Direction::Receive, GO), (received.0, received.1))?;
    expect("what the child sent", (Direction::Send, DONE), (answered.0, answered.1))?;
    expect("what comes to the trace port", [received, answered], [next(&mut own)?, next(&mut own)?])?;
    expect("what comes to who asks for what is sent", answered, next(&mut sent)?)?;
    nothing(&mut failed, "what comes to who asks for failures")?;
    // Without the trace port the engines go on.
    programs::tracer::untrace(echo.task()).doing("ending engine 0")?;
    trace_set_events(second.name(), event::RECEIVE, policy::DROP).doing("trace_set_events")?;
    echo.go(2)?;
    let received = next(&mut all)?;
    expect("after the mask has changed", received, next(&mut sent)?)?;
    expect("the child's answer", DONE, next(&mut all)?.1)?;
    nothing(&mut own, "after engine 0 has ended")?;
    let state = trace_engine(second.name()).doing("trace_engine")?;
    expect("what the engine is told of", (event::RECEIVE, policy::DROP, 1), (state.events, state.policy, state.tasks))?;
    drop((first, second, third));
    println!("engines: each is told of what it asks for, with the same numbers");
    echo.end()
}

/// One that has let go is told nothing; the others are.
fn detaching() -> Result<(), Mismatch> {
    let echo = Echo::started()?;
    let (mut first, mut second) = (Tracer::new(16)?, Tracer::new(16)?);
    let one = attach(echo.task(), &first, Wish::new("one")).doing("trace_attach")?;
    let two = attach(echo.task(), &second, Wish::new("two")).doing("trace_attach")?;
    echo.go(1)?;
    detach(&one, Some(echo.task())).doing("trace_detach")?;
    barrier(&one).doing("trace_barrier")?;
    expect("what came before", [GO, DONE], [next(&mut first)?.1, next(&mut first)?.1])?;
    echo.go(2)?;
    nothing(&mut first, "after trace_detach and trace_barrier")?;
    expect("what comes to the other", [GO, DONE, GO, DONE], ids(&mut second, 4)?[..].try_into().unwrap_or([0; 4]))?;
    expect("letting go twice", Err(KernReturn::KERN_INVALID_TASK), detach(&one, Some(echo.task())))?;
    detach(&two, None).doing("trace_detach")?;
    expect("the engines left", 0, engines(echo.task()).doing("trace_engines")?.len())?;
    println!("engines: one that has let go is told nothing more");
    echo.end()
}

fn ids(tracer: &mut Tracer, count: usize) -> Result<Vec<i32>, Mismatch> {
    (0..count).map(|_| next(tracer).map(|(_, id, _)| id)).collect()
}

/// Engines are listed, and found again by who receives from their trace ports.
fn lists() -> Result<(), Mismatch> {
    let echo = Echo::started()?;
    let tracer = Tracer::new(16)?;
    let task = echo.task();
    let wish = Wish::new("seven").with(flag::EXCLUSIVE);
    let seven = attach(task, &tracer, wish).doing("trace_attach")?;
    expect("another of the name", Err(KernReturn::KERN_NAME_EXISTS), attach(task, &tracer, wish).map(drop))?;
    let eight = attach(task, &tracer, Wish::new("eight").of(event::TRAP).dropping()).doing("trace_attach")?;
    let listed = engines(task).doing("trace_engines")?;
    let names: Vec<[u8; 32]> = listed.iter().map(|engine| engine.name).collect();
    expect("the names", [engine::name_of("seven"), engine::name_of("eight")].to_vec(), names)?;
    expect("the owners", true, listed.iter().all(|engine| engine.owner != 0 && engine.owner == listed[0].owner))?;
    expect("the same port", seven.name(), find(task, None).doing("the first one")?.name())?;
    expect("the same port", eight.name(), find(task, Some("eight")).doing("by its name")?.name())?;
    expect("none of this name", Err(KernReturn::KERN_INVALID_NAME), find(task, Some("nine")).map(drop))?;
    let more: Result<Vec<SendRight>, KernReturn> = (2..8).map(|_| attach(task, &tracer, Wish::new("more"))).collect();
    let more = more.doing("six more")?;
    let full = attach(task, &tracer, Wish::new("more")).map(drop);
    expect("a ninth", Err(KernReturn::KERN_RESOURCE_SHORTAGE), full)?;
    let wrong = Wish { policy: 2, ..Wish::new("wrong") };
    expect("an unknown policy", Err(KernReturn::KERN_INVALID_VALUE), attach(task, &tracer, wrong).map(drop))?;
    let own = attach(task_self(), &tracer, Wish::new("own")).map(drop);
    expect("a task that receives its own trace", Err(KernReturn::KERN_FAILURE), own)?;
    let kernels = mach::stubs::trace_control::trace_attach(
        task,
        task,
        Disposition::CopySend,
        engine::name_of("kernel"),
        flag::CREATE,
        event::ALL,
        0,
    );
    expect("a trace port of the kernel's", Err(KernReturn::KERN_INVALID_ARGUMENT), kernels.map(drop))?;
    drop((more, eight, seven));
    expect("after the last rights", 0, engines(task).doing("trace_engines")?.len())?;
    println!("engines: eight of a task, listed in order, found again, and gone with their last right");
    echo.end()
}

/// An engine ends with its trace port, which the others do not notice; its port becomes a dead name.
fn dying() -> Result<(), Mismatch> {
    let echo = Echo::started()?;
    let (first, mut second) = (Tracer::new(16)?, Tracer::new(16)?);
    let one = attach(echo.task(), &first, Wish::new("one")).doing("trace_attach")?;
    let _two = attach(echo.task(), &second, Wish::new("two")).doing("trace_attach")?;
    drop(first);
    echo.go(1)?;
    expect("what comes to the other", [GO, DONE].to_vec(), ids(&mut second, 2)?)?;
    echo.go(2)?;
    expect("what comes to the other", [GO, DONE].to_vec(), ids(&mut second, 2)?)?;
    let dead = trace_engine(one.name()).map(drop);
    expect("an engine that has ended", Err(KernReturn::MACH_SEND_INVALID_DEST), dead)?;
    expect("the engines left", 1, engines(echo.task()).doing("trace_engines")?.len())?;
    println!("engines: one ends with its trace port, the others go on");
    echo.end()
}

/// A filter in the kernel: ids, direction, and how much of a message.
fn filters() -> Result<(), Mismatch> {
    let echo = Echo::started()?;
    let mut tracer = Tracer::new(16)?;
    let engine = attach(echo.task(), &tracer, Wish::new("filtered")).doing("trace_attach")?;
    let set = |rules: &[_], bytes| trace_set_filter(engine.name(), bytes, rules);
    set(&[rule(0, GO as u32, GO as u32, 0)], u32::MAX).doing("trace_set_filter")?;
    echo.go(1)?;
    expect("what a range of ids lets through", GO, next(&mut tracer)?.1)?;
    nothing(&mut tracer, "what it does not")?;
    let sends = rule(trace_port::control::rule::SEND, 0, u32::MAX, 0);
    set(&[rule(0, 1, 2, 0), sends], 36).doing("trace_set_filter")?;
    echo.go(2)?;
    let seen = seen(&mut tracer, PATIENCE)?.doing("a record")?;
    expect("what comes of a message", (36, 48), (seen.header.captured_size.get(), seen.header.message_size.get()))?;
    expect("what one rule of two lets through", (Direction::Send, DONE), (seen.direction, seen.id))?;
    nothing(&mut tracer, "what both do not")?;
    expect("an unknown rule", Err(KernReturn::KERN_INVALID_VALUE), set(&[rule(32, 0, 0, 0)], 0))?;
    println!("engines: filters by id and direction, and the first bytes of messages");
    echo.end()
}

/// What a child does besides, by the number that it is sent.
mod what {
    /// A request to the kernel.
    pub(super) const ASK: u32 = 101;
    /// A trap that stands for one.
    pub(super) const TRAP: u32 = 102;
    /// A receive of which nothing comes.
    pub(super) const WAIT: u32 = 103;
}

/// What the child runs.
fn work() {
    let port = ReceiveRight::from_name(CHILD);
    while let Ok(message) = Received::receive(&port, LIMIT, None) {
        let done = match number(&message) {
            Some(what::ASK) => mach_port_type(task_self(), CHILD).is_ok(),
            Some(what::TRAP) => ReceiveRight::allocate().map(ReceiveRight::into_name).is_ok(),
            Some(what::WAIT) => Received::receive(&port, LIMIT, Some(0)).is_err(),
            _ => true,
        };
        let answer = if done { number(&message) } else { None };
        if send(DONE, PARENT, Disposition::CopySend, answer.unwrap_or(u32::MAX)) != KernReturn::KERN_SUCCESS {
            break;
        }
    }
}

/// Requests to the kernel, traps that stand for them, and calls without a message are asked for on their own; what is not wanted is not missed when
/// it comes to be.
fn kinds() -> Result<(), Mismatch> {
    let from_child = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let (child, to_child) = child_with_port(work, &from_child)?;
    let echo = Echo { child, to_child, from_child };
    echo.child.resume().doing("starting the child")?;
    let mut tracer = Tracer::new(16)?;
    let engine = attach(echo.task(), &tracer, Wish::new("kinds").of(0)).doing("trace_attach")?;
    // Of a thread that nobody asks anything of, nothing comes; with its next call something may.
    let events = |events| trace_set_events(engine.name(), events, policy::BLOCK).doing("trace_set_events");
    let rules = |rules: &[_]| trace_set_filter(engine.name(), u32::MAX, rules).doing("trace_set_filter");
    let mut told = |what: u32| -> Result<Vec<(Direction, i32)>, Mismatch> {
        echo.go(0)?;
        echo.go(what)?;
        let mut told = Vec::new();
        while let Some(seen) = seen(&mut tracer, 0)? {
            told.push((seen.direction, seen.id));
        }
        Ok(told)
    };
    let call = |id: i32| [(Direction::Send, id), (Direction::Receive, id + 100)];
    let none: [(Direction, i32); 0] = [];
    expect("without events", none.to_vec(), told(what::ASK)?)?;
    events(event::KERNEL_CALL)?;
    expect("a request to the kernel", call(MACH_PORT_TYPE).to_vec(), told(what::ASK)?)?;
    expect("a trap that nobody asks for", none.to_vec(), told(what::TRAP)?)?;
    events(event::KERNEL_CALL | event::RPC_TRAP)?;
    expect("one that is asked for", call(MACH_PORT_ALLOCATE).to_vec(), told(what::TRAP)?)?;
    events(event::ALL)?;
    rules(&[rule(0, 1, 2, 0)])?;
    expect("of other ids", none.to_vec(), told(what::ASK)?)?;
    expect("of other ids, without a message", none.to_vec(), told(what::WAIT)?)?;
    rules(&[rule(0, 1, 2, 0), rule(control_rule::NO_MESSAGE, 0, 0, 0)])?;
    expect("a receive without a message", [(Direction::Receive, 0)].to_vec(), told(what::WAIT)?)?;
    rules(&[rule(0, MACH_PORT_TYPE as u32 + 100, MACH_PORT_TYPE as u32 + 100, 0)])?;
    expect("a reply alone", call(MACH_PORT_TYPE)[1..].to_vec(), told(what::ASK)?)?;
    rules(&[rule(0, 1, 2, 0)])?;
    expect("of other ids again", none.to_vec(), told(what::ASK)?)?;
    rules(&[])?;
    // It sleeps in a receive that began before.
    echo.go(what::ASK)?;
    let seen: Vec<(Direction, i32)> = [next(&mut tracer)?, next(&mut tracer)?, next(&mut tracer)?, next(&mut tracer)?]
        .map(|seen| (seen.0, seen.1))
        .into();
    let [asked, answered] = call(MACH_PORT_TYPE);
    expect("everything", [(Direction::Receive, GO), asked, answered, (Direction::Send, DONE)].to_vec(), seen)?;
    println!("engines: calls of the kernel, traps, and what has no message, each where it is asked for");
    echo.end()
}
