// SPDX-License-Identifier: GPL-2.0-or-later
//! `--inject`: what becomes of messages that are about to be sent, in strace's words as far as Mach has the thing.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use mach_abi::KernReturn;
use mach_abi::code;
use mig_defs::table::Tables;
use thiserror::Error;
use trace_port::control::what::LONGEST_DELAY;

use super::filter::{FilterError, expand, no_patterns, number};

/// What is made of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instead {
    /// `error=`: it is not sent, and `mach_msg` returns this code.
    Failure(u32),
    /// `retval=`: it is not sent, and its sender receives a reply with this return code.
    Reply(i32),
    /// `delay_enter=`: it is sent so many milliseconds later.
    Delay(u32),
}

/// `when=`: of which messages, counted from 1 for each task and each `msgh_id` apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    first: u32,
    last: u32,
    step: u32,
}

impl When {
    /// Of all.
    const ALWAYS: Self = Self { first: 1, last: u32::MAX, step: 1 };

    /// Whether of this one.
    pub fn has(self, count: u32) -> bool {
        (self.first..=self.last).contains(&count) && (count - self.first).is_multiple_of(self.step)
    }

    /// `first[..last][+[step]]`.
    fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| text.parse().ok().filter(|number| *number > 0);
        let (range, step) = text.split_once('+').map_or((text, None), |(range, step)| (range, Some(step)));
        let (first, last) = range.split_once("..").map_or((range, None), |(first, last)| (first, Some(last)));
        let first = number(first)?;
        let last = match last {
            Some(last) => number(last).filter(|last| *last >= first)?,
            None if step.is_some() => u32::MAX,
            None => first,
        };
        let step = step.filter(|step| !step.is_empty()).map_or(Some(1), number)?;
        Some(Self { first, last, step })
    }
}

/// One `--inject`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    /// Of which routines, as `-e trace=` has them, without `!`.
    pub set: String,
    /// What.
    pub instead: Instead,
    /// Of which messages.
    pub when: When,
    /// The name of the errno value of a Hurd's that stands for the return code.
    errno: Option<String>,
    /// All but the set, as it was written.
    how: String,
}

/// The Mach error system of a Hurd's errno values, and the largest one.
const ERRNO: i32 = 0x4000_0000;
const LAST_ERRNO: i32 = 0x3fff;

/// Why an injection is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InjectError {
    /// There is nothing to be done.
    #[error("option `--inject`: expected SET:error=CODE, SET:retval=CODE or SET:delay_enter=TIME, found `{0}`")]
    Nothing(String),
    /// Two things at once.
    #[error("option `--inject`: one of error=, retval= and delay_enter= at a time, found `{0}`")]
    Several(String),
    /// A word of strace's without a meaning here, or of nobody's.
    #[error("option `--inject`: `{word}`: {why}")]
    Word {
        /// It.
        word: String,
        /// Why not.
        why: &'static str,
    },
    /// A set that is no set of messages.
    #[error("option `{option}`: `{name}` names no message; expected routines, subsystems, msgh_ids, %classes")]
    NoMessage {
        /// The option.
        option: &'static str,
        /// What of the set.
        name: String,
    },
    /// A reply to what has none.
    #[error("option `--inject`: {0} has no reply, which retval= would make up; error= and delay_enter= can be had")]
    NoReply(String),
    /// Names that are not known.
    #[error(transparent)]
    Filter(#[from] FilterError),
}

/// What each word has for its value.
const EXPECTED: [(&str, &str); 4] = [
    ("error", "expected the name of a MACH_SEND_ code or its number, not 0"),
    ("retval", "expected the name of what a routine returns, such as KERN_FAILURE, or its number"),
    ("delay_enter", "expected whole milliseconds up to a minute, such as 20ms or 1s; a number alone is microseconds"),
    ("when", "expected first[..last][+[step]], counted from 1"),
];

/// Words of strace's that mean nothing here.
const ABSENT: [(&str, &str); 7] = [
    ("delay_exit", "a message is late before it is sent: delay_enter="),
    ("signal", "Mach has no signals; on the Hurd they are messages, msg_sig_post"),
    ("fault", "error=CODE says how a message fails"),
    ("syscall", "a message is sent as it is, or not"),
    ("poke_enter", "a message is sent as it is, or not"),
    ("poke_exit", "a reply that is made up has a return code and nothing else: retval="),
    ("failed", "error=CODE says how a message fails"),
];

impl Injection {
    /// `SET:error=CODE`, `SET:retval=CODE` or `SET:delay_enter=TIME`, each with `:when=first[..last][+[step]]` if one likes.
    ///
    /// # Errors
    /// [`InjectError`].
    pub fn parse(text: &str) -> Result<Self, InjectError> {
        let nothing = || InjectError::Nothing(text.to_string());
        let (set, how) = text.split_once(':').filter(|(set, _)| !set.is_empty()).ok_or_else(nothing)?;
        let (mut instead, mut when, mut errno) = (None, When::ALWAYS, None);
        for word in how.split(':') {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            let key = if key == "delay" { "delay_enter" } else { key };
            let refused = |why| InjectError::Word { word: word.to_string(), why };
            let expected = || {
                let known = EXPECTED.iter().chain(&ABSENT).find(|(known, _)| *known == key);
                refused(known.map_or("expected error=, retval=, delay_enter= or when=", |(_, why)| *why))
            };
            let what = match key {
                "error" => failure(value).map(Instead::Failure),
                "retval" if is_errno(value) => {
                    errno = Some(value.to_string());
                    Some(Instead::Reply(ERRNO))
                }
                "retval" => return_code(value).map(Instead::Reply),
                "delay_enter" => milliseconds(value).map(Instead::Delay),
                "when" => {
                    when = When::parse(value).ok_or_else(expected)?;
                    continue;
                }
                _ => None,
            };
            if instead.replace(what.ok_or_else(expected)?).is_some() {
                return Err(InjectError::Several(text.to_string()));
            }
        }
        Ok(Self { set: set.to_string(), instead: instead.ok_or_else(nothing)?, when, errno, how: how.to_string() })
    }

