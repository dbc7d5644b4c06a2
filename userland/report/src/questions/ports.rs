// SPDX-License-Identifier: GPL-2.0-or-later
//! Where each port comes from: who made it, and by which messages rights to it came to whom.
//!
//! A port is known by the kernel's number, whatever tasks call it. Who sent a message is known where it was sent by a task of the trace: its record
//! and the receiver's have the same correlation number and port.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use exchanges::exchange::{Exchange, Outcome, Remark, Tally};
use exchanges::{Actor, Event, Names, Sink, Subject};
use mach_abi::trap;
use mig_defs::table::Tables;
use trace_port::{Direction, EventKind, Port};

use super::carried::{Kind, carried};
use super::rights::{Asked, asked, is_own, name_in_answer};
use super::say::{self, ThreadId, moment, thread};
use crate::analysis::{Analysis, Found};
use crate::lines::subject;
use crate::number::decimal;

/// Steps of a port that are kept: the first ones and the last ones, as many.
const STEPS: usize = 8;
/// Messages with rights on their way that are kept in mind.
const ON_THEIR_WAY: usize = 4096;

/// How a right came.
#[derive(Clone, Copy, Debug)]
enum How {
    /// The port was made by this request of its maker, or by the trap of this number.
    Made(u32),
    MadeByTrap(u32),
    /// By a trap that gives a right to a port that is there.
    Trap(u32),
    /// In a message with this id, and who has sent it when, if that is known.
    Message(u32, Option<(ThreadId, u64)>),
}

/// A right came to a task.
#[derive(Clone, Copy, Debug)]
struct Step {
    to: ThreadId,
    name: u32,
    kind: Kind,
    how: How,
    time: u64,
}

/// What is known of a port.
#[derive(Debug, Default)]
struct History {
    port: Port,
    first: Vec<Step>,
    last: VecDeque<Step>,
    /// Steps between them.
    between: u64,
}

/// All ports.
#[derive(Debug)]
pub(crate) struct Ports<'t> {
    tables: Tables<'t>,
    /// By the kernel's number.
    histories: BTreeMap<u32, History>,
    /// Who has sent the message with rights that has this correlation number to this port.
    on_their_way: VecDeque<((u64, u32), ThreadId, u64)>,
    cut: u64,
    lost: u64,
}

impl<'t> Ports<'t> {
    pub(crate) fn new(tables: Tables<'t>) -> Self {
        Self { tables, histories: BTreeMap::new(), on_their_way: VecDeque::new(), cut: 0, lost: 0 }
    }

    fn add(&mut self, port: Port, step: Step) {
        if port.number.get() == 0 {
            return;
        }
        let history = self.histories.entry(port.number.get()).or_default();
        history.port = port;
        if history.first.len() < STEPS {
            return history.first.push(step);
        }
        if history.last.len() == STEPS {
            history.last.pop_front();
            history.between += 1;
        }
        history.last.push_back(step);
    }

    fn message(&mut self, event: &Event) {
        let Some((header, rights)) = event.mach_header.zip(carried(event)) else {
            self.cut += u64::from(event.mach_header.is_some());
            return;
        };
        let by = (event.task, event.thread);
        if event.direction == Direction::Send {
            let Some(to) =
                event.remote_port().filter(|_| event.correlation != 0 && rights.iter().any(|right| !right.in_header))
            else {
                return;
            };
            if self.on_their_way.len() == ON_THEIR_WAY {
                self.on_their_way.pop_front();
            }
            return self.on_their_way.push_back(((event.correlation, to.number.get()), by, event.time));
        }
        let on = event.received_on().or_else(|| event.port(header.local_port as u32)).map_or(0, |on| on.number.get());
        let key = (event.correlation, on);
        let place = self.on_their_way.iter().position(|sent| sent.0 == key);
        let from = place.and_then(|place| self.on_their_way.remove(place)).map(|sent| (sent.1, sent.2));
        // The right to answer is made anew by each request: only what a message brings besides is told.
        for right in rights.iter().filter(|right| !right.in_header) {
            if let Some(port) = right.port {
                let how = How::Message(header.id, from);
                self.add(port, Step { to: by, name: right.name, kind: right.kind, how, time: event.time });
            }
        }
    }

