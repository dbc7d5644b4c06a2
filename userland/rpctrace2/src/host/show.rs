// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo rpctrace2 show [OPTION]... FILE`: a capture, printed as its trace would have been.

use std::boxed::Box;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::string::String;
use std::vec::Vec;

use ::export::Wanted;
use anyhow::{Result, bail};
use report::Found;

use super::open::{Cut, Opened, Player};
use super::out::{Text, print};
use super::outputs::{self, Role};
use super::verbs::{self, Verb};
use super::{coverage, export, say, watch};
use crate::Trace;
use crate::options::place::Here;
use crate::options::selecting::Selecting;
use crate::options::{self, Host, Options, Output, Report, Request, Status, text};

/// Exit status where a file is shown up to where it is cut or damaged.
pub(super) const CUT: u8 = 1;
/// Exit status where an answer is that something is wrong.
const FOUND: u8 = 1;

/// Shows the capture that the words name; answers the exit status.
///
/// # Errors
/// If the words are wrong, or the file is no capture that can be read, or nothing can be written.
pub fn run(words: &[String]) -> Result<u8> {
    run_as(&verbs::SHOW, words)
}

/// Shows the capture that the words name, which follow this verb; answers the exit status.
pub(super) fn run_as(verb: &Verb, words: &[String]) -> Result<u8> {
    let (options, names) = match parse_all(verb, words)? {
        Err(text) => return print(&text),
        Ok(parsed) => parsed,
    };
    if options.host.to.is_some() {
        return export::write(options, verb.one(&names)?);
    }
    let takes_several = matches!(options.report, Report::Answer(question) if question.takes_several());
    match &*names {
        names if takes_several && names.len() > 1 => coverage::show(options, names),
        names => show(options, verb.one(names)?),
    }
}

/// The options and the file that words name, or what is to be printed instead.
pub(super) fn parse(verb: &Verb, words: &[String]) -> Result<Result<(Options, String), String>> {
    Ok(match parse_all(verb, words)? {
        Ok((options, names)) => Ok((options, verb.one(&names)?.into())),
        Err(text) => Err(text),
    })
}

/// The options and the files that words name.
pub(super) fn parse_all(verb: &Verb, words: &[String]) -> Result<Result<(Options, Vec<String>), String>> {
    Ok(match options::parse(words.iter().map(String::as_str), Here::Show)? {
        Request::Help => Err(verb.help()),
        Request::Version => Err(text::version()),
        Request::Owner(_) => return Err(options::OptionsError::NoCommand.into()),
        Request::Trace { options, command } => {
            spare(&options.host, &command)?;
            Ok((*options, command))
        }
    })
}

/// Refuses a file of `-o` that is one of those that are read, before it is opened: that would empty it.
fn spare<'a>(host: &Host, captures: impl IntoIterator<Item = &'a String>) -> Result<()> {
    let interfaces = outputs::interfaces(host);
    let captures = captures.into_iter().map(|path| Role { role: outputs::CAPTURE, path: Path::new(path) });
    let read: Vec<_> = captures.chain(outputs::read(host, &interfaces)).collect();
    Ok(outputs::keep_apart(outputs::trace(host).as_slice(), &read)?)
}

/// What of a capture is wanted in another form than lines.
pub(super) fn wanted(options: &Options) -> Wanted {
    let (status, is_any) = (options.status, options.status == Status::ALL);
    let is_all = is_any && options.expressions.is_empty() && options.selecting == Selecting::default();
    Wanted { outcome: Box::new(move |outcome| status.has(outcome)), is_any, is_all }
}

/// Says which options have selected nothing; whether there are any.
pub(super) fn complain(trace: &Trace<'_>) -> bool {
    let lines = trace.unmatched();
    lines.iter().for_each(say);
    !lines.is_empty()
}

fn show(mut options: Options, name: &str) -> Result<u8> {
    let host = core::mem::take(&mut options.host);
    if matches!(host.output, Output::Error | Output::Standard) && io::stdout().is_terminal() {
        options.table.width = view::size().map_or(0, |(columns, _)| columns.into());
    }
    let is_watched = watch::is_wanted(&options, &host);
    let mut opened = Opened::new(name, &host)?;
    let (tables, mut player) = opened.parts()?;
    let mut trace = player.trace(tables, &mut options)?;
    let mut out = Text::open(&host)?;
    let result = write(name, is_watched, (&mut player, &mut trace), &mut out);
    let cut = out.end(result)?;
    complain(&trace);
    let Some(error) = cut else { return Ok(if trace.found() == Found::Something { FOUND } else { 0 }) };
    say(format_args!("{name}: {error}; what is before it has been shown"));
    Ok(CUT)
}

/// Writes the text of all that is selected; answers why there is no more, if not all is there.
fn write(
    name: &str,
    is_watched: bool,
    (player, trace): (&mut Player<'_>, &mut Trace<'_>),
    out: &mut Text,
) -> Result<Option<Cut>> {
    let is_free = out.leaves_error_free();
    let cut = if is_watched {
        let mut text = String::new();
        let cut = watch::watch(name, player, trace, &mut text)?;
        out.write(&mut text, true)?;
        cut
    } else {
        player.play(trace, is_free, |text, is_all| out.write(text, is_all))?
    };
    match trace.other_version() {
        Some(error) => bail!("{name}: {error}"),
        None => Ok(cut),
    }
}
