// SPDX-License-Identifier: GPL-2.0-or-later
//! crowd: eight engines come and go a thousand times while their task does not stop; after a barrier not one record comes.
//!
//! A tracer of its own; run it untraced. What the task does is seen at its trace port all the time, without a gap.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use mach::port::{PortName, SendRight};
use mach::rt::arguments::Arguments;
use mach::stubs::mach_port::mach_port_get_refs;
use mach::sys::trap::task_terminate;
use mach::{println, task_self, thread};
use programs::engine::{Wish, attach, barrier, detach, engines};
use programs::processors;
use programs::tracer::{Tracer, child};
use programs::{Doing, Mismatch, expect};
use trace_port::EventKind;

mach::entry!(main);

/// Engines at a time.
const ENGINES: usize = 8;
/// How often one comes and goes.
const TIMES: usize = 1000;
/// How long a record may take, in milliseconds.
const PATIENCE: u32 = 10_000;

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let busy = child(busy)?;
    let task = busy.task.name();
    if let Some(host) = arguments.get_str(1).and_then(|name| name.parse().ok()) {
        processors::move_elsewhere(PortName(host), task)?;
    }
    let mut witness = Tracer::new(16)?;
    witness.trace(task).doing("task_set_special_port")?;
    busy.resume().doing("starting the task")?;
    let mut tracers: Vec<Tracer> = (0..ENGINES).map(|_| Tracer::new(16)).collect::<Result<_, _>>()?;
    let mut attached: Vec<Option<SendRight>> = (0..ENGINES).map(|_| None).collect();
    let mut seen = 0;
    for time in 0..TIMES {
        let index = time % ENGINES;
        if let Some(engine) = attached[index].take() {
            seen += leave(task, &engine, (&mut tracers, index), &mut witness)?;
        }
        let wish = if time % 3 == 0 { Wish::new("crowd") } else { Wish::new("crowd").dropping() };
        attached[index] = Some(attach(task, &tracers[index], wish).doing("trace_attach")?);
        seen += progress(&mut witness, &mut tracers, None)?;
    }
    expect("the engines", ENGINES, engines(task).doing("trace_engines")?.len())?;
    expect("records seen by some engine", true, seen > TIMES)?;
    task_terminate(task).doing("task_terminate")?;
    println!("crowd: {ENGINES} engines, {TIMES} times attached and let go, and no record after a barrier");
    Ok(())
}

/// An engine lets go: what was on its way has come by then, and nothing comes while the task goes on.
fn leave(
    task: PortName,
    engine: &SendRight,
    (tracers, index): (&mut [Tracer], usize),
    witness: &mut Tracer,
) -> Result<usize, Mismatch> {
    detach(engine, Some(task)).doing("trace_detach")?;
    barrier(engine).doing("trace_barrier")?;
    let mut seen = drain(&mut tracers[index])?;
    for _ in 0..2 {
        seen += progress(witness, tracers, Some(index))?;
    }
    expect("records after the barrier", 0, drain(&mut tracers[index])?)?;
    Ok(seen)
}

/// Takes what waits in a trace port.
fn drain(tracer: &mut Tracer) -> Result<usize, Mismatch> {
    let mut count = 0;
    while let Some(seen) = tracer.record(Some(0))? {
        count += usize::from(seen.kind == EventKind::Normal);
    }
    Ok(count)
}

/// The task has done something more, and of all that it does nothing is missing at its trace port. Those that may block it are heard meanwhile,
/// but for one that has let go.
fn progress(witness: &mut Tracer, tracers: &mut [Tracer], but: Option<usize>) -> Result<usize, Mismatch> {
    let mut count = 0;
    for _ in 0..PATIENCE {
        for (_, tracer) in tracers.iter_mut().enumerate().filter(|(index, _)| Some(*index) != but) {
            count += drain(tracer)?;
        }
        let Some(seen) = witness.record(Some(1))? else { continue };
        expect("records lost at the trace port", 0, seen.header.lost())?;
        if seen.kind == EventKind::Normal {
            drain(witness)?;
            return Ok(count);
        }
    }
    Err(Mismatch::new("the task: expected it to go on, found nothing of it"))
}

/// What the task does.
fn busy() {
    for _ in 0..2 {
        let _ = thread::spawn(ask_for_ever);
    }
    ask_for_ever();
}

fn ask_for_ever() {
    loop {
        let _ = mach_port_get_refs(task_self(), task_self(), 0);
    }
}
