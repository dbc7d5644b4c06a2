// SPDX-License-Identifier: GPL-2.0-or-later
//! docs/tutorial.md, as one who reads it does what it says.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use tests::documented::{CTRL_C, Shown, alike, check, commands};
use tests::guest::{self, setting, shown_on_one_screen};

const DOCUMENT: &str = "tutorial.md";

/// Does a command of the document in a folder, and answers what is on the screen. Ctrl-C is pressed after the line that it is shown below.
fn answer(shown: &Shown, place: &Path) -> Result<String> {
    let command = &shown.command;
    let words: Vec<&str> = command.split_whitespace().collect();
    let mut command = match &words[..] {
        ["cargo", "qemu", words @ ..] => guest::command(&[&["--icount"], words].concat())?,
        ["cargo", "rpctrace2", words @ ..] => {
            // Cargo puts programs of the workspace beside each other.
            let mut command = Command::new(Path::new(&setting("RPCTRACE2_QEMU")?).with_file_name("rpctrace2"));
            command.args(words);
            command
        }
        _ => bail!("`{command}` begins with neither `cargo qemu` nor `cargo rpctrace2`"),
    };
    let last = shown.answer.split_once(CTRL_C).and_then(|(before, _)| before.lines().next_back()).map(alike);
    let is_last = |line: &str| last.as_ref().is_some_and(|last| alike(line.trim_end()) == *last);
    let (screen, _) = shown_on_one_screen(command.current_dir(place), is_last)?;
    Ok(screen)
}

/// Does what is under a heading, each command after the other.
fn follow(heading: &str) -> Result<()> {
    let place = tempfile::tempdir()?;
    let shown: Vec<_> = commands(DOCUMENT)?.into_iter().filter(|shown| shown.heading == heading).collect();
    assert!(!shown.is_empty(), "docs/{DOCUMENT} has no commands under `{heading}`");
    for shown in shown {
        let answer = answer(&shown, place.path()).with_context(|| shown.command.clone())?;
        check(DOCUMENT, &shown.command, &answer)?;
    }
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn the_tutorial_finds_the_cause_of_a_hang() -> Result<()> {
    follow("A program does not come back")
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn the_tutorial_finds_the_cause_of_a_leak() -> Result<()> {
    follow("The kernel speaks of a bogus port")
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn the_tutorial_finds_the_cause_of_a_slow_call() -> Result<()> {
    follow("A call takes twenty milliseconds")
}

#[test]
fn every_command_of_the_tutorial_is_under_a_heading_that_is_followed() -> Result<()> {
    let followed =
        ["A program does not come back", "The kernel speaks of a bogus port", "A call takes twenty milliseconds"];
    for shown in commands(DOCUMENT)? {
        assert!(followed.contains(&shown.heading.as_str()), "{shown:?}");
    }
    Ok(())
}
