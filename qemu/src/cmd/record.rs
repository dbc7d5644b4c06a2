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

use anyhow::{Context, Result, anyhow, bail};
use qemu::autopsy::{folder, private};
use qemu::outputs::{Role, hold, keep_apart};
use qemu::recorder::{GuestRing, Reader, RingError};
use qemu::setup::{Choices, Prepared};
use qemu::vm::Input;
use rpctrace2::host::ring::{Kept, Source, Tally};
use rpctrace2::ring::Inbox;

use crate::cli::{self, Record};
use crate::cmd::{Launch, boot, host_file, inputs, spelled_out, take_host_program};

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

/// What is known before the machine boots: tables, and the kernel's layout.
pub(crate) type Ready = (Vec<u8>, String);

pub(crate) fn run(machine: &cli::Options, record: &Record) -> Result<u8> {
    let mut command: Vec<String> = record.command.iter().map(|argument| spelled_out(argument)).collect();
    let runs = host_file(&command);
    let program = take_host_program(&mut command)?;
    if machine.is_stock() {
        bail!("--stock: the kernel as it is has no recorder");
    }
    let outputs = [(CAPTURE, &record.output), (RUNS_ON, &record.memory_file)];
    let outputs = outputs.iter().filter_map(|(role, path)| path.as_ref().map(|path| Role { role, path }));
    let choices = machine.choices();
    keep_apart(&outputs.collect::<Vec<_>>(), &inputs(&choices, runs.as_deref()))?;
    let file = match &record.output {
        Some(path) => Some(File::create(path).with_context(|| format!("cannot write {}", path.display()))?),
        None => None,
    };
    let place = folder(FOLDER)?;
    let memory = record.memory_file.clone().unwrap_or_else(|| place.path().join(MEMORY));
    // What is in it from before is nothing of this machine's.
    let held = private(&memory).with_context(|| format!("cannot write {}", memory.display()))?;
    hold(&held);
    let choices = Choices {
        words: if record.headers { HEADERS } else { ALL }.to_owned(),
        memory_file: Some(memory.clone()),
        recorder: record.recorder,
        ..choices
    };
    let is_over = AtomicBool::new(false);
    let arguments = |_: &Prepared| Ok(command.clone());
    let launch =
        Launch { named: command.first().map(String::as_str), program, input: Input::Lines, ..Launch::of(&arguments) };
    let follower = Follower { is_over: &is_over, waits: record.wait, memory };
    let (sender, ready) = mpsc::channel::<Ready>();
    thread::scope(|scope| {
        let (follower, choices) = (&follower, &choices);
        let words = record.command.as_slice();
        let following = scope.spawn(move || match ready.recv() {
            Ok((tables, layout)) => {
                let options = &choices.words;
                let source = Source { tables: &tables, kernel: kernel(&layout), options, command: words };
                follower.follow(&layout, &source, file).map(Some)
            }
            // Nothing was booted.
            Err(mpsc::RecvError) => Ok(None),
        });
        let status = boot(machine, choices, Launch { ready: Some(sender), ..launch });
        is_over.store(true, Ordering::Release);
        let recorded = following.join().map_err(|_| anyhow!("the reader of the recorder has failed"))?;
        match (recorded, status) {
            (Ok(tally), status) => {
                if let Some(tally) = tally {
                    eprintln!("{tally}");
                }
                status
            }
            (Err(error), Ok(_)) => Err(error),
            // The machine's end may be why there is nothing to read.
            (Err(error), Err(other)) => {
                eprintln!("the recorder: {error:#}");
                Err(other)
            }
        }
    })
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
    memory: PathBuf,
}

impl Follower<'_> {
    /// Reads until the machine has ended and nothing is left.
    fn follow(&self, layout: &str, source: &Source<'_>, file: Option<File>) -> Result<Tally> {
        let mut kept = match file {
            Some(file) => Kept::capture(source, file),
            None => Kept::text(source, Box::new(io::stderr()))?,
        };
        let (ring, mut reader) = self.open(layout)?;
        let mut inbox = Inbox::new(GuestRing::BATCH);
        let mut pauses = 0;
        loop {
            let is_last = self.is_over.load(Ordering::Acquire);
            let before = (reader.position(), reader.number());
            inbox.read(&mut reader, &ring)?;
            while let Some(mut found) = inbox.take_next() {
                kept.take(&mut found);
            }
            kept.write()?;
            if (reader.position(), reader.number()) != before {
                ring.set_tail(reader.position())?;
                pauses = 0;
            } else if is_last {
                break;
            } else {
                pauses += 1;
                if pauses == SILENCE {
                    kept.idle()?;
                }
                thread::sleep(PAUSE);
            }
        }
        kept.finish(reader.rest(&ring))
    }

    /// Waits until the kernel has made its ring.
    fn open(&self, layout: &str) -> Result<(GuestRing, Reader)> {
        loop {
            let is_last = self.is_over.load(Ordering::Acquire);
            if self.memory.exists() {
                let ring = GuestRing::of_layout(&self.memory, layout)?.context("the kernel has no recorder")?;
                match Reader::open(&ring) {
                    Ok(reader) => {
                        if self.waits {
                            ring.ask_to_wait()?;
                        }
                        return Ok((ring, reader));
                    }
                    Err(RingError::NoRing) => {}
                    Err(error) => return Err(error.into()),
                }
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
