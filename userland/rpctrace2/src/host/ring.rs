// SPDX-License-Identifier: GPL-2.0-or-later
//! Where records of a ring go: into the text of a trace, or into a capture.

use std::fmt;
use std::fs::File;
use std::io::Write;

use anyhow::Result;
use bytes::Bytes;
use capture::{Note, Writer};
use mig_defs::table::Tables;
use qemu::recorder::{EventKind, Item, Lost, RingRecord, Why};
use rpctrace2::facts::{WIDTH, facts};
use rpctrace2::{Options, Trace};

/// What is known of a recording besides its records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'t> {
    /// What decodes it.
    pub(crate) tables: &'t [u8],
    /// The kernel's own words on its version, empty if they are not known.
    pub(crate) kernel: &'t str,
    /// What was asked of the kernel, empty if that is not known.
    pub(crate) options: &'t str,
    /// What ran, if that is known.
    pub(crate) command: &'t [String],
}

/// How many records there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) seen: u64,
    pub(crate) lost: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "recorder: {} records seen, {} lost", self.seen, self.lost)
    }
}

/// Where records go.
pub(crate) struct Kept<'t> {
    form: Form<'t>,
    tally: Tally,
}

enum Form<'t> {
    Text { trace: Box<Trace<'t>>, text: String, out: Box<dyn Write> },
    Capture { writer: Box<Writer>, file: File },
}

impl<'t> Kept<'t> {
    /// Lines of text, which are written there.
    pub(crate) fn text(source: &Source<'t>, out: Box<dyn Write>) -> Result<Self> {
        let mut trace = Box::new(Trace::new(Tables::parse(source.tables)?, &Options::default(), "")?);
        trace.attach(None);
        trace.keep_to_engines();
        trace.set_apart();
        Ok(Self { form: Form::Text { trace, text: String::new(), out }, tally: Tally::default() })
    }

    /// A capture in this file.
    pub(crate) fn capture(source: &Source<'_>, file: File) -> Result<Self> {
        let facts = facts(source.kernel, source.options, &source.command.join("\0"), "of the host");
        let mut writer = Box::new(Writer::new(WIDTH, &facts, source.tables));
        writer.note(Note::Attached(None));
        writer.note(Note::ByEngines);
        Ok(Self { form: Form::Capture { writer, file }, tally: Tally::default() })
    }

    /// Takes what a reader has found.
    pub(crate) fn take(&mut self, item: Item<'_>) {
        match item {
            Item::Record(record, contents) => {
                self.tally.seen += 1;
                let ended = (record.kind == EventKind::TaskDeath).then(|| record.header.task.get());
                self.record(contents, ended);
            }
            Item::Lost(lost) => self.lost(&lost),
        }
    }

    fn record(&mut self, contents: &[u8], ended: Option<u32>) {
        match &mut self.form {
            Form::Text { trace, text, .. } => {
                let bytes = Bytes::copy_from_slice(contents);
                // The reader has looked at it.
                if let Ok(record) = RingRecord::in_ring(&bytes) {
                    trace.record(&record, &bytes, text);
                }
                ended.into_iter().for_each(|task| trace.ended(task, text));
            }
            Form::Capture { writer, .. } => {
                writer.record(contents);
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
        let said =
            format!("records {first} to {last} of the recorder are lost: {why}; {bytes} bytes, times {from} to {to}");
        // Records have their numbers of the ring, not those of all events.
        let lost = capture::Lost { first: 0, last: 0, time: from, count, bytes };
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
    pub(crate) fn idle(&mut self) -> Result<()> {
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
    pub(crate) fn write(&mut self) -> Result<()> {
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
    pub(crate) fn finish(mut self, lost: Option<Lost>) -> Result<Tally> {
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
