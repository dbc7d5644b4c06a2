//! Remarks about the trace itself to text.

use alloc::string::String;
use core::fmt::Write;

use exchanges::ending::{Unfinished, Untraced};
use exchanges::exchange::{Actor, Remark};
use exchanges::names::{Names, TaskIndex};
use exchanges::stray::{KINDS, Kind, Stray, Strays};
use trace_port::record::LARGEST;

use crate::number::decimal;
use crate::ports::label;

/// What each kind is called where it is counted, by [`Kind::place`].
const COUNTED: [&str; KINDS] = ["of another version", "malformed", "too large", "notifications", "of unknown ids"];

/// Appends a remark.
pub(crate) fn write(out: &mut String, names: &Names, remark: &Remark) {
    match *remark {
        Remark::Exited(status) => {
            out.push_str("+++ ");
            task(out, names, TaskIndex(0));
            out.push_str(" exited with ");
            decimal(out, status);
            return out.push_str(" +++");
        }
        _ => out.push_str("--- "),
    }
    match *remark {
        Remark::Exited(_) => {}
        Remark::Lost(records) => lost(out, records.into()),
        Remark::ChildNotTraced(parent) => {
            out.push_str("a child of ");
            task(out, names, parent);
            out.push_str(" is not traced: the kernel had no room for it");
        }
        Remark::TraceEnded { target, by } => {
            task(out, names, target);
            out.push_str(" is traced no longer: ");
            who(out, names, by);
            out.push_str(" set its trace port");
        }
        Remark::Untraced { now, asked } => {
            task(out, names, TaskIndex(0));
            out.push_str(" is traced no longer, and goes on: ");
            out.push_str(match now {
                Untraced::Cleared => "its trace port was taken away",
                Untraced::Replaced => "another trace port was set in place of ours",
            });
            if let Some(by) = asked {
                out.push_str(", as ");
                who(out, names, by);
                out.push_str(" asked");
            }
        }
        Remark::Unfinished(Unfinished { target, by }) => {
            task(out, names, target);
            out.push_str(" may not have been traced to its end: ");
            who(out, names, by);
            out.push_str(" set its trace port, and no answer was seen");
        }
        Remark::Stray(stray) => self::stray(out, stray),
    }
    out.push_str(" ---");
}

/// `3 records lost`
pub(crate) fn lost(out: &mut String, records: u64) {
    decimal(out, records);
    out.push_str(if records == 1 { " record lost" } else { " records lost" });
}

fn task(out: &mut String, names: &Names, task: TaskIndex) {
    label(out, names.label(task, 0));
}

fn who(out: &mut String, names: &Names, by: Option<Actor>) {
    match by {
        Some(Actor { task, thread }) => label(out, names.label(task, thread)),
        None => out.push_str("another task"),
    }
}

fn stray(out: &mut String, Stray { kind, id, size }: Stray) {
    out.push_str("at the trace port");
    out.push_str(if matches!(kind, Kind::Version(_)) { "" } else { ", not from the kernel" });
    // Writing to a String cannot fail.
    let _ = write!(out, ": msgh_id {id}, {size} bytes: ");
    let _ = match kind {
        Kind::Version(error) | Kind::Malformed(error) => write!(out, "{error}"),
        Kind::TooLarge => write!(out, "no message of trace.defs has more than {LARGEST} bytes"),
        Kind::Notification => write!(out, "a notification that was not asked for here"),
        Kind::UnknownId => write!(out, "no message of trace.defs"),
    };
}

/// Appends a line about messages that were no records, if remarks, where they were shown, have not said it all.
pub fn strays(out: &mut String, strays: Strays, remarks_shown: bool) {
    let counts = strays.counts();
    if counts.iter().all(|&count| count <= u64::from(remarks_shown)) {
        return;
    }
    let all = counts.iter().fold(0, |sum: u64, &count| sum.saturating_add(count));
    out.push_str("--- at the trace port ");
    decimal(out, all);
    out.push_str(if all == 1 { " message that was no record" } else { " messages that were no records" });
    let mut separator = ": ";
    for (what, count) in COUNTED.iter().zip(counts).filter(|&(_, count)| count > 0) {
        out.push_str(core::mem::replace(&mut separator, ", "));
        decimal(out, count);
        out.push(' ');
        out.push_str(what);
    }
    out.push_str(" ---\n");
}
