// SPDX-License-Identifier: GPL-2.0-or-later
//! What the page draws of exchanges, in memory until the end.

use std::collections::HashMap;

use exchanges::exchange::{Exchange, Outcome, Remark, Role};
use exchanges::{Actor, Event};

/// Where in the trace something was: by its time, and by its place in the order of all records, of which several may have one time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moment {
    pub(super) time: u64,
    pub(super) sequence: u64,
}

impl Moment {
    pub(super) fn of(event: &Event) -> Self {
        Self { time: event.time, sequence: event.sequence }
    }
}

/// One exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Nanoseconds since the epoch.
    pub(super) start: u64,
    /// Nanoseconds from the request to the answer, or, without one, to when it was known that none would be seen.
    pub(super) took: u64,
    /// Place of the first record of it in the order of all.
    pub(super) first: u64,
    /// Places from there to the last.
    pub(super) records: u64,
    /// Place in [`Rows::lanes`].
    pub(super) lane: u32,
    /// Place in [`Rows::names`].
    pub(super) what: u32,
    /// Role in bits 0 to 2, outcome in 3 to 5, 6: the kernel answers it, 7: it waited for its answer when the records end.
    pub(super) flags: u8,
    /// The other task's row of the same request, by its place in the order in which they were closed.
    pub(super) link: Option<u32>,
    /// The task that the answer goes to.
    pub(super) peer: Option<usize>,
}

/// Set in [`Row::flags`] of what waited for its answer when the records end.
const OUTSTANDING: u8 = 1 << 7;

/// All of them, in the order in which they were closed.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    /// Who: a task and the kernel's number of a thread.
    pub(super) lanes: Vec<Actor>,
    lane_of: HashMap<(usize, u32), u32>,
    /// What requests are called.
    pub(super) names: Vec<String>,
    name_of: HashMap<Asked, u32>,
    /// Rows of requests that another task may have a row of, by the number that links them: one that sent, or one that received.
    halves: HashMap<u64, (u32, bool)>,
    /// Messages seen.
    pub(super) messages: u64,
    /// Time of the first record and of the last.
    pub(super) span: Option<(u64, u64)>,
    /// Exchanges that no answer was seen of, and the place of the last record when that was told.
    unanswered: Vec<(u32, u64)>,
    /// The last record.
    now: Moment,
}

/// What a request is, in less than its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Asked {
    Known(u32),
    Id(u32),
    Nothing,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn event(&mut self, event: &Event) {
        let (first, last) = self.span.unwrap_or((event.time, event.time));
        self.span = Some((first.min(event.time), last.max(event.time)));
        self.now = Moment { time: last.max(event.time), sequence: self.now.sequence.max(event.sequence) };
        self.messages += u64::from(event.mach_header.is_some());
    }

    /// Its thread has a lane, even if nothing more becomes known of it.
    pub(super) fn opened(&mut self, exchange: &Exchange<'_>) {
        self.lane(exchange.actor);
    }

    pub(super) fn closed(&mut self, exchange: &Exchange<'_>) {
        let (lane, what) = (self.lane(exchange.actor), self.name(exchange));
        let at = self.rows.len() as u32;
        let mut row = Row::of(exchange, self.now, lane, what);
        row.link = self.link(exchange, at);
        if matches!(exchange.outcome, Outcome::Open | Outcome::Unanswered) {
            self.unanswered.push((at, self.now.sequence));
        }
        self.rows.push(row);
    }

    /// Nothing comes any more: says of what waited until then that it did.
    pub(super) fn end(&mut self) {
        let end = self.now.sequence;
        for (at, _) in self.unanswered.drain(..).filter(|(_, told)| *told == end) {
            if let Some(row) = self.rows.get_mut(at as usize) {
                row.flags |= OUTSTANDING;
            }
        }
    }

    /// The other task's row of the same message, if it is there already; else this one may be that of one that comes.
    fn link(&mut self, exchange: &Exchange<'_>, at: u32) -> Option<u32> {
        let sent = match exchange.role {
            Role::Client if !super::is_kernels(exchange) => true,
            Role::Server => false,
            _ => return None,
        };
        let correlation = exchange.request.as_ref()?.correlation;
        if correlation == 0 {
            return None;
        }
        match self.halves.remove(&correlation) {
            Some((other, other_sent)) if other_sent != sent => Some(other),
            _ => {
                self.halves.insert(correlation, (at, sent));
                None
            }
        }
    }

    fn lane(&mut self, actor: Actor) -> u32 {
        let next = self.lanes.len() as u32;
        let lane = *self.lane_of.entry((actor.task.0, actor.thread)).or_insert(next);
        if lane == next {
            self.lanes.push(actor);
        }
        lane
    }

    fn name(&mut self, exchange: &Exchange<'_>) -> u32 {
        let subject = exchange.subject;
        let asked = match (subject.routine.and(subject.msgh_id), subject.msgh_id) {
            (Some(id), _) => Asked::Known(id),
            (None, Some(id)) => Asked::Id(id),
            (None, None) => Asked::Nothing,
        };
        let next = self.names.len() as u32;
        let name = *self.name_of.entry(asked).or_insert(next);
        if name == next {
            self.names.push(match (subject.routine, subject.msgh_id) {
                (Some(routine), _) => routine.name().to_owned(),
                (None, Some(id)) => format!("msgh_id {}", id as i32),
                (None, None) => "mach_msg".to_owned(),
            });
        }
        name
    }
}

/// What was said about the trace itself.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) all: Vec<Mark>,
    /// Records lost.
    pub(super) lost: u64,
}

/// One thing that was.
#[derive(Debug)]
pub(super) struct Mark {
    /// Nanoseconds since the epoch; 0 if the trace had not begun.
    pub(super) time: u64,
    pub(super) text: String,
    /// Records lost there.
    pub(super) lost: u32,
}

impl Marks {
    pub(super) fn add(&mut self, time: u64, text: &str, remark: &Remark) {
        let lost = if let Remark::Lost(records) = remark { *records } else { 0 };
        self.lost = self.lost.saturating_add(lost.into());
        self.all.push(Mark { time, text: text.to_owned(), lost });
    }
}
