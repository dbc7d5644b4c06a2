// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo rpctrace2 diff [OPTION]... FIRST SECOND`: where two captures differ, up to names of ports, addresses and times.

use std::boxed::Box;
use std::cell::RefCell;
use std::format;
use std::rc::Rc;
use std::string::String;

use anyhow::{Result, bail};
use compare::compare;
use compare::told::{Collect, Told};

use super::out::{Text, print};
use super::show::{self, CUT};
use super::verbs::DIFF;
use super::{calls, say};
use crate::options::{Color, Host, Options, Report};

/// Exit status where they differ, as diff's.
const DIFFERENT: u8 = 1;

/// Compares the captures that the words name; answers the exit status.
///
/// # Errors
/// If the words are wrong, or a file is no capture that can be read, or nothing can be written.
pub fn run(words: &[String]) -> Result<u8> {
    match show::parse_all(&DIFF, words)? {
        Err(text) => print(&text),
        Ok((options, names)) => match &*names {
            [first, second] => diff(&options, first, second),
            names => bail!("expected two files, found {}; {}", names.len(), DIFF.usage()),
        },
    }
}

fn diff(options: &Options, first: &str, second: &str) -> Result<u8> {
    if options.report != Report::Lines || options.posix {
        bail!("options `-c`, `-C`, `--ask`, `--posix`: what differs is calls");
    }
    let (one, is_cut) = told(options.clone(), first)?;
    let (other, is_other_cut) = told(options.clone(), second)?;
    let (one, other) = (one.borrow(), other.borrow());
    for (name, told) in [(first, &one), (second, &other)] {
        if told.lost > 0 {
            say(format_args!("{name}: {} records were lost, which may be what differs", told.lost));
        }
        if told.calls == 0 {
            say(format_args!("{name}: nothing in it is selected, or there is nothing"));
        }
    }
    let differences = compare(&one, &other);
    if !differences.text.is_empty() {
        // They are no lines of a trace.
        let mut out = Text::open(&Host { color: Color::Never, column: 0, ..options.host.clone() })?;
        let mut text = format!("--- {first}\n+++ {second}\n{}", differences.text);
        let result = out.write(&mut text, true);
        out.end(result)?;
        return Ok(DIFFERENT);
    }
    Ok(if is_cut || is_other_cut { CUT } else { 0 })
}

/// The calls of a capture, and whether it ends too early.
fn told(mut options: Options, name: &str) -> Result<(Rc<RefCell<Told>>, bool)> {
    let collect = Collect::default();
    let told = collect.told();
    let wanted = show::wanted(&options);
    let is_cut = calls::collect(&mut options, name, (Box::new(collect), wanted), "compared")?;
    Ok((told, is_cut))
}
