// SPDX-License-Identifier: GPL-2.0-or-later
//! What is typed at the prompt of `--stop-at`: keys to lines, lines to answers.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use mig_defs::table::Tables;

use crate::options::inject::{Instead, instead};
use crate::options::near::Suggestion;

/// What can be answered: each word, its letter, what it takes, and what it does. No two begin with the same letter, so that any beginning will do.
const WORDS: [(&str, &str, &str, &str); 6] = [
    ("show", "s", "", "the whole message, with its bytes"),
    ("registers", "r", "", "what the thread has in its registers"),
    ("go", "g", "", "the message is sent"),
    (
        "fail",
        "f",
        " CODE",
        "it is not: mach_msg returns a MACH_SEND_ code, or any other is the return code of a reply that nobody has sent",
    ),
    ("quit", "q", "", "it is sent, and the trace ends; what is traced goes on"),
    ("help", "h", "", "this text"),
];

/// Longest line that is kept.
const LINE_MAX: usize = 256;

/// What the user says about a thread that has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing.
    Nothing,
    /// Show the message.
    Show,
    /// Show the thread's registers.
    Registers,
    /// Send the message.
    Go,
    /// Make this of it.
    Fail(Instead),
    /// End the trace.
    Quit,
    /// Say what can be answered.
    Help,
}

impl Answer {
    /// What a line says.
    ///
    /// # Errors
    /// A line for the user.
    pub fn parse(line: &str, tables: Tables<'_>) -> Result<Self, String> {
        let mut words = line.split_ascii_whitespace();
        let Some(word) = words.next() else { return Ok(Self::Nothing) };
        let known = WORDS.iter().find(|(name, ..)| name.starts_with(word));
        let (argument, more) = (words.next(), words.next());
        let Some((name, _, takes, _)) = known else {
            let near = Suggestion::of(word, WORDS.iter().map(|(name, ..)| *name), "");
            return Err(format!("expected show, registers, go, fail CODE, quit or help, found `{word}`{near}"));
        };
        if let Some(extra) = more.or(argument.filter(|_| takes.is_empty())) {
            return Err(format!("`{name}{takes}`: found `{extra}` besides"));
        }
        match *name {
            "show" => Ok(Self::Show),
            "registers" => Ok(Self::Registers),
            "go" => Ok(Self::Go),
            "quit" => Ok(Self::Quit),
            "help" => Ok(Self::Help),
            _ => {
                let expected =
                    "expected a name, such as MACH_SEND_NO_BUFFER, KERN_NO_ACCESS or a Hurd's ENOENT, or a number";
                let code = argument.ok_or_else(|| format!("`fail CODE`: {expected}"))?;
                let instead = instead(code, tables).ok_or_else(|| format!("`fail {code}`: {expected}"))?;
                Ok(Self::Fail(instead))
            }
        }
    }

    /// What can be answered, a line each.
    pub fn help() -> String {
        WORDS
            .iter()
            .map(|(name, letter, takes, does)| format!("  {:<12}{letter}  {does}\n", name.to_string() + takes))
            .collect()
    }
}

/// A line that has been typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// It.
    Text(String),
    /// There are no more.
    End,
    /// Ctrl-C, where it is a key like others.
    Interrupt,
}

/// Keys that have been typed and are in no line yet.
#[derive(Debug, Default)]
pub struct Keys {
    waiting: Vec<u8>,
    line: Vec<u8>,
    escape: Escape,
}

/// Control-C, Control-D, Escape, with which arrows and the like begin.
const INTERRUPT: u8 = 0x03;
const END: u8 = 0x04;
const ESCAPE: u8 = 0x1b;

/// How much of an arrow or the like has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    Begun,
    /// What follows ends with a letter or `~`.
    Sequence,
}

impl Escape {
    /// Whether a key is part of one.
    fn takes(&mut self, key: u8) -> bool {
        let (next, takes) = match (*self, key) {
            (_, ESCAPE) => (Self::Begun, true),
            // No sequence has control keys: what was one has been given up.
            (Self::None, _) | (_, ..b' ') => (Self::None, false),
            (Self::Begun, b'[' | b'O') | (Self::Sequence, ..b'@') => (Self::Sequence, true),
            (Self::Begun | Self::Sequence, _) => (Self::None, true),
        };
        *self = next;
        takes
    }
}

impl Keys {
    /// Further keys; none is the end of the input.
    pub fn typed(&mut self, keys: &[u8]) {
        match keys {
            [] => self.waiting.push(END),
            keys => self.waiting.extend_from_slice(keys),
        }
    }

    /// The next line, if there is a whole one. `echo` is given what a terminal is to show of it that does not show keys itself.
    pub fn line(&mut self, echo: &mut Vec<u8>) -> Option<Line> {
        let mut used = 0;
        let found = loop {
            let Some(key) = self.waiting.get(used) else { break None };
            used += 1;
            if self.escape.takes(*key) {
                continue;
            }
            match *key {
                b'\r' | b'\n' => {
                    echo.push(b'\n');
                    break Some(Line::Text(String::from_utf8_lossy(&core::mem::take(&mut self.line)).into_owned()));
                }
                // At the end of a line that has no end it is that.
                END if !self.line.is_empty() => {
                    used -= 1;
                    echo.push(b'\n');
                    break Some(Line::Text(String::from_utf8_lossy(&core::mem::take(&mut self.line)).into_owned()));
                }
                END => {
                    echo.push(b'\n');
                    break Some(Line::End);
                }
                INTERRUPT => {
                    self.line.clear();
                    echo.extend_from_slice(b"^C\n");
                    break Some(Line::Interrupt);
                }
                0x08 | 0x7f if self.line.pop().is_some() => echo.extend_from_slice(b"\x08 \x08"),
                key @ (b' '..=b'~' | 0x80..) if self.line.len() < LINE_MAX => {
                    self.line.push(key);
                    echo.push(key);
                }
                _ => {}
            }
        };
        self.waiting.drain(..used);
        found
    }
}
