// SPDX-License-Identifier: GPL-2.0-or-later
//! ways HOST_PORT: every way out of a full queue, for a thread whose message, exception or call of the kernel is done but for its record.
//!
//! A tracer of its own; run it untraced. For each of the three situations and the eight ways a new task is traced to a queue that
//! is full. It is shown first that its thread waits for nothing but its tracer, then that the way lets it out, and what
//! becomes of its records. With the host's privileged port as argument and several processors, the task runs on others than the program.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod board;
mod records;
mod stage;
mod way;

use alloc::format;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mach::port::PortName;
use mach::rt::arguments::Arguments;
use mach::rt::exit::exit;
use mach::{println, thread};
use programs::patience::until_silent;
use programs::{Doing, Mismatch};

use board::{Board, Situation};
use stage::Stage;
use way::Way;

mach::entry!(main);

/// Seconds in which every combination ends; each of its waits has a bound, but the kernel's answer to a request has none.
const PATIENCE: u32 = 40;

/// How many combinations have begun.
static BEGUN: AtomicU64 = AtomicU64::new(0);

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let host = arguments.get_str(1).and_then(|name| name.parse().ok()).map(PortName);
    let board = Board::new().doing("vm_allocate")?;
    thread::spawn(watch).doing("starting a thread")?;
    let (mut right, mut wrong) = (0, 0);
    for situation in Situation::ALL {
        for way in Way::ALL {
            BEGUN.fetch_add(1, Relaxed);
            match Stage::new(situation, board, host).and_then(|mut stage| way.take(&mut stage)) {
                Ok(()) => right += 1,
                Err(mismatch) => {
                    wrong += 1;
                    println!("ways: {situation:?}, {way:?}: {mismatch}");
                }
            }
        }
    }
    println!("ways: {right} ways out of a full queue");
    let ways = format!("expected all ways to lead out, found {wrong} that do not");
    if wrong == 0 { Ok(()) } else { Err(Mismatch::new(&ways)) }
}

/// Ends the program if a combination does not end.
fn watch() {
    let last = until_silent(PATIENCE, || BEGUN.load(Relaxed));
    let index = last.saturating_sub(1) as usize;
    let (situation, way) = (Situation::ALL[index / Way::ALL.len()], Way::ALL[index % Way::ALL.len()]);
    println!(
        "ways: {situation:?}, {way:?}: expected an end within {PATIENCE} s, found that the kernel does not answer"
    );
    exit(1);
}
