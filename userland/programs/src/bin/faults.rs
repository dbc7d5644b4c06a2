// SPDX-License-Identifier: GPL-2.0-or-later
//! faults KIND FROM TO PROGRAM [ARGUMENTS]: runs a traced program again and again, and each time another event of it fails.
//! faults ask KIND N: asks for one fault and makes some calls, for a tracer that is there already.
//! faults end KIND N: asks for one and ends, so that it may strike the last record of all.
//!
//! KIND is 1 (the allocation of a record), 2 (the queueing of a record) or 3 (the copyin of a message), FROM to TO are the
//! numbers of the event. Needs a payload with the feature `faults`; without it, it says so and exits with 3. After each run
//! it checks that no record is missing but those that the kernel counted as dropped.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use mach::error::KernReturn;
use mach::port::PortName;
use mach::rt::arguments::Arguments;
use mach::{println, stubs, task_self};
use programs::tracer::{Event, Program, each_record, record_buffer};
use programs::{Doing, Mismatch, expect};
use trace_port::event::{Direction, EventKind};
use trace_port::record::Record;

mach::entry!(main);

/// Exit status where the payload knows no faults.
const NO_FAULTS: i32 = 3;
/// `kernel_ipc::faults`: what makes a special port's number a command, and what an answer begins at.
const COMMAND: u32 = 0x4000_0000;
const ANSWER: i32 = 0x0100_0000;
/// The kinds.
const QUEUEING: u32 = 2;
const COPY_IN: u32 = 3;
/// At least as many records as share a message, whose memory then is allocated once.
const RECORDS_IN_A_MESSAGE: u32 = 32;
/// Milliseconds after which a program is taken to hang.
const PATIENCE: u32 = 20_000;

/// What a run of the program left behind.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    records: u64,
    /// Sum of the records' drop counts.
    dropped: u64,
    /// Calls whose message could not be copied in; each without a message in its record.
    refused: u64,
    /// Exit status, unless the program could not tell it.
    status: Option<i32>,
    /// Whether it waited for something that did not come, and had to be ended.
    waited: bool,
    /// Whether what was lost came after its last record.
    lost_last: bool,
    /// Lowest and highest sequence number of its records.
    first: u64,
    last: u64,
}

fn main(arguments: Arguments) -> Result<i32, Mismatch> {
    let number = |index| arguments.get_str(index).and_then(|word| word.parse::<u32>().ok());
    match arguments.get_str(1) {
        Some("ask") => return ask_and_call(number(2).doing("a kind")?, number(3).doing("a number")?),
        Some("end") => {
            ask(number(2).doing("a kind")?, number(3).doing("a number")?)?;
            return Ok(0);
        }
        _ => {}
    }
    let kind = number(1).doing("a kind")?;
    let (from, to) = (number(2).doing("a first number")?, number(3).doing("a last number")?);
    let mut command = Vec::new();
    for word in arguments.iter().skip(4) {
        command.extend_from_slice(word);
        command.push(0);
    }
    if struck().is_none() {
        println!("faults: this kernel's payload has no faults");
        return Ok(NO_FAULTS);
    }
    let mut buffer = record_buffer();
    let whole = run(&command, None, &mut buffer)?;
    println!("faults: {} records, status {:?}", whole.records, whole.status);
    expect("dropped without a fault", 0, whole.dropped)?;
    for n in from..=to {
        let outcome = run(&command, Some((kind, n)), &mut buffer)?;
        let struck = struck().doing("an answer of the payload")?;
        if struck == 0 {
            println!("faults: kind {kind} comes {} times", n - 1);
            return Ok(0);
        }
        check(kind, n, struck, &outcome, &whole)?;
    }
    println!("faults: kind {kind} from {from} to {to}");
    Ok(0)
}

