// SPDX-License-Identifier: GPL-2.0-or-later
//! `--posix`: calls instead of messages.

use alloc::string::ToString;

use super::place::Place;
use super::row::{Action, Row, word_if};
use super::{Options, OptionsError, Report};

/// Its row.
pub(super) const POSIX: Row = Row {
    letter: None,
    longs: &["posix"],
    action: Action::Set(|options| options.posix = true),
    place: Place::Everywhere,
    help: "the calls that a programmer made (open, read, connect, ...), each from the messages that the C library of a Hurd makes of it, \
           with errno by name; with -Z those that failed, with -c a table of them (docs/posix.md)",
    others: ["its lines are such", "none", "none"],
    test: "calls_are_told_of_the_messages_that_libc_makes",
    words: |options| word_if(options.posix, "--posix"),
};

/// Refuses what would leave messages out of which calls are made, or has no lines.
///
/// # Errors
/// Which option it is.
pub(super) fn check(options: &Options, left_out: Option<&'static str>) -> Result<(), OptionsError> {
    if !options.posix {
        return Ok(());
    }
    // Calls have a number of messages each that only their end tells.
    let counted = options.selecting.limit.is_some().then_some("--limit");
    if let Some(by) = left_out.or(counted) {
        return Err(OptionsError::NeedsAll("posix".to_string(), by));
    }
    match options.report {
        Report::Answer(question) => Err(OptionsError::PosixAnswer(question.name())),
        _ => Ok(()),
    }
}
