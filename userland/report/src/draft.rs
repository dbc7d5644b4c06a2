// SPDX-License-Identifier: GPL-2.0-or-later
//! A line while it is written: its text, and what is to stand below it.

use alloc::string::String;
use core::fmt::Write;

use exchanges::event::Event;
use mig_defs::dump::Dump;

use crate::style::Style;

/// Bytes below a line of a message that does not conform, without `-v`.
const PART_MAX: usize = 128;

/// A line without its end, and what stands below it.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) line: String,
    /// Whole lines.
    pub(crate) below: String,
}

impl Draft {
    pub(crate) fn clear(&mut self) {
        self.line.clear();
        self.below.clear();
    }

    /// Puts the bytes of a message from `offset` on below the line, which speaks of them.
    pub(crate) fn dump(&mut self, style: &Style, bytes: &[u8], offset: usize) {
        // All of it stands there then.
        if style.dump || bytes.is_empty() {
            return;
        }
        let shown = if style.verbose { bytes.len() } else { bytes.len().min(PART_MAX) };
        // Writing to a String cannot fail.
        let _ = write!(self.below, "{}", Dump { bytes: &bytes[..shown], offset });
        if shown < bytes.len() {
            let _ = writeln!(self.below, " | {} more bytes (-v, --dump-messages)", bytes.len() - shown);
        }
    }

    /// Puts all bytes of a message below the line, under `what` it is.
    pub(crate) fn dump_all(&mut self, what: &str, event: &Event) {
        let captured = event.message().len();
        let _ = match event.not_captured() {
            0 => writeln!(self.below, " | {what}, {captured} bytes"),
            more => writeln!(self.below, " | {what}, {captured} bytes; {more} more are not in the trace"),
        };
        let _ = write!(self.below, "{}", Dump::of(event.message()));
    }
}
