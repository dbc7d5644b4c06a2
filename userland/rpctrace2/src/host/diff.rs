// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo rpctrace2 diff [OPTION]... FIRST SECOND`: where two captures differ, up to names of ports, addresses and times.

use std::boxed::Box;
use std::cell::RefCell;
use std::format;
use std::io::{self, Write};
use std::rc::Rc;
use std::string::String;

use anyhow::{Result, bail};
use compare::compare;
use compare::told::{Collect, Told};

use super::show::{self, CUT};
use super::{Sink, calls, inputs};
use crate::options::{Options, Output, Report};

/// Exit status where they differ, as diff's.
const DIFFERENT: u8 = 1;

/// Compares the captures that the words name; answers the exit status.
///
/// # Errors
/// If the words are wrong, or a file is no capture that can be read, or nothing can be written.
pub fn run(words: &[String]) -> Result<u8> {
    let [words @ .., second] = words else { bail!("usage: rpctrace2 diff [OPTION]... FIRST SECOND") };
    match show::parse(words)? {
        Err(text) => show::print(&text),
        Ok((options, first)) => {
            inputs::spare(&options.host, [second])?;
            diff(&options, &first, second)
        }
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
            std::eprintln!("rpctrace2: {name}: {} records were lost, which may be what differs", told.lost);
        }
        if told.calls == 0 {
            std::eprintln!("rpctrace2: {name}: nothing in it is selected, or there is nothing");
        }
    }
    let differences = compare(&one, &other);
    if !differences.text.is_empty() {
        let output = if options.host.output == Output::Error { Output::Standard } else { options.host.output.clone() };
        let mut sink = Sink::open(&output, options.host.append)?;
        let text = format!("--- {first}\n+++ {second}\n{}", differences.text);
        match sink.writer() {
            Some(writer) => writer.write_all(text.as_bytes())?,
            None => io::stdout().write_all(text.as_bytes())?,
        }
        sink.close()?;
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
