// SPDX-License-Identifier: GPL-2.0-or-later
//! The command line of rpctrace2: strace's habits and rpctrace's, in one table.
//!
//! [`parse`] is used twice: by the host tool before anything boots, so that a mistake costs no machine, and by rpctrace2 in the guest,
//! which is given what [`guest_words`] makes of the same options and knows nothing of the host's files.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use exchanges::exchange::Outcome;
use report::{Layout, Question, Style};

pub mod absent;
mod error;
pub mod filter;
pub mod host;
pub mod inject;
pub mod near;
mod ool;
pub mod owner;
pub mod place;
mod posix;
pub mod row;
pub mod selecting;
pub mod table;
pub mod text;
mod values;

use absent::ABSENT;
pub use error::OptionsError;
pub use host::{Color, Host, Output};
use inject::Injection;
use near::Suggestion;
use owner::{OWNER, Owner};
use place::{Here, Place};
use row::{Action, Row};
use selecting::Selecting;

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
    /// `--ask`: the answer to a question, at the end.
    Answer(Question),
    /// Nothing: all goes to an analysis.
    Nothing,
}

/// Which ends of calls are printed: `-z`, `-Z`, `-e status=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Answered without an error, or sent without an answer to come.
    pub successful: bool,
    /// Answered with an error, or `mach_msg` failed.
    pub failed: bool,
    /// Not answered.
    pub unfinished: bool,
}

impl Status {
    /// All of them.
    pub const ALL: Self = Self { successful: true, failed: true, unfinished: true };
    /// None of them.
    pub(crate) const NONE: Self = Self { successful: false, failed: false, unfinished: false };
}

impl Status {
    /// Whether an exchange that has ended so is one of these.
    pub(crate) const fn has(self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::OneWay | Outcome::Answered { failed: false } => self.successful,
            Outcome::Answered { failed: true } | Outcome::Failed(_) => self.failed,
            Outcome::Open | Outcome::Unanswered => self.unfinished,
        }
    }
}

impl Default for Status {
    fn default() -> Self {
        Self::ALL
    }
}

/// `--policy`: what becomes of records for which an engine's trace port has no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Who is traced waits, as with a trace port.
    #[default]
    Block,
    /// They are lost, and counted.
    Drop,
}

/// What the options say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `-s`, `-t`, `-r`, `-T`, `-x`, `--dump-messages`, `-v`, `-q`.
    pub style: Style,
    /// `-c`, `-C`.
    pub report: Report,
    /// `--posix`: calls instead of messages.
    pub posix: bool,
    /// `-S`, `-U`, and how wide the terminal is: what the table looks like.
    pub table: Layout,
    /// `--min`: nanoseconds.
    pub min: u64,
    /// `-e trace=`, one for each.
    pub expressions: Vec<String>,
    /// `-z`, `-Z`, `-e status=`.
    pub status: Status,
    /// It was a letter that said so.
    pub status_by_letter: bool,
    /// `--on` and others.
    pub selecting: Selecting,
    /// `-p`, one for each.
    pub attach: Vec<String>,
    /// `--until=all`.
    pub until_all: bool,
    /// `--as`: the name of an engine.
    pub engine: Option<String>,
    /// `--policy`.
    pub policy: Policy,
    /// `--kernel-filter`.
    pub kernel_filter: bool,
    /// `--live`: figures are drawn while they come.
    pub live: bool,
    /// `--engines`: list them.
    pub engines: bool,
    /// `--inject`, one for each.
    pub injections: Vec<Injection>,
    /// `--stop-at`, one for each.
    pub stops: Vec<String>,
    /// `--ool`: most bytes of each memory out of line that are read; 0 is none.
    pub memory: usize,
    /// What needs files or a terminal.
    pub host: Host,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `-h`: print [`text::help`].
    Help,
    /// `-V`: print [`text::version`].
    Version,
    /// `owner`: the system trace and whose it is.
    Owner(Owner),
    /// Trace a command.
    Trace {
        /// How.
        options: Box<Options>,
        /// The program and its arguments; none where processes are traced.
        command: Vec<String>,
    },
}

