// SPDX-License-Identifier: GPL-2.0-or-later
//! The cases in which records go into a ring.

use core::hint::black_box;

use mach::println;
use mach::sys::clock::counter;
use programs::{Doing, Mismatch};
use trace_port::ring::TRACERS_CAPACITY;

use crate::client::{DONE, SYNC, Work, answer};
use crate::{Bench, CALLS_INTO_RING, Traced, alone};

/// Bytes of records that are awaited while they come.
const MANY: u64 = TRACERS_CAPACITY as u64 / 4;
/// Milliseconds that they are awaited for.
const TICK: u32 = 10;
/// The case of what reading costs.
const READING: &str = "ring/reading";

impl Bench {
    /// Reads the ring as records come, and sleeps when there is none. A client that asks that none be left is answered then.
    pub(crate) fn read_together(&mut self) -> Result<u64, Mismatch> {
        self.both.add(&self.report).doing("mach_port_move_member")?;
        self.both.add(&self.ring.port).doing("mach_port_move_member")?;
        let found = loop {
            // While records come, many are awaited, for a tick of the clock.
            let (until, timeout) = if self.read()? > 0 { (MANY, Some(TICK)) } else { (1, None) };
            if !self.ring.ring.as_ref().doing("ring")?.may_sleep(until)? {
                continue;
            }
            let has_come = self.receive_in_time(self.both.name(), timeout)?;
            self.ring.ring.as_ref().doing("ring")?.wakes_up()?;
            match self.id() {
                _ if !has_come => {}
                SYNC => {
                    self.read()?;
                    answer(&mut self.buffer)?;
                }
                DONE => break self.result()?,
                _ => {}
            }
        };
        alone(&self.report)?;
        alone(&self.ring.port)?;
        Ok(found)
    }

    /// Reads what is in the ring, if there is one. How many records it was.
    pub(crate) fn read(&mut self) -> Result<u64, Mismatch> {
        let Some(ring) = &mut self.ring.ring else { return Ok(0) };
        let start = counter();
        let count = ring.walk(
            |record| {
                black_box(record.sequence());
            },
            |record| {
                black_box(record.header.sequence.get());
            },
        )?;
        let (total, count) = (counter() - start, count as u64);
        let is_least = |(least, of): (u64, u64)| total.saturating_mul(of) < least.saturating_mul(count);
        if count >= u64::from(CALLS_INTO_RING) && self.read.is_none_or(is_least) {
            self.read = Some((total, count));
        }
        Ok(count)
    }

    /// Measures what a record costs the reader of a ring.
    pub(crate) fn reading(&mut self) -> Result<(), Mismatch> {
        if self.only.is_some_and(|only| only != READING) {
            return Ok(());
        }
        self.read = None;
        self.measure(Work::KernelCall, CALLS_INTO_RING, Traced::Ring)?;
        let (total, count) = self.read.doing("ring with many records")?;
        println!("bench {READING} {total} {count}");
        Ok(())
    }
}
