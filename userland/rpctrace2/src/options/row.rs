// SPDX-License-Identifier: GPL-2.0-or-later
//! What is said of one option.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::place::Place;
use super::{Options, OptionsError};

/// What an option takes and does.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// Takes no value.
    Set(fn(&mut Options)),
    /// Takes a value, which is called so.
    Value(&'static str, for<'a> fn(&mut Options, &'a str) -> Result<(), OptionsError>),
    /// Takes a value after `=` if one likes.
    Optional(&'static str, for<'a> fn(&mut Options, Option<&'a str>) -> Result<(), OptionsError>),
    /// Prints the help.
    Help,
    /// Prints the version.
    Version,
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// `-s`.
    pub letter: Option<char>,
    /// `--string-limit`, without the hyphens.
    pub longs: &'static [&'static str],
    /// What it does.
    pub action: Action,
    /// Where.
    pub place: Place,
    /// What it says to the user.
    pub help: &'static str,
    /// What strace, rpctrace and fidlcat have for it.
    pub others: [&'static str; 3],
    /// The test that shows it.
    pub test: &'static str,
    /// The words that say the same, none if it is as nobody had said anything.
    pub words: fn(&Options) -> Vec<String>,
}

/// What another tracer has where it has the same.
pub(in crate::options) const SAME: &str = "the same";

/// One word if something is so.
pub(in crate::options) fn word_if(is_so: bool, word: &str) -> Vec<String> {
    if is_so { vec![word.to_string()] } else { Vec::new() }
}

/// No words: others follow the option.
pub(in crate::options) fn nothing(_: &Options) -> Vec<String> {
    Vec::new()
}