    fn write_step(&self, names: &Names, step: &Step, out: &mut String) {
        out.push_str("  ");
        moment(out, step.time);
        out.push(' ');
        thread(out, names, step.to);
        out.push_str(": ");
        out.push_str(step.kind.name());
        out.push_str(" right, name ");
        decimal(out, step.name);
        out.push_str(", ");
        match step.how {
            How::Made(id) => {
                out.push_str("made by ");
                self.write_id(id, out);
            }
            How::MadeByTrap(number) => {
                out.push_str("made by ");
                out.push_str(trap::giving(number).unwrap_or("a trap"));
            }
            How::Trap(number) => {
                out.push_str("by ");
                out.push_str(trap::giving(number).unwrap_or("a trap"));
            }
            How::Message(id, from) => {
                out.push_str("by ");
                self.write_id(id, out);
                if let Some((by, time)) = from {
                    out.push_str(" that ");
                    thread(out, names, by);
                    out.push_str(" sent at ");
                    moment(out, time);
                }
            }
        }
        out.push('\n');
    }

    fn write_id(&self, id: u32, out: &mut String) {
        let (request, reply) = (self.tables.request(id), self.tables.reply(id));
        subject(out, Subject { msgh_id: Some(id), routine: request.or(reply), failed: false });
        if request.is_none() && reply.is_some() {
            out.push_str(" reply");
        }
    }
}

impl<'t> Analysis<'t> for Ports<'t> {
    fn finish(&mut self, names: &Names, out: &mut String) -> Found {
        for (number, history) in &self.histories {
            let mut text = String::new();
            say::port(&mut text, names, &history.port);
            out.push_str(&text);
            // Where that is not all that is known of it.
            if text != alloc::format!("port {number}") {
                out.push_str(", number ");
                decimal(out, *number);
            }
            out.push_str(":\n");
            history.first.iter().for_each(|step| self.write_step(names, step, out));
            if history.between > 0 {
                let _ = writeln!(out, "  ... {} more", history.between);
            }
            history.last.iter().for_each(|step| self.write_step(names, step, out));
        }
        if self.histories.is_empty() {
            out.push_str("no port is made, and no right comes in a message\n");
        }
        if self.cut > 0 {
            say::count(out, self.cut, "message is", "messages are");
            out.push_str(" not recorded with all rights\n");
        }
        if self.lost > 0 {
            say::count(out, self.lost, "record is", "records are");
            out.push_str(" lost: what they would have shown is missing above\n");
        }
        Found::Nothing
    }
}

impl<'t> Sink<'t> for Ports<'t> {
    fn opened(&mut self, _: &Names, _: &Exchange<'t>) {}

    fn closed(&mut self, _: &Names, exchange: &Exchange<'t>) {
        if exchange.outcome != (Outcome::Answered { failed: false }) || !is_own(exchange) {
            return;
        }
        let (Some(request), Some(reply)) = (&exchange.request, &exchange.reply) else { return };
        let Some(Asked::Allocate { name, .. }) = asked(self.tables, exchange) else { return };
        let Some(name) = name.or_else(|| name_in_answer(self.tables, exchange)) else { return };
        let Some(port) = reply.port(name).or_else(|| request.port(name)).copied() else { return };
        let (to, id, time) = ((request.task, request.thread), exchange.subject.msgh_id.unwrap_or(0), reply.time);
        self.add(port, Step { to, name, kind: Kind::Receive, how: How::Made(id), time });
    }

    fn counted(&mut self, _: Tally) {}

    fn given(&mut self, _: &Names, _: Actor, _: &Event) {}

    fn remark(&mut self, _: &Names, _: u64, remark: &Remark) {
        if let Remark::Lost(count) = remark {
            self.lost = self.lost.saturating_add((*count).into());
        }
    }

    fn event(&mut self, event: &Event) {
        let (to, name, time) = ((event.task, event.thread), event.rcv_name, event.time);
        match event.kind {
            EventKind::Normal if event.retval == 0 => self.message(event),
            EventKind::Trap => {
                let Some(port) = event.port(name).copied() else { return };
                let is_made = trap::giving(event.options) == Some("mach_reply_port");
                let (kind, how) = match is_made {
                    true => (Kind::Receive, How::MadeByTrap(event.options)),
                    false => (Kind::Send, How::Trap(event.options)),
                };
                self.add(port, Step { to, name, kind, how, time });
            }
            _ => {}
        }
    }
}
