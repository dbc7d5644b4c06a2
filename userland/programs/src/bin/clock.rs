// SPDX-License-Identifier: GPL-2.0-or-later
//! clock HOST [RECORDS]: the times of records while somebody sets the clock.
//!
//! A tracer of four children, which do on as many processors what makes records quickest. In the order of their sequence numbers the
//! times of all records never decrease; after each step of the kernel's clock they are what kernel-ipc/src/clock.rs promises. HOST
//! is the name of the host's privileged port. Run it untraced.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::vec::Vec;

use mach::port::{Disposition, PortName};
use mach::rt::arguments::Arguments;
use mach::stubs::mach_host::{self, time_value64_t};
use mach::sys::trap::task_terminate;
use mach::{host_self, println};
use mach_abi::port::MACH_PORT_QLIMIT_MAX;
use programs::tracer::{Tracer, child, send};
use programs::{Doing, Mismatch};

mach::entry!(main);

const CHILDREN: u32 = 4;
/// Messages in the trace port's queue.
const QUEUE: u32 = MACH_PORT_QLIMIT_MAX;
/// More records than fit into the queue.
const MANY: u64 = 1000;
const RECORDS: u64 = 100_000;
const MILLISECOND: i64 = 1_000_000;
const SECOND: i64 = 1000 * MILLISECOND;
const HOUR: i64 = 3600 * SECOND;
/// A record may be told a time in another tick than the clock is read in.
const TICKS: i64 = 20 * MILLISECOND;

/// By how much the clock is to be set, and about how far ahead of it the records' time is then.
const STEPS: [(i64, i64); 8] = [
    (3 * MILLISECOND, 0),
    (-3 * MILLISECOND, 0),
    (HOUR, 0),
    (-HOUR, HOUR),
    (10 * SECOND, HOUR - 10 * SECOND),
    (HOUR, 0),
    (-200 * MILLISECOND, 0),
    (SECOND, 0),
];

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let number = |index| arguments.get_str(index).and_then(|word| word.parse::<u64>().ok());
    let host = PortName(number(1).doing("the name of the host's privileged port")? as u32);
    let records = number(2).unwrap_or(RECORDS);

    let mut times = Times { tracer: Tracer::new(QUEUE)?, records: Vec::new() };
    let children = (0..CHILDREN).map(|_| child(work)).collect::<Result<Vec<_>, _>>()?;
    for child in &children {
        times.tracer.trace(child.task.name()).doing("task_set_special_port")?;
        child.resume().doing("starting a child")?;
    }
    times.take(records / 10)?;
    times.check(0)?;
    let mut lead = 0;
    for (nominal, ahead) in STEPS {
        let step = set(host, nominal)?;
        // What is ahead by a second and less waits.
        lead = if lead > 0 || step < -SECOND { (lead - step).max(0) } else { 0 };
        times.wait(-step)?;
        times.check(lead)?;
        times.take(records / 10)?;
        println!("clock: set by about {} ms: records are {} ms ahead", nominal / MILLISECOND, ahead / MILLISECOND);
    }
    for child in children {
        task_terminate(child.task.name()).doing("task_terminate")?;
    }
    times.never_decrease()?;
    println!("clock: no record's time is before the one of the record before");
    Ok(())
}

/// Fails as quickly as a call can that has a record.
fn work() {
    loop {
        send(0, PortName::NULL, Disposition::CopySend, 0);
    }
}

/// Sets the clock; returns by how much, which is less by what passes between reading and setting it: on a busy machine that is ticks.
fn set(host: PortName, step: i64) -> Result<i64, Mismatch> {
    let before = since_boot()?;
    let now = wall()? + step;
    let new = time_value64_t { seconds: now / SECOND, nanoseconds: now % SECOND };
    mach_host::host_set_time64(host, new).doing("host_set_time64")?;
    Ok(since_boot()? - before)
}

/// By how much the kernel's clock is ahead of the time since boot, which nobody sets: both read at nearly the same time.
fn since_boot() -> Result<i64, Mismatch> {
    loop {
        let (before, now, after) = (uptime()?, wall()?, uptime()?);
        if after - before < 5 * MILLISECOND {
            return Ok(now - before);
        }
    }
}

/// The time since boot.
fn uptime() -> Result<i64, Mismatch> {
    let uptime = mach_host::host_get_uptime64(host_self()).doing("host_get_uptime64")?;
    Ok(uptime.seconds * SECOND + uptime.nanoseconds)
}

/// What the kernel's clock says.
fn wall() -> Result<i64, Mismatch> {
    let now = mach_host::host_get_time64(host_self()).doing("host_get_time64")?;
    Ok(now.seconds * SECOND + now.nanoseconds)
}

/// What the records say.
struct Times {
    tracer: Tracer,
    /// Sequence number and time of each.
    records: Vec<(u64, u64)>,
}

impl Times {
    fn take(&mut self, count: u64) -> Result<(), Mismatch> {
        for _ in 0..count {
            let header = self.tracer.record(None)?.doing("a record")?.header;
            self.records.push((header.sequence.get(), header.time.get()));
        }
        Ok(())
    }

    /// Takes records for as long as a clock that was set back is waited for, and all that may have been in the queue before.
    fn wait(&mut self, back: i64) -> Result<(), Mismatch> {
        let until = wall()? + if back > SECOND { 0 } else { 16 * back.max(0) } + TICKS;
        self.take(MANY)?;
        while wall()? < until {
            self.take(MANY)?;
        }
        Ok(())
    }

    /// Whether records are as far ahead of the clock as they should be: the latest, because that of a thread which waits for room
    /// in the queue may come after many others.
    fn check(&mut self, ahead: i64) -> Result<(), Mismatch> {
        let from = wall()?;
        self.take(MANY)?;
        let to = wall()?;
        let latest = self.records.iter().rev().take(MANY as usize).map(|&(_, time)| time as i64 - ahead).max();
        let latest = latest.unwrap_or(0);
        if latest < from - TICKS || latest > to + TICKS {
            return Err(Mismatch::new(&format!("latest record at {latest}, received between {from} and {to}")));
        }
        Ok(())
    }

    fn never_decrease(&mut self) -> Result<(), Mismatch> {
        self.records.sort_unstable();
        match self.records.windows(2).find(|pair| pair[0].1 > pair[1].1) {
            Some(pair) => Err(Mismatch::new(&format!("sequence number and time of two records: {pair:?}"))),
            None => Ok(()),
        }
    }
}
