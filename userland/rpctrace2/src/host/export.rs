// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo rpctrace2 export --to FORM [-o FILE] CAPTURE`: a capture in a form that other tools read.

use std::boxed::Box;
use std::format;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::string::String;
use std::vec::Vec;

use anyhow::{Context, Result, bail};
use capture::{Fact, Facts};
use export::html::Html;
use export::{Begin, Export, FORMATS, Form};

use super::open::Opened;
use super::out::{STANDARD, print};
use super::say;
use super::show::{self, CUT};
use super::verbs::EXPORT;
use super::whole::Whole;
use crate::options::near::Suggestion;
use crate::options::{Options, Output, Report, text};

/// Writes the capture that the words name in the form that they name; answers the exit status.
///
/// # Errors
/// If the words are wrong, or the file is no capture that can be read, or nothing can be written.
pub fn run(words: &[String]) -> Result<u8> {
    if words.is_empty() {
        return print(&format!("{}\n\nFORM is one of\n{}", EXPORT.usage(), list()));
    }
    match show::parse(&EXPORT, words)? {
        Err(text) => print(&text),
        Ok((options, name)) => write(options, &name),
    }
}

/// A line for each form.
pub fn list() -> String {
    FORMATS.iter().map(|form| format!("  {:<14} {}\n", form.name, form.help)).collect()
}

/// The form that the options name.
fn form(options: &Options) -> Result<Form> {
    let names = FORMATS.iter().map(|form| form.name).collect::<Vec<_>>();
    let Some(found) = &options.host.to else {
        bail!("expected --to FORM, which is one of {}; {}", names.join(", "), EXPORT.usage())
    };
    FORMATS.iter().find(|form| form.name == found).copied().with_context(|| {
        let near = Suggestion::of(found, names.iter().copied(), "");
        format!("option `--to`: expected {}, found `{found}`{near}", names.join(", "))
    })
}

/// Writes a capture in the form that the options name, to the file that they name.
pub(super) fn write(options: Options, name: &str) -> Result<u8> {
    let form = form(&options)?;
    if options.host.append {
        bail!("option `-A`: a file in another form is written whole");
    }
    let target = Target::open(&options.host.output, form)?;
    write_form(options, name, form, target)
}

/// Writes a capture in the form that the options name, to a file that nobody has named.
pub(super) fn write_to(options: Options, name: &str, file: File) -> Result<u8> {
    let form = form(&options)?;
    write_form(options, name, form, Target::File(Whole::Other(file), "a temporary file".into()))
}

fn write_form(mut options: Options, name: &str, form: Form, target: Target) -> Result<u8> {
    if options.report != Report::Lines || options.posix {
        bail!("options `-c`, `-C`, `--ask`, `--posix`: are answered in text; --to writes another form");
    }
    options.report = Report::Nothing;
    let host = core::mem::take(&mut options.host);
    let mut opened = Opened::new(name, &host)?;
    let about = about(&opened.facts);
    let (tables, mut player) = opened.parts()?;
    let wanted = show::wanted(&options);
    let mut trace = player.trace(tables, &mut options)?;
    let ended: Box<dyn FnOnce() -> (bool, Option<io::Error>)> = match form.begin {
        Begin::Calls(begin) => {
            let format = begin(target.writer()?, &about, tables)?;
            let (export, progress) = Export::new(tables, format, wanted);
            trace.analyse(Box::new(export));
            Box::new(move || {
                let progress = progress.take();
                (progress.end.exchanges > 0, progress.error)
            })
        }
        Begin::Exchanges => {
            let (title, facts) = page_about(&about);
            let (page, written) = Html::new(tables, target.writer()?, &title, facts);
            trace.analyse(Box::new(page.only(wanted.outcome)));
            Box::new(move || {
                let written = written.take();
                (written.exchanges > 0, written.error)
            })
        }
    };
    let cut = player.play(&mut trace, target.leaves_error_free(), |text, _| {
        text.clear();
        Ok(())
    })?;
    let other_version = trace.other_version();
    let is_said = show::complain(&trace);
    drop(trace);
    let (has_some, error) = ended();
    if let Some(error) = error {
        return Err(error).with_context(|| format!("cannot write {}", target.name()));
    }
    if let Some(error) = other_version {
        bail!("{name}: {error}");
    }
    target.keep()?;
    if !has_some && !is_said {
        say(format_args!("{name}: there is no exchange in it"));
    }
    let Some(error) = cut else { return Ok(0) };
    say(format_args!("{name}: {error}; what is before it has been written"));
    Ok(CUT)
}

fn about(facts: &Facts) -> export::model::About {
    let fact = |fact: Fact| Some((fact.name(), facts.get(fact)?.replace('\0', " ")));
    export::model::About {
        facts: Fact::ALL.into_iter().filter_map(fact).collect(),
        writer: text::version().trim().into(),
    }
}

/// What a page is headed with, and what else it says of the capture.
fn page_about(about: &export::model::About) -> (String, Vec<(String, String)>) {
    let is_title = |name: &str| name == Fact::Command.name();
    let is_shown =
        |name: &str| [Fact::Kernel, Fact::Writer, Fact::Options, Fact::Clock].iter().any(|fact| fact.name() == name);
    let facts = about.facts.iter();
    let title = facts.clone().find(|(name, _)| is_title(name)).map_or(String::new(), |(_, text)| text.clone());
    let shown = facts.filter(|(name, text)| is_shown(name) && !text.is_empty());
    (title, shown.map(|(name, text)| (String::from(*name), text.clone())).collect())
}

/// Where it is written.
enum Target {
    Standard,
    /// The file, and as the user called it.
    File(Whole, String),
}

impl Target {
    fn open(output: &Output, form: Form) -> Result<Self> {
        match output {
            Output::Command(_) => {
                bail!("option `-o`: lines go to a command; this form goes to a file, or to standard output")
            }
            Output::Error | Output::Standard if !form.is_text && io::stdout().is_terminal() => {
                bail!("`{}` is not for a terminal; use -o FILE", form.name)
            }
            Output::Error | Output::Standard => Ok(Self::Standard),
            Output::File(name) => {
                let file = Whole::open(name).with_context(|| format!("cannot write {name}"))?;
                Ok(Self::File(file, name.clone()))
            }
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Standard => STANDARD,
            Self::File(_, name) => name,
        }
    }

    fn writer(&self) -> Result<export::Out> {
        Ok(match self {
            Self::Standard => Box::new(BufWriter::new(io::stdout())) as Box<dyn Write>,
            Self::File(file, _) => Box::new(BufWriter::new(file.file().try_clone()?)),
        })
    }

    fn leaves_error_free(&self) -> bool {
        !matches!(self, Self::Standard) || !io::stdout().is_terminal()
    }

    fn keep(self) -> Result<()> {
        match self {
            Self::Standard => Ok(()),
            Self::File(file, name) => file.keep().with_context(|| format!("cannot write {name}")),
        }
    }
}
