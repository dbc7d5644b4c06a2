// SPDX-License-Identifier: GPL-2.0-or-later
//! Figures of calls: how many, how many failed, how long their answers took.

use alloc::string::String;

use exchanges::Subject;
use exchanges::exchange::{Exchange, Outcome, Role, Tally};
use mig_defs::table::Tables;

use crate::histogram::Histogram;
use crate::lines::subject;

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Others ask a traced task, or the kernel about it.
    pub(crate) served: bool,
    /// `msgh_id` of the request; `None` of a `mach_msg` that failed without a known one.
    pub(crate) msgh_id: Option<u32>,
    /// It is a routine's that has this id.
    pub(crate) has_routine: bool,
}

impl Key {
    pub(crate) fn of(exchange: &Exchange<'_>) -> Self {
        let served = !matches!(exchange.role, Role::Client | Role::Failed);
        let has_routine = exchange.subject.routine.is_some();
        let msgh_id = exchange.subject.msgh_id.filter(|_| exchange.role != Role::Failed || has_routine);
        Self { served, msgh_id, has_routine }
    }

    /// Of a task's own call of a known routine.
    pub(crate) fn known(msgh_id: u32) -> Self {
        Self { served: false, msgh_id: Some(msgh_id), has_routine: true }
    }

    /// What the user calls it.
    pub(crate) fn name(self, tables: Tables<'_>) -> String {
        let mut name = String::new();
        let routine = self.msgh_id.filter(|_| self.has_routine).and_then(|id| tables.request(id));
        subject(&mut name, Subject { msgh_id: self.msgh_id, routine, failed: false });
        name
    }
}

/// Figures of what is counted together. Times are in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) calls: u64,
    pub(crate) errors: u64,
    /// Calls that were answered.
    pub(crate) answers: u64,
    pub(crate) total: u64,
    /// The shortest time; 0 if there is none.
    pub(crate) min: u64,
    pub(crate) max: u64,
    pub(crate) times: Histogram,
}

impl Figures {
    /// Nothing more will be known of a call. `keeps_times`: each time is counted, too.
    pub(crate) fn closed(&mut self, exchange: &Exchange<'_>, keeps_times: bool) {
        self.calls += u64::from(matches!(exchange.outcome, Outcome::Failed(_)));
        self.errors += u64::from(exchange.has_failed());
        if let Some(took) = exchange.duration().filter(|_| matches!(exchange.role, Role::Client | Role::Server)) {
            self.answered(took, keeps_times);
        }
    }

    /// A call of which all is known.
    pub(crate) fn called(&mut self, failed: bool, took: Option<u64>, keeps_times: bool) {
        self.calls += 1;
        self.errors += u64::from(failed);
        if let Some(took) = took {
            self.answered(took, keeps_times);
        }
    }

    /// A step of a call that is only counted.
    pub(crate) fn counted(&mut self, tally: Tally, keeps_times: bool) {
        match tally {
            Tally::Asked { .. } => self.calls += 1,
            Tally::Answered { failed, nanoseconds, .. } => {
                self.errors += u64::from(failed);
                self.answered(nanoseconds, keeps_times);
            }
        }
    }

    fn answered(&mut self, took: u64, keeps_times: bool) {
        self.min = if self.answers == 0 { took } else { self.min.min(took) };
        self.max = self.max.max(took);
        self.answers += 1;
        self.total = self.total.saturating_add(took);
        if keeps_times {
            self.times.add(took);
        }
    }

    /// Those of both.
    pub(crate) fn add(&mut self, other: &Self) {
        self.min = match (self.answers, other.answers) {
            (_, 0) => self.min,
            (0, _) => other.min,
            _ => self.min.min(other.min),
        };
        self.max = self.max.max(other.max);
        self.calls += other.calls;
        self.errors += other.errors;
        self.answers += other.answers;
        self.total = self.total.saturating_add(other.total);
        self.times.merge(&other.times);
    }

    /// What a call takes on average: of all calls, as strace has it.
    pub(crate) fn mean(&self) -> u64 {
        self.total.checked_div(self.calls).unwrap_or(0)
    }

    /// The time that so many thousandths of the answers did not exceed, to an eighth of itself.
    pub(crate) fn quantile(&self, thousandths: u64) -> u64 {
        self.times.quantile(thousandths).map_or(0, |time| time.clamp(self.min, self.max))
    }
}
