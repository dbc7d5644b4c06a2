// SPDX-License-Identifier: GPL-2.0-or-later
//! What was reached, in words.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt::Write;

use super::reach::{Codes, Reach, Reached, Side, Values};
use crate::number::{decimal, hexadecimal};
use crate::questions::say;

/// Names of a list that are told.
pub(super) const LISTED: usize = 12;

/// Appends what was reached; of lists so many names at most.
pub(super) fn write(out: &mut String, reach: &Reach, limit: usize) {
    let all = || reach.subsystems.values();
    let is_touched = |routines: &&_| count_reached(routines) > 0;
    let (there, touched) = (all().map(|one| one.len()).sum::<usize>(), all().filter(is_touched).count());
    let reached: usize = all().map(count_reached).sum();
    let of_touched: usize = all().filter(is_touched).map(|one| one.len()).sum();
    if reach.traces > 1 {
        decimal(out, reach.traces);
        out.push_str(" captures together ");
    }
    // Writing to a String cannot fail.
    let _ = write!(out, "reached {reached} of {there} routines, and of {of_touched} in the ");
    say::count(out, touched as u64, "subsystem that was reached\n", "subsystems that were reached\n");
    for (name, routines) in &reach.subsystems {
        of_subsystem(out, name, routines, limit);
    }
    let untouched = reach.subsystems.iter().filter(|(_, routines)| count_reached(routines) == 0);
    let untouched = untouched.map(|(name, routines)| {
        let mut text = name.clone();
        let _ = write!(text, " ({})", routines.len());
        text
    });
    list(out, "nothing reached of: ", untouched, limit);
    if !reach.unknown.is_empty() {
        let ids = reach.unknown.iter().map(|(id, [asked, served])| {
            let mut text = String::new();
            let _ = write!(text, "{id} (asked {asked}, served {served})");
            text
        });
        list(out, "msgh_ids of no known routine: ", ids, limit);
    }
    of_calls(out, reach, limit);
    remarks(out, reach);
}

fn count_reached(routines: &BTreeMap<String, Reached>) -> usize {
    routines.values().filter(|routine| routine.is_reached()).count()
}

fn of_subsystem(out: &mut String, name: &str, routines: &BTreeMap<String, Reached>, limit: usize) {
    if !routines.values().any(Reached::is_called) {
        return;
    }
    let _ = writeln!(out, "{name}: reached {} of {}", count_reached(routines), routines.len());
    for (name, routine) in routines.iter().filter(|(_, routine)| routine.is_called()) {
        out.push_str("  ");
        out.push_str(name);
        out.push(':');
        let sides = [("asked", &routine.asked), ("served", &routine.served)];
        for (place, (what, side)) in sides.into_iter().filter(|(_, side)| side.calls > 0).enumerate() {
            out.push_str(if place > 0 { "; " } else { " " });
            of_side(out, what, side);
        }
        out.push_str(if routine.is_reached() { "\n" } else { ": not reached, no server has it\n" });
        for (name, values) in &routine.arguments {
            out.push_str("    ");
            out.push_str(name);
            out.push_str(": ");
            of_values(out, values, limit);
        }
    }
    let missing = routines.iter().filter(|(_, routine)| !routine.is_called()).map(|(name, _)| name.clone());
    list(out, "  not reached: ", missing, limit);
}

fn of_side(out: &mut String, what: &str, side: &Side) {
    out.push_str(what);
    out.push(' ');
    decimal(out, side.calls);
    let ends = [("no answer seen", side.unanswered), ("no code in the answer", side.without_code)];
    let ends = ends.into_iter().filter(|(_, count)| *count > 0);
    let mut any = false;
    for (name, count) in side.codes.iter().chain(ends) {
        out.push_str(if any { ", " } else { " (" });
        any = true;
        out.push_str(name);
        out.push(' ');
        decimal(out, count);
    }
    out.push_str(if any { ")" } else { "" });
}

fn of_values(out: &mut String, values: &Values, limit: usize) {
    let before = out.len();
    let separate = |out: &mut String| out.push_str(if out.len() > before { ", " } else { "" });
    for name in values.names.iter().filter(|name| values.is_seen(name)) {
        separate(out);
        out.push_str(name);
    }
    for number in &values.nameless {
        separate(out);
        match number {
            0..=9 => decimal(out, *number),
            _ => hexadecimal(out, (*number).into()),
        }
    }
    if values.more {
        out.push_str(" and other numbers");
    }
    let mut missing = values.names.iter().filter(|name| !values.is_seen(name)).cloned().peekable();
    match missing.peek() {
        Some(_) => list(out, "; not ", missing, limit),
        None => out.push('\n'),
    }
}

/// What `mach_msg` was asked for, and what it returned.
fn of_calls(out: &mut String, reach: &Reach, limit: usize) {
    for (what, codes) in ["sends", "receives"].into_iter().zip(&reach.returned) {
        let of = |codes: &Codes, out: &mut String| {
            for (place, (name, count)) in codes.iter().enumerate() {
                out.push_str(if place > 0 { ", " } else { " " });
                // 0 is the success of both.
                out.push_str(if name == "KERN_SUCCESS" { "MACH_MSG_SUCCESS" } else { name });
                out.push(' ');
                decimal(out, count);
            }
        };
        if codes.iter().next().is_some() {
            let _ = write!(out, "mach_msg that {what}:");
            of(codes, out);
            out.push('\n');
        }
    }
    if reach.returned.iter().any(|codes| codes.iter().next().is_some()) {
        out.push_str("options of mach_msg: ");
        of_values(out, &reach.options, limit);
    }
}

fn remarks(out: &mut String, reach: &Reach) {
    if reach.injected > 0 {
        say::count(out, reach.injected, "call", "calls");
        out.push_str(" that a tracer has answered or let fail: not counted\n");
    }
    if reach.cut > 0 {
        say::count(out, reach.cut, "request of which", "requests of which");
        out.push_str(" only the begin is recorded: other values may have been reached\n");
    }
    if reach.lost > 0 {
        say::count(out, reach.lost, "record is lost", "records are lost");
        out.push_str(": more may have been reached, and all counts are at least so much\n");
    }
}

/// Appends names behind a title, and how many there are beyond the limit; nothing if there are none.
fn list(out: &mut String, title: &str, names: impl Iterator<Item = String>, limit: usize) {
    let mut more = 0_u64;
    for (place, name) in names.enumerate() {
        if place >= limit {
            more += 1;
            continue;
        }
        out.push_str(if place > 0 { ", " } else { title });
        out.push_str(&name);
    }
    if more > 0 {
        let _ = write!(out, " and {more} more");
    }
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
}
