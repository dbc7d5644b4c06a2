// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu autopsy`: what the recorder in a machine's memory has last, and who waits for whom: of a machine of ours, of any QEMU with a
//! monitor or a gdb socket, or of memory in a file. It needs nothing of the machine but its memory.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use qemu::autopsy::{Source, find};
use qemu::recorder::{GuestRing, Reader};
use qemu::setup;
use qemu::ui::Progress;
use rpctrace2::Question;
use rpctrace2::host::outputs::{Role, keep_apart};
use rpctrace2::host::ring::{self, Asked, Kept};
use rpctrace2::ring::{Inbox, Settled};

use crate::cli::{Autopsy, Options};
use crate::cmd::{inputs, record};

/// Steps of the preparation, for the progress bar.
const STEPS: u64 = 3;

/// How often it is looked again whether a ring has more, while it is written: what came meanwhile is enough.
const TURNS: u32 = 1 << 16;

pub(crate) fn run(options: &Options, autopsy: &Autopsy) -> Result<u8> {
    let source = source(options, autopsy)?;
    let choices = options.choices();
    if let Some(path) = &autopsy.output {
        let mut read = inputs(&choices, None);
        if let Source::File(path) = &source {
            read.push(Role { role: "the memory that is read", path });
        }
        keep_apart(&[Role { role: "the capture", path }], &read)?;
    }
    // First: without a recorder nothing has to be fetched.
    let found = find(&source, autopsy.at)?;
    let tables = setup::decode_tables(&choices, &mut Progress::new(STEPS))?;
    let known = ring::Source { tables: &tables, kernel: "", options: "", command: &[] };
    let last = Arc::new(Mutex::new(Last { most: autopsy.last, ..Last::default() }));
    let mut text = Kept::text(&known, Box::new(Shared(Arc::clone(&last))))?;
    let mut capture = match &autopsy.output {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            Some(Kept::capture(&known, file))
        }
        None => None,
    };
    let unwritten = || format!("cannot write {}", autopsy.output.as_deref().unwrap_or(Path::new("")).display());
    let mut who = Asked::new(&tables, Question::Stuck)?;
    let mut reader = Reader::open(&found.ring)?;
    let mut inbox = Inbox::new(GuestRing::BATCH);
    for _ in 0..TURNS {
        let before = (reader.position(), reader.number());
        inbox.read(&mut reader, &found.ring)?;
        while let Some(mut settled) = inbox.take_next() {
            who.take(&mut settled);
            text.take(&mut settled);
            capture.iter_mut().for_each(|capture| capture.take(&mut settled));
        }
        text.write()?;
        capture.iter_mut().try_for_each(Kept::write).with_context(unwritten)?;
        if (reader.position(), reader.number()) == before {
            break;
        }
    }
    let rest = reader.rest(&found.ring);
    let tally = text.finish(rest)?;
    if let Some(capture) = capture {
        capture.finish(rest).with_context(unwritten)?;
    }
    rest.into_iter().for_each(|lost| who.take(&mut Settled::Lost(lost)));
    let mut out = io::stdout().lock();
    last.lock().unwrap_or_else(PoisonError::into_inner).write(&mut out)?;
    writeln!(out, "\nwho waits for whom:")?;
    out.write_all(who.finish().as_bytes())?;
    writeln!(out, "recorder at {:#x}: {} records, {} lost", found.address, tally.seen, tally.lost)?;
    Ok(0)
}

/// What the options name; without any, the only machine of ours that has a recorder.
fn source(options: &Options, autopsy: &Autopsy) -> Result<Source> {
    if let Some(socket) = &autopsy.monitor {
        return Ok(Source::Monitor(socket.clone()));
    }
    if let Some(socket) = &autopsy.gdb {
        let memory = u64::from(options.choices().memory);
        return Ok(Source::Gdb(socket.clone(), memory << 20));
    }
    if let Some(file) = &autopsy.file {
        return Ok(Source::File(file.clone()));
    }
    let ours = record::memories(&std::env::temp_dir())?;
    match &ours[..] {
        [one] => Ok(Source::File(one.clone())),
        [] => bail!(
            "no machine of ours has a recorder (`cargo qemu record` starts one): expected FILE, --monitor or --gdb"
        ),
        several => bail!("{} machines of ours have a recorder: expected one of {}", several.len(), list(several)),
    }
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// The last lines of a text.
#[derive(Debug, Default)]
struct Last {
    lines: VecDeque<String>,
    most: usize,
    /// Lines that were before them.
    before: u64,
}

impl Last {
    fn take(&mut self, text: &str) {
        for line in text.lines() {
            self.lines.push_back(line.to_owned());
            if self.lines.len() > self.most {
                self.lines.pop_front();
                self.before += 1;
            }
        }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        if self.before > 0 {
            writeln!(out, "... {} lines before these (--last N shows more) ...", self.before)?;
        }
        self.lines.iter().try_for_each(|line| writeln!(out, "{line}"))
    }
}

/// Whole lines are written to it.
struct Shared(Arc<Mutex<Last>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_the_others_counted() {
        let mut last = Last { most: 2, ..Last::default() };
        last.take("one\ntwo\n");
        last.take("three\n");
        let mut out = Vec::new();
        last.write(&mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "... 1 lines before these (--last N shows more) ...\ntwo\nthree\n");
    }
}
