// SPDX-License-Identifier: GPL-2.0-or-later
//! What [`Leaks`] has found, in words.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt::Write;

use exchanges::{Names, Subject};
use mach_abi::{KernReturn, trap};
use trace_port::Port;

use super::space::{Freed, Leak, Site, Space, Way};
use super::{Kind, Leaks, MISTAKES, ToDead, Twice};
use crate::analysis::Found;
use crate::lines::subject;
use crate::number::decimal;
use crate::ports::label;
use crate::questions::say::{self, moment, thread};

impl Leaks<'_> {
    /// What leaks first, then mistakes, then what came and went.
    pub(super) fn write(&mut self, names: &Names, out: &mut String) -> Found {
        if names.is_filtered() {
            out.push_str(
                "the trace leaves messages out, so that rights may have gone in them: nothing is called a leak\n",
            );
            return Found::Nothing;
        }
        let mut leaks = core::mem::take(&mut self.leaks);
        for (task, space) in &self.spaces {
            leaks.extend(space.leaks().into_iter().map(|leak| (*task, leak)));
        }
        for (task, leak) in &leaks {
            self.write_leak(names, *task, leak, out);
        }
        self.twice.iter().for_each(|twice| self.write_twice(names, twice, out));
        more(out, self.more_twice);
        self.to_dead.iter().for_each(|dead| self.write_dead(names, dead, out));
        more(out, self.more_to_dead);
        let is_clean = leaks.is_empty() && self.twice.is_empty();
        if is_clean {
            out.push_str("no right leaks by these records\n");
        }
        let ended = self.ended.iter().map(|(task, space)| (task, space));
        for (task, space) in ended.chain(&self.spaces) {
            self.write_balance(names, *task, space, out);
        }
        if self.cut > 0 {
            say::count(out, self.cut, "message is", "messages are");
            out.push_str(" not recorded with all rights: of their tasks nothing that came before is called a leak\n");
        }
        if self.lost > 0 {
            say::count(out, self.lost, "record is", "records are");
            out.push_str(" lost: nothing that came before is called a leak\n");
        }
        if is_clean { Found::Nothing } else { Found::Something }
    }

    fn write_leak(&self, names: &Names, task: u32, leak: &Leak, out: &mut String) {
        out.push_str("leak: ");
        self.write_task(names, task, out);
        out.push_str(" has ");
        say::count(out, leak.count, "reference", "references");
        let _ = write!(out, " of {} rights by ", leak.site.1.name());
        self.write_way(leak.site.0, out);
        out.push_str(if leak.is_idle { " and has done nothing with them\n" } else { " and has given none back\n" });
        let mut told = 0;
        for (name, port, since, references) in &leak.names {
            out.push_str("  since ");
            moment(out, *since);
            out.push_str(": ");
            said(out, names, *name, port);
            if *references > 1 {
                let _ = write!(out, ", {references} references");
            }
            out.push('\n');
            told += references;
        }
        if told < leak.count {
            let _ = writeln!(out, "  and {} more", leak.count - told);
        }
    }

    fn write_twice(&self, names: &Names, twice: &Twice, out: &mut String) {
        out.push_str("given back twice: ");
        thread(out, names, twice.by);
        out.push(' ');
        self.write_routine(twice.msgh_id, out);
        out.push_str(" of ");
        said(out, names, twice.name, &twice.before.port);
        out.push_str(" at ");
        moment(out, twice.time);
        out.push_str(" = ");
        out.push_str(KernReturn(twice.code).name().unwrap_or("?"));
        self.write_before(twice.before, out);
        out.push('\n');
    }

    fn write_dead(&self, names: &Names, dead: &ToDead, out: &mut String) {
        out.push_str(if dead.before.is_some() { "sent to a name given back: " } else { "sent to a dead name: " });
        thread(out, names, dead.by);
        out.push(' ');
        self.write_routine(dead.msgh_id, out);
        out.push_str(" to ");
        said(out, names, dead.name, &dead.port);
        out.push_str(" at ");
        moment(out, dead.time);
        if let Some(before) = dead.before {
            self.write_before(before, out);
        }
        out.push('\n');
    }

    /// How and when the name was given back.
    fn write_before(&self, before: Freed, out: &mut String) {
        out.push_str("; given back at ");
        moment(out, before.time);
        out.push_str(" by ");
        self.write_way(before.by, out);
    }

    /// What came to a task and what went, most first, and what it has at the end.
    fn write_balance(&self, names: &Names, task: u32, space: &Space, out: &mut String) {
        let (brought, gone) = space.balance();
        self.write_sites(names, (task, "in"), brought, out);
        self.write_sites(names, (task, "out"), gone, out);
        let held = space.held();
        if held.is_empty() {
            return;
        }
        self.write_task(names, task, out);
        out.push_str(" has at the end:");
        for (place, (kind, count)) in held.iter().enumerate() {
            let _ = write!(out, "{} {count} {}", if place > 0 { "," } else { "" }, kind.name());
        }
        out.push('\n');
    }

    fn write_sites(
        &self,
        names: &Names,
        (task, what): (u32, &str),
        sites: impl Iterator<Item = (Site, u64)>,
        out: &mut String,
    ) {
        // Those of several threads are one.
        let mut named: BTreeMap<(Kind, String), u64> = BTreeMap::new();
        for ((way, kind), count) in sites {
            let mut text = String::new();
            self.write_way(way, &mut text);
            *named.entry((kind, text)).or_default() += count;
        }
        if named.is_empty() {
            return;
        }
        self.write_task(names, task, out);
        let _ = writeln!(out, ", rights {what}:");
        for ((kind, text), count) in named {
            let _ = writeln!(out, "  {count:>6} {:<9} {text}", kind.name());
        }
    }

    fn write_task(&self, names: &Names, task: u32, out: &mut String) {
        match names.find(task) {
            Some(task) => label(out, names.label(task, 0)),
            None => drop(write!(out, "task number {task}")),
        }
    }

    fn write_way(&self, way: Way, out: &mut String) {
        let (before, id) = match way {
            Way::Answer(id) => ("answers to ", id),
            Way::Message(id) => ("message ", id),
            Way::ToAnswer(id) => ("the right to answer ", id),
            Way::Call(id) => ("", id),
            Way::Trap(number, _) => return out.push_str(trap::giving(number).unwrap_or("a trap")),
        };
        out.push_str(before);
        self.write_routine(id, out);
    }

    fn write_routine(&self, id: u32, out: &mut String) {
        let routine = self.tables.request(id);
        subject(out, Subject { msgh_id: Some(id), routine, failed: false });
    }
}

/// Appends a task's name for a port, and which port that is.
fn said(out: &mut String, names: &Names, name: u32, port: &Port) {
    out.push_str("name ");
    decimal(out, name);
    if port.number.get() != 0 {
        out.push_str(", ");
        say::port(out, names, port);
    }
}

/// Appends how many there are besides those that are told.
fn more(out: &mut String, count: u64) {
    if count > 0 {
        let _ = writeln!(out, "  and {count} more than these {MISTAKES}");
    }
}
