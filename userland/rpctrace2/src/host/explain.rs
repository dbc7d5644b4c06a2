// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu explain WORD...`, and `cargo rpctrace2 explain WORD... FILE`: what words of a trace mean, by decode tables.

use std::fs::File;
use std::string::String;
use std::vec::Vec;

use anyhow::{Context, Result, bail};
use capture::Reader;
use mig_defs::table::Tables;

use super::out::print;
use super::say;
use super::verbs::EXPLAIN;
use crate::options::near::Suggestion;

/// Exit status where a word means nothing.
const UNKNOWN: u8 = 1;

/// Explains words by the tables of the capture that the last word names; answers the exit status.
///
/// # Errors
/// If there are too few words, or the file is no capture that can be read.
pub fn by_capture(words: &[String]) -> Result<u8> {
    let [words @ .., name] = words else {
        bail!("expected words and a capture, found nothing; {}, or cargo qemu explain WORD...", EXPLAIN.usage())
    };
    let file = File::open(name).with_context(|| {
        std::format!(
            "cannot read {name}, which would be the capture whose tables explain; `cargo qemu explain` needs none"
        )
    })?;
    let contents = Reader::new(file).contents().with_context(|| name.clone())?;
    explain(&contents.tables, words)
}

/// Explains words; answers the exit status.
///
/// # Errors
/// If there are none, the tables are none, or nothing can be written.
pub fn explain(tables: &[u8], words: &[String]) -> Result<u8> {
    if words.is_empty() {
        bail!("expected a routine, subsystem, msgh_id, code, constant or what a port is called, found no word");
    }
    let tables = Tables::parse(tables)?;
    let (mut text, mut status) = (String::new(), 0);
    for word in words {
        if report::explain(tables, word, &mut text) {
            continue;
        }
        print(&text)?;
        text.clear();
        status = UNKNOWN;
        let routines = tables.routines().map(|routine| routine.name());
        let known: Vec<&str> = routines.chain(tables.errors().map(|(_, name)| name)).collect();
        say(format_args!("`{word}` is nothing that these tables know{}", Suggestion::of(word, known, "")));
    }
    print(&text)?;
    Ok(status)
}
