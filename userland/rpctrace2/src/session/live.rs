// SPDX-License-Identifier: GPL-2.0-or-later
//! `--live`: the figures of `--ask=top` as they stand, drawn anew every second in which something has come.

use alloc::string::String;

use super::Session;
use crate::Trace;
use crate::screen::{CLEAR, USUAL, frame, room};
use crate::world::Failure;

/// How long a drawing stands, in milliseconds.
pub(super) const EVERY: u32 = 1000;
/// Nanoseconds of a millisecond.
const MILLISECOND: u64 = 1_000_000;
const HEAD: &str = "figures so far; Ctrl-C ends the trace";

/// What is on the screen.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// The time of the last record when it was drawn, or of the first one.
    since: Option<u64>,
    has_drawn: bool,
    /// More has come since.
    is_stale: bool,
}

impl Live {
    fn is_due(&mut self, now: u64) -> bool {
        let every = u64::from(EVERY) * MILLISECOND;
        self.is_stale && now.saturating_sub(*self.since.get_or_insert(now)) >= every
    }
}

impl Session<'_> {
    /// A record has come.
    pub(super) fn comes(&mut self) {
        if let Some(live) = &mut self.live {
            live.is_stale = true;
        }
    }

    /// Whether what is on the screen is no longer so.
    pub(super) fn is_stale(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.is_stale)
    }

    /// Draws if that is due: where records come without end, by their times.
    pub(super) fn draw_if_due(&mut self, trace: &Trace<'_>) -> Result<(), Failure> {
        let is_due = self.live.as_mut().is_some_and(|live| live.is_due(trace.now()));
        if is_due { self.draw(trace) } else { Ok(()) }
    }

    pub(super) fn draw(&mut self, trace: &Trace<'_>) -> Result<(), Failure> {
        if let Some(live) = &mut self.live {
            *live = Live { since: Some(trace.now()), has_drawn: true, is_stale: false };
        }
        let mut figures = String::new();
        trace.so_far(room(USUAL), &mut figures);
        self.world.write(&frame(HEAD, &figures, USUAL))
    }

    /// The answer takes the place of what is on the screen.
    pub(super) fn clear(&mut self) -> Result<(), Failure> {
        match self.live.take() {
            Some(Live { has_drawn: true, .. }) => self.world.write(CLEAR),
            _ => Ok(()),
        }
    }
}
