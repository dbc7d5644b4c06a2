// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu record [-o FILE] PROGRAM [ARGUMENTS]`: what the kernel's own recorder has of every task, read from the machine's memory while
//! it runs. Nothing in the machine traces. However it ends, what was still there is read to the last committed record.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow, bail};
use qemu::autopsy::{folder, private};
use qemu::link::recorder_fits;
use qemu::recorder::{GuestRing, Reader, RingError};
use qemu::setup::Choices;
use qemu::ui::say;
use qemu::vm::{Failure, Input, Interrupt};
use rpctrace2::host::outputs::{Role, hold, keep_apart};
use rpctrace2::host::ring::{Kept, Source, Tally};
use rpctrace2::ring::Inbox;

use crate::cli::{self, Record};
use crate::cmd::{Launch, attend, host_file, inputs, prepare, spelled_out, take_host_program};

/// The kernel's word for recording headers, and for recording all.
pub(crate) const HEADERS: &str = "rpctrace2=record";
pub(crate) const ALL: &str = "rpctrace2=all";

/// How long a reader waits that has read everything.
const PAUSE: Duration = Duration::from_millis(1);

/// After so many pauses what is held back is printed, such as a request whose reply has not come.
const SILENCE: u32 = 250;

/// What the name of a folder with a machine's memory begins with, and the name of the memory in it.
const FOLDER: &str = "rpctrace2-memory-";
const MEMORY: &str = "memory";

/// What the files are that are written.
const CAPTURE: &str = "where the capture goes";
const RUNS_ON: &str = "the machine's memory";

pub(crate) fn run(machine: &cli::Options, record: &Record) -> Result<u8> {
    let mut command: Vec<String> = record.command.iter().map(|argument| spelled_out(argument)).collect();
    let runs = host_file(&command);
    let program = take_host_program(&mut command)?;
    if machine.is_stock() {
        bail!("--stock: the kernel as it is has no recorder");
    }
    let outputs = [(CAPTURE, &record.output), (RUNS_ON, &record.memory_file)];
    let outputs = outputs.iter().filter_map(|(role, path)| path.as_ref().map(|path| Role { role, path }));
    let choices = Choices {
        words: if record.headers { HEADERS } else { ALL }.to_owned(),
        recorder: record.recorder,
        ..machine.choices()
    };
    keep_apart(&outputs.collect::<Vec<_>>(), &inputs(&choices, runs.as_deref()))?;
    recorder_fits(record.recorder, choices.memory).map_err(Error::msg)?;
    let mut prepared = prepare(&choices, command.first().filter(|_| program.is_none()))?;
    let layout = prepared.layout()?;
    let kept = match &record.output {
        Some(path) => Some(File::create(path).with_context(|| format!("cannot write {}", path.display()))?),
        None => None,
    };
    let place = folder(FOLDER)?;
    let memory = record.memory_file.clone().unwrap_or_else(|| place.path().join(MEMORY));
    // What is in it from before is nothing of this machine's.
    let held = private(&memory).with_context(|| format!("cannot write {}", memory.display()))?;
    hold(&held);
    let ring = GuestRing::of_layout(&memory, &layout)?.context("the kernel has no recorder")?;
    prepared.machine.memory_file = Some(memory);
    let name = record.output.as_ref().map_or_else(|| "standard error".to_owned(), |path| path.display().to_string());
    let is_over = AtomicBool::new(false);
    let follower = Follower { is_over: &is_over, waits: record.wait, ring, name };
    let (looks, looked_at) = mpsc::channel::<()>();
    let launch = Launch {
        program,
        input: Input::Lines,
        interrupt: Interrupt::EndsMachine,
        looked_at: Some(looked_at),
        ..Launch::of(command)
    };
    thread::scope(|scope| {
        let source = Source {
            tables: prepared.tables(),
            kernel: kernel(&layout),
            options: &choices.words,
            command: &record.command,
        };
        let follower = &follower;
        let following = scope.spawn(move || {
            // However this ends, the machine is of no use then.
            let _looks = looks;
            follower.follow(&source, kept)
        });
        let status = attend(machine, &choices, &prepared, launch);
        // Nobody else needs it any more; whatever ends this process now leaves nothing.
        drop(place);
        is_over.store(true, Ordering::Release);
        let recorded = following.join().map_err(|_| anyhow!("the reader of the recorder has failed"))?;
        ended(recorded, status)
    })
}

