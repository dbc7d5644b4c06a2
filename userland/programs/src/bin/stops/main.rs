// SPDX-License-Identifier: GPL-2.0-or-later
//! stops HOST_PORT: every place where an engine stops a thread, and every way out of it: nobody is kept from ending a thread, and nobody but the
//! engine lets it go on.
//!
//! A tracer of its own; run it untraced. With the host's privileged port as argument and several processors, the task runs on others than the
//! program.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod stage;

use alloc::format;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mach::error::KernReturn;
use mach::memory::shared_words;
use mach::port::{Disposition, PortName};
use mach::rt::arguments::Arguments;
use mach::rt::exit::exit;
use mach::stubs::mach::{task_resume, task_suspend, thread_abort, thread_terminate};
use mach::stubs::trace_control::{trace_finish, trace_interrupt, trace_report, trace_resume, trace_stop};
use mach::sys::trap::task_terminate;
use mach::{println, thread};
use programs::engine::{Wish, attach, barrier, detach};
use programs::patience::{pause, until_silent};
use programs::tracer::{FIRST, Tracer, give};
use programs::{Doing, Mismatch, expect, expect_error};
use trace_port::EventKind;
use trace_port::control::stop::{EVERY_THREAD, place, state};
use trace_port::control::{event, flag};

use stage::{Place, Stage};

mach::entry!(main);

/// Seconds in which every combination ends: the kernel's answer to a request has no bound of its own.
const PATIENCE: u32 = 40;

/// How many combinations have begun.
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// How a thread comes out of a stop, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Resume,
    Interrupt,
    SuspendAndResume,
    Abort,
    ThreadDies,
    TaskDies,
    Detach,
    EngineEnds,
    TracerDies,
}

impl Way {
    const ALL: [Self; 9] = [
        Self::Resume,
        Self::Interrupt,
        Self::SuspendAndResume,
        Self::Abort,
        Self::ThreadDies,
        Self::TaskDies,
        Self::Detach,
        Self::EngineEnds,
        Self::TracerDies,
    ];

    fn take(self, stage: Stage) -> Result<(), Mismatch> {
        match self {
            Self::Resume => resume(stage),
            Self::Interrupt => interrupt(stage),
            Self::SuspendAndResume => suspend_and_resume(stage),
            Self::Abort => abort(stage),
            Self::ThreadDies => thread_dies(stage),
            Self::TaskDies => task_dies(stage),
            Self::Detach => lets_go(stage),
            Self::EngineEnds => engine_ends(stage),
            Self::TracerDies => tracer_dies(stage),
        }
    }
}

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let host = arguments.get_str(1).and_then(|name| name.parse().ok()).map(PortName);
    let count = &shared_words(1).doing("vm_allocate")?[0];
    thread::spawn(watch).doing("starting a thread")?;
    let (mut right, mut wrong) = (0, 0);
    for place in Place::ALL {
        for way in Way::ALL {
            BEGUN.fetch_add(1, Relaxed);
            match Stage::new(place, count, host).and_then(|stage| way.take(stage)) {
                Ok(()) => right += 1,
                Err(mismatch) => {
                    wrong += 1;
                    println!("stops: {place:?}, {way:?}: {mismatch}");
                }
            }
        }
    }
    println!("stops: {right} ways out of a stop");
    BEGUN.fetch_add(1, Relaxed);
    two_engines(Stage::new(Place::Running, count, host)?)?;
    println!("stops: a thread that two engines stop goes on when both resume it");
    family(count)?;
    println!("stops: a new task's first thread stops before its first instruction");
    let ways = format!("expected all ways to be right, found {wrong} that are not");
    if wrong == 0 { Ok(()) } else { Err(Mismatch::new(&ways)) }
}

/// Ends the program if a combination does not end.
fn watch() {
    let last = until_silent(PATIENCE, || BEGUN.load(Relaxed));
    println!("stops: combination {last}: expected an end within {PATIENCE} s, found that the kernel does not answer");
    exit(1);
}

/// The engine lets it go on, once.
fn resume(mut stage: Stage) -> Result<(), Mismatch> {
    let (engine, number) = (stage.engine()?, stage.number);
    let before = stage.count();
    trace_resume(engine, number).doing("trace_resume")?;
    expect_error("a second time", KernReturn::KERN_INVALID_ARGUMENT, trace_resume(engine, number))?;
    stage.goes_on(before)?;
    stage.end()
}

/// It is woken, and stays where it is.
fn interrupt(mut stage: Stage) -> Result<(), Mismatch> {
    trace_interrupt(stage.engine()?, stage.number).doing("trace_interrupt")?;
    stage.stands()?;
    resume(stage)
}

