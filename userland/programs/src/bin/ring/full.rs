// SPDX-License-Identifier: GPL-2.0-or-later
//! A tracer that does not read.

use alloc::vec::Vec;

use mach::println;
use programs::patience::pause;
use programs::tracer::{Tracer, tell_when_untraced};
use programs::{Doing, Mismatch, expect};
use trace_port::Direction;
use trace_port::ring::TRACERS_CAPACITY;

use crate::stage::{A_WHILE, Board, PATIENCE, QUEUE, Task, Word};

/// Calls of the traced task: far more than a ring holds.
const CALLS: u64 = 5000;
/// `mach_port_type` of mach_port.defs, and its reply.
const TYPE: i32 = 3201;
const REPLY_OF_TYPE: i32 = 3301;
/// A call has more bytes than this in a ring, and fewer than that.
const LEAST: u64 = 200;
const MOST: u64 = 1024;

pub(crate) fn show(board: &Board) -> Result<(), Mismatch> {
    let (busy, thread) = Task::busy(board, Some(CALLS))?;
    let mut tracer = Tracer::new(QUEUE)?;
    busy.trace_to(&tracer.port)?;
    tell_when_untraced(&tracer.port)?;
    tracer.ask_for_ring(busy.name()).doing("task_get_special_port")?;
    thread.resume().doing("thread_resume")?;
    let made = blocked(board)?;
    let capacity = TRACERS_CAPACITY as u64;
    expect("calls for which a ring has room", true, (capacity / MOST..=capacity / LEAST).contains(&made))?;
    println!("ring: a ring that nobody reads fills, and then who is traced waits");
    let mut sequences = Vec::new();
    let (mut requests, mut replies, mut lost) = (0, 0, 0);
    while let Some(seen) = tracer.record(Some(PATIENCE))? {
        sequences.push(seen.header.sequence.get());
        lost += seen.header.lost();
        requests += u64::from(seen.direction == Direction::Send && seen.id == TYPE);
        replies += u64::from(seen.direction == Direction::Receive && seen.id == REPLY_OF_TYPE);
    }
    expect("calls that the task has made", CALLS, board.get(Word::Calls))?;
    expect("requests, replies, records lost", (CALLS, CALLS, 0), (requests, replies, lost))?;
    expect("records from the ring, and in messages", (true, true), (tracer.from_ring > 0, tracer.from_messages > 0))?;
    sequences.sort_unstable();
    let is_whole = sequences.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    expect("one record of each sequence number", true, is_whole)?;
    println!("ring: when it is read, everything is there once");
    Ok(())
}

/// Waits until the traced task does nothing more. How many calls it has made.
fn blocked(board: &Board) -> Result<u64, Mismatch> {
    board.until(Word::Calls, 0)?;
    loop {
        let before = board.get(Word::Calls);
        pause(A_WHILE);
        if board.get(Word::Calls) == before {
            return Ok(before);
        }
    }
}
