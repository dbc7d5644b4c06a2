// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo rpctrace2 view [--follow] [OPTION]... FILE`: a capture in the terminal, to look around in. docs/view.md.

use std::boxed::Box;
use std::format;
use std::io::{self, IsTerminal};
use std::string::{String, ToString};
use std::vec::Vec;

use anyhow::{Result, bail};
use capture::Fact;
use exchanges::{Selection, Subject};
use export::Export;
use mig_defs::table::Tables;
use view::{About, App, Collect, Fed, Parsed};

use super::open::{Opened, Player, Step};
use super::out::print;
use super::show::{self, CUT};
use super::verbs::VIEW;
use super::{compile, is_colored, perfetto};
use crate::options::filter::{FilterError, expand};
use crate::options::{Host, Options, Output, Report};
use crate::replay::Replay;
use crate::trace::Trace;

/// Shows the capture that the words name; answers the exit status.
///
/// # Errors
/// If the words are wrong, or the file is no capture that can be read, or there is no terminal.
pub fn run(words: &[String]) -> Result<u8> {
    if words.iter().any(|word| word == perfetto::WORD) {
        let words: Vec<String> = words.iter().filter(|word| *word != perfetto::WORD).cloned().collect();
        return perfetto::run(&words);
    }
    match show::parse(&VIEW, words)? {
        Err(text) => print(&text),
        Ok((options, name)) => view(options, &name),
    }
}

fn view(mut options: Options, name: &str) -> Result<u8> {
    if options.report != Report::Lines || options.posix || options.host.output != Output::Error {
        bail!("options `-c`, `-C`, `--ask`, `--posix`, `-o`: are for text, which `rpctrace2 show` prints");
    }
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        bail!("view is for a terminal; `rpctrace2 show {name}` prints");
    }
    options.report = Report::Nothing;
    let host = core::mem::take(&mut options.host);
    let mut opened = Opened::new(name, &host)?;
    let command = opened.facts.get(Fact::Command).map(|words| words.replace('\0', " "));
    let wanted = show::wanted(&options);
    let is_partial = !wanted.is_all;
    let (tables, mut player) = opened.parts()?;
    let mut trace = player.trace(tables, &mut options)?;
    let collect = Collect::default();
    let store = collect.store();
    trace.analyse(Box::new(Export::new(tables, Box::new(collect), wanted).0));
    let about = About {
        title: command.map_or_else(|| name.to_string(), |command| format!("{name}: {command}")),
        follows: host.follow,
        is_partial,
        has_color: is_colored(&Host { output: Output::Standard, ..host }),
    };
    let mut app = App::new(store, tables, Box::new(move |typed| parse(typed, tables)), about);
    let mut reading = Reading { name, replay: Replay::default(), text: String::new(), is_cut: false };
    let signal = view::run(&mut app, || reading.feed(&mut player, &mut trace))?;
    if let Some(signal) = signal {
        // As if nothing had caught it.
        signal_hook::low_level::emulate_default_handler(signal)?;
    }
    Ok(if reading.is_cut { CUT } else { 0 })
}

/// How far it has been read.
struct Reading<'a> {
    name: &'a str,
    replay: Replay,
    text: String,
    is_cut: bool,
}

impl Reading<'_> {
    fn feed(&mut self, player: &mut Player<'_>, trace: &mut Trace<'_>) -> Result<Fed> {
        let step = player.step(&mut self.replay, trace, &mut self.text)?;
        self.text.clear();
        Ok(match step {
            Step::More => Fed::More,
            Step::Waiting => Fed::Waiting,
            Step::End(cut) => {
                if let Some(error) = trace.other_version() {
                    bail!("{}: {error}", self.name);
                }
                self.is_cut = cut.is_some();
                Fed::End(cut.map(|error| error.to_string()))
            }
        })
    }
}

/// What is typed, as an expression if it is one.
fn parse<'t>(typed: &str, tables: Tables<'t>) -> Parsed<'t> {
    let is_meant = typed.starts_with(['%', '/', '!']);
    let expanded = match expand("-e", typed, tables, &compile) {
        Ok(expanded) => expanded,
        Err(FilterError::UnknownName { .. }) if !is_meant => return Parsed::Text,
        Err(error) => return Parsed::Wrong(error.to_string()),
    };
    match Selection::new(&Vec::from([expanded]), tables) {
        Ok(selection) => Parsed::Expression(Box::new(move |subject: Subject<'_>| selection.has(subject))),
        Err(_) => Parsed::Text,
    }
}
