// SPDX-License-Identifier: GPL-2.0-or-later
//! Which exchanges of a trace are shown, and from when until when: what `-e` and the options of [`crate::options::selecting::Selecting`] say, in one place for lines, tables, answers
//! and forms, live and of a capture.
//!
//! A [`Gate`] stands between the stages of `exchanges` and what makes text of them. It is told of each exchange and says what becomes of it; text is kept
//! by [`History`]. An exchange whose fate takes its end to know is shown once that is known.

use alloc::collections::BTreeMap;

use exchanges::exchange::{Exchange, Outcome, Tally};
use exchanges::{Actor, Event, Names, Selection};
use mig_defs::table::Tables;

use crate::options::filter::FilterError;
use crate::options::{Options, Status};

mod history;
mod picks;
mod trigger;
mod unmatched;

pub(crate) use history::History;
use picks::Picks;
use trigger::Await;
pub(crate) use unmatched::Asked;
use unmatched::Hits;

/// Where a trace is with respect to what is shown of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The call of `--on` has not come.
    Before,
    Open,
    /// Nothing is shown any more, for this reason.
    Over(Over),
}

/// Why a trace ends before all has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Until,
    Limit,
    Span,
}

/// What becomes of an exchange at its beginning, or at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Before the call of `--on`, this one excepted.
    pub(crate) is_before: bool,
    /// It is the call of `--on`.
    pub(crate) fires: bool,
    /// It is selected, so far as that is known now.
    pub(crate) is_in: bool,
    /// It was not shown at its beginning, though it had one.
    pub(crate) is_late: bool,
    /// It is one of those that are counted and answered from.
    pub(crate) counts: bool,
    /// Of which its beginning was not told.
    pub(crate) counts_late: bool,
    /// Lines are written.
    pub(crate) shows: bool,
}

impl Step {
    /// Where nothing is selected but by `-e`.
    const PLAIN: Self = Self {
        is_before: false,
        fires: false,
        is_in: true,
        is_late: false,
        counts: true,
        counts_late: false,
        shows: true,
    };
    /// After the end.
    const NOTHING: Self = Self { is_in: false, counts: false, shows: false, ..Self::PLAIN };
}

/// What is shown of a trace.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Nothing is selected but by `-e`, which who tells of exchanges knows.
    is_plain: bool,
    selection: Selection,
    picks: Picks,
    /// Which ends have lines.
    pub(crate) status: Status,
    on: Option<Await>,
    until: Option<Await>,
    limit: Option<u64>,
    span: Option<u64>,
    state: State,
    /// When what is shown began.
    begun: Option<u64>,
    /// The time of what came last.
    now: u64,
    /// Calls that have been shown.
    calls: u64,
    /// Selected exchanges that have begun: whether they count.
    open: BTreeMap<u64, bool>,
    /// No record comes any more.
    is_finishing: bool,
    hits: Hits,
}

impl Gate {
    /// What the options say, where `-e` selects so. Also what the stages are to tell of.
    ///
    /// # Errors
    /// If an option names something the tables do not have.
    pub(crate) fn new(
        options: &Options,
        selection: impl Fn() -> Result<Selection, FilterError>,
        tables: Tables<'_>,
    ) -> Result<(Self, Selection), FilterError> {
        let wanted = &options.selecting;
        let await_of = |option, trigger| Await::new(option, trigger, tables);
        let on = wanted.on.as_ref().map(|trigger| await_of("--on", trigger)).transpose()?;
        let until = wanted.until.as_ref().map(|trigger| await_of("--until", trigger)).transpose()?;
        let mut told = selection()?;
        for of in [("--on", &wanted.on), ("--until", &wanted.until)] {
            if let (option, Some(trigger)) = of {
                told = told.or(trigger::selection(option, trigger, tables)?);
            }
        }
        let picks = Picks::new(wanted, tables)?;
        let is_plain =
            picks.are_none() && on.is_none() && until.is_none() && wanted.limit.is_none() && wanted.span.is_none();
        let gate = Self {
            is_plain,
            selection: selection()?,
            picks,
            status: options.status,
            state: if on.is_some() { State::Before } else { State::Open },
            on,
            until,
            limit: wanted.limit,
            span: wanted.span,
            begun: None,
            now: 0,
            calls: 0,
            open: BTreeMap::new(),
            is_finishing: false,
            hits: Hits::default(),
        };
        Ok((gate, told))
    }

    /// Whether nothing is selected but by `-e`.
    pub(crate) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Whether each record is to be looked at: the time is told by them.
    pub(crate) fn has_span(&self) -> bool {
        self.span.is_some()
    }

    /// Whether it begins before the call that is waited for.
    pub(crate) fn is_before(&self) -> bool {
        self.state == State::Before
    }

