// SPDX-License-Identifier: GPL-2.0-or-later
//! What `-e trace=`, and what else takes such sets, selects, before the selection itself: patterns, classes and names that need not be there become
//! names and msgh_ids.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use mach_abi::{KernReturn, code, trap};
use mig_defs::table::{Routine, Tables};
use thiserror::Error;

use super::near::Suggestion;

/// Routines that have something to do with each other, by the beginnings of their names.
pub const CLASSES: &[(&str, &[&str])] = &[
    ("%task", &["task_", "mach_task_"]),
    ("%thread", &["thread_", "mach_thread_"]),
    ("%port", &["mach_port_", "mach_reply_port"]),
    ("%memory", &["vm_", "memory_object_", "default_pager_"]),
    ("%host", &["host_", "processor_", "mach_host_"]),
    ("%device", &["device_", "ds_device_"]),
    ("%notify", &["mach_notify_"]),
    ("%exception", &["exception_"]),
    ("%file", &["file_", "dir_", "fsys_"]),
    ("%io", &["io_"]),
    ("%process", &["proc_", "exec_", "msg_"]),
];

/// Something that a name matches or not.
pub type Matcher = Box<dyn Fn(&str) -> bool>;

/// Who knows regular expressions: the pattern's matcher, or what is wrong with it.
pub type Compile<'a> = &'a dyn Fn(&str) -> Result<Matcher, String>;

/// Why an expression selects nothing that can be said.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FilterError {
    /// A mistyped name would select nothing.
    #[error("option `{option}`: no routine, subsystem or msgh_id is called `{name}`{near}")]
    UnknownName {
        /// The option.
        option: &'static str,
        /// It.
        name: String,
        /// What may be meant.
        near: Suggestion,
    },
    /// No such class.
    #[error("option `{option}`: there is no class `{name}`{near}")]
    UnknownClass {
        /// The option.
        option: &'static str,
        /// It.
        name: String,
        /// What may be meant.
        near: Suggestion,
    },
    /// A pattern that is none.
    #[error("option `{option}`: regular expression `{pattern}`: {why}")]
    Pattern {
        /// The option.
        option: &'static str,
        /// It.
        pattern: String,
        /// What is wrong.
        why: String,
    },
    /// A pattern that no routine matches.
    #[error("option `{option}`: no routine matches `{pattern}`")]
    NoMatch {
        /// The option.
        option: &'static str,
        /// As it was written.
        pattern: String,
    },
    /// A return code that nobody returns.
    #[error("option `{option}`: no return code is called `{name}`{near}")]
    UnknownCode {
        /// The option.
        option: &'static str,
        /// It.
        name: String,
        /// What may be meant.
        near: Suggestion,
    },
}

/// The expression of an option in names and msgh_ids alone.
///
/// # Errors
/// The first [`FilterError`].
pub fn expand(
    option: &'static str,
    expression: &str,
    tables: Tables<'_>,
    compile: Compile<'_>,
) -> Result<String, FilterError> {
    let (mark, set) = expression.strip_prefix('!').map_or(("", expression), |set| ("!", set));
    let mut words: Vec<String> = Vec::new();
    for element in set.split(',') {
        if let Some(name) = element.strip_prefix('?') {
            words.extend(is_known(name, tables).then(|| name.to_string()));
        } else if element.starts_with('%') {
            let class = CLASSES.iter().find(|(class, _)| *class == element);
            let (_, beginnings) = class.ok_or_else(|| FilterError::UnknownClass {
                option,
                name: element.to_string(),
                near: Suggestion::of(element, CLASSES.iter().map(|(class, _)| *class), ""),
            })?;
            words.extend(matching(tables, |name| beginnings.iter().any(|beginning| name.starts_with(beginning))));
        } else if let Some(pattern) = element.strip_prefix('/') {
            let pattern = pattern.strip_suffix('/').unwrap_or(pattern);
            let matcher =
                compile(pattern).map_err(|why| FilterError::Pattern { option, pattern: pattern.to_string(), why })?;
            let before = words.len();
            words.extend(matching(tables, matcher));
            if words.len() == before {
                return Err(FilterError::NoMatch { option, pattern: element.to_string() });
            }
        } else if is_known(element, tables) {
            words.push(element.to_string());
        } else {
            return Err(FilterError::UnknownName { option, name: element.to_string(), near: near(element, tables) });
        }
    }
    if words.is_empty() {
        words.push("none".to_string());
    }
    Ok(mark.to_string() + &words.join(","))
}

/// The return code of an option by its name, as lines have it, or by its number.
///
/// # Errors
/// [`FilterError::UnknownCode`].
pub fn code(option: &'static str, word: &str, tables: Tables<'_>) -> Result<i32, FilterError> {
    let known = || code::ALL.iter().map(|(name, KernReturn(code))| (*code, *name)).chain(tables.errors());
    let of_name = || known().find(|(_, name)| *name == word).map(|(code, _)| code);
    number(word).or_else(of_name).ok_or_else(|| FilterError::UnknownCode {
        option,
        name: word.to_string(),
        near: Suggestion::of(word, known().map(|(_, name)| name), ""),
    })
}

/// A number in decimal or, after `0x`, hexadecimal; of the latter the bits.
pub(super) fn number(text: &str) -> Option<i32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok().map(|bits| bits as i32),
        None => text.parse().ok(),
    }
}

/// Whether a name selects something.
fn is_known(name: &str, tables: Tables<'_>) -> bool {
    matches!(name, "all" | "none" | "mach_msg")
        || name.parse::<u32>().is_ok()
        || trap::GIVING.iter().any(|giving| giving.1 == name)
        || tables.routines().any(|routine| routine.name() == name || routine.subsystem() == name)
}

/// The routines and traps whose names match: routines by their msgh_ids, which are shorter.
fn matching(tables: Tables<'_>, matches: impl Fn(&str) -> bool) -> Vec<String> {
    let routines = tables.routines().filter(|routine: &Routine<'_>| matches(routine.name()));
    let traps = trap::GIVING.iter().filter(|giving| matches(giving.1)).map(|giving| giving.1.to_string());
    routines.map(|routine| routine.request_id().to_string()).chain(traps).collect()
}

fn near(name: &str, tables: Tables<'_>) -> Suggestion {
    let names: Vec<&str> = tables.routines().flat_map(|routine| [routine.name(), routine.subsystem()]).collect();
    Suggestion::of(name, names.into_iter().chain(["all", "none", "mach_msg"]), "")
}

/// For where nobody knows regular expressions.
pub fn no_patterns(_: &str) -> Result<Matcher, String> {
    Err("the host tool knows them, rpctrace2 in the guest does not".to_string())
}
