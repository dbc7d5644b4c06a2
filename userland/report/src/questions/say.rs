// SPDX-License-Identifier: GPL-2.0-or-later
//! Threads, ports and times as answers have them: by nobody's names but the trace's.

use alloc::string::String;
use core::fmt::Write;

use exchanges::Names;
use trace_port::Port;

use crate::number::{decimal, of_day, padded};
use crate::ports::{self, label};

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// A thread, by the kernel's numbers of its task and of itself.
pub(crate) type ThreadId = (u32, u32);

/// Appends which thread it is, as lines have it.
pub(crate) fn thread(out: &mut String, names: &Names, (task, number): ThreadId) {
    match names.find(task) {
        Some(task) => label(out, names.label(task, number)),
        None => drop(write!(out, "task number {task}")),
    }
}

/// Appends the time of the day.
pub(crate) fn moment(out: &mut String, time: u64) {
    of_day(out, time / SECOND);
    out.push('.');
    padded(out, time % SECOND / 1000, 6);
}

/// Appends what a port is to who looks at the whole trace.
pub(crate) fn port(out: &mut String, names: &Names, port: &Port) {
    ports::to_all(out, names, port);
}

/// Appends a number and what it counts.
pub(crate) fn count(out: &mut String, number: u64, one: &str, several: &str) {
    decimal(out, number);
    out.push(' ');
    out.push_str(if number == 1 { one } else { several });
}
