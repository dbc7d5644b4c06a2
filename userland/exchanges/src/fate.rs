// SPDX-License-Identifier: GPL-2.0-or-later
//! How tasks end, as far as the records tell: what they said of it, and what exception they did not survive.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::event::Event;
use crate::names::{Names, TaskIndex};

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// With this exit status.
    Exited(i32),
    /// By the signal of this name.
    Signaled(&'static str),
    /// By an exception that nobody took care of.
    Killed(Box<Crash>),
    /// In a way that nothing is known of.
    Ended,
}

/// How the command's parent was told that it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// With this exit status.
    Exited(i32),
    /// By the signal of this name.
    Signaled(&'static str),
}

/// An exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// The `exception_raise` that told of it.
    pub raised: Event,
    /// Where the thread was, if somebody asked.
    pub instruction: Option<u64>,
}

/// What is known of a task's end.
#[derive(Debug, Default)]
pub(crate) struct Fates {
    /// The exit status that it said.
    status: Option<i32>,
    /// Its last exception, which was not answered with success, and the number of the exchange.
    crash: Option<(u64, Crash)>,
    /// It has ended.
    ended: bool,
}

impl Fates {
    /// A thread does something, or ends the whole task.
    pub(crate) fn goes_on(&mut self, thread: u32, ends_all: bool) {
        self.crash.take_if(|(_, crash)| ends_all || crash.raised.thread == thread);
    }
}

impl Names {
    /// A task says that it is about to end with this status.
    pub(crate) fn says_status(&mut self, task: TaskIndex, status: i32) {
        if let Some(fates) = self.fates(task) {
            fates.status = Some(status);
        }
    }

    /// An exception was raised, in the exchange of this number.
    pub(crate) fn crashed(&mut self, task: TaskIndex, exchange: u64, raised: &Event) {
        self.has_crashed = true;
        self.watch();
        if let Some(fates) = self.fates(task) {
            fates.crash = Some((exchange, Crash { raised: raised.clone(), instruction: None }));
        }
    }

    /// The exception of this exchange was taken care of.
    pub(crate) fn recovered(&mut self, task: TaskIndex, exchange: u64) {
        if let Some(fates) = self.fates(task) {
            fates.crash.take_if(|(number, _)| *number == exchange);
        }
    }

    /// A thread of a task does something: no exception holds it. If it ends the whole task, none of another thread's does either.
    pub(crate) fn goes_on(&mut self, task: TaskIndex, thread: u32, ends_all: bool) {
        if let Some(fates) = self.fates(task) {
            fates.goes_on(thread, ends_all);
        }
    }

    /// Somebody was told where a thread is.
    pub(crate) fn thread_is_at(&mut self, thread: u32, instruction: u64) {
        let crashes = self.tasks.iter_mut().filter_map(|task| task.fates.crash.as_mut());
        for (_, crash) in crashes.filter(|(_, crash)| crash.raised.thread == thread) {
            crash.instruction = Some(instruction);
        }
    }

    /// A task has ended, so if its parent was told. How, if it was not known that it has.
    pub(crate) fn end(&mut self, task: TaskIndex, told: Option<Told>) -> Option<Fate> {
        let fates = self.fates(task).filter(|fates| !fates.ended)?;
        fates.ended = true;
        let fate = match (fates.crash.take(), told.or(fates.status.map(Told::Exited))) {
            (Some((_, crash)), _) => Fate::Killed(Box::new(crash)),
            (None, Some(Told::Exited(status))) => Fate::Exited(status),
            (None, Some(Told::Signaled(signal))) => Fate::Signaled(signal),
            (None, None) => Fate::Ended,
        };
        self.forget_all(task);
        Some(fate)
    }

    /// The tasks whose end is not known.
    pub(crate) fn not_ended(&self) -> Vec<TaskIndex> {
        let left = self.tasks.iter().enumerate().filter(|(_, task)| !task.fates.ended);
        left.map(|(place, _)| TaskIndex(place)).collect()
    }

    fn fates(&mut self, task: TaskIndex) -> Option<&mut Fates> {
        self.tasks.get_mut(task.0).map(|task| &mut task.fates)
    }
}
