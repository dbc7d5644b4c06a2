// SPDX-License-Identifier: GPL-2.0-or-later
//! A capture that words name: opened, and played into a trace.

use std::format;
use std::fs::File;
use std::io::{self, IsTerminal, Seek};
use std::os::unix::fs::MetadataExt;
use std::string::String;
use std::thread;
use std::time::Duration;
use std::vec::Vec;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use capture::{CaptureError, Contents, Fact, Facts, ReadError, Reader};
use indicatif::{ProgressBar, ProgressStyle};
use mig_defs::interfaces::{with_directories, without_routines};
use mig_defs::table::Tables;
use thiserror::Error;

use super::{compile, directories, rpc_lists, stop};
use crate::options::filter::expand;
use crate::options::{Host, Options};
use crate::replay::Replay;
use crate::screen::USUAL;
use crate::trace::Trace;

/// How long a file that does not grow is left alone.
pub(super) const PAUSE: Duration = Duration::from_millis(100);
/// Files that are read sooner than anybody could see a bar have none.
const LONG: u64 = 64 * 1024 * 1024;

/// A capture.
pub(super) struct Opened {
    name: String,
    reader: Reader<File>,
    size: u64,
    follow: bool,
    /// What it says of itself.
    pub(super) facts: Facts,
    /// The tables of the file and those that the options name.
    tables: Vec<u8>,
}

impl Opened {
    /// Opens the file of this name, and reads what is before the first record.
    pub(super) fn new(name: &str, host: &Host) -> Result<Self> {
        let file = File::open(name).with_context(|| format!("cannot read {name}"))?;
        let size = file.metadata().with_context(|| format!("cannot read {name}"))?.len();
        let mut reader = Reader::new(file);
        let contents = contents(&mut reader, host.follow).with_context(|| String::from(name))?;
        let tables = tables(host, &contents.tables)?;
        Ok(Self { name: name.into(), reader, size, follow: host.follow, facts: contents.facts, tables })
    }

    /// What it is decoded with, and the reader.
    pub(super) fn parts(&mut self) -> Result<(Tables<'_>, Player<'_>)> {
        let tables = Tables::parse(&self.tables).with_context(|| format!("{}: its tables", self.name))?;
        let Self { name, reader, facts, size, follow, .. } = self;
        let lost = Lost::default();
        Ok((tables, Player { name, reader, facts, size: *size, follow: *follow, lost, has_begun: false }))
    }
}

/// What reads a capture, and plays it into a trace.
pub(super) struct Player<'a> {
    name: &'a str,
    reader: &'a mut Reader<File>,
    facts: &'a Facts,
    size: u64,
    follow: bool,
    lost: Lost,
    /// Something has been played.
    has_begun: bool,
}

impl Player<'_> {
    /// A trace of the command that was traced, with these options.
    pub(super) fn trace<'t>(&self, tables: Tables<'t>, options: &mut Options) -> Result<Trace<'t>> {
        for expression in &mut options.expressions {
            *expression = expand("-e", expression, tables, &compile)?;
        }
        options.selecting.expand(tables, &compile)?;
        let command = self.facts.get(Fact::Command).and_then(|words| words.split('\0').next()).unwrap_or("");
        Ok(Trace::new(tables, options, command)?)
    }

    /// Plays all there is into a trace. `write` takes the text, whenever there is some and when more has to be waited for. Answers why there is
    /// no more, if not all is there. A bar is shown if standard error is free and it takes long. What is followed ends with a signal, too.
    pub(super) fn play(
        &mut self,
        trace: &mut Trace<'_>,
        is_free: bool,
        mut write: impl FnMut(&mut String, bool) -> Result<()>,
    ) -> Result<Option<Cut>> {
        let bar = bar(self.size, self.follow, is_free);
        let (mut replay, mut text) = (Replay::default(), String::new());
        let cut = loop {
            if self.follow {
                write(&mut text, true)?;
            }
            match self.step_until_signal(&mut replay, trace, &mut text)? {
                Step::More => {}
                Step::Waiting => {
                    thread::sleep(PAUSE);
                    continue;
                }
                Step::End(cut) => break cut,
            }
            bar.set_position(self.reader.offset());
            write(&mut text, false)?;
        };
        write(&mut text, true)?;
        bar.finish_and_clear();
        Ok(cut)
    }

    /// What [`Self::step`] does, and the end when a signal has come, or an error if it comes before all of a file that is not followed. It is an error,
    /// too, if nothing is there before a cut.
    pub(super) fn step_until_signal(
        &mut self,
        replay: &mut Replay,
        trace: &mut Trace<'_>,
        text: &mut String,
    ) -> Result<Step> {
        if self.follow {
            stop::catch();
        }
        match (stop::is_caught(), self.follow) {
            (true, false) => bail!("{}: interrupted", self.name),
            (true, true) => {
                replay.end(trace, text);
                Ok(Step::End(None))
            }
            (false, _) => match self.step(replay, trace, text)? {
                Step::End(Some(cut)) if !self.has_begun => {
                    Err(anyhow::Error::new(cut).context(String::from(self.name)))
                }
                step => Ok(step),
            },
        }
    }

    /// Plays what comes next into a trace; appends the text.
    pub(super) fn step(&mut self, replay: &mut Replay, trace: &mut Trace<'_>, text: &mut String) -> Result<Step> {
        // The rest of the file changes nothing.
        if trace.is_over() {
            replay.end(trace, text);
            return Ok(Step::End(None));
        }
        let cut = match self.reader.next_block() {
            Ok(Some(block)) => {
                let (number, offset) = (block.head.number, block.offset);
                let played = replay.block(&Bytes::from(block.contents), trace, text);
                self.has_begun |= played != Err(0);
                let Err(at) = played else { return Ok(Step::More) };
                let at = at as u64;
                Some(ReadError::from(CaptureError::Contents { block: number, offset, item: "an entry", at }).into())
            }
            Ok(None) => None,
            Err(error) if self.follow && error.is_cut() => match self.lost.look(self.reader.file_mut())? {
                None => return Ok(Step::Waiting),
                lost => lost,
            },
            Err(ReadError::Io(error)) => return Err(error).with_context(|| format!("cannot read {}", self.name)),
            Err(error) => Some(error.into()),
        };
        replay.end(trace, text);
        Ok(Step::End(cut))
    }
}

