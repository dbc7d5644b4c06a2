// SPDX-License-Identifier: GPL-2.0-or-later
//! Bytes as rows of sixteen: where, in hexadecimal, as text; for messages that do not conform.

use core::fmt;

const ROW: usize = 16;

/// A part of a message, to be displayed with the places in the message before it, each row a line.
///
/// ```
/// let item = mig_defs::dump::Dump { bytes: b"\x02\x20\x00\x20hi\n", offset: 0x20 };
/// assert_eq!(
///     item.to_string(),
///     " | 00020  02 20 00 20 68 69 0a                              . . hi.\n"
/// );
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Dump<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// Where in the message the first stands.
    pub offset: usize,
}

impl<'a> Dump<'a> {
    /// Of a whole message.
    pub fn of(message: &'a [u8]) -> Self {
        Self { bytes: message, offset: 0 }
    }
}

impl fmt::Display for Dump<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, row) in self.bytes.chunks(ROW).enumerate() {
            write!(out, " | {:05x} ", self.offset + index * ROW)?;
            for place in 0..ROW {
                out.write_str(if place == ROW / 2 { "  " } else { " " })?;
                match row.get(place) {
                    Some(byte) => write!(out, "{byte:02x}")?,
                    None => out.write_str("  ")?,
                }
            }
            out.write_str("  ")?;
            for byte in row {
                write!(out, "{}", if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' })?;
            }
            out.write_str("\n")?;
        }
        Ok(())
    }
}