/// What came of recording and of the machine, whose end is said in the last line.
fn ended(recorded: Result<Tally>, status: Result<u8>) -> Result<u8> {
    match (recorded, status) {
        (Ok(tally), status) => {
            say(tally);
            status
        }
        (Err(error), Ok(_)) => Err(error),
        (Err(error), Err(other)) if matches!(other.downcast_ref(), Some(Failure::Stopped)) => Err(error),
        // The machine's end may be why there is nothing to read.
        (Err(error), Err(other)) => {
            say(format_args!("the recorder: {error:#}"));
            Err(other)
        }
    }
}

/// The memories of machines that run here, or were killed.
pub(crate) fn memories(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let memory = entry.path().join(MEMORY);
        if entry.file_name().to_string_lossy().starts_with(FOLDER) && memory.is_file() {
            found.push(memory);
        }
    }
    found.sort();
    Ok(found)
}

/// The kernel's version, by the first line of a layout; empty if that does not say it.
fn kernel(layout: &str) -> &str {
    let line = layout.lines().next().and_then(|line| line.strip_prefix("kernel"));
    line.and_then(|line| line.split_once(" (")).map_or("", |(version, _)| version.trim())
}

struct Follower<'a> {
    is_over: &'a AtomicBool,
    waits: bool,
    ring: GuestRing,
    /// Where the records go.
    name: String,
}

impl Follower<'_> {
    /// Reads until the machine has ended and nothing is left.
    fn follow(&self, source: &Source<'_>, file: Option<File>) -> Result<Tally> {
        let mut kept = match file {
            Some(file) => Kept::capture(source, file),
            None => Kept::text(source, Box::new(io::stderr()))?,
        };
        let mut reader = self.open()?;
        let mut inbox = Inbox::new(GuestRing::BATCH);
        let mut pauses = 0;
        let what = || format!("cannot write {}", self.name);
        loop {
            let is_last = self.is_over.load(Ordering::Acquire);
            let before = (reader.position(), reader.number());
            inbox.read(&mut reader, &self.ring)?;
            while let Some(mut found) = inbox.take_next() {
                kept.take(&mut found);
            }
            kept.write().with_context(what)?;
            if (reader.position(), reader.number()) != before {
                self.ring.set_tail(reader.position())?;
                pauses = 0;
            } else if is_last {
                break;
            } else {
                pauses += 1;
                if pauses == SILENCE {
                    kept.idle().with_context(what)?;
                }
                thread::sleep(PAUSE);
            }
        }
        kept.finish(reader.rest(&self.ring)).with_context(what)
    }

    /// Waits until the kernel has made its ring.
    fn open(&self) -> Result<Reader> {
        loop {
            let is_last = self.is_over.load(Ordering::Acquire);
            match Reader::open(&self.ring) {
                Ok(reader) => {
                    if self.waits {
                        self.ring.ask_to_wait()?;
                    }
                    return Ok(reader);
                }
                Err(RingError::NoRing) => {}
                Err(error) => return Err(error.into()),
            }
            if is_last {
                bail!("the kernel has recorded nothing: it did not get so far");
            }
            thread::sleep(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_says_the_kernels_version() {
        assert_eq!(
            kernel("kernel   GNU Mach 1.8-up-amd64 (690104 bytes)\n         sha256 00\n"),
            "GNU Mach 1.8-up-amd64"
        );
        assert_eq!(kernel("payload  x\n"), "");
    }

    #[test]
    fn memories_of_ours_are_found_by_their_folders() {
        let place = tempfile::tempdir().unwrap();
        assert!(memories(place.path()).unwrap().is_empty());
        for folder in ["rpctrace2-memory-2", "rpctrace2-memory-1", "rpctrace2-memory-empty", "other-memory-1"] {
            fs::create_dir(place.path().join(folder)).unwrap();
        }
        let expected =
            ["rpctrace2-memory-1", "rpctrace2-memory-2"].map(|folder| place.path().join(folder).join(MEMORY));
        expected.iter().for_each(|memory| fs::write(memory, [0]).unwrap());
        fs::write(place.path().join("other-memory-1").join(MEMORY), [0]).unwrap();
        assert_eq!(memories(place.path()).unwrap(), expected);
    }
}
