// SPDX-License-Identifier: GPL-2.0-or-later
//! drain PROGRAM [ARGUMENTS]: runs a program traced, throws its records away and says how many there were.
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
use programs::tracer::{Event, Program, each_record, record_buffer};
use programs::{Doing, Mismatch};

mach::entry!(main);

/// Milliseconds after which a program that makes no message is taken to hang.
const PATIENCE: u32 = 600_000;
/// Milliseconds that the program may run before the records that it left are looked at: on an emulated processor a switch
/// between two tasks costs as much as a record. As many of them have room as a queue can have.
const LET_RUN: u32 = 10;

fn main(arguments: Arguments) -> Result<i32, Mismatch> {
    let mut command = Vec::new();
    for word in arguments.iter().skip(1) {
        command.extend_from_slice(word);
        command.push(0);
    }
    let mut buffer = record_buffer();
    let program = Program::start(&command, || Ok(()))?;
    program.set_queue_limit(MACH_PORT_QLIMIT_MAX)?;
    let (mut records, mut lost) = (0u64, 0u64);
    let (mut traced, mut status) = (true, None);
    while traced || status.is_none() {
        let event = match program.next(&mut buffer, 0)? {
            Event::Nothing => {
                thread_switch_depressed(LET_RUN);
                program.next(&mut buffer, PATIENCE)?
            }
            event => event,
        };
        match event {
            Event::Record => each_record(&buffer, |record| {
                records += 1;
                lost += u64::from(record.header.lost());
                Ok(())
            })?,
            Event::Untraced => traced = false,
            Event::Nothing => return Err(Mismatch::new("no record for ten minutes")),
            Event::Ended(ended) => status = Some(ended),
        }
    }
    println!("drain: {records} records, {lost} lost");
    status.flatten().doing("an exit status")
}
