// SPDX-License-Identifier: GPL-2.0-or-later
//! A trace port that another task receives from now.

use mach::error::KernReturn;
use mach::println;
use programs::patience::pause;
use programs::ring::{self, Ring};
use programs::tracer::Tracer;
use programs::{Doing, Mismatch, expect, expect_error};

use crate::stage::{A_WHILE, Board, PATIENCE, QUEUE, Task, Word, ask, receive};

/// Records in messages after which the new tracer asks for a ring.
const MESSAGES: usize = 2000;
/// Records by which one sees where they go.
const SOME: u64 = 500;

pub(crate) fn show(board: &Board) -> Result<(), Mismatch> {
    let (busy, thread) = Task::busy(board, None)?;
    let mut tracer = Tracer::new(QUEUE)?;
    busy.trace_to(&tracer.port)?;
    tracer.ask_for_ring(busy.name()).doing("task_get_special_port")?;
    thread.resume().doing("thread_resume")?;
    while tracer.from_ring < SOME as usize {
        tracer.record(Some(PATIENCE))?.doing("record")?;
    }
    let Tracer { port, ring, .. } = tracer;
    let ring = ring.doing("ring")?;
    let other = busy.received_by(board, port, take_over)?;
    board.until(Word::FromMessages, 0)?;
    // Who was about to write into the ring has.
    let head = settled(&ring)?;
    board.until(Word::FromMessages, SOME)?;
    expect("where the old ring ends", head, settled(&ring)?)?;
    println!("ring: where another one receives from the trace port, records go there in messages");
    expect("the answer to the other one", KernReturn::KERN_SUCCESS, board.answer()?)?;
    board.until(Word::FromRing, SOME)?;
    board.goes_on()?;
    expect("where the old ring ends", head, settled(&ring)?)?;
    expect_error("the ring of a port that was given away", KernReturn::KERN_NO_ACCESS, ring::ask(busy.name()))?;
    println!("ring: it gets a ring of its own");
    drop(other);
    board.goes_on()?;
    Ok(())
}

/// Where a ring ends that nobody writes any more.
fn settled(ring: &Ring) -> Result<u64, Mismatch> {
    pause(A_WHILE);
    Ok(ring.words()?.head())
}

/// What the new tracer runs.
fn take_over(board: &Board, mut tracer: Tracer) {
    while tracer.from_messages < MESSAGES {
        if tracer.each(None, |_| Ok(())).is_err() {
            return;
        }
        board.set(Word::FromMessages, tracer.from_messages as u64);
    }
    ask(board, &mut tracer);
    receive(board, &mut tracer);
}