/// It does not notice that its task is suspended.
fn suspend_and_resume(mut stage: Stage) -> Result<(), Mismatch> {
    let stop = stage.prepare()?;
    task_suspend(stage.task()).doing("task_suspend")?;
    stage.stands()?;
    task_resume(stage.task()).doing("task_resume")?;
    trace_finish(stage.engine()?, stage.number, stop).doing("trace_finish")?;
    stage.stands()?;
    resume(stage)
}

/// Its call comes to an end, which is said to be a move, and it stands where that ends. What it was about to send it tries again.
fn abort(mut stage: Stage) -> Result<(), Mismatch> {
    let stop = stage.prepare()?;
    thread_abort(stage.thread()?.name()).doing("thread_abort")?;
    let moved = trace_finish(stage.engine()?, stage.number, stop);
    expect_error("trace_finish", KernReturn::KERN_ABORTED, moved)?;
    if stage.place == Place::Send {
        stage.stopped(place::BEFORE_SEND)?;
    }
    stage.stands()?;
    resume(stage)
}

fn thread_dies(mut stage: Stage) -> Result<(), Mismatch> {
    let before = stage.count();
    thread_terminate(stage.thread()?.name()).doing("thread_terminate")?;
    stage.until(EventKind::ThreadDeath)?;
    let gone = trace_report(stage.engine()?, stage.number).map(drop);
    expect_error("what a thread does that has ended", KernReturn::KERN_INVALID_ARGUMENT, gone)?;
    expect("what it has done", before, stage.count())?;
    stage.end()
}

fn task_dies(mut stage: Stage) -> Result<(), Mismatch> {
    let before = stage.count();
    stage.end()?;
    stage.until(EventKind::TaskDeath)?;
    expect("what it has done", before, stage.count())?;
    barrier(stage.engine.as_ref().doing("an engine")?).doing("trace_barrier")
}

fn lets_go(mut stage: Stage) -> Result<(), Mismatch> {
    let before = stage.count();
    detach(stage.engine.as_ref().doing("an engine")?, Some(stage.task())).doing("trace_detach")?;
    stage.goes_on(before)?;
    stage.end()
}

fn engine_ends(mut stage: Stage) -> Result<(), Mismatch> {
    let before = stage.count();
    drop(stage.engine.take());
    stage.goes_on(before)?;
    stage.end()
}

/// The engine is another task's, which ends.
fn tracer_dies(mut stage: Stage) -> Result<(), Mismatch> {
    let before = stage.count();
    let tracer = thread::fork(|| ()).doing("making a child")?;
    let engine = stage.engine.take().doing("an engine")?;
    give(&tracer, FIRST, engine.into_name(), Disposition::MoveSend)?;
    stage.stays(before)?;
    task_terminate(tracer.task.name()).doing("task_terminate")?;
    stage.goes_on(before)?;
    stage.end()
}

/// Each has a stop of its own.
fn two_engines(mut stage: Stage) -> Result<(), Mismatch> {
    let tracer = Tracer::new(16)?;
    let other = attach(stage.task(), &tracer, Wish::new("other").of(0).with(flag::CONTROL)).doing("trace_attach")?;
    trace_stop(other.name(), EVERY_THREAD).doing("trace_stop")?;
    let report = trace_report(other.name(), stage.number).doing("trace_report")?;
    let expected = (state::STOPPED | state::STANDS, place::ON_REQUEST, 2);
    expect("what the thread does", expected, (report.flags, report.place, report.stops))?;
    let before = stage.count();
    trace_resume(stage.engine()?, stage.number).doing("trace_resume")?;
    stage.stays(before)?;
    trace_resume(other.name(), EVERY_THREAD).doing("trace_resume")?;
    stage.goes_on(before)?;
    stage.end()
}

/// A traced task makes another one.
fn family(count: &'static AtomicU64) -> Result<(), Mismatch> {
    count.store(0, Relaxed);
    let parent = thread::fork(move || {
        let count_up = move || {
            count.fetch_add(1, Relaxed);
            loop {
                pause(1000);
            }
        };
        if let Ok(child) = thread::fork(count_up) {
            let _ = child.resume();
        }
        loop {
            pause(1000);
        }
    })
    .doing("making a child")?;
    let mut tracer = Tracer::new(16)?;
    let wish = Wish::new("family").of(event::STOP).with(flag::CONTROL | flag::CHILDREN | flag::BIRTHS);
    let engine = attach(parent.task.name(), &tracer, wish).doing("trace_attach")?;
    parent.resume().doing("starting the task")?;
    let seen = tracer.record(Some(stage::PATIENCE))?.doing("a record")?;
    expect("the child's thread", (EventKind::Stopped, place::AT_BIRTH), (seen.kind, seen.header.sender.get()))?;
    pause(100);
    expect("what it has done", 0, count.load(Relaxed))?;
    trace_resume(engine.name(), seen.header.thread.get()).doing("trace_resume")?;
    stage::until_more(count, 0)?;
    task_terminate(parent.task.name()).doing("task_terminate")
}
