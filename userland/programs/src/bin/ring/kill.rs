// SPDX-License-Identifier: GPL-2.0-or-later
//! A tracer is ended with its ring mapped, at any instant.

use alloc::vec::Vec;

use mach::error::KernReturn;
use mach::msg::Received;
use mach::port::PortName;
use mach::println;
use mach::stubs::mach::task_get_special_port;
use mach::sys::trap::thread_switch;
use mach_abi::special_port::TASK_TRACE_PORT;
use programs::patience::pause;
use programs::random::Random;
use programs::ring::Ring;
use programs::tracer::{SECOND, Tracer};
use programs::{Doing, Mismatch, expect, left};
use trace_port::record::LARGEST;

use crate::bounds;
use crate::stage::{Board, Task, Word, trace};

/// Tracers that are ended.
const TRACERS: u32 = 1000;
/// Those that are ended before memory is counted, for what is made once and kept.
const FIRST_TRACERS: u32 = 100;
/// Objects by which a cache may grow meanwhile: far less than one for each tracer.
const GROWTH: u64 = 100;

pub(crate) fn show(board: &Board) -> Result<(), Mismatch> {
    let (busy, thread) = Task::busy(board, None)?;
    thread.resume().doing("thread_resume")?;
    let mut random = Random::new(15);
    let count = bounds::count(board)?;
    rounds(board, &busy, FIRST_TRACERS, &mut random)?;
    // The console's rights are there from now on.
    println!("ring: {FIRST_TRACERS} tracers end, and what is made once is there");
    let (names, before) = (left::names()?, board.host.map(left::caches_beside_maps).transpose()?);
    let ended = rounds(board, &busy, TRACERS, &mut random)?;
    println!("ring: {TRACERS} tracers end, and who was traced goes on");
    // They had not asked, were about to map or unmap it, had read from it.
    let is_each = ended.iter().zip([TRACERS / 50, TRACERS / 50, TRACERS / 2]).all(|(count, least)| *count > least);
    expect("instants at which they ended, of each kind", true, is_each)?;
    expect("names of this task", names, left::names()?)?;
    if let (Some(host), Some(before)) = (board.host, before) {
        let after = left::caches_beside_maps(host)?;
        expect("caches looked at", true, after.len() > 20)?;
        expect("caches that grew by more than a few objects", Vec::new(), left::grown(&before, &after, GROWTH))?;
        println!("ring: no cache of the kernel has grown by more than {GROWTH} objects");
    }
    expect("rings that may be had", count, bounds::count(board)?)?;
    println!("ring: there are as many rings as before");
    Ok(())
}

/// Tracers come and are ended. How many had not asked for their ring, were about to map or unmap it, had read from it.
fn rounds(board: &Board, busy: &Task, count: u32, random: &mut Random) -> Result<[u32; 3], Mismatch> {
    let mut ended = [0; 3];
    for _ in 0..count {
        board.set(Word::Place, 0);
        let tracer = busy.traced_by(board, if random.percent(50) { trace } else { map })?;
        wait(random);
        drop(tracer);
        let asked = board.get(Word::Asked);
        expect("the answer to who asked for a ring", true, asked <= 1 + KernReturn::KERN_SUCCESS.0 as u64)?;
        let found = [asked == 0, board.get(Word::Place) != 0, board.get(Word::FromRing) != 0];
        ended.iter_mut().zip(found).for_each(|(count, is_so)| *count += u32::from(is_so));
        board.goes_on()?;
        let port = task_get_special_port(busy.name(), TASK_TRACE_PORT).doing("task_get_special_port")?;
        expect("the trace port of a tracer that has ended", PortName::NULL, port.name())?;
        board.add(Word::Rounds, 1);
    }
    Ok(ended)
}

/// What a tracer runs that maps its ring again and again, throws away what is there, and unmaps it.
fn map(board: &Board, tracer: Tracer) {
    loop {
        board.set(Word::Place, 1);
        if let Ok(ring) = Ring::of(SECOND).inspect_err(|error| board.set(Word::Asked, 1 + u64::from(error.0 as u32)))
            && let Ok(words) = ring.words()
        {
            board.set(Word::Asked, 1);
            words.set_tail(words.head());
            board.add(Word::FromRing, 1);
        }
        board.set(Word::Place, 0);
        drop(Received::receive(&tracer.port, LARGEST as u32, Some(0)));
    }
}

/// Until some instant: one at which others give the processor up, or at which the clock takes it from them.
fn wait(random: &mut Random) {
    if random.percent(10) {
        return;
    }
    if random.percent(50) {
        pause(1 + random.below(20) as u32);
    }
    for _ in 0..random.below(30) {
        thread_switch();
    }
    for number in 0..random.below(20_000) {
        core::hint::black_box(number);
    }
}
