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
use programs::tracer::{Event, Program, each_record, record_buffer};
use programs::{Doing, Mismatch};

mach::entry!(main);

/// Milliseconds after which a program that makes no message is taken to hang.
const PATIENCE: u32 = 600_000;

fn main(arguments: Arguments) -> Result<i32, Mismatch> {
    let mut command = Vec::new();
    for word in arguments.iter().skip(1) {
        command.extend_from_slice(word);
        command.push(0);
    }
    let mut buffer = record_buffer();
    let program = Program::start(&command, || Ok(()))?;
    let (mut records, mut lost) = (0u64, 0u64);
    let (mut traced, mut status) = (true, None);
    while traced || status.is_none() {
        match program.next(&mut buffer, PATIENCE)? {
            Event::Record => each_record(&buffer, |record| {
                records += 1;
                lost += u64::from(record.header.dropped.get());
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
