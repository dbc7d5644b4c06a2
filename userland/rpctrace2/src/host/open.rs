// SPDX-License-Identifier: GPL-2.0-or-later
//! A capture that words name: opened, and played into a trace.

use std::format;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::string::String;
use std::thread;
use std::time::Duration;
use std::vec::Vec;

use anyhow::{Context, Result};
use bytes::Bytes;
use capture::{CaptureError, Fact, Facts, ReadError, Reader};
use indicatif::{ProgressBar, ProgressStyle};
use mig_defs::interfaces::{with_directories, without_routines};
use mig_defs::table::Tables;

use super::{compile, directories, rpc_lists};
use crate::options::filter::expand;
use crate::options::{Host, Options};
use crate::replay::Replay;
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
        let contents = wait_for(host.follow, || reader.contents()).with_context(|| String::from(name))?;
        let tables = tables(host, &contents.tables)?;
        Ok(Self { name: name.into(), reader, size, follow: host.follow, facts: contents.facts, tables })
    }

    /// What it is decoded with, and the reader.
    pub(super) fn parts(&mut self) -> Result<(Tables<'_>, Player<'_>)> {
        let tables = Tables::parse(&self.tables).with_context(|| format!("{}: its tables", self.name))?;
        let (reader, facts) = (&mut self.reader, &self.facts);
        Ok((tables, Player { reader, facts, size: self.size, follow: self.follow }))
    }
}

/// What reads a capture, and plays it into a trace.
pub(super) struct Player<'a> {
    reader: &'a mut Reader<File>,
    facts: &'a Facts,
    size: u64,
    follow: bool,
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
    /// no more, if not all is there. A bar is shown if standard error is free and it takes long.
    pub(super) fn play(
        &mut self,
        trace: &mut Trace<'_>,
        is_free: bool,
        mut write: impl FnMut(&mut String, bool) -> Result<()>,
    ) -> Result<Option<ReadError>> {
        let bar = bar(self.size, self.follow, is_free);
        let (mut replay, mut text) = (Replay::default(), String::new());
        let cut = loop {
            if self.follow {
                write(&mut text, true)?;
            }
            match self.step(&mut replay, trace, &mut text)? {
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
                let Err(at) = replay.block(&Bytes::from(block.contents), trace, text) else { return Ok(Step::More) };
                Some(CaptureError::Contents { block: number, offset, item: "an entry", at: at as u64 }.into())
            }
            Ok(None) => None,
            Err(error) if self.follow && error.is_cut() => return Ok(Step::Waiting),
            Err(ReadError::Io(error)) => return Err(error.into()),
            Err(error) => Some(error),
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
    End(Option<ReadError>),
}

/// What a file has next. If it ends too early and somebody writes it, that is waited for.
fn wait_for<T>(follow: bool, mut read: impl FnMut() -> Result<T, ReadError>) -> Result<T, ReadError> {
    loop {
        match read() {
            Err(error) if follow && error.is_cut() => thread::sleep(PAUSE),
            other => return other,
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
    // The template is a constant; if it were wrong, indicatif's own style would do.
    if let Ok(style) = ProgressStyle::with_template("[{bar:20}] {binary_bytes}/{binary_total_bytes}, {eta} left") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}
