// SPDX-License-Identifier: GPL-2.0-or-later
//! What the state hands to its callers, and they back.

use crate::gnumach::{Kernel, Key, OwnedKmsg, SendRight, Task};
use crate::numbers::TaskNumber;

/// Why a task cannot be given a trace port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no room for one more trace.
    Full,
    /// The trace that it has is somebody else's.
    Kept,
}

/// What the records of a traced task need.
#[derive(Debug)]
pub(crate) struct Target<W> {
    /// What its trace is known by.
    pub(crate) key: Key,
    /// The task, which the caller keeps alive.
    pub(crate) task: Task,
    /// How a record gets to its trace port.
    pub(crate) way: W,
    /// Records lost since the last one, which the next one is to tell of.
    pub(crate) dropped: u32,
    /// Whether the task has engines.
    pub(crate) has_engines: bool,
}

/// How a record gets to its trace port.
#[derive(Debug)]
pub(crate) enum Way {
    /// Memory for a message of up to `record::MAX_BATCH`, addressed to the trace port and with the right to the task.
    Memory(OwnedKmsg),
    /// A right to the port: the message is still to be made.
    Right(SendRight),
}

/// What an entry leaves behind.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Released {
    pub(super) right: Option<SendRight>,
    pub(super) spare: Option<OwnedKmsg>,
    /// What records called the task, and what no record has told of.
    pub(super) number: TaskNumber,
    pub(super) dropped: u32,
}

impl Released {
    pub(super) const NOTHING: Self = Self { right: None, spare: None, number: TaskNumber::NONE, dropped: 0 };

    /// Takes out what was lost, with the right to the port to be told, if anything was.
    pub(crate) fn untold(&mut self) -> Option<(SendRight, TaskNumber, u32)> {
        let right = if self.dropped == 0 { None } else { self.right.take() };
        right.map(|right| (right, self.number, core::mem::take(&mut self.dropped)))
    }

    /// Whether there was no entry.
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::NOTHING
    }

    /// Gives back all but the right to the port, which stays somebody else's.
    pub(crate) fn release_all_but_port(self, kernel: &impl Kernel) {
        Self { right: None, ..self }.release(kernel);
    }

    /// Gives it back. Nothing may be locked.
    #[inline(never)]
    pub(crate) fn release(self, kernel: &impl Kernel) {
        if let Some(right) = self.right {
            kernel.ipc_port_release_send(right);
        }
        // Last, as it needs much of the stack: nothing is kept across it.
        if let Some(spare) = self.spare {
            kernel.ipc_kmsg_destroy(spare);
        }
    }
}

/// What a task's records go to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TracePort {
    /// Nothing: the task is not traced.
    None,
    /// A live port: a right of the caller's.
    Live(SendRight),
    /// Nothing any more: what belonged to a dead port, which the caller releases.
    Dead(Released),
}
