// SPDX-License-Identifier: GPL-2.0-or-later
//! When a trace is over: the command has ended, nobody is traced any more, or those that go on are left.

use exchanges::fate::Told;

use super::subject::Subject;

/// Nanoseconds of the trace after which tasks are left that go on when the command has ended, however much they have to say.
const LAST_WORDS: u64 = 10_000_000_000;

/// What is known of the end.
#[derive(Default)]
pub(super) struct End {
    /// The command's exit status.
    pub(super) status: Option<i32>,
    /// How it ended, if that has not been told.
    pub(super) told: Option<Told>,
    /// No task is traced any more.
    pub(super) untraced: bool,
    /// If the command still was there then, that has been told.
    pub(super) untraced_shown: bool,
    /// Every traced task is waited for.
    until_all: bool,
    /// The time of the trace when the command's end was heard of.
    ended_at: Option<u64>,
    /// Those that go on are left.
    is_left: bool,
}

impl End {
    pub(super) fn of(subject: &Subject, until_all: bool) -> Self {
        Self { status: subject.is_attached().then_some(0), until_all, ..Self::default() }
    }

    /// Whether something of it is to be told.
    pub(super) fn is_due(&self) -> bool {
        self.told.is_some() || self.untraced && !self.untraced_shown
    }

    /// Whether those that go on are left once nothing comes.
    pub(super) fn may_leave(&self) -> bool {
        self.status.is_some() && !self.until_all
    }

    /// Nothing has come for a while.
    pub(super) fn leave(&mut self) {
        self.is_left = self.may_leave();
    }

    /// Whether those that go on are left, at this time of the trace.
    pub(super) fn is_over(&mut self, now: u64) -> bool {
        if self.may_leave() {
            let ended_at = *self.ended_at.get_or_insert(now);
            self.is_left |= now.saturating_sub(ended_at) > LAST_WORDS;
        }
        self.is_left
    }
}
