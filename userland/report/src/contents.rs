// SPDX-License-Identifier: GPL-2.0-or-later
//! What memory out of line held, and when it was read: it is no part of the message, and may have been changed by then.

use alloc::string::String;

use exchanges::memory::Found;
use mig_defs::table::Tables;
use mig_defs::value::Units;
use trace_port::Direction;

use crate::number::decimal;
use crate::pieces;
use crate::values::{ELEMENTS_MAX, Writer};

impl Writer<'_> {
    /// `; read after the copy: "text"` of memory out of line; nothing where nobody was to read it.
    pub(crate) fn contents(&mut self, (address, size): (u64, u64), (units, count): (Units, u32)) {
        let event = self.event;
        let Some(memory) = event.memory(address, size) else { return };
        self.push("; ");
        let Found::Read(bytes) = &memory.found else {
            return not_read(&mut self.draft.line, self.tables, &memory.found);
        };
        if (bytes.len() as u64) < size {
            decimal(&mut self.draft.line, bytes.len());
            self.push(" ");
        }
        self.push(read_when(event.direction));
        self.push(": ");
        self.elements_read(bytes, units, size.checked_div(count.into()).unwrap_or(0));
    }

    /// Elements of so many bytes each.
    fn elements_read(&mut self, bytes: &[u8], units: Units, stride: u64) {
        let stride = match units {
            Units::Integers(_) | Units::Names if matches!(stride, 1 | 2 | 4 | 8) => stride as usize,
            _ => return self.data(bytes),
        };
        self.push("[");
        for (index, element) in bytes.chunks_exact(stride).enumerate() {
            self.push(if index > 0 { ", " } else { "" });
            if index == ELEMENTS_MAX && !self.style.verbose {
                self.push("...");
                break;
            }
            let mut word = [0; 8];
            word.iter_mut().zip(element).for_each(|(place, byte)| *place = *byte);
            let (value, unused) = (i64::from_le_bytes(word), 64 - 8 * stride as u32);
            match units {
                // A name has no sign.
                Units::Names => decimal(&mut self.draft.line, value),
                _ => decimal(&mut self.draft.line, value.wrapping_shl(unused) >> unused),
            }
        }
        self.push("]");
    }
}

/// Why memory out of line was not read, if it was not.
pub(crate) fn not_read(out: &mut String, tables: Tables<'_>, found: &Found) {
    out.push_str(begins_not_read(found));
    if let Found::Refused(code) = found {
        pieces::code(out, tables, *code);
    }
}

/// Why memory out of line was not read, up to the name of a return code, which belongs behind it; empty if it was read.
pub(crate) const fn begins_not_read(found: &Found) -> &'static str {
    match found {
        Found::Read(_) => "",
        Found::GivenAway => "given away",
        Found::Refused(_) => "not read: ",
        Found::Paged => "not read: a pager provides it",
    }
}

/// When memory out of line of a message was read that a task has sent, or has received.
pub(crate) const fn read_when(direction: Direction) -> &'static str {
    match direction {
        Direction::Send => "read after the copy",
        Direction::Receive => "read before the return",
    }
}
