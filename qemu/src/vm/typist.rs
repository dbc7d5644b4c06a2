// SPDX-License-Identifier: GPL-2.0-or-later
//! Logs in on a system's console and types a command there: a machine without a clock or a line of its own, which is told both.
//!
//! Nothing is typed but where a prompt is: the console's last line looks like one, has no end, and nothing has come for a while. What a
//! command prints stands between two marks that the shell prints; typed, they are in two halves, so that the echo of the line is no mark.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::mem;
use std::time::{Duration, Instant};

use regex_lite::Regex;

/// How long nothing has to come after what looks like a prompt.
const QUIET: Duration = Duration::from_millis(500);
/// Bytes of a line that a terminal takes at once (`_POSIX_MAX_CANON`).
const LINE_MAX: usize = 255;
/// Who logs in.
const USER: &str = "root";

/// What a prompt of `login` and one of a password look like.
const LOGIN: &str = r"login: ?$";
const PASSWORD: &str = r"[Pp]assword.*: ?$";
/// What a shell's prompt looks like, unless the user says it.
pub const SHELL: &str = r"^(\S+@\S+[ :].*|[a-z]*sh-[0-9.]+|/?)[#$] ?$";

/// What is typed, and how long each step may take.
#[derive(Clone, Debug)]
pub struct Script {
    /// What a shell's prompt looks like: the end of a line.
    pub shell: Regex,
    /// What is typed where a password is asked for.
    pub password: Option<String>,
    /// Shell commands, in their order. The last but `after` is the user's; what that prints is the output.
    pub before: String,
    /// The user's.
    pub command: String,
    /// What follows it.
    pub after: Option<String>,
    /// Until the first prompt.
    pub boot: Duration,
    /// Every other step but the command.
    pub step: Duration,
    /// The command.
    pub time: Duration,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A prompt is waited for, of `login` or of a shell.
    Boot,
    /// The name has been typed.
    Name,
    /// The password has been typed.
    Password,
    /// A shell has to show its prompt before this is typed.
    Prompt(Line),
    /// This has been typed.
    Line(Line),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Before,
    Command,
    After,
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub enum Act {
    /// These bytes are keys.
    Type(Vec<u8>),
    /// All has been done: the command's exit status.
    Done(i32),
}

/// What came, for whom.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// The command's own output.
    pub output: Vec<u8>,
    /// Everything else.
    pub other: Vec<u8>,
}

/// Who types.
#[derive(Debug)]
pub struct Typist {
    script: Script,
    step: Step,
    since: Instant,
    /// When something came last.
    heard: Instant,
    screen: Screen,
    /// The marks of the line that was typed last.
    marks: [String; 2],
    /// What came since then and may have a mark in it.
    held: Vec<u8>,
    /// The first mark has come.
    is_within: bool,
    /// What a line of ours has printed.
    printed: Vec<u8>,
    status: Option<i32>,
    /// Why nothing more can be done.
    refusal: Option<String>,
}

/// The last line of a console.
#[derive(Debug, Default)]
struct Screen {
    line: String,
    returned: bool,
    escape: bool,
}

impl Screen {
    /// Takes a character; the line that has ended with it.
    fn take(&mut self, byte: u8) -> Option<String> {
        if self.escape {
            // A sequence ends with a letter; the bracket behind the escape is none.
            self.escape = !byte.is_ascii_alphabetic();
            return None;
        }
        match byte {
            b'\n' => {
                self.returned = false;
                return Some(mem::take(&mut self.line));
            }
            b'\r' => self.returned = true,
            0x1b => self.escape = true,
            0x08 => drop(self.line.pop()),
            byte => {
                if mem::take(&mut self.returned) {
                    self.line.clear();
                }
                self.line.push(char::from(byte));
            }
        }
        None
    }
}

/// A word of a command as a shell takes it for that word.
pub fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./:=,+@%-".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn mark() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

