//! faults KIND FROM TO PROGRAM [ARGUMENTS]: runs a traced program again and again, and each time another event of it fails.
//!
//! KIND is 1 (the allocation of a record), 2 (the queueing of a record) or 3 (the copyin of a message), FROM to TO are the
//! numbers of the event. Needs a payload with the feature `faults`; without it, it says so and exits with 3. After each run
//! it checks that no record is missing but those that the kernel counted as dropped.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use mach::boot::{self, TASK_TRACE_PORT};
use mach::error::KernReturn;
use mach::port::{Disposition, PortName, PortSet, ReceiveRight, SendRight};
use mach::rt::arguments::Arguments;
use mach::sys::msg::{MACH_RCV_MSG, MACH_RCV_TIMEOUT, mach_msg};
use mach::{mig, println, stubs, task_self};
use programs::{Doing, Mismatch, expect};
use trace_port::TRACE_RECORD_MSGH_ID;
use trace_port::event::Direction;
use trace_port::record::{MAX_BODY, Record, wire_size};

mach::entry!(main);

/// Exit status where the payload knows no faults.
const NO_FAULTS: i32 = 3;
/// `kernel_ipc::faults`: what makes a special port's number a command, and what an answer begins at.
const COMMAND: u32 = 0x4000_0000;
const ANSWER: i32 = 0x0100_0000;
/// The kinds.
const COPY_IN: u32 = 3;
/// `MACH_NOTIFY_NO_SENDERS` of notify.h.
const MACH_NOTIFY_NO_SENDERS: u32 = 70;
/// `MACH_SEND_INVALID_DATA`: what a copyin that fails means to the program.
const SEND_INVALID_DATA: u32 = 0x1000_0002;
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
    /// Whether the sequence numbers had no gap, and how far they would have to go on.
    first: u64,
    last: u64,
}

fn main(arguments: Arguments) -> Result<i32, Mismatch> {
    let number = |index| arguments.get_str(index).and_then(|word| word.parse::<u32>().ok());
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
    let mut buffer = alloc::vec![0u64; wire_size(MAX_BODY) / 8];
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
        // The program goes on as it likes; every one of its calls is recorded.
        expect(&what("calls refused"), 1, outcome.refused)?;
        return expect(&what("dropped"), 0, outcome.dropped);
    }
    expect(&what("the program's exit status"), whole.status, outcome.status)?;
    expect(&what("records and faults"), whole.records, outcome.records + struck)?;
    // Nothing follows the last record to tell of its loss.
    let told = if u64::from(n) == whole.records { 0 } else { struck };
    expect(&what("dropped"), told, outcome.dropped)
}

/// How many faults there were since the last time; `None` if the kernel knows no such question.
fn struck() -> Option<u64> {
    match stubs::mach::task_set_special_port(task_self(), COMMAND as i32, PortName::NULL) {
        Err(KernReturn(answer)) if answer >= ANSWER => Some((answer - ANSWER) as u64),
        _ => None,
    }
}

/// Makes the nth of a kind fail.
fn ask(kind: u32, n: u32) -> Result<(), Mismatch> {
    let which = COMMAND | kind << 24 | n;
    stubs::mach::task_set_special_port(task_self(), which as i32, PortName::NULL).doing("asking for a fault")
}

/// Runs the program traced, with a fault or without.
fn run(command: &[u8], fault: Option<(u32, u32)>, buffer: &mut [u64]) -> Result<Outcome, Mismatch> {
    let ports = PortSet::allocate().doing("mach_port_allocate")?;
    let trace = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let exit = ReceiveRight::allocate().doing("mach_port_allocate")?;
    ports.add(&trace).doing("mach_port_move_member")?;
    ports.add(&exit).doing("mach_port_move_member")?;
    let task = boot::spawn(command, true, &exit).doing("boot_spawn")?;
    let right = trace.make_send().doing("a send right to the trace port")?;
    stubs::mach::task_set_special_port(task.name(), TASK_TRACE_PORT, right.name()).doing("task_set_special_port")?;
    drop(right);
    let before = stubs::mach_port::mach_port_request_notification(
        task_self(),
        trace.name(),
        MACH_NOTIFY_NO_SENDERS as i32,
        0,
        trace.name(),
        Disposition::MakeSendOnce,
    );
    drop(before.doing("mach_port_request_notification")?);
    for kind in 1..=COPY_IN {
        ask(kind, fault.filter(|fault| fault.0 == kind).map_or(0, |fault| fault.1))?;
    }
    stubs::mach::task_resume(task.name()).doing("task_resume")?;
    let result = follow(&ports, &exit, buffer);
    let _ = stubs::mach::task_terminate(task.name());
    result
}

/// Reads records until no traced task is left.
fn follow(ports: &PortSet, exit: &ReceiveRight, buffer: &mut [u64]) -> Result<Outcome, Mismatch> {
    let mut outcome = Outcome::default();
    let mut traced = true;
    while traced || outcome.status.is_none() {
        let limit = size_of_val(buffer) as u32;
        let option = MACH_RCV_MSG | MACH_RCV_TIMEOUT;
        let answer = mach_msg(buffer, option, 0, limit, ports.name(), PATIENCE, PortName::NULL);
        KernReturn::from_mach_msg(answer).into_result().doing("the next record or the program's end")?;
        if PortName(buffer[2] as u32) == exit.name() {
            outcome.status = boot::exit_status(buffer);
            continue;
        }
        match mig::request_id(buffer) {
            Some(TRACE_RECORD_MSGH_ID) => count(buffer, &mut outcome)?,
            Some(MACH_NOTIFY_NO_SENDERS) => traced = false,
            _ => mach::msg::destroy_body(buffer),
        }
    }
    Ok(outcome)
}

fn count(buffer: &[u64], outcome: &mut Outcome) -> Result<(), Mismatch> {
    let size = (buffer[0] >> 32) as usize;
    let bytes: Vec<u8> = buffer[..size.div_ceil(8)].iter().flat_map(|word| word.to_le_bytes()).collect();
    let record = Record::parse(&bytes).ok().doing("well-formed record")?;
    drop(SendRight::from_name(PortName(record.task)));
    outcome.records += 1;
    outcome.dropped += u64::from(record.header.dropped.get());
    outcome.last = record.header.sequence.get();
    if outcome.first == 0 {
        outcome.first = outcome.last;
    }
    if record.direction == Direction::Send && record.header.retval.get() == SEND_INVALID_DATA {
        expect("bytes of a message that could not be copied in", 0, record.message.len())?;
        outcome.refused += 1;
    }
    Ok(())
}
