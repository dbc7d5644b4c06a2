//! Rows to text: times before, hex dumps below: of whole messages, or of what does not conform in one.

use alloc::string::{String, ToString};
use core::fmt::Write;

use mig_defs::dump::Dump;

use crate::line::Part;
use crate::options::{Options, Stamp};
use crate::weave::Row;

const SECOND: u64 = 1_000_000_000;
/// Bytes below a line of a message that does not conform, without `-v`.
const PART_MAX: usize = 128;

/// Prints rows one after the other.
#[derive(Debug, Default)]
pub struct Printer {
    /// Time of the row before.
    before: Option<u64>,
}

impl Printer {
    /// Appends a row and its line end.
    pub fn row(&mut self, options: &Options, row: &Row, out: &mut String) {
        self.stamp(options.stamp, row.time, out);
        // Writing to a String cannot fail.
        let _ = match row.label.as_str() {
            "" => writeln!(out, "{}", row.line),
            label => writeln!(out, "{label} {}", row.line),
        };
        if options.hex {
            for event in &row.messages {
                out.push_str(&Dump::of(&event.message).to_string());
            }
        } else {
            row.line.dumps().for_each(|part| out.push_str(&part_below(part, options.verbose)));
        }
    }

    fn stamp(&mut self, stamp: Stamp, time: u64, out: &mut String) {
        let (seconds, micros) = (time / SECOND, time % SECOND / 1000);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let _ = match stamp {
            Stamp::None => Ok(()),
            Stamp::Day => write!(out, "{hour:02}:{minute:02}:{second:02} "),
            Stamp::DayMicroseconds => write!(out, "{hour:02}:{minute:02}:{second:02}.{micros:06} "),
            Stamp::Epoch => write!(out, "{seconds}.{micros:06} "),
            Stamp::Relative => {
                let since = time.saturating_sub(self.before.unwrap_or(time));
                write!(out, "{:>6}.{:06} ", since / SECOND, since % SECOND / 1000)
            }
        };
        self.before = Some(time);
    }
}

/// The bytes of a message from its first item on that does not conform.
fn part_below(part: &Part, verbose: bool) -> String {
    let all = part.bytes.len();
    let shown = if verbose { all } else { all.min(PART_MAX) };
    let mut text = Dump { bytes: &part.bytes[..shown], offset: part.offset }.to_string();
    if shown < all {
        let _ = writeln!(text, " | {} more bytes (-v, -x)", all - shown);
    }
    text
}

/// A duration in the form of `-T`: `<0.000123>`.
pub fn duration(nanoseconds: u64) -> String {
    let mut text = String::new();
    let _ = write!(text, " <{}.{:06}>", nanoseconds / SECOND, nanoseconds % SECOND / 1000);
    text
}
