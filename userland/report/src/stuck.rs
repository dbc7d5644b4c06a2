// SPDX-License-Identifier: GPL-2.0-or-later
//! Who waits for whom when the records end.
//!
//! A thread waits if the last thing that it did was one `mach_msg` that sends a request and receives, and no answer to it was recorded.
//! That much the records say. They also say who has received the request, if anybody has. Where nobody has, they say who last received from
//! that port, which is not said to be who will.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use exchanges::exchange::{Exchange, Outcome, Remark, Role, Tally};
use exchanges::{Actor, Event, Names, Sink};
use mach_abi::option::MACH_RCV_MSG;
use trace_port::{Direction, EventKind, Port, port};

use crate::lines::subject;
use crate::number::{of_day, padded};
use crate::ports::{self, Seen, label};
use crate::question::{Analysis, Found};

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// A thread, by the kernel's numbers of its task and of itself.
type ThreadId = (u32, u32);

/// What somebody has done, and when.
#[derive(Clone, Copy, Debug)]
struct Done {
    by: ThreadId,
    time: u64,
}

/// What a thread waits for.
#[derive(Debug)]
struct Call {
    by: ThreadId,
    sequence: u64,
    /// Of the request.
    time: u64,
    correlation: u64,
    /// The kernel's number of the port that it was sent to, 0 if the record does not say it, and what the kernel does with messages to it.
    port: u32,
    kind: u8,
    /// `routine to port`.
    text: String,
}

/// Whom a call leads to.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// Somebody has received the request.
    Has(Done),
    /// Nobody has; somebody last received from the port.
    ReceivedLast(Done),
    /// Nobody has ever received from the port.
    Nobody,
    /// The kernel answers it.
    Kernel,
    /// The record does not say the port.
    Unknown,
}

impl Next {
    fn thread(self) -> Option<ThreadId> {
        match self {
            Self::Has(done) | Self::ReceivedLast(done) => Some(done.by),
            Self::Nobody | Self::Kernel | Self::Unknown => None,
        }
    }
}

/// What is known of calls that are not answered.
#[derive(Debug, Default)]
pub(crate) struct Stuck {
    calls: Vec<Call>,
    /// Requests that were received and not answered, by their correlation numbers.
    taken: BTreeMap<u64, Done>,
    /// What each thread did last: the number in the order of all events.
    last: BTreeMap<ThreadId, u64>,
    /// Who last received from a port.
    receivers: BTreeMap<u32, Done>,
    /// Threads and tasks that have ended.
    gone: BTreeSet<ThreadId>,
    /// Time of the last record.
    now: u64,
    lost: u64,
}

impl Stuck {
    fn lost(&mut self, count: u64) {
        self.lost = self.lost.saturating_add(count);
    }

    /// Whether a thread is still where it was when it sent this.
    fn waits(&self, call: &Call) -> bool {
        self.last.get(&call.by) == Some(&call.sequence)
            && !self.gone.contains(&call.by)
            && !self.gone.contains(&(call.by.0, 0))
    }

    fn next(&self, call: &Call) -> Next {
        if let Some(taken) = self.taken.get(&call.correlation).filter(|_| call.correlation != 0) {
            return Next::Has(*taken);
        }
        match (call.port, call.kind) {
            (0, _) => Next::Unknown,
            (number, port::NONE) => self.receivers.get(&number).map_or(Next::Nobody, |last| Next::ReceivedLast(*last)),
            _ => Next::Kernel,
        }
    }

    /// Those that wait for each other first, then those that have waited longest.
    fn write(&self, names: &Names, out: &mut String) -> Found {
        let mut waiting: Vec<&Call> = self.calls.iter().filter(|call| self.waits(call)).collect();
        waiting.sort_by_key(|call| call.time);
        if waiting.is_empty() {
            out.push_str("no thread of the records waits for an answer to a request of its own\n");
            self.write_lost(out);
            return Found::Nothing;
        }
        let cycles = self.cycles(&waiting);
        for cycle in &cycles {
            self.write_cycle(names, cycle, out);
        }
        let in_cycles: BTreeSet<ThreadId> = cycles.iter().flatten().map(|call| call.by).collect();
        for call in waiting.iter().filter(|call| !in_cycles.contains(&call.by)) {
            self.write_call(names, call, out);
        }
        self.write_lost(out);
        if cycles.is_empty() { Found::Nothing } else { Found::Something }
    }

