// SPDX-License-Identifier: GPL-2.0-or-later
//! What is wrong with a command line.

use alloc::string::String;

use thiserror::Error;

use super::inject::InjectError;
use super::near::Suggestion;

/// Why a command line is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OptionsError {
    /// No such option.
    #[error("unknown option `{name}`{near}; `rpctrace2 -h` lists the options")]
    Unknown {
        /// As it was written.
        name: String,
        /// What may be meant.
        near: Suggestion,
    },
    /// An option of another tracer that this one has not.
    #[error("option `{name}` of {whose}: {why}")]
    Absent {
        /// As it was written.
        name: String,
        /// Which tracer has it.
        whose: &'static str,
        /// Why this one has not, or what it has instead.
        why: &'static str,
    },
    /// The option's value is not there.
    #[error("option `{0}` needs a value: {1}")]
    MissingValue(String, &'static str),
    /// The option takes none.
    #[error("option `{0}` takes no value")]
    NoValue(String),
    /// The option's value is none.
    #[error("option `{option}`: expected {expected}, found `{found}`{near}")]
    BadValue {
        /// The option.
        option: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What it was given.
        found: String,
        /// What may be meant.
        near: Suggestion,
    },
    /// An option that only the host tool can follow.
    #[error("option `{0}`: there are no files inside the guest; give it to `cargo qemu rpctrace2`, which takes it")]
    NotHere(String),
    /// An option that takes the host tool, and this is a Hurd.
    #[error("option `{0}`: not on a Hurd; `cargo qemu rpctrace2` takes it")]
    NotOnAHurd(String),
    /// `-a` on a Hurd, by whom other tracers have taught that it is all processes.
    #[error("option `-a`: the host tool moves results to a column; every task of a Hurd is `-p all`")]
    ColumnOnAHurd,
    /// An option that takes a Hurd.
    #[error("option `{0}`: needs a Hurd, which has processes; here a trace begins with its command")]
    NeedsAHurd(String),
    /// An option that takes a capture, and this is a live trace.
    #[error("option `{0}`: needs a capture; `cargo rpctrace2 show FILE` takes it")]
    NeedsACapture(String),
    /// An option about a live trace, and this is a capture.
    #[error("option `{0}`: is about a trace that is being made; this one has been")]
    NotOfACapture(&'static str),
    /// A command and processes.
    #[error("option `-p`: traces processes that run already; a command cannot be traced at the same time")]
    CommandAndProcesses,
    /// An option about an engine, and there is none.
    #[error("option `{0}`: needs --as, which names the engine that it is about")]
    NeedsAs(&'static str),
    /// Engines of nobody.
    #[error("option `--engines`: needs -p, which names the processes whose engines are listed")]
    EnginesOfNobody,
    /// What is to be made of messages means nothing.
    #[error(transparent)]
    Inject(#[from] InjectError),
    /// A list of engines, and something to be done.
    #[error("options `--inject`, `--stop-at`, `--ool`: `--engines` traces nothing")]
    InjectNothing,
    /// Something else than what can become of the system trace.
    #[error(
        "`owner`: expected claim, release, background or nothing, found `{found}` (a program of that name is traced by `-- owner`){near}"
    )]
    Owner {
        /// As it was written.
        found: String,
        /// What may be meant.
        near: Suggestion,
    },
    /// A question about everything, and a part of it.
    #[error("option `--{0}`: needs all messages; `{1}` leaves some out")]
    NeedsAll(String, &'static str),
    /// A question, and calls instead of messages.
    #[error("option `--posix`: is about lines and the table of -c; `--ask={0}` has neither")]
    PosixAnswer(&'static str),
    /// Something drawn that has no figures.
    #[error("option `--live`: needs --ask=top, whose figures it draws")]
    NothingLive,
    /// Something drawn where nobody looks.
    #[error("option `--live`: draws on a terminal; `-o` leads to a file or a command")]
    LiveInAFile,
    /// What was before something that is not waited for.
    #[error("option `--history`: needs --on, which names the call that it is before")]
    HistoryOfNothing,
    /// What is appended to no file.
    #[error("option `-A`: needs -o with a FILE, to which it appends")]
    AppendToNothing,
    /// The shortest of calls that are not told.
    #[error("option `--min`: needs --ask=tree, whose calls it selects; --slower selects those of everything else")]
    MinOfNothing,
    /// What a table looks like that is not there.
    #[error("option `{0}`: needs -c or -C, whose table it is about")]
    NeedsATable(&'static str),
    /// Nothing to trace.
    #[error("no command to trace; usage: rpctrace2 [OPTION]... COMMAND [ARGUMENT]...")]
    NoCommand,
}
