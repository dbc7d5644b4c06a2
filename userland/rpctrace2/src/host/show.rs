// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo rpctrace2 show [OPTION]... FILE`: a capture, printed as its trace would have been.

use std::format;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::string::String;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use capture::{CaptureError, Fact, Facts, ReadError, Reader};
use indicatif::{ProgressBar, ProgressStyle};
use mig_defs::interfaces::{with_directories, without_routines};
use mig_defs::table::Tables;
use report::Found;

use super::{Paint, Sink, compile, directories, is_colored, rpc_lists};
use crate::options::filter::expand;
use crate::options::place::Here;
use crate::options::{self, Host, Output, Request, text};
use crate::replay::Replay;
use crate::trace::Trace;

/// Exit status where a file is shown up to where it is cut or damaged.
const CUT: u8 = 1;
/// Exit status where an answer is that something is wrong.
const FOUND: u8 = 1;
/// How long a file that does not grow is left alone.
const PAUSE: Duration = Duration::from_millis(100);
/// Bytes of text that are written at once.
const BATCH: usize = 64 * 1024;
/// Files that are read sooner than anybody could see a bar have none.
const LONG: u64 = 64 * 1024 * 1024;

/// Shows the capture that the words name; answers the exit status.
///
/// # Errors
/// If the words are wrong, or the file is no capture that can be read, or nothing can be written.
pub fn run(words: &[String]) -> Result<u8> {
    let (mut options, command) = match options::parse(words.iter().map(String::as_str), Here::Show)? {
        Request::Help => return print(&text::help()),
        Request::Version => return print(&text::version()),
        Request::Owner(_) => return Err(options::OptionsError::NoCommand.into()),
        Request::Trace { options, command } => (options, command),
    };
    let name = command.first().map_or("", String::as_str);
    let file = File::open(name).with_context(|| format!("cannot read {name}"))?;
    let size = file.metadata().with_context(|| format!("cannot read {name}"))?.len();
    let mut reader = Reader::new(file);
    let host = core::mem::take(&mut options.host);
    let contents = wait_for(host.follow, || reader.contents()).with_context(|| String::from(name))?;
    let tables = tables(&host, &contents.tables)?;
    let tables = Tables::parse(&tables).with_context(|| format!("{name}: its tables"))?;
    for expression in &mut options.expressions {
        *expression = expand(expression, tables, &compile)?;
    }
    let mut trace = Trace::new(tables, &options, program(&contents.facts))?;
    let mut out = Text::open(&host)?;
    let bar = bar(size, &host, &out.sink);
    let cut = show(&mut reader, &host, &mut trace, &mut out, &bar)?;
    bar.finish_and_clear();
    out.sink.close()?;
    if let Some(error) = trace.other_version() {
        return Err(anyhow::Error::msg(format!("{name}: {error}")));
    }
    let Some(error) = cut else { return Ok(if trace.found() == Found::Something { FOUND } else { 0 }) };
    std::eprintln!("rpctrace2: {name}: {error}; what is before it has been shown");
    Ok(CUT)
}

fn print(text: &str) -> Result<u8> {
    io::stdout().write_all(text.as_bytes())?;
    Ok(0)
}

/// Takes all blocks there are; answers why there are no more, if not all are there.
fn show(
    reader: &mut Reader<File>,
    host: &Host,
    trace: &mut Trace<'_>,
    out: &mut Text,
    bar: &ProgressBar,
) -> Result<Option<ReadError>> {
    let mut replay = Replay::default();
    let cut = loop {
        if host.follow {
            out.write()?;
        }
        let block = match wait_for(host.follow, || reader.next_block()) {
            Ok(Some(block)) => block,
            Ok(None) => break None,
            Err(ReadError::Io(error)) => return Err(error.into()),
            Err(error) => break Some(error),
        };
        let (number, offset) = (block.head.number, block.offset);
        let wrong = replay.block(&Bytes::from(block.contents), trace, &mut out.text);
        bar.set_position(reader.offset());
        if out.text.len() >= BATCH {
            out.write()?;
        }
        if let Err(at) = wrong {
            let error = CaptureError::Contents { block: number, offset, item: "an entry", at: at as u64 };
            break Some(error.into());
        }
    };
    replay.end(trace, &mut out.text);
    out.write()?;
    Ok(cut)
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

/// The name of the command that was traced.
fn program(facts: &Facts) -> &str {
    facts.get(Fact::Command).and_then(|words| words.split('\0').next()).unwrap_or("")
}

/// The tables of the file and those that the options name.
fn tables(host: &Host, of_file: &[u8]) -> Result<std::vec::Vec<u8>> {
    let lists = rpc_lists(&host.rpc_lists)?;
    let builtin = if host.nostdinc { without_routines() } else { of_file.to_vec() };
    Ok(with_directories(&directories(host, lists.as_ref()), &[], &builtin)?)
}

/// A bar for what takes long, on a terminal that is not written to.
fn bar(size: u64, host: &Host, sink: &Sink) -> ProgressBar {
    let is_free = match sink {
        Sink::Output => !io::stdout().is_terminal(),
        Sink::Error(_) => false,
        Sink::File(_) | Sink::Command(_) => true,
    };
    if host.follow || size < LONG || !is_free || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(size);
    // The template is a constant; if it were wrong, indicatif's own style would do.
    if let Ok(style) = ProgressStyle::with_template("[{bar:20}] {binary_bytes}/{binary_total_bytes}, {eta} left") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// Lines on their way to where they go. Those that are painted go there whole.
struct Text {
    text: String,
    sink: Sink,
    paint: Paint,
}

impl Text {
    fn open(host: &Host) -> Result<Self> {
        // Nothing else is printed, so that lines are what is asked for.
        let output = if host.output == Output::Error { Output::Standard } else { host.output.clone() };
        let paint = Paint { color: is_colored(&Host { output: output.clone(), ..host.clone() }), column: host.column };
        Ok(Self { text: String::new(), sink: Sink::open(&output, host.append)?, paint })
    }

    fn write(&mut self) -> Result<()> {
        if self.text.is_empty() {
            return Ok(());
        }
        let painted;
        let bytes = if self.paint == Paint::default() {
            self.text.as_bytes()
        } else {
            let rest = self.text.split_off(self.text.rfind('\n').map_or(0, |end| end + 1));
            painted = self.paint.apply(core::mem::replace(&mut self.text, rest).into_bytes());
            &painted
        };
        match self.sink.writer() {
            Some(writer) => writer.write_all(bytes)?,
            None => io::stdout().lock().write_all(bytes)?,
        }
        if self.paint == Paint::default() {
            self.text.clear();
        }
        Ok(())
    }
}