    /// Calls that lead back to where they begin, each from its oldest one on.
    fn cycles<'a>(&self, waiting: &[&'a Call]) -> Vec<Vec<&'a Call>> {
        let of: BTreeMap<ThreadId, &Call> = waiting.iter().map(|call| (call.by, *call)).collect();
        let mut seen = BTreeSet::new();
        let mut cycles = Vec::new();
        for first in waiting {
            let mut path: Vec<&Call> = Vec::new();
            let mut at = Some(*first);
            while let Some(call) = at.filter(|call| seen.insert(call.by)) {
                path.push(call);
                at = self.next(call).thread().and_then(|thread| of.get(&thread).copied());
            }
            // It has met a thread of its own path, or one of an earlier path, or the end.
            let back = at.and_then(|call| path.iter().position(|earlier| earlier.by == call.by));
            if let Some(mut cycle) = back.map(|start| path.split_off(start)) {
                let oldest = (0..cycle.len()).min_by_key(|place| cycle.get(*place).map(|call| call.time)).unwrap_or(0);
                cycle.rotate_left(oldest);
                cycles.push(cycle);
            }
        }
        cycles
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
        out.push('\n');
        for call in cycle {
            out.push_str("  ");
            self.write_call(names, call, out);
        }
        if cycle.iter().any(|call| matches!(self.next(call), Next::ReceivedLast(_))) {
            out.push_str("  this holds if those that received last from these ports are still to receive from them, which no record says\n");
        }
    }

    fn write_call(&self, names: &Names, call: &Call, out: &mut String) {
        thread(out, names, call.by);
        let _ = write!(out, " waits since ");
        moment(out, call.time);
        out.push_str(" for the answer to ");
        out.push_str(&call.text);
        match self.next(call) {
            Next::Has(Done { by, time }) => {
                out.push_str(": received by ");
                thread(out, names, by);
                out.push_str(" at ");
                moment(out, time);
                out.push_str(", not answered");
            }
            Next::ReceivedLast(Done { by, time }) => {
                out.push_str(": received by nobody; ");
                thread(out, names, by);
                out.push_str(" last received from that port, at ");
                moment(out, time);
            }
            Next::Nobody => out.push_str(": received by nobody, as nothing was from that port"),
            Next::Kernel => out.push_str(": by the kernel"),
            Next::Unknown => out.push_str(": the record does not say which port that is"),
        }
        out.push('\n');
    }

    fn write_lost(&self, out: &mut String) {
        out.push_str("the last record is of ");
        moment(out, self.now);
        if self.lost > 0 {
            let _ = write!(out, "; {} records are lost, in which any of this may have changed", self.lost);
        }
        out.push('\n');
    }
}

/// Appends which thread it is, as lines have it.
fn thread(out: &mut String, names: &Names, (task, number): ThreadId) {
    match names.find(task) {
        Some(task) => label(out, names.label(task, number)),
        None => drop(write!(out, "task number {task}")),
    }
}

/// Appends the time of the day.
fn moment(out: &mut String, time: u64) {
    of_day(out, time / SECOND);
    out.push('.');
    padded(out, time % SECOND / 1000, 6);
}

/// The port that a message was received on, also where only the header says its name.
fn received_on(event: &Event) -> Option<&Port> {
    let of_header = || event.port(event.mach_header?.local_port as u32);
    event.received_on().or_else(of_header)
}

impl<'t> Analysis<'t> for Stuck {
    fn finish(&mut self, names: &Names, out: &mut String) -> Found {
        self.write(names, out)
    }
}

