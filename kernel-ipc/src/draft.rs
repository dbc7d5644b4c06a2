// SPDX-License-Identifier: GPL-2.0-or-later
//! A record that is not queued yet.

use trace_port::record::HEADER_TYPE_OFFSET;

use crate::gnumach::{OwnedKmsg, Record};

/// Where the first record of a message stands.
pub(crate) const FIRST: usize = HEADER_TYPE_OFFSET;

/// A message for the trace port that lacks only the outcome. What it shows is copied and the rights are taken when the event
/// happens, because the call may end the task.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Draft(OwnedKmsg);

impl Draft {
    /// A draft in memory that has all its parts.
    #[inline(always)]
    pub(crate) fn of(memory: OwnedKmsg) -> Self {
        Self(memory)
    }

    /// The message.
    #[inline(always)]
    pub(crate) fn record(&self) -> Record {
        self.0.record()
    }

    /// Its memory, with the rights in it.
    #[inline(always)]
    pub(crate) fn into_memory(self) -> OwnedKmsg {
        self.0
    }
}
