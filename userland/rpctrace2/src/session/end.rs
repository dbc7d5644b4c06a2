// SPDX-License-Identifier: GPL-2.0-or-later
//! When a trace is over: the command has ended, nobody is traced any more, or those that go on are left.

use exchanges::ending::Untraced;
use exchanges::fate::Told;

use super::INTERRUPTED;
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
    pub(super) is_untraced: bool,
    /// The kernel says so: what is in the queue is looked at before that is taken for the end.
    looks: bool,
    /// If the command still was there then, that has been told.
    pub(super) untraced_shown: bool,
    /// The user has had it go on untraced, so that it did, whatever has come of it since.
    pub(super) went_on: Option<Untraced>,
    /// The user has ended the trace.
    is_interrupted: bool,
    /// Every traced task is waited for.
    until_all: bool,
    /// The time of the trace when the command's end was heard of.
    ended_at: Option<u64>,
    /// Those that go on are left.
    is_left: bool,
    /// Processes have been let go: what they did until then is still taken.
    is_letting_go: bool,
    /// Some of this is so, or it is asked now and then whether it is: looked at with every message.
    is_near: bool,
}

impl End {
    /// `has_engines`: whether something is traced by engines, which may be asked whether they have a task.
    pub(super) fn of(subject: &Subject, until_all: bool, has_engines: bool) -> Self {
        Self { status: subject.is_attached().then_some(0), until_all, is_near: has_engines, ..Self::default() }
    }

    /// Whether anything is known of it, or asked.
    pub(super) fn is_near(&self) -> bool {
        self.is_near
    }

    /// The command has ended, so if that is to be told, with this exit status for us.
    pub(super) fn ended(&mut self, told: Option<Told>, status: i32) {
        (self.told, self.is_near) = (told, true);
        if !self.is_interrupted {
            self.status = Some(status);
        }
    }

    /// The user has ended the trace: that is our exit status, whatever is still heard of the command, which may go on.
    pub(super) fn interrupted(&mut self) {
        self.ended(None, INTERRUPTED);
        self.is_interrupted = true;
    }

    /// The kernel says that no task is traced any more. The end of one that was over when it was asked about comes behind that.
    pub(super) fn no_senders(&mut self) {
        (self.looks, self.is_near) = (true, true);
    }

    /// Whether what is in the queue is still to be looked at.
    pub(super) fn looks(&self) -> bool {
        self.looks
    }

    /// No task is traced any more.
    pub(super) fn untraced(&mut self) {
        (self.is_untraced, self.looks, self.is_near) = (true, false, true);
    }

    /// No task is traced any more, which is nothing to tell of.
    pub(super) fn forget_untraced(&mut self) {
        self.untraced();
        self.untraced_shown = true;
    }

    /// Whether something of it is to be done when nothing comes.
    pub(super) fn is_due(&self) -> bool {
        self.told.is_some() || self.looks || self.is_untraced && !self.untraced_shown || self.is_letting_go
    }

    /// Whether those that go on are left once nothing comes.
    pub(super) fn may_leave(&self) -> bool {
        self.status.is_some() && !self.until_all
    }

    /// The processes have been let go. Their children are traced as long as the trace port is there, and may never be silent: they are left
    /// like tasks that go on when a command has ended.
    pub(super) fn let_go(&mut self) {
        (self.is_letting_go, self.until_all, self.is_near) = (true, false, true);
    }

    pub(super) fn is_letting_go(&self) -> bool {
        self.is_letting_go
    }

    /// Nothing has come for a while.
    pub(super) fn leave(&mut self) {
        self.is_left = self.may_leave();
    }

    /// Whether those that go on are left that may be, at this time of the trace.
    pub(super) fn is_over(&mut self, now: u64) -> bool {
        let ended_at = *self.ended_at.get_or_insert(now);
        self.is_left |= now.saturating_sub(ended_at) > LAST_WORDS;
        self.is_left
    }
}