/// Reads the arguments after the program's own name, where the options that are followed here are known.
///
/// # Errors
/// The first [`OptionsError`].
pub fn parse<'a>(arguments: impl IntoIterator<Item = &'a str>, here: Here) -> Result<Request, OptionsError> {
    let mut options = Options::default();
    let mut command: Vec<String> = Vec::new();
    let mut arguments = arguments.into_iter().peekable();
    if here != Here::Show && arguments.next_if_eq(&OWNER).is_some() {
        return Owner::parse(arguments);
    }
    while let Some(argument) = arguments.next() {
        let asked = match argument {
            "--" => break,
            _ => match (argument.strip_prefix("--"), argument.strip_prefix('-')) {
                (Some(long), _) => read_long(argument, long, &mut arguments, &mut options, here)?,
                (None, Some("") | None) => {
                    command.push(argument.to_string());
                    break;
                }
                (None, Some(letters)) => read_letters(letters, &mut arguments, &mut options, here)?,
            },
        };
        if let Some(request) = asked {
            return Ok(request);
        }
    }
    command.extend(arguments.map(ToString::to_string));
    refuse_together(&options, here)?;
    if here == Here::Show {
        return of_a_capture(options, command);
    }
    match (command.is_empty(), options.attach.is_empty()) {
        (_, true) if options.engines => Err(OptionsError::EnginesOfNobody),
        (true, true) => Err(OptionsError::NoCommand),
        (false, false) => Err(OptionsError::CommandAndProcesses),
        _ => Ok(Request::Trace { options: Box::new(options), command }),
    }
}

/// Refuses options that mean nothing together.
fn refuse_together(options: &Options, here: Here) -> Result<(), OptionsError> {
    let left_out = (!options.expressions.is_empty()).then_some("-e trace=").or(options.selecting.leaves_out());
    if let (Report::Answer(question), Some(by)) = (options.report, left_out)
        && question.needs_all()
    {
        return Err(OptionsError::NeedsAll(alloc::format!("ask={}", question.name()), by));
    }
    posix::check(options, left_out)?;
    if options.live && options.report != Report::Answer(Question::Top) {
        return Err(OptionsError::NothingLive);
    }
    if options.live && matches!(options.host.output, Output::File(_) | Output::Command(_)) {
        return Err(OptionsError::LiveInAFile);
    }
    if options.selecting.history > 0 && options.selecting.on.is_none() {
        return Err(OptionsError::HistoryOfNothing);
    }
    if options.host.append && !matches!(options.host.output, Output::File(_)) {
        return Err(OptionsError::AppendToNothing);
    }
    if options.min > 0 && options.report != Report::Answer(Question::Tree) {
        return Err(OptionsError::MinOfNothing);
    }
    let usual = Layout::default();
    let of_table = [("-S", options.table.sort != usual.sort), ("-U", options.table.columns != usual.columns)];
    let has_table = matches!(options.report, Report::Summary | Report::Both);
    if let (false, Some((option, _))) = (has_table, of_table.iter().find(|(_, is_there)| *is_there)) {
        return Err(OptionsError::NeedsATable(option));
    }
    if options.until_all && matches!(here, Here::Host | Here::Guest) {
        return Err(OptionsError::NeedsAHurd("--until=all".to_string()));
    }
    let of_engines = [("--policy", options.policy != Policy::default()), ("--kernel-filter", options.kernel_filter)];
    if let (None, Some((option, _))) = (&options.engine, of_engines.iter().find(|(_, is_there)| *is_there)) {
        return Err(OptionsError::NeedsAs(option));
    }
    if options.engines && !(options.injections.is_empty() && options.stops.is_empty() && options.memory == 0) {
        return Err(OptionsError::InjectNothing);
    }
    Ok(())
}

/// What is asked for where a capture is shown.
fn of_a_capture(options: Options, command: Vec<String>) -> Result<Request, OptionsError> {
    let of_live = [
        ("--capture", options.host.capture.is_some()),
        ("-E", !options.host.environment.is_empty()),
        ("--until=all", options.until_all),
        ("--as", options.engine.is_some()),
        ("--inject", !options.injections.is_empty()),
        ("--stop-at", !options.stops.is_empty()),
        ("--ool", options.memory > 0),
        ("--live", options.live),
    ];
    match of_live.iter().find(|(_, is_there)| *is_there) {
        Some((name, _)) => Err(OptionsError::NotOfACapture(name)),
        // How many files there are to be depends on what is done with them.
        None => Ok(Request::Trace { options: Box::new(options), command }),
    }
}

