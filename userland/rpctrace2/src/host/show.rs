// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo rpctrace2 show [OPTION]... FILE`: a capture, printed as its trace would have been.

use std::boxed::Box;
use std::io::{self, IsTerminal, Write};
use std::string::String;
use std::vec::Vec;

use ::export::Wanted;
use anyhow::Result;
use report::Found;

use super::open::Opened;
use super::{Paint, Sink, coverage, export, inputs, is_colored, watch};
use crate::Trace;
use crate::options::place::Here;
use crate::options::selecting::Selecting;
use crate::options::{self, Host, Options, Output, Request, Status, text};

/// Exit status where a file is shown up to where it is cut or damaged.
pub(super) const CUT: u8 = 1;
/// Exit status where an answer is that something is wrong.
const FOUND: u8 = 1;
/// Bytes of text that are written at once.
const BATCH: usize = 64 * 1024;

/// Shows the capture that the words name; answers the exit status.
///
/// # Errors
/// If the words are wrong, or the file is no capture that can be read, or nothing can be written.
pub fn run(words: &[String]) -> Result<u8> {
    match parse_all(words)? {
        Err(text) => print(&text),
        Ok((options, names)) if options.host.to.is_some() => export::write(options, one(&names)?),
        Ok((options, names)) => match &*names {
            [name] => show(options, name),
            names => coverage::show(options, names),
        },
    }
}

/// The options and the file that words name, or what is to be printed instead.
pub(super) fn parse(words: &[String]) -> Result<Result<(Options, String), String>> {
    Ok(match parse_all(words)? {
        Ok((options, names)) => Ok((options, one(&names)?.into())),
        Err(text) => Err(text),
    })
}

fn one(names: &[String]) -> Result<&str> {
    match names {
        [name] => Ok(name),
        names => Err(options::OptionsError::OneFile(names.len()).into()),
    }
}

/// The options and the files that words name, several only where the question is asked of several.
fn parse_all(words: &[String]) -> Result<Result<(Options, Vec<String>), String>> {
    Ok(match options::parse(words.iter().map(String::as_str), Here::Show)? {
        Request::Help => Err(text::help()),
        Request::Version => Err(text::version()),
        Request::Owner(_) => return Err(options::OptionsError::NoCommand.into()),
        Request::Trace { options, command } => {
            inputs::spare(&options.host, &command)?;
            Ok((*options, command))
        }
    })
}

/// What of a capture is wanted in another form than lines.
pub(super) fn wanted(options: &Options) -> Wanted {
    let (status, is_any) = (options.status, options.status == Status::ALL);
    let is_all = is_any && options.expressions.is_empty() && options.selecting == Selecting::default();
    Wanted { outcome: Box::new(move |outcome| status.has(outcome)), is_any, is_all }
}

/// Says which options have selected nothing; whether there are any.
pub(super) fn complain(trace: &Trace<'_>) -> bool {
    let lines = trace.unmatched();
    lines.iter().for_each(|line| std::eprintln!("rpctrace2: {line}"));
    !lines.is_empty()
}

pub(super) fn print(text: &str) -> Result<u8> {
    io::stdout().write_all(text.as_bytes())?;
    Ok(0)
}

fn show(mut options: Options, name: &str) -> Result<u8> {
    let host = core::mem::take(&mut options.host);
    let is_watched = watch::is_wanted(&options, &host);
    let mut opened = Opened::new(name, &host)?;
    let (tables, mut player) = opened.parts()?;
    let mut trace = player.trace(tables, &mut options)?;
    let mut out = Text::open(&host)?;
    let is_free = out.leaves_error_free();
    let cut = if is_watched {
        let mut text = String::new();
        let cut = watch::watch(name, &mut player, &mut trace, &mut text)?;
        out.write(&mut text, true)?;
        cut
    } else {
        player.play(&mut trace, is_free, |text, is_all| out.write(text, is_all))?
    };
    out.sink.close()?;
    complain(&trace);
    if let Some(error) = trace.other_version() {
        return Err(anyhow::Error::msg(std::format!("{name}: {error}")));
    }
    let Some(error) = cut else { return Ok(if trace.found() == Found::Something { FOUND } else { 0 }) };
    std::eprintln!("rpctrace2: {name}: {error}; what is before it has been shown");
    Ok(CUT)
}

/// Lines on their way to where they go. Those that are painted go there whole.
pub(super) struct Text {
    pub(super) sink: Sink,
    paint: Paint,
}

impl Text {
    pub(super) fn open(host: &Host) -> Result<Self> {
        // Nothing else is printed, so that lines are what is asked for.
        let output = if host.output == Output::Error { Output::Standard } else { host.output.clone() };
        let paint = Paint { color: is_colored(&Host { output: output.clone(), ..host.clone() }), column: host.column };
        Ok(Self { sink: Sink::open(&output, host.append)?, paint })
    }

    /// Whether a bar on standard error would stand in nobody's way.
    pub(super) fn leaves_error_free(&self) -> bool {
        match self.sink {
            Sink::Output => !io::stdout().is_terminal(),
            Sink::Error(_) => false,
            Sink::File(_) | Sink::Command(_) => true,
        }
    }

    pub(super) fn write(&mut self, text: &mut String, is_all: bool) -> Result<()> {
        if text.is_empty() || text.len() < BATCH && !is_all {
            return Ok(());
        }
        let painted;
        let bytes = if self.paint == Paint::default() {
            text.as_bytes()
        } else {
            let rest = text.split_off(text.rfind('\n').map_or(0, |end| end + 1));
            painted = self.paint.apply(core::mem::replace(text, rest).into_bytes());
            &painted
        };
        match self.sink.writer() {
            Some(writer) => writer.write_all(bytes)?,
            None => io::stdout().lock().write_all(bytes)?,
        }
        if self.paint == Paint::default() {
            text.clear();
        }
        Ok(())
    }
}
