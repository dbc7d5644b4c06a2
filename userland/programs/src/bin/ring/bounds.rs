// SPDX-License-Identifier: GPL-2.0-or-later
//! More trace ports than rings.

use alloc::vec::Vec;

use mach::error::KernReturn;
use mach::port::ReceiveRight;
use mach::println;
use mach::sys::trap::mach_task_self;
use programs::patience::pause;
use programs::ring::{self, Ring};
use programs::tracer::Tracer;
use programs::{Doing, Mismatch, expect, expect_error};

use crate::stage::{Board, QUEUE, Task, Word, ask, trace};

/// Tracers of which there are certainly more than rings.
const MANY: usize = 100;
/// Milliseconds for which a tracer sleeps that does nothing.
const LONG: u32 = 10_000;

pub(crate) fn show(board: &Board) -> Result<(), Mismatch> {
    let all = count(board)?;
    expect("rings that tracers get", true, all > 1)?;
    shortage(board, all)?;
    expect("rings when all tracers have ended", all, count(board)?)?;
    println!("ring: after they have ended, all rings may be had again");
    own(all)?;
    expect("rings when those of one tracer are given back", all, count(board)?)?;
    println!("ring: a tracer of many ports gets a few rings, and gives them back");
    refused(board)
}

/// How many tracers, one after the other, get a ring: then they end.
pub(crate) fn count(board: &Board) -> Result<usize, Mismatch> {
    Ok(all_rings(board)?.len())
}

/// Tracers that have all rings.
fn all_rings(board: &Board) -> Result<Vec<(Task, Task)>, Mismatch> {
    let mut pairs = Vec::new();
    while pairs.len() < MANY {
        let task = Task::empty()?;
        let tracer = task.traced_by(board, keep)?;
        match board.answer()? {
            KernReturn::KERN_SUCCESS => pairs.push((tracer, task)),
            other => {
                expect("the answer to one tracer too many", KernReturn::KERN_RESOURCE_SHORTAGE, other)?;
                return Ok(pairs);
            }
        }
        board.add(Word::Rounds, 1);
    }
    Err(Mismatch::new("rings: expected that they are used up, found that they are not"))
}

/// What a tracer runs that has a ring and does nothing.
fn keep(board: &Board, mut tracer: Tracer) {
    ask(board, &mut tracer);
    loop {
        pause(LONG);
    }
}

/// Who gets no ring gets messages, and gets a ring when there is one.
fn shortage(board: &Board, all: usize) -> Result<(), Mismatch> {
    let mut tracers = all_rings(board)?;
    expect("rings when the first tracers have ended", all, tracers.len())?;
    let (busy, thread) = Task::busy(board, None)?;
    thread.resume().doing("thread_resume")?;
    let tracer = busy.traced_by(board, trace)?;
    expect("the answer to one tracer too many", KernReturn::KERN_RESOURCE_SHORTAGE, board.answer()?)?;
    board.until(Word::FromMessages, 100)?;
    board.goes_on()?;
    expect("records from a ring that nobody has", 0, board.get(Word::FromRing))?;
    println!("ring: who gets no ring gets messages");
    drop(tracer);
    // The one that traces it now is told so as soon as one of the others has ended.
    tracers.pop();
    let _tracer = busy.traced_by(board, trace)?;
    expect("the answer when one tracer has ended", KernReturn::KERN_SUCCESS, board.answer()?)?;
    board.until(Word::FromRing, 100)?;
    board.goes_on()?;
    println!("ring: where one has ended, another one gets its ring");
    Ok(())
}

/// One tracer has many trace ports.
fn own(all: usize) -> Result<(), Mismatch> {
    let (mut rings, mut last) = (Vec::new(), None);
    for _ in 0..all {
        let (port, task) = (ReceiveRight::allocate().doing("mach_port_allocate")?, Task::empty()?);
        port.set_queue_limit(QUEUE).doing("mach_port_set_qlimit")?;
        task.trace_to(&port)?;
        match Ring::of(task.name()) {
            Ok(ring) => rings.push((ring, port, task)),
            Err(error) => last = Some(error),
        }
    }
    expect("the answer to a tracer of many ports", Some(KernReturn::KERN_RESOURCE_SHORTAGE), last)?;
    expect("rings that one tracer gets, of all", true, !rings.is_empty() && rings.len() <= all / 2)?;
    // The same ring may be asked for again.
    let (_, _, task) = rings.first().doing("ring")?;
    Ring::of(task.name()).map(drop).doing("task_get_special_port")
}

/// Who does not receive from the trace port gets nothing.
fn refused(board: &Board) -> Result<(), Mismatch> {
    let task = Task::empty()?;
    expect_error("the ring of an untraced task", KernReturn::KERN_NO_ACCESS, ring::ask(task.name()))?;
    expect_error("one's own ring, untraced", KernReturn::KERN_NO_ACCESS, ring::ask(mach_task_self()))?;
    let _tracer = task.traced_by(board, keep)?;
    expect("the answer to its tracer", KernReturn::KERN_SUCCESS, board.answer()?)?;
    expect_error("the ring of another's trace port", KernReturn::KERN_NO_ACCESS, ring::ask(task.name()))?;
    println!("ring: nobody gets the ring of a port that another one receives from");
    Ok(())
}
