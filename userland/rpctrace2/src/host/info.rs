// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo rpctrace2 info FILE`: what a capture says of itself, and how much is in it.

use std::borrow::ToOwned;
use std::format;
use std::fs::File;
use std::io::{self, Seek};
use std::string::String;

use anyhow::{Context, Result, bail};
use capture::{Fact, Facts, Index, ReadError, Reader, index};

use super::out::print;
use super::verbs::INFO;

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// Prints what the file that the words name is; answers the exit status.
///
/// # Errors
/// If the words are wrong, or the file is no capture that can be read.
pub fn run(words: &[String]) -> Result<u8> {
    if let Some(option) = words.iter().find(|word| word.starts_with('-') && word.len() > 1) {
        bail!("option `{option}`: there is none; {}", INFO.usage());
    }
    let name = INFO.one(words)?;
    let file = File::open(name).with_context(|| format!("cannot read {name}"))?;
    let mut reader = Reader::new(&file);
    let contents = reader.contents().with_context(|| name.to_owned())?;
    let (index, is_at_end) = if (&file).stream_position().is_ok() {
        index(&mut &file).with_context(|| name.to_owned())?
    } else {
        read(&mut reader).with_context(|| name.to_owned())?
    };
    print(&text(&contents.facts, &index, is_at_end))
}

/// What is in a file that can only be read once, such as a pipe, and whether it ends as a whole one does.
fn read(reader: &mut Reader<&File>) -> io::Result<(Index, bool)> {
    let is_at_end = loop {
        match reader.next_block() {
            Ok(Some(_)) => {}
            Ok(None) => break true,
            Err(ReadError::Io(error)) => return Err(error),
            Err(ReadError::Capture(_)) => break false,
        }
    };
    Ok((reader.index().clone(), is_at_end))
}

fn text(facts: &Facts, index: &Index, is_at_end: bool) -> String {
    let mut out = String::new();
    for fact in Fact::ALL {
        if let Some(text) = facts.get(fact) {
            // Words are between NULs.
            out += &format!("{:<8}  {}\n", fact.name(), text.replace('\0', " "));
        }
    }
    out += &format!("messages  {} in {} blocks\n", index.messages, index.blocks);
    if index.first > 0 {
        let time = |time: u64| format!("{}.{:09}", time / SECOND, time % SECOND);
        out += &format!("times     {} to {}\n", time(index.first), time(index.last));
    }
    out += &format!("end       {}\n", if is_at_end { "whole" } else { "cut: it has no index" });
    out
}