/// What playing on has come to.
pub(super) enum Step {
    /// Something was played.
    More,
    /// Somebody writes the file, and has not written more yet.
    Waiting,
    /// There is no more; why, if not all is there.
    End(Option<Cut>),
}

/// Why not all of a capture is there.
#[derive(Debug, Error)]
pub(super) enum Cut {
    /// It says so itself.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Whoever followed it would wait for ever.
    #[error("it has been removed while it was followed")]
    Removed,
    /// What has been read is no longer in it: what comes would be of something else.
    #[error("it has been truncated while it was followed: expected {expected} bytes at least, found {found}")]
    Truncated {
        /// Bytes that were read.
        expected: u64,
        /// Bytes that it has now.
        found: u64,
    },
}

/// Whether what is followed is still there.
#[derive(Debug, Default)]
struct Lost {
    /// How far it had been read when it was not.
    suspect: Option<u64>,
}

impl Lost {
    /// Looks where there is no more to be read. What was written last is read first: only who finds it gone twice at the same place is told.
    fn look(&mut self, file: &mut File) -> io::Result<Option<Cut>> {
        let (metadata, read) = (file.metadata()?, file.stream_position());
        // A pipe has neither length nor name.
        let Some(expected) = read.ok().filter(|_| metadata.is_file()) else { return Ok(None) };
        let found = metadata.len();
        let cut = match () {
            () if found < expected => Some(Cut::Truncated { expected, found }),
            () if metadata.nlink() == 0 => Some(Cut::Removed),
            () => None,
        };
        let before = self.suspect.replace(expected);
        self.suspect = self.suspect.filter(|_| cut.is_some());
        Ok(cut.filter(|_| before == Some(expected)))
    }
}

/// What stands before the first record. If the file ends there and somebody writes it, that is waited for.
fn contents(reader: &mut Reader<File>, follow: bool) -> Result<Contents> {
    let mut lost = Lost::default();
    loop {
        match reader.contents() {
            Err(error) if follow && error.is_cut() => match lost.look(reader.file_mut())? {
                Some(cut) => return Err(cut.into()),
                None => thread::sleep(PAUSE),
            },
            other => return Ok(other?),
        }
    }
}

/// The tables of the file and those that the options name.
fn tables(host: &Host, of_file: &[u8]) -> Result<Vec<u8>> {
    let lists = rpc_lists(&host.rpc_lists)?;
    let builtin = if host.nostdinc { without_routines() } else { of_file.to_vec() };
    Ok(with_directories(&directories(host, lists.as_ref()), &[], &builtin)?)
}

/// A bar for what takes long, on a terminal that is not written to.
fn bar(size: u64, follow: bool, is_free: bool) -> ProgressBar {
    if follow || size < LONG || !is_free || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(size);
    let columns = view::size().map_or(USUAL.0, |(columns, _)| columns.into());
    // If the template were wrong, indicatif's own style would do.
    if let Ok(style) = ProgressStyle::with_template(&template(columns)) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// What has room in so many columns: a line that wraps is not taken back.
fn template(columns: usize) -> String {
    /// Columns of all but the bar itself: two brackets, ` 123.45 MiB/123.45 MiB, 59m left`, and the last one, which stays free.
    const BESIDE: usize = 36;
    const BAR: usize = 20;
    const LEAST: usize = 4;
    match columns.saturating_sub(BESIDE).min(BAR) {
        length @ LEAST.. => format!("[{{bar:{length}}}] {{binary_bytes}}/{{binary_total_bytes}}, {{eta}} left"),
        _ => "{percent} %, {eta} left".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_has_room() {
        for (columns, expected) in
            [(200, "[{bar:20}] "), (56, "[{bar:20}] "), (40, "[{bar:4}] "), (39, "{percent} %, "), (0, "{percent} %, ")]
        {
            assert!(template(columns).starts_with(expected), "{columns}: {}", template(columns));
        }
    }
}