    /// Whether nothing is shown any more.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Over(_))
    }

    /// A request was seen.
    pub(crate) fn opened(&mut self, names: &Names, exchange: &Exchange<'_>) -> Step {
        if self.is_plain {
            self.hits.selected = true;
            return Step { shows: self.status == Status::ALL, ..Step::PLAIN };
        }
        if self.is_over() {
            return Step::NOTHING;
        }
        let is_selected = self.selection.has(exchange.subject);
        self.hits.selected |= is_selected;
        let (is_before, fires) = (self.is_before(), self.fires(exchange, false));
        let is_in = is_selected && self.picks.has_already(names, exchange);
        let counts = self.state == State::Open;
        if is_in {
            self.open.insert(exchange.id, counts);
        }
        let shows = is_in && self.status == Status::ALL;
        Step { is_before, fires, is_in, is_late: false, counts, counts_late: false, shows }
    }

    /// Nothing more will be known of an exchange.
    pub(crate) fn closed(&mut self, names: &Names, exchange: &Exchange<'_>) -> Step {
        let has_status = self.status.has(exchange.outcome);
        if self.is_plain {
            self.hits.selected = true;
            self.hits.status |= has_status;
            let is_late = self.status != Status::ALL && has_beginning(exchange);
            return Step { is_late, shows: has_status, ..Step::PLAIN };
        }
        if self.is_over() {
            // Of what had begun it is told that it is open.
            let is_in = self.is_finishing && self.open.remove(&exchange.id) == Some(true);
            return Step { is_in, counts: is_in, ..Step::NOTHING };
        }
        let is_selected = self.selection.has(exchange.subject);
        self.hits.selected |= is_selected;
        let (is_before, fires) = (self.is_before(), self.fires(exchange, true));
        let was_in = self.open.remove(&exchange.id);
        let is_picked = is_selected && self.picks.has(names, exchange, self.now, &mut self.hits);
        let is_in = was_in.is_some() || is_picked;
        self.hits.status |= is_in && has_status;
        Step {
            is_before,
            fires,
            is_in,
            is_late: has_beginning(exchange) && (was_in.is_none() || self.status != Status::ALL),
            counts: self.state == State::Open && (was_in != Some(false) || fires),
            counts_late: has_beginning(exchange) && was_in != Some(true),
            shows: is_in && has_status,
        }
    }

    /// What became of it has been shown, or would have been: the trace may be over.
    pub(crate) fn after(&mut self, exchange: &Exchange<'_>, step: Step) {
        if self.is_plain || self.state != State::Open {
            return;
        }
        let is_until = self.until.as_ref().is_some_and(|until| until.has(exchange));
        self.hits.until |= is_until;
        self.calls += u64::from(step.shows);
        if self.is_finishing {
            return;
        }
        if is_until {
            self.state = State::Over(Over::Until);
        } else if self.limit.is_some_and(|limit| self.calls >= limit) {
            self.state = State::Over(Over::Limit);
        }
    }

    /// A step of an exchange that is only counted.
    pub(crate) fn counted(&mut self, tally: Tally) {
        self.hits.selected = true;
        self.hits.status |= match tally {
            // Its end may not be told.
            Tally::Asked { .. } => self.status.successful || self.status.unfinished,
            Tally::Answered { failed: true, .. } => self.status.failed,
            Tally::Answered { .. } => self.status.successful,
        };
    }

    /// A task got a right by a trap.
    pub(crate) fn given(&mut self, names: &Names, actor: Actor, event: &Event) -> Step {
        self.hits.selected |= self.is_plain;
        if self.is_plain {
            return Step::PLAIN;
        }
        let is_selected = self.selection.has_trap(event.options);
        self.hits.selected |= is_selected;
        let is_in = is_selected && self.picks.has_given(names, actor, event);
        Step { is_in, shows: is_in, ..self.remark() }
    }

    /// What is not of any exchange.
    pub(crate) fn remark(&self) -> Step {
        match self.state {
            State::Before => Step { is_before: true, counts: false, ..Step::PLAIN },
            State::Open => Step::PLAIN,
            State::Over(_) => Step::NOTHING,
        }
    }

    /// A record has come, of this time: before anything is told that it brings about.
    pub(crate) fn comes(&mut self, time: u64) {
        self.now = self.now.max(time);
        if self.state != State::Open {
            return;
        }
        let begun = *self.begun.get_or_insert(time);
        if self.span.is_some_and(|span| time.saturating_sub(begun) >= span) {
            self.state = State::Over(Over::Span);
        }
    }

    /// Nanoseconds that are left of `--for`, if nothing has come for so many.
    pub(crate) fn left(&self, silent: u64) -> Option<u64> {
        let span = self.span.filter(|_| self.state == State::Open)?;
        let passed = self.begun.map_or(0, |begun| self.now.saturating_sub(begun));
        Some(span.saturating_sub(passed).saturating_sub(silent))
    }

    /// The time of `--for` is over, though no record says so.
    pub(crate) fn run_out(&mut self) {
        if self.state == State::Open {
            self.state = State::Over(Over::Span);
        }
    }

    /// No record comes any more: what is open is told now, and ends nothing.
    pub(crate) fn finishes(&mut self) {
        self.is_finishing = true;
    }

    /// Whether this is the call of `--on`, with which what is shown begins.
    fn fires(&mut self, exchange: &Exchange<'_>, at_end: bool) -> bool {
        let fires = self.is_before()
            && self.on.as_ref().is_some_and(|on| on.has(exchange) && (at_end || on.is_known_at_once()));
        if fires {
            (self.state, self.hits.on) = (State::Open, true);
            self.begun = exchange.last().map(|event| event.time);
        }
        fires
    }
}

/// Whether it had a beginning that was told.
fn has_beginning(exchange: &Exchange<'_>) -> bool {
    exchange.request.is_some() && !matches!(exchange.outcome, Outcome::Failed(_))
}
