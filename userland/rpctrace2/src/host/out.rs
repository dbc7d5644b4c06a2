// SPDX-License-Identifier: GPL-2.0-or-later
//! Where text goes that is made of captures.

use std::format;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::string::{String, ToString};

use anyhow::{Context, Result};

use super::whole::Whole;
use super::{Paint, Sink, is_colored};
use crate::options::{Host, Output};

/// Bytes of text that are written at once.
const BATCH: usize = 64 * 1024;
/// What standard output is called in errors.
pub(super) const STANDARD: &str = "standard output";

/// Lines on their way to where they go. Those that are painted go there whole.
pub(super) struct Text {
    to: To,
    /// What errors call it.
    name: String,
    paint: Paint,
}

enum To {
    /// What others may read meanwhile.
    Sink(Sink),
    File(Whole),
}

impl Text {
    pub(super) fn open(host: &Host) -> Result<Self> {
        // Nothing else is printed, so that lines are what is asked for.
        let output = if host.output == Output::Error { Output::Standard } else { host.output.clone() };
        let paint = Paint { color: is_colored(&Host { output: output.clone(), ..host.clone() }), column: host.column };
        let name = name_of(&output);
        let to = match output {
            // What is appended to has to stay, and of what is followed the lines are wanted as they come: neither can be written elsewhere first.
            Output::File(name) if !host.append && !host.follow => {
                To::File(Whole::open(&name).with_context(|| format!("cannot write {name}"))?)
            }
            output => To::Sink(Sink::open(&output, host.append)?),
        };
        Ok(Self { to, name, paint })
    }

    /// Whether a bar on standard error would stand in nobody's way.
    pub(super) fn leaves_error_free(&self) -> bool {
        match self.to {
            To::Sink(Sink::Output) => !io::stdout().is_terminal(),
            To::Sink(Sink::Error(_)) => false,
            To::Sink(Sink::File(_) | Sink::Command(..)) | To::File(_) => true,
        }
    }

    pub(super) fn write(&mut self, text: &mut String, is_all: bool) -> Result<()> {
        if text.is_empty() || text.len() < BATCH && !is_all {
            return Ok(());
        }
        if self.paint == Paint::default() {
            self.write_all(text.as_bytes())?;
            text.clear();
            return Ok(());
        }
        let rest = text.split_off(text.rfind('\n').map_or(0, |end| end + 1));
        let painted = self.paint.apply(core::mem::replace(text, rest).into_bytes());
        self.write_all(&painted)
    }

    fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        let written = match &mut self.to {
            To::File(file) => file.file().write_all(bytes),
            To::Sink(sink) => match sink.writer() {
                Some(writer) => writer.write_all(bytes),
                None => standard(bytes),
            },
        };
        written.with_context(|| format!("cannot write {}", self.name))
    }

    /// All has been written if all went well: then a file takes the place that it belongs to; otherwise it goes.
    pub(super) fn end<T>(self, result: Result<T>) -> Result<T> {
        match (self.to, result) {
            (To::File(file), Ok(value)) => {
                file.keep().with_context(|| format!("cannot write {}", self.name))?;
                Ok(value)
            }
            (To::File(_), Err(error)) => Err(error),
            (To::Sink(sink), result) => {
                let ended = sink.end();
                // What has become of who reads it says more than that it was not read.
                if result.as_ref().map_or_else(is_pipe, |_| true) {
                    ended?;
                }
                result
            }
        }
    }
}

fn standard(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// What errors call the place of a trace.
pub fn name_of(output: &Output) -> String {
    match output {
        Output::Standard => STANDARD.to_string(),
        Output::Error => "standard error".to_string(),
        Output::File(path) => path.clone(),
        Output::Command(command) => format!("to `{command}`"),
    }
}

/// Prints text; answers the exit status.
pub(super) fn print(text: &str) -> Result<u8> {
    standard(text.as_bytes()).with_context(|| format!("cannot write {STANDARD}"))?;
    Ok(0)
}

/// Whether who reads what is written has seen enough.
pub fn is_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
