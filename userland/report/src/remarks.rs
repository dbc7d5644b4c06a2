// SPDX-License-Identifier: GPL-2.0-or-later
//! Remarks about the trace itself to text.

use alloc::string::String;
use core::fmt::Write;

use exchanges::ending::{Unfinished, Untraced};
use exchanges::exchange::{Actor, Remark};
use exchanges::fate::{Crash, Fate};
use exchanges::names::{Names, TaskIndex};
use exchanges::stray::{KINDS, Kind, Stray, Strays};
use mach_abi::Format;
use mig_defs::table::Tables;
use mig_defs::value::{Field, Value};
use trace_port::record::LARGEST;

use crate::number::{decimal, hexadecimal};
use crate::ports::label;

/// What each kind is called where it is counted, by [`Kind::place`].
const COUNTED: [&str; KINDS] = ["of another version", "malformed", "too large", "notifications", "of unknown ids"];

/// Appends a remark.
pub(crate) fn write(out: &mut String, tables: Tables<'_>, names: &Names, remark: &Remark) {
    if let Remark::Ended { task: ended, fate } = remark {
        out.push_str("+++ ");
        task(out, names, *ended);
        self::fate(out, tables, fate);
        return out.push_str(" +++");
    }
    out.push_str("--- ");
    match *remark {
        Remark::Ended { .. } => {}
        Remark::Left(ref left) => {
            out.push_str("traced tasks are left");
            let mut separator = ", the end was not seen of ";
            for left in left {
                out.push_str(core::mem::replace(&mut separator, ", "));
                task(out, names, *left);
            }
        }
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
        Remark::Untraced { now: Untraced::SetId, .. } => {
            task(out, names, TaskIndex(0));
            out.push_str(" was replaced by a set-id program, which is not traced");
        }
        Remark::Untraced { now, asked } => {
            task(out, names, TaskIndex(0));
            out.push_str(" is traced no longer, and goes on: ");
            out.push_str(match now {
                Untraced::Cleared => "its trace port was taken away",
                Untraced::EngineEnded => "its engine has ended, or has let go of it",
                Untraced::Replaced | Untraced::SetId => "another trace port was set in place of ours",
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

/// ` exited with 3`
fn fate(out: &mut String, tables: Tables<'_>, fate: &Fate) {
    match fate {
        Fate::Exited(status) => {
            out.push_str(" exited with ");
            decimal(out, *status);
        }
        Fate::Signaled(signal) => {
            out.push_str(" killed by ");
            out.push_str(signal);
        }
        Fate::Killed(crash) => killed(out, tables, crash),
        Fate::Ended => out.push_str(" ended"),
    }
}

/// ` killed by EXC_BAD_ACCESS (KERN_PROTECTION_FAILURE at 0x0, rip 0x401000)`
fn killed(out: &mut String, tables: Tables<'_>, crash: &Crash) {
    out.push_str(" killed by ");
    let message = crash.raised.decode(tables);
    let field = |name| {
        let message = message.as_ref()?;
        message.fields().map_while(Result::ok).find(|field| field.name == name)
    };
    match field("exception") {
        Some(exception) => number(out, tables, &exception),
        None => out.push_str("an exception"),
    }
    let mut separator = " (";
    if let Some(code) = field("code") {
        out.push_str(core::mem::replace(&mut separator, ", "));
        number(out, tables, &code);
        // Only of a page that could not be had the code is why, and the subcode where.
        let is_access = matches!(code.value, Value::KernReturn(_));
        let subcode = field("subcode").and_then(|subcode| as_number(&subcode));
        if let Some(subcode) = subcode.filter(|subcode| is_access || *subcode != 0) {
            out.push_str(if is_access { " at " } else { ", subcode " });
            hexadecimal(out, subcode as u64);
        }
    }
    if let Some(instruction) = crash.instruction {
        out.push_str(core::mem::replace(&mut separator, ", "));
        out.push_str(if crash.raised.format == Format::Lp64 { "rip " } else { "eip " });
        hexadecimal(out, instruction);
    }
    out.push_str(if separator == ", " { ")" } else { "" });
}

/// A number by its name, if it has one.
fn number(out: &mut String, tables: Tables<'_>, field: &Field<'_>) {
    let Some(number) = as_number(field) else { return out.push('?') };
    let name = match field.value {
        Value::KernReturn(code) => tables.error_name(code),
        _ => field.set.and_then(|set| set.name_of(number as u32)),
    };
    match name {
        Some(name) => out.push_str(name),
        None => decimal(out, number),
    }
}

fn as_number(field: &Field<'_>) -> Option<i64> {
    match field.value {
        Value::KernReturn(code) => Some(code.into()),
        Value::Signed { value, .. } => Some(value),
        Value::Unsigned { value, .. } => Some(value as i64),
        _ => None,
    }
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

/// Appends a line about a command of which nobody says how it ended; this was answered instead.
pub fn end_unknown(out: &mut String, answer: &str) {
    out.push_str("--- how the command ended is not known, it was answered: ");
    out.push_str(answer);
    out.push_str(" ---\n");
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
