// SPDX-License-Identifier: GPL-2.0-or-later
//! `--until`, `--limit` and `--for`: what is shown is over before what is traced has ended, which goes on untraced.

use mach::port::ReceiveRight;

use super::Session;
use super::end::End;
use super::received::Message;
use crate::Trace;
use crate::world::{Failure, doing};

/// Nanoseconds of a millisecond.
const MILLISECOND: u64 = 1_000_000;

impl Session<'_> {
    /// Lets go of what is traced once nothing more is to be shown of it: processes are left, a command's end is waited for.
    pub(super) fn end_what_is_over(&mut self, end: &mut End, trace: &Trace<'_>) -> Result<(), Failure> {
        if !trace.is_over() || self.has_let_go {
            return Ok(());
        }
        self.has_let_go = true;
        self.release();
        self.let_go();
        if self.subject.is_attached() {
            end.let_go();
            return Ok(());
        }
        // A trace port that is dead traces nobody: who waits to send a record goes on, and so do children, of which no right is ours.
        self.trace = doing("mach_port_allocate", ReceiveRight::allocate())?;
        self.ring = None;
        end.forget_untraced();
        Ok(())
    }

    /// Receives a message, waiting so many milliseconds at most, and not longer than `--for` lasts.
    pub(super) fn receive_within_span(
        &mut self,
        timeout: Option<u32>,
        trace: &Trace<'_>,
    ) -> Result<Option<Message>, Failure> {
        let timeout = timeout.into_iter().chain(self.left(trace)).min();
        let message = self.receive_both(timeout)?;
        match &message {
            Some(Message::Trace | Message::Ring(_)) => {
                self.silent = 0;
                self.comes();
            }
            Some(_) => {}
            None => self.silent = self.silent.saturating_add(timeout.unwrap_or(0)),
        }
        Ok(message)
    }

    /// Nothing has come until the time of `--for` was over.
    pub(super) fn has_passed(&self, trace: &Trace<'_>) -> bool {
        self.left(trace) == Some(0)
    }

    fn left(&self, trace: &Trace<'_>) -> Option<u32> {
        let left = trace.left_of_span(u64::from(self.silent).saturating_mul(MILLISECOND))?;
        Some(u32::try_from(left.div_ceil(MILLISECOND)).unwrap_or(u32::MAX))
    }
}
