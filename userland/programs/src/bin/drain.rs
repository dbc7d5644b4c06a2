// SPDX-License-Identifier: GPL-2.0-or-later
//! drain [-ring] PROGRAM [ARGUMENTS]: runs a program traced, throws its records away and says how many there were; with `-ring` those that
//! go there come by the ring of its trace port.
//!
//! What it costs to be traced without what it costs to decode a trace, for programs that run long. Its exit status is the
//! program's. Run it untraced.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use mach::println;
use mach::rt::arguments::Arguments;
use mach::sys::trap::thread_switch_depressed;
use mach_abi::port::MACH_PORT_QLIMIT_MAX;
use programs::ring::Ring;
use programs::tracer::{Event, Program, each_record, record_buffer};
use programs::{Doing, Mismatch};
use trace_port::record::Record;

mach::entry!(main);

/// The word that asks for the ring.
const WITH_RING: &str = "-ring";
/// Milliseconds after which a program that makes no message is taken to hang.
const PATIENCE: u32 = 600_000;
/// Milliseconds that the program may run before the records that it left are looked at: on an emulated processor a switch
/// between two tasks costs as much as a record. As many of them have room as a queue can have.
const LET_RUN: u32 = 10;

/// What came.
#[derive(Default)]
struct Came {
    records: u64,
    lost: u64,
    /// How many of the records came by the ring.
    in_ring: u64,
}

impl Came {
    fn take(&mut self, record: &Record<'_>) {
        self.records += 1;
        self.lost += u64::from(record.header.lost());
    }

    /// Takes what is in the ring, if there is one.
    fn read(&mut self, ring: &mut Option<Ring>) -> Result<(), Mismatch> {
        let Some(ring) = ring else { return Ok(()) };
        let before = self.records;
        ring.read(|record| {
            self.take(record);
            Ok(())
        })?;
        self.in_ring += self.records - before;
        Ok(())
    }
}

fn main(arguments: Arguments) -> Result<i32, Mismatch> {
    let with_ring = arguments.get_str(1) == Some(WITH_RING);
    let mut command = Vec::new();
    for word in arguments.iter().skip(if with_ring { 2 } else { 1 }) {
        command.extend_from_slice(word);
        command.push(0);
    }
    let mut buffer = record_buffer();
    let program = Program::start(&command, || Ok(()))?;
    program.set_queue_limit(MACH_PORT_QLIMIT_MAX)?;
    let mut ring = if with_ring { Some(program.ring().doing("the ring of the trace port")?) } else { None };
    let mut came = Came::default();
    let (mut traced, mut status) = (true, None);
    while traced || status.is_none() {
        let event = match program.next(&mut buffer, 0)? {
            Event::Nothing => {
                thread_switch_depressed(LET_RUN);
                let may_sleep = match &ring {
                    Some(ring) => ring.may_sleep(1)?,
                    None => true,
                };
                let event = if may_sleep { program.next(&mut buffer, PATIENCE)? } else { Event::InRing };
                ring.as_ref().map_or(Ok(()), Ring::wakes_up)?;
                event
            }
            event => event,
        };
        came.read(&mut ring)?;
        match event {
            Event::Record => each_record(&buffer, |record| {
                came.take(record);
                Ok(())
            })?,
            Event::InRing => {}
            Event::Untraced => traced = false,
            Event::Nothing => return Err(Mismatch::new("no record for ten minutes")),
            Event::Ended(ended) => status = Some(ended),
        }
    }
    came.read(&mut ring)?;
    println!("drain: {} records, {} lost, {} in a ring", came.records, came.lost, came.in_ring);
    status.flatten().doing("an exit status")
}
