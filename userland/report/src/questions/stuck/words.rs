// SPDX-License-Identifier: GPL-2.0-or-later
//! What [`Stuck`] has found, in words.

use alloc::collections::BTreeSet;
use alloc::string::String;
use core::fmt::Write;

use exchanges::names::{Named, What};
use exchanges::{Names, Subject};
use trace_port::Port;

use super::{Call, Died, Done, Met, Place, Stuck};
use crate::analysis::Found;
use crate::lines::subject;
use crate::number::decimal;
use crate::questions::say::{self, ThreadId, moment, thread};

impl Stuck<'_> {
    /// Those that wait for each other first, then those that have waited longest, then what is in queues.
    pub(super) fn write(&self, names: &Names, out: &mut String) -> Found {
        let waiting = self.waiting();
        let cycles = self.cycles(&waiting);
        for cycle in &cycles {
            self.write_cycle(names, cycle, out);
        }
        let in_cycles: BTreeSet<ThreadId> = cycles.iter().flatten().map(|call| call.by).collect();
        for call in waiting.iter().filter(|call| !in_cycles.contains(&call.by)) {
            self.write_call(names, call, out);
        }
        if waiting.is_empty() {
            out.push_str("no thread of the records waits for an answer to a request of its own\n");
        }
        self.write_queues(names, out);
        self.write_silent(names, out);
        self.write_died(names, out);
        match self.now {
            0 => out.push_str("no record has a time"),
            now => {
                out.push_str("the last record is of ");
                moment(out, now);
            }
        }
        if self.lost > 0 {
            let _ = write!(out, "; {} records are lost, in which any of this may have changed", self.lost);
        }
        out.push('\n');
        if cycles.is_empty() { Found::Nothing } else { Found::Something }
    }

    fn write_cycle(&self, names: &Names, cycle: &[&Call], out: &mut String) {
        out.push_str("cycle: ");
        for call in cycle {
            thread(out, names, call.by);
            out.push_str(" -> ");
        }
        if let Some(first) = cycle.first() {
            thread(out, names, first.by);
        }
        out.push_str(if cycle.len() == 1 { ", which asks itself\n" } else { "\n" });
        for call in cycle {
            out.push_str("  ");
            self.write_call(names, call, out);
        }
        if cycle.iter().any(|call| matches!(call.place, Place::Queue(_))) {
            out.push_str("  this holds if those that received last from these ports are still to receive from them, which no record says\n");
        }
    }

    fn write_call(&self, names: &Names, call: &Call, out: &mut String) {
        thread(out, names, call.by);
        out.push_str(" waits since ");
        moment(out, call.time);
        out.push_str(" for the answer to ");
        asked(out, names, &call.text, call.port.as_ref());
        if let Some((done, port)) = &call.passed_on {
            out.push_str(": passed on by ");
            did(out, names, *done);
            out.push_str(" to ");
            say::port(out, names, port);
        }
        match call.place {
            Place::Taken(done) => {
                out.push_str(": received by ");
                did(out, names, done);
                out.push_str(", not answered");
                self.write_since(done, out);
            }
            Place::Queue(port) => match self.queues.receivers(port).first() {
                Some(last) => {
                    out.push_str(": received by nobody; ");
                    thread(out, names, last.by);
                    out.push_str(" last received from that port, at ");
                    moment(out, last.time);
                }
                None => out.push_str(": received by nobody, as nothing was from that port"),
            },
            Place::Kernel => out.push_str(": by the kernel"),
            Place::Answered(done) => {
                out.push_str(": answered by ");
                did(out, names, done);
                out.push_str(", which is not received");
            }
            Place::Unknown => out.push_str(": the record does not say which port that is"),
        }
        out.push('\n');
    }

    /// What whoever has the request has done since.
    fn write_since(&self, done: Done, out: &mut String) {
        match self.last.get(&done.by) {
            Some(last) if last.sequence > done.sequence => {
                out.push_str("; it has sent or received since, last at ");
                moment(out, last.time);
            }
            Some(_) => {}
            None => out.push_str("; it has ended"),
        }
    }

    /// What is in the queues of ports that traced tasks receive from.
    fn write_queues(&self, names: &Names, out: &mut String) {
        let is_traced = |port: &Port| match names.named(port) {
            Named::Known(What::MadeBy(task, _) | What::ReplyPort(task)) => !self.ended.contains(task),
            _ => false,
        };
        for (port, messages) in self.queues.waiting(is_traced) {
            out.push_str("in the queue of ");
            say::port(out, names, port);
            out.push_str(":\n");
            for (place, message) in messages.iter().enumerate() {
                out.push_str("  ");
                decimal(out, place + 1);
                out.push_str(": ");
                self.write_id(message.id, out);
                out.push_str(" of ");
                thread(out, names, message.by);
                out.push_str(" since ");
                moment(out, message.time);
                let waits = self.calls.get(&message.correlation).is_some_and(|call| self.waits(call));
                out.push_str(if waits { ", which waits for the answer\n" } else { "\n" });
            }
        }
    }

    fn write_id(&self, id: u32, out: &mut String) {
        let (request, reply) = (self.tables.request(id), self.tables.reply(id));
        subject(out, Subject { msgh_id: Some(id), routine: request.or(reply), failed: false });
        if request.is_none() && reply.is_some() {
            out.push_str(" reply");
        }
    }

    /// Threads that are known of, and of which nothing is recorded.
    fn write_silent(&self, names: &Names, out: &mut String) {
        for met in self.met.iter().filter(|(number, _)| !self.last.keys().any(|thread| thread.1 == **number)) {
            match met.1 {
                Met::Port(port) => match names.named(port) {
                    Named::Thread(task, _) if !self.ended.contains(&task) => say::port(out, names, port),
                    _ => continue,
                },
                Met::Born(by, time) => {
                    thread(out, names, *by);
                    out.push_str(", born at ");
                    moment(out, *time);
                    out.push(',');
                }
            }
            out.push_str(" has neither sent nor received in the records");
            out.push_str(if matches!(met.1, Met::Port(_)) {
                ": if it waits, it has since before them\n"
            } else {
                "\n"
            });
        }
    }

    fn write_died(&self, names: &Names, out: &mut String) {
        if self.more_died > 0 {
            say::count(out, self.more_died, "right", "rights");
            out.push_str(" to answer died unused before these:\n");
        }
        for Died { text, port, by, time, taken } in &self.died {
            out.push_str("the right to answer ");
            asked(out, names, text, port.as_ref());
            out.push_str(" died unused, as ");
            thread(out, names, *by);
            out.push_str(" was told at ");
            moment(out, *time);
            if let Some(done) = taken {
                out.push_str(": received by ");
                did(out, names, *done);
            }
            out.push('\n');
        }
    }
}

/// Appends the routine and the port.
fn asked(out: &mut String, names: &Names, text: &str, port: Option<&Port>) {
    out.push_str(text);
    if let Some(port) = port {
        out.push_str(" to ");
        say::port(out, names, port);
    }
}

fn did(out: &mut String, names: &Names, Done { by, time, .. }: Done) {
    thread(out, names, by);
    out.push_str(" at ");
    moment(out, time);
}