impl Typist {
    /// One who waits for the first prompt.
    ///
    /// # Errors
    /// What cannot be typed.
    pub fn new(script: Script, now: Instant) -> Result<Self, String> {
        for text in [Some(&script.before), Some(&script.command), script.after.as_ref(), script.password.as_ref()] {
            let Some(text) = text else { continue };
            if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
                return Err(format!(
                    "{} cannot be typed: there is a key in it that does something",
                    text.escape_debug()
                ));
            }
            let length = wrapped(text, &[mark(), mark()]).len();
            if length > LINE_MAX {
                return Err(format!("a line of {length} bytes cannot be typed: a terminal takes {LINE_MAX}"));
            }
        }
        Ok(Self {
            script,
            step: Step::Boot,
            since: now,
            heard: now,
            screen: Screen::default(),
            marks: [mark(), mark()],
            held: Vec::new(),
            is_within: false,
            printed: Vec::new(),
            status: None,
            refusal: None,
        })
    }

    /// Takes what came on the console.
    pub fn hear(&mut self, bytes: &[u8], now: Instant) -> Shown {
        self.heard = now;
        for &byte in bytes {
            if let Some(line) = self.screen.take(byte)
                && matches!(self.step, Step::Name | Step::Password)
                && line.contains("incorrect")
            {
                self.refusal.get_or_insert(format!("{USER} is not let in: {}", line.trim()));
            }
        }
        let Step::Line(line) = self.step else { return Shown { other: bytes.to_vec(), ..Shown::default() } };
        self.held.extend(bytes);
        let printed = self.printed_by_line();
        match line {
            Line::Command => Shown { output: without_returns(&printed), ..Shown::default() },
            Line::Before | Line::After => {
                self.printed.extend(&printed);
                Shown { other: printed, ..Shown::default() }
            }
        }
    }

    /// What is between the marks, as far as it has come.
    fn printed_by_line(&mut self) -> Vec<u8> {
        let [first, second] = &self.marks;
        if !self.is_within {
            let Some(at) = find(&self.held, first.as_bytes()) else { return Vec::new() };
            let Some(end) = self.held[at..].iter().position(|byte| *byte == b'\n') else { return Vec::new() };
            self.held.drain(..=at + end);
            self.is_within = true;
        }
        if let Some(at) = find(&self.held, second.as_bytes()) {
            let status = String::from_utf8_lossy(&self.held[at + second.len()..]).into_owned();
            let printed = self.held.drain(..at).collect();
            self.status =
                status.strip_prefix(':').and_then(|rest| rest.split_once(':')).and_then(|(n, _)| n.parse().ok());
            return printed;
        }
        // Its beginning may have come already, and a return may belong to the end of a line.
        let may_be = |length: &usize| self.held.ends_with(&second.as_bytes()[..*length]);
        let kept = (1..=second.len().min(self.held.len())).rev().find(may_be).unwrap_or(0);
        let end = self.held.len() - kept;
        let end = if self.held[..end].ends_with(b"\r") { end - 1 } else { end };
        self.held.drain(..end).collect()
    }

    /// When there may be something to do although nothing comes.
    pub fn due(&self) -> Instant {
        let limit = self.since + self.limit();
        let quiet = self.heard + QUIET;
        if self.is_prompt() { quiet.min(limit) } else { limit }
    }

    /// What is to be done now.
    ///
    /// # Errors
    /// Why nothing more can be done.
    pub fn act(&mut self, now: Instant) -> Result<Option<Act>, String> {
        if let Some(refusal) = self.refusal.take() {
            return Err(refusal);
        }
        if let (Step::Line(line), Some(status)) = (self.step, self.status.take()) {
            return self.ended(line, status, now);
        }
        let is_quiet = now >= self.heard + QUIET;
        if is_quiet && let Some(typed) = self.at_prompt(now)? {
            return Ok(Some(Act::Type(typed)));
        }
        if now >= self.since + self.limit() { Err(self.overdue()) } else { Ok(None) }
    }

    fn ended(&mut self, line: Line, status: i32, now: Instant) -> Result<Option<Act>, String> {
        let next = match line {
            Line::Before if status != 0 => {
                let printed = String::from_utf8_lossy(&self.printed).trim().replace(['\r', '\n'], " ");
                return Err(format!("`{}` ended with {status}: {printed}", self.script.before));
            }
            Line::Before => Line::Command,
            Line::Command if self.script.after.is_none() => return Ok(Some(Act::Done(status))),
            Line::Command => {
                self.printed = status.to_string().into_bytes();
                Line::After
            }
            Line::After => {
                let status = self.printed.split(|byte| !byte.is_ascii_digit()).next().unwrap_or_default();
                return Ok(Some(Act::Done(String::from_utf8_lossy(status).parse().unwrap_or(0))));
            }
        };
        self.enter(Step::Prompt(next), now);
        Ok(None)
    }

    fn enter(&mut self, step: Step, now: Instant) {
        (self.step, self.since, self.status, self.is_within) = (step, now, None, false);
        self.held.clear();
    }

    /// Whether the last line looks like a prompt that is answered in this step.
    fn is_prompt(&self) -> bool {
        let line = &self.screen.line;
        match self.step {
            Step::Name if is_like(PASSWORD, line) => true,
            Step::Boot | Step::Name | Step::Password => is_like(LOGIN, line) || self.script.shell.is_match(line),
            Step::Prompt(_) => self.script.shell.is_match(line),
            Step::Line(_) => false,
        }
    }

    /// The keys that answer the prompt which the last line is.
    fn at_prompt(&mut self, now: Instant) -> Result<Option<Vec<u8>>, String> {
        let line = self.screen.line.clone();
        let is_shell = self.script.shell.is_match(&line);
        let (next, text) = match self.step {
            Step::Line(_) => return Ok(None),
            Step::Prompt(line) if is_shell => (Step::Line(line), None),
            Step::Prompt(_) => return Ok(None),
            Step::Boot if is_like(LOGIN, &line) => (Step::Name, Some(USER.to_owned())),
            Step::Name | Step::Password if is_like(LOGIN, &line) => {
                return Err(format!("{USER} is not let in: `{}` again", line.trim()));
            }
            Step::Name if is_like(PASSWORD, &line) => match &self.script.password {
                Some(password) => (Step::Password, Some(password.clone())),
                None => return Err(format!("`{}`: {USER} has a password; --password-file FILE has it", line.trim())),
            },
            Step::Boot | Step::Name | Step::Password if is_shell => (Step::Line(Line::Before), None),
            Step::Boot | Step::Name | Step::Password => return Ok(None),
        };
        self.enter(next, now);
        // What was a prompt is one no longer.
        self.screen.line.clear();
        let text = text.unwrap_or_else(|| {
            self.marks = [mark(), mark()];
            let line = match next {
                Step::Line(Line::Command) => &self.script.command,
                Step::Line(Line::After) => self.script.after.as_ref().unwrap_or(&self.script.command),
                _ => &self.script.before,
            };
            wrapped(line, &self.marks)
        });
        Ok(Some([text.as_bytes(), b"\r"].concat()))
    }

    fn limit(&self) -> Duration {
        match self.step {
            Step::Boot => self.script.boot,
            Step::Line(Line::Command) => self.script.time,
            _ => self.script.step,
        }
    }

    fn overdue(&self) -> String {
        let seconds = self.limit().as_secs();
        let shell = &self.script.shell;
        match self.step {
            Step::Boot => format!(
                "no prompt {seconds} seconds after the start: expected `login:` or a shell's, which looks like {shell} (--prompt REGEX)"
            ),
            Step::Name | Step::Password | Step::Prompt(_) => format!(
                "no prompt of a shell after {seconds} seconds: expected one that looks like {shell} (--prompt REGEX), found `{}`",
                self.screen.line.trim()
            ),
            Step::Line(Line::Command) => {
                format!(
                    "no end of `{}` after {seconds} seconds; a longer limit: --timeout SECONDS",
                    self.script.command
                )
            }
            Step::Line(line) => {
                let after = self.script.after.as_ref().unwrap_or(&self.script.before);
                let typed = if line == Line::Before { &self.script.before } else { after };
                format!("no end of `{typed}` after {seconds} seconds; a longer limit: --step-timeout SECONDS")
            }
        }
    }
}

fn is_like(pattern: &str, line: &str) -> bool {
    // They are constants; one that is none matches nothing.
    Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(line))
}

/// A line that prints what `command` prints between two marks, and its exit status.
fn wrapped(command: &str, [first, second]: &[String; 2]) -> String {
    let halves = |mark: &str| format!("{}\"\"{}", &mark[..8], &mark[8..]);
    format!("echo {}; {command}; echo {}:$?:", halves(first), halves(second))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// Lines as files have them.
fn without_returns(bytes: &[u8]) -> Vec<u8> {
    let is_end = |at: usize| bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n');
    (0..bytes.len()).filter(|at| !is_end(*at)).map(|at| bytes[at]).collect()
}

#[cfg(test)]
mod tests;
