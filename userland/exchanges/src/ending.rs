// SPDX-License-Identifier: GPL-2.0-or-later
//! Tasks that are traced no longer although they go on: who asked for it, as far as the trace shows.

use alloc::vec::Vec;

use crate::exchange::{Actor, Remark};
use crate::names::TaskIndex;

/// What became of the command's trace when no task was traced any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untraced {
    /// The command has none.
    Cleared,
    /// It has one that is not ours.
    Replaced,
    /// The engine that it was traced by has ended, or has let go of it.
    EngineEnded,
    /// Its task is gone, and the process has another, of a set-id program.
    SetId,
}

/// A request to set a task's trace port that was not seen to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// Whose trace port.
    pub target: TaskIndex,
    /// Who asked; `None` if that is somebody outside the trace.
    pub by: Option<Actor>,
}

/// The last such request, and whose trace was told to have ended.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    /// By the number of its exchange.
    asked: Option<(u64, Unfinished)>,
    told: Vec<TaskIndex>,
}

impl Ending {
    /// Somebody asks for it, in the exchange of this number.
    pub(crate) fn asked(&mut self, exchange: u64, what: Unfinished) {
        self.asked = Some((exchange, what));
    }

    /// An exchange was answered. What is to be said if it was this one, and succeeded.
    pub(crate) fn answered(&mut self, exchange: u64, failed: bool) -> Option<Remark> {
        let (_, Unfinished { target, by }) = self.asked.take_if(|asked| asked.0 == exchange).filter(|_| !failed)?;
        self.told.push(target);
        Some(Remark::TraceEnded { target, by })
    }

    /// Whether a task's trace was told to have ended.
    pub(crate) fn is_told(&self, task: TaskIndex) -> bool {
        self.told.contains(&task)
    }

    /// No task is traced any more, but the command goes on. What is to be said if it was not told.
    pub(crate) fn untraced(&mut self, command: TaskIndex, now: Untraced) -> Option<Remark> {
        if self.is_told(command) {
            return None;
        }
        let asked = self.asked.take_if(|asked| asked.1.target == command).map(|(_, what)| what.by);
        Some(Remark::Untraced { now, asked })
    }

    /// A task has ended. What is to be said if its trace may have ended before.
    pub(crate) fn ended(&mut self, task: TaskIndex) -> Option<Remark> {
        self.asked.take_if(|asked| asked.1.target == task).map(|(_, what)| Remark::Unfinished(what))
    }

    /// The trace is over. What is to be said if that of a task may have ended before.
    pub(crate) fn finished(&mut self) -> Option<Remark> {
        self.asked.take().map(|(_, what)| Remark::Unfinished(what))
    }
}
