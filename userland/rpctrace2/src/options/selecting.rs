// SPDX-License-Identifier: GPL-2.0-or-later
//! Which calls are shown, beyond `-e`, and from when until when: `--on`, `--until`, `--history`, `--limit`, `--for`, `--slower`, `--port`,
//! `--direction`, `--thread`, `--result`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::filter::{Compile, FilterError, code, expand};
use super::near::Suggestion;
use super::values::bad_value;
use super::{Options, OptionsError};
use mig_defs::table::Tables;

/// Most lines of `--history`.
const HISTORY_MAX: usize = 100_000;

/// What is selected beyond `-e`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selecting {
    /// `--on`.
    pub on: Option<Trigger>,
    /// `--until`, of a message.
    pub until: Option<Trigger>,
    /// `--history`: lines.
    pub history: usize,
    /// `--limit`: calls.
    pub limit: Option<u64>,
    /// `--for`: nanoseconds.
    pub span: Option<u64>,
    /// `--slower`: nanoseconds.
    pub slower: Option<u64>,
    /// `--port`, each one of several.
    pub ports: Vec<String>,
    /// `--direction`.
    pub direction: Option<Way>,
    /// `--thread`, each one of several.
    pub threads: Vec<Thread>,
    /// `--result`, each one of several: names of codes, or numbers.
    pub results: Vec<String>,
}

/// A call that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// Of which routines, as `-e trace=` has them.
    pub set: String,
    /// How it ends, if that matters.
    pub end: Option<End>,
}

/// How a call ends that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Without an error.
    Successful,
    /// With one.
    Failed,
    /// With this code, by its name or number.
    Code(String),
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// What traced tasks send, and what is answered.
    Send,
    /// What comes to them, and what they answer.
    Receive,
}

/// A task, or one thread of it, by the numbers that lines have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thread {
    /// The task's, from 1.
    pub task: usize,
    /// The thread's, from 1; the whole task without it.
    pub thread: Option<usize>,
}

impl Selecting {
    /// An option by which calls are left out, if there is one.
    pub fn leaves_out(&self) -> Option<&'static str> {
        let options = [
            ("--on", self.on.is_some()),
            ("--slower", self.slower.is_some()),
            ("--port", !self.ports.is_empty()),
            ("--direction", self.direction.is_some()),
            ("--thread", !self.threads.is_empty()),
            ("--result", !self.results.is_empty()),
        ];
        options.iter().find(|(_, is_there)| *is_there).map(|(name, _)| *name)
    }

    /// With sets in names and `msgh_id`s alone.
    ///
    /// # Errors
    /// If a set or a code is of nothing that these tables know.
    pub fn expand(&mut self, tables: Tables<'_>, compile: Compile<'_>) -> Result<(), FilterError> {
        for (option, trigger) in [("--on", &mut self.on), ("--until", &mut self.until)] {
            let Some(trigger) = trigger else { continue };
            trigger.set = expand(option, &trigger.set, tables, compile)?;
            if let Some(End::Code(word)) = &trigger.end {
                code(option, word, tables)?;
            }
        }
        self.results.iter().try_for_each(|word| code("--result", word, tables).map(drop))
    }
}

impl Trigger {
    /// `SET` or `SET=RESULT`; a regular expression in `/` may have `=` itself.
    fn parse(option: &'static str, value: &str) -> Result<Self, OptionsError> {
        const EXPECTED: &str =
            "SET, as of -e trace=, or SET=RESULT, where RESULT is failed, successful or a return code";
        let is_pattern = value.trim_start_matches('!').starts_with('/');
        let (set, result) = match is_pattern {
            true => value.rfind("/=").map_or((value, None), |at| (&value[..=at], Some(&value[at + 2..]))),
            false => value.split_once('=').map_or((value, None), |(set, result)| (set, Some(result))),
        };
        if set.trim_start_matches('!').is_empty() || result == Some("") {
            return Err(bad_value(option, EXPECTED, value));
        }
        let end = result.map(|result| match result {
            "failed" => End::Failed,
            "successful" => End::Successful,
            code => End::Code(code.to_string()),
        });
        Ok(Self { set: set.to_string(), end })
    }

