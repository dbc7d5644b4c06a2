// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo rpctrace2 info FILE`: what a capture says of itself, and how much is in it.

use std::fs::File;
use std::io::{self, Write};
use std::string::String;

use anyhow::{Context, Result, bail};
use capture::{Fact, Reader, index};

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// Prints what the file that the words name is; answers the exit status.
///
/// # Errors
/// If the words are wrong, or the file is no capture that can be read.
pub fn run(words: &[String]) -> Result<u8> {
    let [name] = words else { bail!("expected one file, found {}; usage: rpctrace2 info FILE", words.len()) };
    let mut file = File::open(name).with_context(|| std::format!("cannot read {name}"))?;
    let contents = Reader::new(&file).contents().with_context(|| name.clone())?;
    let (index, is_at_end) = index(&mut file).with_context(|| name.clone())?;
    let mut out = io::stdout().lock();
    for fact in Fact::ALL {
        if let Some(text) = contents.facts.get(fact) {
            // Words are between NULs.
            writeln!(out, "{:<8}  {}", fact.name(), text.replace('\0', " "))?;
        }
    }
    writeln!(out, "messages  {} in {} blocks", index.messages, index.blocks)?;
    if index.first > 0 {
        let time = |time: u64| std::format!("{}.{:09}", time / SECOND, time % SECOND);
        writeln!(out, "times     {} to {}", time(index.first), time(index.last))?;
    }
    writeln!(out, "end       {}", if is_at_end { "whole" } else { "cut: it has no index" })?;
    Ok(0)
}
