//! The command line of rpctrace2: strace's habits, in a table.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use report::{Stamp, Style};
use thiserror::Error;

/// What is printed at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Report {
    /// A line per message.
    #[default]
    Lines,
    /// `-c`: a table at the end.
    Summary,
    /// `-C`: both.
    Both,
}

/// What the options say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `-s`, `-t`, `-r`, `-T`, `-x`, `-v`, `-q`.
    pub style: Style,
    /// `-c`, `-C`.
    pub report: Report,
    /// `-e trace=`, one for each.
    pub expressions: Vec<String>,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `-h`: print [`help`].
    Help,
    /// Trace a command.
    Trace {
        /// How.
        options: Options,
        /// The program and its arguments; at least one.
        command: Vec<String>,
    },
}

/// Why a command line is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OptionsError {
    /// No such option.
    #[error("unknown option `-{0}`; `rpctrace2 -h` lists the options")]
    Unknown(String),
    /// The option's value is not there.
    #[error("option `-{0}` needs a value: {1}")]
    MissingValue(char, &'static str),
    /// The option's value is none.
    #[error("option `-{option}`: expected {expected}, found `{found}`")]
    BadValue {
        /// The option.
        option: char,
        /// What it takes.
        expected: &'static str,
        /// What it was given.
        found: String,
    },
    /// `-o`, `-I`.
    #[error("option `-{0}`: there are no files inside the guest; give it to `cargo qemu rpctrace2`, which takes it")]
    NoFiles(char),
    /// Nothing to trace.
    #[error("no command to trace; usage: rpctrace2 [OPTION]... COMMAND [ARGUMENT]...")]
    NoCommand,
}

/// What an option takes and does.
enum Action {
    Set(fn(&mut Options)),
    Value(&'static str, fn(&mut Options, String) -> Result<(), OptionsError>),
    Help,
}

struct Row {
    letter: char,
    action: Action,
    help: &'static str,
}

const fn set(letter: char, action: fn(&mut Options), help: &'static str) -> Row {
    Row { letter, action: Action::Set(action), help }
}

const TABLE: &[Row] = &[
    Row {
        letter: 's',
        action: Action::Value("SIZE", set_string_size),
        help: "print at most SIZE bytes of a string (80)",
    },
    set('t', set_stamp, "time of day before each line; -tt with microseconds; -ttt seconds since the epoch"),
    set('r', |options| options.style.stamp = Stamp::Relative, "time since the line before"),
    set('T', |options| options.style.durations = true, "how long each RPC took"),
    set('c', |options| options.report = Report::Summary, "count, errors and time by routine instead of lines"),
    set('C', |options| options.report = Report::Both, "the same after the lines"),
    Row {
        letter: 'e',
        action: Action::Value("trace=NAME[,NAME]...", add_expression),
        help: "only these routines, subsystems or msgh_ids; mach_msg: failed calls; !NAME...: all but these",
    },
    set('x', |options| options.style.hex = true, "the bytes of each message"),
    set(
        'v',
        |options| options.style.verbose = true,
        "abbreviate nothing; names of ports, traps that give rights, options of failed mach_msg calls",
    ),
    set('q', |options| options.style.quiet = true, "no lines about exits"),
    set('f', |_| (), "accepted: children are always followed"),
    Row {
        letter: 'o',
        action: Action::Value("FILE", |_, _| Err(OptionsError::NoFiles('o'))),
        help: "write the trace to FILE (taken by `cargo qemu rpctrace2`)",
    },
    Row {
        letter: 'I',
        action: Action::Value("DIR", |_, _| Err(OptionsError::NoFiles('I'))),
        help: "decode with .defs, .msgids, .mdt of DIR too; --nostdinc: with these alone (taken likewise)",
    },
    Row { letter: 'h', action: Action::Help, help: "this text" },
];

fn set_stamp(options: &mut Options) {
    options.style.stamp = match options.style.stamp {
        Stamp::None | Stamp::Relative => Stamp::Day,
        Stamp::Day => Stamp::DayMicroseconds,
        Stamp::DayMicroseconds | Stamp::Epoch => Stamp::Epoch,
    };
}

fn set_string_size(options: &mut Options, value: String) -> Result<(), OptionsError> {
    let error = |found| OptionsError::BadValue { option: 's', expected: "a number of bytes", found };
    options.style.string_size = value.parse().map_err(|_| error(value))?;
    Ok(())
}

fn add_expression(options: &mut Options, value: String) -> Result<(), OptionsError> {
    let names = value.strip_prefix("trace=").unwrap_or(&value);
    if names.contains('=') || names.is_empty() {
        return Err(OptionsError::BadValue { option: 'e', expected: "trace=NAME[,NAME]...", found: value });
    }
    options.expressions.push(names.to_string());
    Ok(())
}

/// Reads the arguments after the program's own name.
///
/// # Errors
/// The first [`OptionsError`].
pub fn parse<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<Request, OptionsError> {
    let mut options = Options::default();
    let mut command: Vec<String> = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let letters = match argument {
            "--" => break,
            "--help" => return Ok(Request::Help),
            _ => match argument.strip_prefix('-') {
                Some("") | None => {
                    command.push(argument.to_string());
                    break;
                }
                Some(long) if long.starts_with('-') => return Err(OptionsError::Unknown(long.to_string())),
                Some(letters) => letters,
            },
        };
        for (at, letter) in letters.char_indices() {
            let row = TABLE.iter().find(|row| row.letter == letter);
            match &row.ok_or_else(|| OptionsError::Unknown(letter.to_string()))?.action {
                Action::Help => return Ok(Request::Help),
                Action::Set(set) => set(&mut options),
                Action::Value(what, set) => {
                    let rest = &letters[at + letter.len_utf8()..];
                    let value = if rest.is_empty() { arguments.next() } else { Some(rest) };
                    set(&mut options, value.ok_or(OptionsError::MissingValue(letter, what))?.to_string())?;
                    break;
                }
            }
        }
    }
    command.extend(arguments.map(ToString::to_string));
    if command.is_empty() { Err(OptionsError::NoCommand) } else { Ok(Request::Trace { options, command }) }
}

/// The text of `-h`.
pub fn help() -> String {
    let mut text = String::from(
        "rpctrace2 [OPTION]... COMMAND [ARGUMENT]...\nRuns COMMAND and prints every Mach message that it and its children \
         send and receive.\n\n",
    );
    for row in TABLE {
        let value = if let Action::Value(what, _) = row.action { what } else { "" };
        text += &alloc::format!("  -{} {value:<21} {}\n", row.letter, row.help);
    }
    text += "\nThe exit status is COMMAND's; 127 if it is not found, 125 if it cannot be traced.\n";
    text
}
