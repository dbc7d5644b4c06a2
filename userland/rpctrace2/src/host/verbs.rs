// SPDX-License-Identifier: GPL-2.0-or-later
//! What is done with captures, by the first word of a command line.

use std::borrow::ToOwned;
use std::format;
use std::string::String;
use std::vec::Vec;

use anyhow::{Context, Result, bail};

use super::out::print;
use super::{diff, explain, export, info, show, view};
use crate::Question;
use crate::options::near::Suggestion;
use crate::options::text;

/// Something that is done with captures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verb {
    /// The word.
    name: &'static str,
    /// What follows it.
    operands: &'static str,
    help: &'static str,
    /// Whether the options of `show` are among that.
    has_options: bool,
}

const fn verb(name: &'static str, operands: &'static str, help: &'static str) -> Verb {
    Verb { name, operands, help, has_options: true }
}

pub(super) const SHOW: Verb = verb("show", "[OPTION]... FILE", "its lines, as they were or would have been printed");
pub(super) const VIEW: Verb = verb(
    "view",
    "[--perfetto] [OPTION]... FILE",
    "in the terminal, to look around in, or in the Perfetto page of a browser",
);
pub(super) const INFO: Verb =
    Verb { has_options: false, ..verb("info", "FILE", "what it is of, and how much is in it") };
pub(super) const EXPORT: Verb = verb(
    "export",
    "--to FORM [-o FILE] [OPTION]... CAPTURE",
    "in a form that other tools read, or as a page for a browser; without a word more it lists the forms",
);
pub(super) const DIFF: Verb =
    verb("diff", "[OPTION]... FIRST SECOND", "where two differ, but for names of ports, addresses and times");
pub(super) const EXPLAIN: Verb = Verb {
    has_options: false,
    ..verb("explain", "WORD... FILE", "what routines, msgh_ids, codes, constants and ports in it mean")
};

/// Those that are no questions.
const VERBS: [Verb; 6] = [SHOW, VIEW, INFO, EXPORT, DIFF, EXPLAIN];

/// The verb that answers a question.
pub(super) fn of(question: Question) -> Verb {
    let operands = if question.takes_several() { "[OPTION]... FILE..." } else { "[OPTION]... FILE" };
    verb(question.name(), operands, question.help())
}

fn all() -> impl Iterator<Item = Verb> {
    VERBS.into_iter().chain(Question::ALL.map(of))
}

impl Verb {
    /// What a line with it looks like, for who has written another one.
    pub(super) fn usage(&self) -> String {
        format!("usage: rpctrace2 {} {}", self.name, self.operands)
    }

    /// The one file that words name.
    pub(super) fn one<'a>(&self, names: &'a [String]) -> Result<&'a str> {
        match names {
            [name] => Ok(name),
            names => bail!("expected one file, found {}; {}", names.len(), self.usage()),
        }
    }

    /// All that is to be known of it.
    pub(super) fn help(&self) -> String {
        let mut text = format!("{}\n{}\n", self.usage(), self.help);
        if self.name == EXPORT.name {
            text += &format!("\nFORM is one of\n{}", export::list());
        }
        if self.has_options {
            text += &format!("\n{}", text::of_captures());
        }
        text
    }
}

/// All verbs, a line each.
fn list() -> String {
    let lines = all().map(|verb| format!("  {:<9} {}\n", verb.name, verb.help)).collect::<String>();
    format!(
        "usage: rpctrace2 VERB [OPTION]... FILE, where FILE is a capture\n\n{lines}\n\
         `rpctrace2 VERB --help` says more of one; `cargo qemu rpctrace2` traces.\n\
         The exit status is 125 where nothing can be done; that of each verb is in docs/capture.md and docs/questions.md.\n"
    )
}

/// Whether help is asked for, whatever else is.
fn wants_help(words: &[String]) -> bool {
    words.iter().take_while(|word| *word != "--").any(|word| matches!(word.as_str(), "-h" | "--help"))
}

/// Does what the words say; answers the exit status.
///
/// # Errors
/// If they are wrong, or what they say cannot be done.
pub fn run(words: &[String]) -> Result<u8> {
    let Some((word, words)) = words.split_first() else {
        bail!("expected a verb, found nothing; `rpctrace2 --help` lists them")
    };
    match (word.as_str(), words) {
        ("-h" | "--help", _) | ("help", []) => return print(&list()),
        ("-V" | "--version", _) => return print(&text::version()),
        ("help", [of, ..]) => return print(&find(of)?.help()),
        _ => {}
    }
    let verb = find(word)?;
    if wants_help(words) {
        return print(&verb.help());
    }
    match verb.name {
        "show" => show::run(words),
        "view" => view::run(words),
        "info" => info::run(words),
        "explain" => explain::by_capture(words),
        "export" => export::run(words),
        "diff" => diff::run(words),
        question => show::run_as(&verb, &[&["--ask".to_owned(), question.to_owned()], words].concat()),
    }
}

fn find(word: &str) -> Result<Verb> {
    let names: Vec<&str> = all().map(|verb| verb.name).collect();
    all().find(|verb| verb.name == word).with_context(|| {
        let near = Suggestion::of(word, names, "");
        format!("expected a verb, found `{word}`{near}; `rpctrace2 --help` lists them")
    })
}