    /// As it is written.
    pub fn text(&self) -> String {
        match &self.end {
            None => self.set.clone(),
            Some(End::Failed) => format!("{}=failed", self.set),
            Some(End::Successful) => format!("{}=successful", self.set),
            Some(End::Code(code)) => format!("{}={code}", self.set),
        }
    }
}

impl Thread {
    /// `1`, `1/2`, or as lines begin: `hello[1/2]`.
    fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| text.parse().ok().filter(|number: &usize| *number > 0);
        let text = match text.split_once('[') {
            Some((_, rest)) => rest.strip_suffix(']')?,
            None => text,
        };
        match text.split_once('/') {
            Some((task, thread)) => Some(Self { task: number(task)?, thread: Some(number(thread)?) }),
            None => Some(Self { task: number(text)?, thread: None }),
        }
    }

    /// As it is written.
    pub fn text(self) -> String {
        match self.thread {
            Some(thread) => format!("{}/{thread}", self.task),
            None => self.task.to_string(),
        }
    }
}

impl Way {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Receive => "receive",
        }
    }
}

pub(super) fn set_on(options: &mut Options, value: &str) -> Result<(), OptionsError> {
    options.selecting.on = Some(Trigger::parse("--on", value)?);
    Ok(())
}

pub(super) fn set_until(options: &mut Options, value: &str) -> Result<(), OptionsError> {
    match value {
        "all" => options.until_all = true,
        "command" => options.until_all = false,
        _ => options.selecting.until = Some(Trigger::parse("--until", value)?),
    }
    Ok(())
}

pub(super) fn set_history(options: &mut Options, value: &str) -> Result<(), OptionsError> {
    let lines = value.parse().ok().filter(|lines| *lines <= HISTORY_MAX);
    options.selecting.history = lines.ok_or_else(|| bad_value("--history", "a number of lines up to 100000", value))?;
    Ok(())
}

pub(super) fn set_limit(options: &mut Options, value: &str) -> Result<(), OptionsError> {
    let calls = value.parse().ok().filter(|calls| *calls > 0);
    options.selecting.limit = Some(calls.ok_or_else(|| bad_value("--limit", "a number of calls, not 0", value))?);
    Ok(())
}

pub(super) fn set_direction(options: &mut Options, value: &str) -> Result<(), OptionsError> {
    let ways = [Way::Send, Way::Receive];
    let way = ways.into_iter().find(|way| way.name() == value).ok_or_else(|| OptionsError::BadValue {
        option: "--direction",
        expected: "send or receive",
        found: value.to_string(),
        near: Suggestion::of(value, ways.map(Way::name), ""),
    })?;
    options.selecting.direction = Some(way);
    Ok(())
}

pub(super) fn add_ports(options: &mut Options, value: &str) -> Result<(), OptionsError> {
    const EXPECTED: &str = "a port as lines show it: its number, `name 7`, `bootstrap`, `console`";
    if value.trim().is_empty() {
        return Err(bad_value("--port", EXPECTED, value));
    }
    options.selecting.ports.push(value.trim().to_string());
    Ok(())
}

pub(super) fn add_threads(options: &mut Options, value: &str) -> Result<(), OptionsError> {
    const EXPECTED: &str = "TASK or TASK/THREAD, by the numbers in brackets that lines begin with";
    for text in value.split(',') {
        let thread = Thread::parse(text).ok_or_else(|| bad_value("--thread", EXPECTED, value))?;
        options.selecting.threads.push(thread);
    }
    Ok(())
}

pub(super) fn add_results(options: &mut Options, value: &str) -> Result<(), OptionsError> {
    if value.split(',').any(str::is_empty) {
        return Err(bad_value("--result", "return codes by name or number, with commas between them", value));
    }
    options.selecting.results.extend(value.split(',').map(ToString::to_string));
    Ok(())
}

/// `--NAME TEXT`, if there is one.
pub(super) fn pair(name: &str, text: Option<String>) -> Vec<String> {
    text.map_or_else(Vec::new, |text| vec![name.to_string(), text])
}

/// A time in nanoseconds, as options take it.
pub(super) fn nanoseconds(time: Option<u64>) -> Option<String> {
    time.map(|time| format!("{time}ns"))
}