impl<'t> Sink<'t> for Stuck {
    fn opened(&mut self, _: &Names, _: &Exchange<'t>) {}

    fn closed(&mut self, names: &Names, exchange: &Exchange<'t>) {
        let Some(request) = exchange.request.as_ref().filter(|_| exchange.outcome == Outcome::Unanswered) else {
            return;
        };
        let by = (request.task, exchange.actor.thread);
        let time = request.time;
        match exchange.role {
            Role::Server if request.correlation != 0 => {
                self.taken.insert(request.correlation, Done { by, time });
            }
            Role::Client if request.options & MACH_RCV_MSG != 0 => {
                let mut text = String::new();
                subject(&mut text, exchange.subject);
                if let Some(header) = request.mach_header {
                    text.push_str(" to ");
                    let seen = Seen { names, actor: exchange.actor, event: request, verbose: false };
                    ports::port(&mut text, seen, header.remote_port);
                }
                let (port, kind) = request.remote_port().map_or((0, 0), |port| (port.number.get(), port.kind));
                let Event { sequence, correlation, .. } = *request;
                self.calls.push(Call { by, sequence, time, correlation, port, kind, text });
            }
            _ => {}
        }
    }

    fn counted(&mut self, _: Tally) {}

    fn given(&mut self, _: &Names, _: Actor, _: &Event) {}

    fn remark(&mut self, _: &Names, _: u64, remark: &Remark) {
        if let Remark::Lost(count) = remark {
            self.lost(u64::from(*count));
        }
    }

    fn event(&mut self, event: &Event) {
        let (by, time) = ((event.task, event.thread), event.time);
        self.now = self.now.max(time);
        match event.kind {
            EventKind::Normal | EventKind::Trap => {
                let last = self.last.entry(by).or_default();
                *last = event.sequence.max(*last);
            }
            EventKind::ThreadDeath => drop(self.gone.insert(by)),
            EventKind::TaskDeath => drop(self.gone.insert((by.0, 0))),
            _ => {}
        }
        let is_received = event.kind == EventKind::Normal && event.direction == Direction::Receive;
        if let Some(on) = received_on(event).filter(|_| is_received && event.retval == 0) {
            self.receivers.insert(on.number.get(), Done { by, time });
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use mig_defs::interfaces::without_routines;
    use mig_defs::table::Tables;

    use super::*;

    /// A call of thread `10 * task` of a task, sent to a port at a time in microseconds, which its thread waits for.
    fn call(stuck: &mut Stuck, task: u32, port: u32, time: u64) {
        let by = (task, 10 * task);
        let sequence = time;
        let text = format!("ping to port {port}");
        stuck.last.insert(by, sequence);
        let (time, correlation) = (1000 * time, time);
        stuck.calls.push(Call { by, sequence, time, correlation, port, kind: port::NONE, text });
    }

    fn done(task: u32, time: u64) -> Done {
        Done { by: (task, 10 * task), time: 1000 * time }
    }

    fn written(stuck: &Stuck) -> String {
        let tables = without_routines();
        let names = Names::new(Tables::parse(&tables).expect("tables"), "");
        let mut out = String::new();
        stuck.write(&names, &mut out);
        out
    }

    #[test]
    fn those_that_wait_for_each_other_come_first_then_the_oldest() {
        let mut stuck = Stuck::default();
        // 4 has waited longest, for 1; 1 and 2 wait for each other, and 3 for one that does not wait.
        call(&mut stuck, 4, 70, 1);
        call(&mut stuck, 1, 71, 2);
        call(&mut stuck, 2, 72, 3);
        call(&mut stuck, 3, 73, 4);
        stuck.taken.insert(1, done(1, 1));
        stuck.taken.insert(2, done(2, 2));
        stuck.receivers.insert(72, done(1, 1));
        stuck.taken.insert(4, done(5, 4));
        stuck.now = 5000;
        let text = written(&stuck);
        let first: Vec<&str> = text.lines().collect();
        assert_eq!(
            first,
            [
                "cycle: task number 1 -> task number 2 -> task number 1",
                "  task number 1 waits since 00:00:00.000002 for the answer to ping to port 71: received by task number 2 at \
                 00:00:00.000002, not answered",
                "  task number 2 waits since 00:00:00.000003 for the answer to ping to port 72: received by nobody; task number 1 \
                 last received from that port, at 00:00:00.000001",
                "  this holds if those that received last from these ports are still to receive from them, which no record says",
                "task number 4 waits since 00:00:00.000001 for the answer to ping to port 70: received by task number 1 at \
                 00:00:00.000001, not answered",
                "task number 3 waits since 00:00:00.000004 for the answer to ping to port 73: received by task number 5 at \
                 00:00:00.000004, not answered",
                "the last record is of 00:00:00.000005",
            ]
        );
    }

    #[test]
    fn who_goes_on_or_has_ended_does_not_wait() {
        let mut stuck = Stuck::default();
        for task in 1..=3 {
            call(&mut stuck, task, 70, u64::from(task));
        }
        stuck.last.insert((1, 10), 9);
        stuck.gone.insert((2, 20));
        stuck.gone.insert((3, 0));
        stuck.lost(7);
        let text = written(&stuck);
        assert!(text.starts_with("no thread of the records waits for an answer to a request of its own\n"), "{text}");
        assert!(text.contains("; 7 records are lost, in which any of this may have changed"), "{text}");
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        let mut stuck = Stuck::default();
        call(&mut stuck, 1, 0, 1);
        call(&mut stuck, 2, 70, 2);
        let text = written(&stuck);
        assert!(text.contains("ping to port 0: the record does not say which port that is\n"), "{text}");
        assert!(text.contains("ping to port 70: received by nobody, as nothing was from that port\n"), "{text}");
    }
}