/// Reads `--NAME` or `--NAME=VALUE`.
fn read_long<'a>(
    argument: &str,
    long: &'a str,
    arguments: &mut impl Iterator<Item = &'a str>,
    options: &mut Options,
    here: Here,
) -> Result<Option<Request>, OptionsError> {
    let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
    let written = argument.split('=').next().unwrap_or(argument);
    let row = table::rows().find(|row| row.longs.contains(&name)).ok_or_else(|| unknown(written))?;
    refuse_elsewhere(row, written, here)?;
    match (&row.action, value) {
        (Action::Set(_) | Action::Help | Action::Version, Some(_)) => Err(OptionsError::NoValue(written.to_string())),
        (Action::Value(what, set), value) => {
            let value = value.or_else(|| arguments.next());
            set(options, value.ok_or_else(|| OptionsError::MissingValue(written.to_string(), what))?)?;
            Ok(None)
        }
        (Action::Optional(_, set), value) => set(options, value).map(|()| None),
        (action, None) => Ok(simple(action, options)),
    }
}

/// Reads `-LETTERS`, or `-LETTERSVALUE`, or `-LETTERS VALUE`.
fn read_letters<'a>(
    letters: &'a str,
    arguments: &mut impl Iterator<Item = &'a str>,
    options: &mut Options,
    here: Here,
) -> Result<Option<Request>, OptionsError> {
    for (at, letter) in letters.char_indices() {
        let written = || alloc::format!("-{letter}");
        let row = table::rows().find(|row| row.letter == Some(letter)).ok_or_else(|| unknown(&written()))?;
        refuse_elsewhere(row, &written(), here)?;
        let rest = &letters[at + letter.len_utf8()..];
        match &row.action {
            Action::Value(what, set) => {
                let value = if rest.is_empty() { arguments.next() } else { Some(rest) };
                set(options, value.ok_or_else(|| OptionsError::MissingValue(written(), what))?)?;
                return Ok(None);
            }
            Action::Optional(_, set) => set(options, None)?,
            action => {
                if let Some(request) = simple(action, options) {
                    return Ok(Some(request));
                }
            }
        }
    }
    Ok(None)
}

/// An option without a value.
fn simple(action: &Action, options: &mut Options) -> Option<Request> {
    match action {
        Action::Help => return Some(Request::Help),
        Action::Version => return Some(Request::Version),
        Action::Set(set) => set(options),
        Action::Value(..) | Action::Optional(..) => {}
    }
    None
}

fn refuse_elsewhere(row: &Row, written: &str, here: Here) -> Result<(), OptionsError> {
    let written = || written.to_string();
    match (row.place, here) {
        (place, here) if here.follows(place) => Ok(()),
        (Place::Show, _) => Err(OptionsError::NeedsACapture(written())),
        (Place::Hurd, _) => Err(OptionsError::NeedsAHurd(written())),
        (Place::Host, Here::Hurd) if row.letter == Some('a') => Err(OptionsError::ColumnOnAHurd),
        (_, Here::Hurd) => Err(OptionsError::NotOnAHurd(written())),
        _ => Err(OptionsError::NotHere(written())),
    }
}

/// What to say of an option that is not in the table.
fn unknown(written: &str) -> OptionsError {
    if let Some(absent) = ABSENT.iter().find(|absent| absent.names.contains(&written)) {
        return OptionsError::Absent { name: written.to_string(), whose: absent.whose, why: absent.why };
    }
    let longs = table::rows().flat_map(|row| row.longs.iter().copied());
    let near = match written.strip_prefix("--") {
        Some(long) => Suggestion::of(long, longs, "--"),
        // A long option with one hyphen is a usual slip.
        None => Suggestion::none(),
    };
    OptionsError::Unknown { name: written.to_string(), near }
}

/// `-e status=`, `-z` or `-Z` as it was written, nothing where all ends are shown.
pub(crate) fn status_text(options: &Options) -> String {
    values::status_words(options).join(" ")
}

/// What `-p` names if it is to be every task.
pub const ALL: &str = "all";

/// What the host says before all options where the lines do not stand among the command's own output: they may come late then.
pub const APART: &str = "--apart";

/// What the host says before all options where the trace is kept in a file of the host's.
pub const CAPTURED: &str = "--captured";

/// What the host says before all options where a terminal of its own shows what is typed, and lets one edit it.
pub const LINES: &str = "--lines";

/// The word that has all be read that memory out of line holds, as much as can be.
pub fn all_memory() -> String {
    alloc::format!("--ool={}", capture::MAX_READ)
}

/// Options that say the same to rpctrace2 in the guest, without those that only the host can follow.
pub fn guest_words(options: &Options) -> Vec<String> {
    table::rows().filter(|row| row.place == Place::Everywhere).flat_map(|row| (row.words)(options)).collect()
}
