// SPDX-License-Identifier: GPL-2.0-or-later
//! Where records of a ring go that somebody has found in a machine's memory: into the text of a trace, into a capture, and into the answer to a question.

use std::boxed::Box;
use std::fmt;
use std::format;
use std::fs::File;
use std::io::Write;
use std::string::String;

use anyhow::Result;
use capture::{Note, Writer};
use mig_defs::table::Tables;
use report::Question;
use trace_port::ring::{Lost, Why};
use trace_port::{EventKind, Record};

use crate::facts::{WIDTH, facts};
use crate::options::Report;
use crate::ring::{Piece, Settled, told};
use crate::{Options, Trace};

/// What is known of a recording besides its records.
#[derive(Clone, Copy, Debug)]
pub struct Source<'t> {
    /// What decodes it.
    pub tables: &'t [u8],
    /// The kernel's own words on its version, empty if they are not known.
    pub kernel: &'t str,
    /// What was asked of the kernel, empty if that is not known.
    pub options: &'t str,
    /// What ran, if that is known.
    pub command: &'t [String],
}

/// How many records there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// That came.
    pub seen: u64,
    /// That were lost.
    pub lost: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "recorder: {} records seen, {} lost", self.seen, self.lost)
    }
}

/// Where records go, one way or the other.
pub struct Kept<'t> {
    form: Form<'t>,
    tally: Tally,
}

enum Form<'t> {
    Text { trace: Box<Trace<'t>>, text: String, out: Box<dyn Write> },
    Capture { writer: Box<Writer>, file: File },
}

impl<'t> Kept<'t> {
    /// Lines of text, which are written there.
    ///
    /// # Errors
    /// If the tables are none.
    pub fn text(source: &Source<'t>, out: Box<dyn Write>) -> Result<Self> {
        let mut trace = Box::new(Trace::new(Tables::parse(source.tables)?, &Options::default(), "")?);
        trace.attach(None);
        trace.keep_to_engines();
        trace.set_apart();
        Ok(Self { form: Form::Text { trace, text: String::new(), out }, tally: Tally::default() })
    }

    /// A capture in this file.
    pub fn capture(source: &Source<'_>, file: File) -> Self {
        let facts = facts(source.kernel, source.options, &source.command.join("\0"), "of the host");
        let mut writer = Box::new(Writer::new(WIDTH, &facts, source.tables));
        writer.note(Note::Attached(None));
        writer.note(Note::ByEngines);
        Self { form: Form::Capture { writer, file }, tally: Tally::default() }
    }

    /// Takes what was found.
    pub fn take(&mut self, found: &mut Settled<'_>) {
        match found {
            Settled::Record(piece) => self.record(piece),
            Settled::Lost(lost) => self.lost(lost),
        }
    }

    fn record(&mut self, piece: &mut Piece<'_>) {
        // The reader has looked at it.
        let Ok(record) = Record::in_ring(piece.bytes()) else { return };
        self.tally.seen += 1;
        let ended = (record.kind == EventKind::TaskDeath).then(|| record.header.task.get());
        match &mut self.form {
            Form::Text { trace, text, .. } => {
                trace.piece(piece, text);
                ended.into_iter().for_each(|task| trace.ended(task, text));
            }
            Form::Capture { writer, .. } => {
                writer.record(piece.bytes());
                ended.into_iter().for_each(|task| writer.note(Note::Ended(task)));
            }
        }
    }

    fn lost(&mut self, lost: &Lost) {
        let Lost { first, last, from, to, bytes, why } = *lost;
        let count = lost.count();
        self.tally.lost = self.tally.lost.saturating_add(count);
        let why = match why {
            Why::Refused => "the recorder had no room for them",
            Why::Overwritten => "newer ones took their place before they were read",
            Why::Damaged => "their memory is damaged, or ends there",
            Why::Unsaid => "refused, or not written to their end",
        };
        let times = times(from, to);
        let said = format!("records {first} to {last} of the recorder are lost: {why}; {bytes} bytes, {times}");
        let lost = told(lost);
        match &mut self.form {
            Form::Text { trace, text, .. } => {
                trace.lost(lost, text);
                trace.mark(&said, text);
            }
            Form::Capture { writer, .. } => {
                writer.note(Note::Lost(lost));
                writer.note(Note::Mark(&said));
            }
        }
    }

    /// Nothing has come for a while.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn idle(&mut self) -> Result<()> {
        match &mut self.form {
            Form::Text { trace, text, .. } => {
                if trace.is_waiting() {
                    trace.idle(text);
                }
            }
            Form::Capture { writer, .. } => {
                writer.note(Note::Idle);
                writer.end_block();
            }
        }
        self.write()
    }

    /// Writes what is complete.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self) -> Result<()> {
        match &mut self.form {
            Form::Text { text, out, .. } => {
                let whole = text.rfind('\n').map_or(0, |end| end + 1);
                out.write_all(&text.as_bytes()[..whole])?;
                text.drain(..whole);
            }
            Form::Capture { writer, file } => {
                file.write_all(writer.bytes())?;
                writer.appended();
            }
        }
        Ok(())
    }

    /// Nothing comes any more, and behind the last record this was lost.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(mut self, lost: Option<Lost>) -> Result<Tally> {
        if let Some(lost) = lost {
            self.lost(&lost);
        }
        match &mut self.form {
            Form::Text { trace, text, .. } => trace.finish(text),
            Form::Capture { writer, .. } => {
                writer.note(Note::Finished);
                writer.finish();
            }
        }
        self.write()?;
        Ok(self.tally)
    }
}

/// From when until when; 0 is not known.
fn times(from: u64, to: u64) -> String {
    match (from, to) {
        (0, 0) => "times unknown".into(),
        (0, to) => format!("until time {to}"),
        (from, 0) => format!("from time {from} on"),
        (from, to) => format!("times {from} to {to}"),
    }
}

impl fmt::Debug for Kept<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("tally", &self.tally).finish_non_exhaustive()
    }
}

/// The answer to a question, by all records.
#[derive(Debug)]
pub struct Asked<'t> {
    trace: Box<Trace<'t>>,
    text: String,
}

impl<'t> Asked<'t> {
    /// Of records that these tables decode.
    ///
    /// # Errors
    /// If the tables are none.
    pub fn new(tables: &'t [u8], question: Question) -> Result<Self> {
        let options = Options { report: Report::Answer(question), ..Options::default() };
        let mut trace = Box::new(Trace::new(Tables::parse(tables)?, &options, "")?);
        trace.attach(None);
        trace.keep_to_engines();
        Ok(Self { trace, text: String::new() })
    }

    /// Takes what was found.
    pub fn take(&mut self, found: &mut Settled<'_>) {
        match found {
            Settled::Record(piece) => self.trace.piece(piece, &mut self.text),
            Settled::Lost(lost) => self.trace.lost(told(lost), &mut self.text),
        }
    }

    /// Nothing comes any more: the text.
    pub fn finish(mut self) -> String {
        self.trace.finish(&mut self.text);
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_nobody_knows_is_no_time() {
        assert_eq!(
            [(0, 0), (0, 7), (5, 0), (5, 7)].map(|(from, to)| times(from, to)),
            ["times unknown", "until time 7", "from time 5 on", "times 5 to 7"]
        );
    }
}