/// Compares a run with a fault to the one without.
fn check(kind: u32, n: u32, struck: u64, outcome: &Outcome, whole: &Outcome) -> Result<(), Mismatch> {
    let what = |text: &str| alloc::format!("kind {kind}, number {n}: {text}");
    println!("{n}: {outcome:?}");
    expect(&what("faults"), 1, struck)?;
    if kind == COPY_IN {
        // The program goes on as it likes, and may wait for what it failed to ask for; every one of its calls is recorded.
        expect(&what("calls refused"), 1, outcome.refused)?;
        expect(&what("sequence numbers"), outcome.records, outcome.last + 1 - outcome.first)?;
        return expect(&what("dropped"), 0, outcome.dropped);
    }
    expect(&what("the program ended by itself"), false, outcome.waited)?;
    expect(&what("the program's exit status"), whole.status, outcome.status)?;
    // What cannot be queued may be a request and its reply; without memory for the one, the other has a record of its own.
    let most = if kind == QUEUEING { 2 } else { 1 };
    let lost = whole.records.saturating_sub(outcome.records);
    expect(&what("records lost, at least"), lost.max(1), lost)?;
    expect(&what("records lost, at most"), lost.min(most), lost)?;
    expect(&what("dropped"), lost, outcome.dropped)?;
    // Of a loss at either end the numbers do not tell.
    let span = outcome.last + 1 - outcome.first;
    if n != 1 && !outcome.lost_last {
        expect(&what("sequence numbers"), outcome.records + lost, span)?;
    }
    Ok(())
}

/// How many faults there were since the last time; `None` if the kernel knows no such question.
fn struck() -> Option<u64> {
    match stubs::mach::task_set_special_port(task_self(), COMMAND as i32, PortName::NULL) {
        Err(KernReturn(answer)) if answer >= ANSWER => Some((answer - ANSWER) as u64),
        _ => None,
    }
}

/// Makes the nth of a kind fail and then enough calls for it to be lost and told of.
fn ask_and_call(kind: u32, n: u32) -> Result<i32, Mismatch> {
    ask(kind, n)?;
    for _ in 0..n * RECORDS_IN_A_MESSAGE {
        stubs::mach_port::mach_port_type(task_self(), task_self()).doing("mach_port_type")?;
    }
    Ok(0)
}

/// Makes the nth of a kind fail.
fn ask(kind: u32, n: u32) -> Result<(), Mismatch> {
    let which = COMMAND | kind << 24 | n;
    stubs::mach::task_set_special_port(task_self(), which as i32, PortName::NULL).doing("asking for a fault")
}

/// Runs the program traced, with a fault or without, and reads records until no traced task is left.
fn run(command: &[u8], fault: Option<(u32, u32)>, buffer: &mut [u64]) -> Result<Outcome, Mismatch> {
    let program = Program::start(command, || {
        (1..=COPY_IN).try_for_each(|kind| ask(kind, fault.filter(|fault| fault.0 == kind).map_or(0, |fault| fault.1)))
    })?;
    let mut outcome = Outcome::default();
    let (mut traced, mut ended) = (true, false);
    while traced || !ended {
        match program.next(buffer, PATIENCE)? {
            Event::Record => take(buffer, &mut outcome)?,
            Event::Untraced => traced = false,
            Event::Ended(status) => (outcome.status, ended) = (status, true),
            Event::Nothing if !outcome.waited => {
                outcome.waited = true;
                program.terminate();
            }
            // Nobody has asked for a ring.
            Event::InRing => {}
            Event::Nothing => return Err(Mismatch::new("the program was terminated and did not end")),
        }
    }
    Ok(outcome)
}

fn take(buffer: &[u64], outcome: &mut Outcome) -> Result<(), Mismatch> {
    each_record(buffer, |record| count(record, outcome))
}

fn count(record: &Record<'_>, outcome: &mut Outcome) -> Result<(), Mismatch> {
    outcome.dropped += u64::from(record.header.lost());
    if record.kind == EventKind::Lost {
        outcome.lost_last = true;
        return Ok(());
    }
    outcome.records += 1;
    let sequence = record.header.sequence.get();
    outcome.last = outcome.last.max(sequence);
    outcome.first = if outcome.first == 0 { sequence } else { outcome.first.min(sequence) };
    let retval = KernReturn::from_mach_msg(record.header.retval.get());
    // What a copyin that fails means to the program.
    if record.direction == Direction::Send && retval == KernReturn::MACH_SEND_INVALID_DATA {
        expect("bytes of a message that could not be copied in", 0, record.message.len())?;
        outcome.refused += 1;
    }
    Ok(())
}
