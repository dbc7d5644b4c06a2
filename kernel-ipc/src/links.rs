// SPDX-License-Identifier: GPL-2.0-or-later
//! What connects the exception that a thread is in with its answer. For messages and replies see [`crate::stamp`] and
//! [`crate::replies`].
//!
//! A table of fixed size; a newer exception takes the place of an older one. A forgotten link costs a correlation number, never a
//! message.

use spin::mutex::SpinMutex;

use crate::numbers::{Correlation, ThreadNumber};

/// Exceptions that are waited for.
const EXCEPTIONS: usize = 64;

/// Links.
pub(crate) struct Links {
    exceptions: SpinMutex<[(ThreadNumber, Correlation); EXCEPTIONS]>,
}

impl Links {
    /// Nothing linked. All zero bytes.
    pub(crate) const fn new() -> Self {
        Self { exceptions: SpinMutex::new([(ThreadNumber::NONE, Correlation::NONE); EXCEPTIONS]) }
    }

    /// Notes the correlation number of a thread's exception.
    pub(crate) fn raised(&self, thread: ThreadNumber, correlation: Correlation) {
        if let Some(slot) = self.exceptions.lock().get_mut(thread.get() as usize % EXCEPTIONS) {
            *slot = (thread, correlation);
        }
    }

    /// The correlation number of the exception whose reply a thread got, or none.
    pub(crate) fn replied(&self, thread: ThreadNumber) -> Correlation {
        match self.exceptions.lock().get(thread.get() as usize % EXCEPTIONS) {
            Some(&(known, correlation)) if known == thread => correlation,
            _ => Correlation::NONE,
        }
    }
}
