// SPDX-License-Identifier: GPL-2.0-or-later
//! Captured clients replayed: the answers of the same kernel are the same, another answer is told, and what cannot be sent again never counts.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use capture::{Entries, Entry, Reader, Writer};
use tests::guest::{Run, options, qemu};

/// A capture of a program.
fn captured(program: &str, file: &str) -> Result<()> {
    let place = tempfile::tempdir()?;
    let trace = place.path().join("trace").to_string_lossy().into_owned();
    let run = qemu(&["--icount", "rpctrace2", "-o", &trace, "--capture", file, program])?;
    ensure!(run.status == Some(0), "{program}: {}", run.stderr);
    Ok(())
}

/// Of a capture that has what memory out of line held, what the client has written goes out again, as in both of vm's vm_write.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn memory_out_of_line_is_sent_again() -> Result<()> {
    let place = tempfile::tempdir()?;
    let (kept, short) = (file(place.path(), "kept"), file(place.path(), "short"));
    let trace = file(place.path(), "trace");
    for (size, name, refused) in [("64k", &kept, 0), ("16", &short, 2)] {
        let run = qemu(&["--icount", "rpctrace2", "--ool", size, "-o", &trace, "--capture", name, "vm"])?;
        ensure!(run.status == Some(0), "{}", run.stderr);
        let run = replayed(&["replay", name])?;
        assert!(run.stdout.contains(" replayed, 0 differ\n"), "{size}: {}{}", run.stdout, run.stderr);
        let told = "4096 bytes out of line, which the capture has not";
        let found = run.stdout.lines().filter(|line| line.contains(" vm_write(") && line.ends_with(told)).count();
        assert_eq!((found, run.status), (refused, Some(0)), "{size}: {}", run.stdout);
        assert_eq!(run.stdout.matches("not replayed: vm[1] vm_write(").count(), refused, "{size}: {}", run.stdout);
    }
    Ok(())
}

/// What a replay of it says of the answers.
fn replayed(words: &[&str]) -> Result<Run> {
    qemu(&[&["--icount"], words].concat())
}

fn file(place: &Path, name: &str) -> String {
    place.join(name).to_string_lossy().into_owned()
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn the_same_kernel_answers_the_same() -> Result<()> {
    let place = tempfile::tempdir()?;
    for (program, least) in [("hello", 3), ("vm", 20), ("ping", 10), ("items", 3)] {
        let kept = file(place.path(), program);
        captured(program, &kept)?;
        let run = replayed(&["replay", &kept])?;
        let last = run.stdout.lines().find(|line| line.contains(" replayed, ")).context(run.stderr.clone())?;
        assert!(last.ends_with(" replayed, 0 differ"), "{program}: {}", run.stdout);
        assert_eq!(run.status, Some(0), "{program}: {}", run.stdout);
        let count: usize = last.split(' ').next().context("a count")?.parse()?;
        assert!(count >= least, "{program}: {}", run.stdout);
        let (of, told) = (last.split(' ').nth(2).context("a count")?.parse::<usize>()?, "not replayed: ");
        let refused = run.stdout.lines().filter(|line| line.starts_with(told)).count();
        assert_eq!(count + refused, of, "{program}: each is told: {}", run.stdout);
    }
    Ok(())
}

/// The capture with what an answer says it wrote changed.
fn tampered(from: &str, to: &str) -> Result<usize> {
    let mut reader = Reader::new(File::open(from)?);
    let contents = reader.contents()?;
    let mut writer = Writer::new(64, &contents.facts, &contents.tables);
    let mut changed = 0;
    while let Some(block) = reader.next_block()? {
        for entry in Entries::new(&block.contents) {
            match entry.map_err(|at| anyhow::anyhow!("no entry at {at}"))? {
                Entry::Message(message) => {
                    let mut message = message.to_vec();
                    changed += change(&mut message);
                    writer.message(&message);
                }
                Entry::Note(note) => writer.note(note),
            }
        }
    }
    writer.finish();
    fs::write(to, writer.bytes())?;
    Ok(changed)
}

/// Makes 12 bytes written of 13 in an answer of `device_write_inband`: a return code of 0, and the number, behind descriptors that are alike.
fn change(message: &mut [u8]) -> usize {
    let word =
        |at: usize| message.get(at..at + 8).map_or(0, |word| u64::from_le_bytes(word.try_into().unwrap_or_default()));
    // What pads a number is anything.
    let number = |at: usize| word(at) as u32;
    let is_there =
        |at: &usize| word(*at) != 0 && word(*at) == word(at + 16) && (number(at + 8), number(at + 24)) == (0, 13);
    let places: Vec<usize> = (0..message.len()).filter(is_there).collect();
    for at in &places {
        message[at + 24] = 12;
    }
    places.len()
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn another_answer_than_the_captures_is_told() -> Result<()> {
    let place = tempfile::tempdir()?;
    let (kept, other) = (file(place.path(), "kept"), file(place.path(), "other"));
    captured("hello", &kept)?;
    assert_eq!(tampered(&kept, &other)?, 1, "one answer says so");
    let run = replayed(&["replay", &other])?;
    for part in ["{bytes_written: 12}\n+", "{bytes_written: 13}\n", " replayed, 1 differs\n"] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    assert_eq!(run.status, Some(1), "{}", run.stdout);
    Ok(())
}

/// Of the child of ping all is about ports that it had from the first.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn nothing_that_can_be_replayed_is_no_success() -> Result<()> {
    let place = tempfile::tempdir()?;
    let kept = file(place.path(), "kept");
    captured("ping", &kept)?;
    let run = replayed(&["replay", "--task", "2", &kept])?;
    assert_eq!(run.status, Some(2), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("\n0 of ") && run.stdout.contains("not replayed: (ping)[2] ping("), "{}", run.stdout);
    let run = replayed(&["replay", "--task", "7", &kept])?;
    assert_eq!(run.status, Some(125), "{}", run.stdout);
    assert!(run.stderr.contains("no call of task 7 is in it"), "{}", run.stderr);
    Ok(())
}

/// What one kernel was asked is asked of another.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn the_newest_kernel_answers_as_the_one_before() -> Result<()> {
    let place = tempfile::tempdir()?;
    let kept = file(place.path(), "kept");
    captured("vm", &kept)?;
    let other: &[&str] = if options().is_empty() { &["--suite", "sid", "--flavour", "smp", "--smp", "2"] } else { &[] };
    let run = qemu(&[other, &["replay", &kept]].concat())?;
    assert!(run.stdout.contains(" replayed, 0 differ\n"), "{}{}", run.stdout, run.stderr);
    assert_eq!(run.status, Some(0), "{}", run.stdout);
    Ok(())
}