    /// As it was written.
    pub fn text(&self) -> String {
        alloc::format!("{}:{}", self.set, self.how)
    }

    /// With the code that stands for an errno value.
    ///
    /// # Errors
    /// If these tables have none of this name.
    pub fn resolve(mut self, tables: Tables<'_>) -> Result<Self, InjectError> {
        if let Some(name) = self.errno.take() {
            let mut codes = (1..=LAST_ERRNO).map(|value| ERRNO | value);
            let code = codes.find(|code| tables.error_name(*code) == Some(&name));
            let why = EXPECTED[1].1;
            let code = code.ok_or_else(|| InjectError::Word { word: alloc::format!("retval={name}"), why })?;
            self.instead = Instead::Reply(code);
        }
        Ok(self)
    }

    /// The `msgh_id`s of the set.
    ///
    /// # Errors
    /// [`InjectError`], where it has what is no message, or what no reply can be made up for.
    pub fn ids(&self, tables: Tables<'_>) -> Result<Vec<u32>, InjectError> {
        let ids = ids("--inject", &self.set, tables)?;
        if matches!(self.instead, Instead::Reply(_))
            && let Some(one_way) = ids.iter().filter_map(|id| tables.request(*id)).find(|one| one.reply_id().is_none())
        {
            return Err(InjectError::NoReply(one_way.name().to_string()));
        }
        Ok(ids)
    }
}

/// The `msgh_id`s of a set of messages, in their order, each once: routines, subsystems, `msgh_id`s, `%classes`.
///
/// # Errors
/// [`InjectError::NoMessage`] or [`InjectError::Filter`], where it has what is no message.
pub fn ids(option: &'static str, set: &str, tables: Tables<'_>) -> Result<Vec<u32>, InjectError> {
    let no_message = |name: &str| InjectError::NoMessage { option, name: name.to_string() };
    if set.starts_with('!') {
        return Err(no_message(set));
    }
    let mut ids = Vec::new();
    for name in expand(option, set, tables, &no_patterns)?.split(',') {
        let before = ids.len();
        ids.extend(name.parse::<u32>().ok());
        let routines = tables.routines().filter(|routine| routine.name() == name || routine.subsystem() == name);
        ids.extend(routines.map(|routine| routine.request_id()));
        if ids.len() == before {
            return Err(no_message(name));
        }
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// What a code means that is to come instead of a message being sent: one of a `mach_msg` that has not sent anything, or else the return code of a reply, an errno
/// value of these tables' among them.
pub fn instead(code: &str, tables: Tables<'_>) -> Option<Instead> {
    let of_send =
        |code: &u32| code::ALL.iter().any(|(name, of)| name.starts_with("MACH_SEND_") && of.0 as u32 == *code);
    if let Some(code) = failure(code).filter(of_send) {
        return Some(Instead::Failure(code));
    }
    let of_errno = || (1..=LAST_ERRNO).map(|value| ERRNO | value).find(|value| tables.error_name(*value) == Some(code));
    let reply = if is_errno(code) { of_errno() } else { return_code(code) };
    reply.map(Instead::Reply)
}

/// What a name stands for.
fn named(text: &str) -> Option<i32> {
    code::ALL.iter().find(|(name, _)| *name == text).map(|(_, KernReturn(value))| *value)
}

/// A code of a `mach_msg` that has not sent anything.
fn failure(text: &str) -> Option<u32> {
    let of_name = named(text).filter(|_| text.starts_with("MACH_SEND_"));
    of_name.or_else(|| number(text)).filter(|code| *code != 0).map(|code| code as u32)
}

fn return_code(text: &str) -> Option<i32> {
    let of_name = named(text).filter(|_| !text.starts_with("MACH_"));
    of_name.or_else(|| number(text))
}

/// Whether it looks like the name of an errno value, which the decode tables know.
fn is_errno(text: &str) -> bool {
    text.starts_with('E') && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// A time, in microseconds where it has no unit.
fn milliseconds(text: &str) -> Option<u32> {
    const UNITS: [(&str, u64); 4] = [("ms", 1_000_000), ("us", 1000), ("ns", 1), ("s", 1_000_000_000)];
    let unit = UNITS.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, *size)));
    let (digits, size) = unit.unwrap_or((text, 1000));
    let nanoseconds = digits.parse::<u64>().ok()?.checked_mul(size)?;
    let is_whole = nanoseconds > 0 && nanoseconds.is_multiple_of(1_000_000);
    u32::try_from(nanoseconds / 1_000_000).ok().filter(|time| is_whole && *time <= LONGEST_DELAY)
}
