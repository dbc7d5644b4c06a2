// SPDX-License-Identifier: GPL-2.0-or-later
//! `--to strace`: a line a call, as `strace -f -tt -T` writes those of a system. What a reader of such lines might take for their end or for
//! something else, wherever it stands in a text, is written by its number.

use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::io::{self, Write};

use mig_defs::table::Tables;
use report::posix::strerror;

use crate::json;
use crate::model::{About, Call, Code, End, Field, Half, Remark, Value};
use crate::{Format, Out};

const DAY: u64 = 86_400_000_000_000;

struct Strace {
    out: Out,
    /// The exchange whose line is not yet ended.
    begun: Option<u64>,
    /// Exchanges that are open and whose line was ended for another's.
    interrupted: HashSet<u64>,
}

impl fmt::Debug for Strace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Strace")
    }
}

/// Begins one.
pub(crate) fn begin(out: Out, _: &About, _: Tables<'_>) -> io::Result<Box<dyn Format>> {
    Ok(Box::new(Strace { out, begun: None, interrupted: HashSet::new() }))
}

/// Time of the day in UTC.
fn moment(time: u64) -> String {
    let (seconds, fraction) = (time % DAY / 1_000_000_000, time % 1_000_000_000);
    format!("{:02}:{:02}:{:02}.{fraction:09}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A byte of a string by its number, as C has it.
fn number(out: &mut String, byte: u8) {
    let _ = write!(out, "\\{byte:03o}");
}

/// A string of C's. Parentheses stand for themselves nowhere in it, since readers count them; nor does what begins lines of another kind.
fn quoted(out: &mut String, bytes: &[u8]) {
    out.push('"');
    let mut last = 0;
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'(' | b')' | b'<' | b'>' => number(out, byte),
            b'+' | b'-' if byte == last => number(out, byte),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => number(out, byte),
        }
        last = byte;
    }
    out.push('"');
}

/// Whether parentheses close in it what they open, and nothing in it is taken for something else.
fn is_plain(text: &str) -> bool {
    let open = text.bytes().try_fold(0_usize, |open, byte| match byte {
        b'(' => open.checked_add(1),
        b')' => open.checked_sub(1),
        b' '..=b'~' if !b"<>".contains(&byte) => Some(open),
        _ => None,
    });
    open == Some(0) && !text.contains("--") && !text.contains("++")
}

/// A word as it is where that can be, else as a string.
fn word(out: &mut String, text: &str) {
    if is_plain(text) { out.push_str(text) } else { quoted(out, text.as_bytes()) }
}

/// What may stand in front of a parenthesis.
fn name(text: &str) -> String {
    let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    text.chars().map(letter).collect()
}

fn list<T>(out: &mut String, ends: [char; 2], values: &[T], mut write: impl FnMut(&mut String, usize, &T)) {
    out.push(ends[0]);
    for (place, value) in values.iter().enumerate() {
        if place > 0 {
            out.push_str(", ");
        }
        write(out, place, value);
    }
    out.push(ends[1]);
}

fn value(out: &mut String, value: &Value) {
    match value {
        Value::Bool(value) => {
            let _ = write!(out, "{value}");
        }
        Value::Signed(value, None) => {
            let _ = write!(out, "{value}");
        }
        Value::Unsigned(value, None) => {
            let _ = write!(out, "{value}");
        }
        Value::Signed(_, Some(name)) | Value::Unsigned(_, Some(name)) | Value::Code(_, name) => word(out, name),
        Value::Text(bytes) | Value::Bytes(bytes) => quoted(out, bytes),
        Value::Port(port) => word(out, &port.label),
        Value::List(values) => list(out, ['[', ']'], values, |out, _, one| self::value(out, one)),
        Value::Struct(fields) => list(out, ['{', '}'], fields, |out, place, one| field(out, fields, place, one)),
        Value::Memory { address, size, .. } => {
            let _ = match address {
                Some(address) => write!(out, "{{address={address:#x}, size={size}}}"),
                None => write!(out, "{{size={size}}}"),
            };
        }
        Value::Rights { count, ports } => {
            list(out, ['[', ']'], ports, |out, _, port| word(out, &port.label));
            if ports.len() < *count as usize {
                let _ = write!(out, "...{count}");
            }
        }
        Value::Wrong(what) => word(out, what),
    }
}

fn field(out: &mut String, fields: &[Field], place: usize, field: &Field) {
    word(out, &json::key(fields, place));
    out.push('=');
    value(out, &field.value);
}

/// What it is called with, behind the port that it goes to.
fn arguments(out: &mut String, request: &Half) {
    if let Some(port) = &request.port {
        word(out, &port.label);
    }
    for (place, one) in request.arguments.iter().enumerate() {
        if place > 0 || request.port.is_some() {
            out.push_str(", ");
        }
        field(out, &request.arguments, place, one);
    }
}

/// What it gives back besides its code.
fn given(out: &mut String, reply: &Half) {
    for (place, one) in reply.arguments.iter().enumerate() {
        out.push_str(if place > 0 { ", " } else { " => " });
        field(out, &reply.arguments, place, one);
    }
}

/// How it ended. What has failed is -1, and what it was answered in the place of `errno`.
fn ended(out: &mut String, call: &Call) {
    match &call.result {
        Some(Code { number, name }) if call.has_failed => {
            let _ = match strerror(*number) {
                Some(text) => write!(out, " = -1 {} ({text})", self::name(name)),
                None => write!(out, " = -1 {} ({}, {number:#x})", self::name(name), self::name(name)),
            };
        }
        Some(Code { number, .. }) => {
            let _ = write!(out, " = {number}");
        }
        None => out.push_str(" = 0"),
    }
    if let Some(time) = call.duration() {
        let _ = write!(out, " <{}.{:09}>", time / 1_000_000_000, time % 1_000_000_000);
    }
}

/// Whether it is a call of the task's own: what it serves, and what others ask of the kernel about it, is none.
fn is_own(call: &Call) -> bool {
    !matches!(call.role, "server" | "control")
}

impl Strace {
    /// Ends the line that is not, if there is one, for another's.
    fn interrupt(&mut self) -> io::Result<()> {
        let Some(id) = self.begun.take() else { return Ok(()) };
        self.interrupted.insert(id);
        writeln!(self.out, " <unfinished ...>")
    }

    /// A call up to what it is answered.
    fn begin(&mut self, call: &Call) -> io::Result<()> {
        self.interrupt()?;
        let mut line = format!("{} {} ", call.thread, moment(call.start()));
        if call.role == "failed" {
            line.push_str("mach_msg(");
        }
        line.push_str(&name(&call.name));
        line.push('(');
        if let Some(request) = &call.request {
            arguments(&mut line, request);
        }
        if call.role == "failed" {
            line.push(')');
        }
        self.out.write_all(line.as_bytes())
    }
}

impl Format for Strace {
    fn opened(&mut self, call: &Call) -> io::Result<()> {
        if is_own(call) {
            self.begin(call)?;
            self.begun = Some(call.id);
        }
        Ok(())
    }

    fn closed(&mut self, call: &Call) -> io::Result<()> {
        if !is_own(call) {
            return Ok(());
        }
        let is_unanswered = call.outcome == "unanswered";
        if self.interrupted.remove(&call.id) {
            if is_unanswered {
                return Ok(());
            }
            self.interrupt()?;
            let time = call.end().unwrap_or(call.closed_at);
            write!(self.out, "{} {} <... {} resumed>", call.thread, moment(time), name(&call.name))?;
        } else {
            if self.begun != Some(call.id) {
                self.begin(call)?;
            }
            self.begun = None;
            if is_unanswered {
                return writeln!(self.out, " <unfinished ...>");
            }
        }
        let mut line = String::new();
        if let Some(reply) = &call.reply {
            given(&mut line, reply);
        }
        line.push(')');
        ended(&mut line, call);
        writeln!(self.out, "{line}")
    }

    /// As a signal is written, which is what is between dashes.
    fn remark(&mut self, remark: &Remark) -> io::Result<()> {
        self.interrupt()?;
        let text = remark.text.trim_matches(['-', ' ']).replace("---", "- - -").replace("+++", "+ + +");
        writeln!(self.out, "{} --- {text} ---", moment(remark.time))
    }

    fn finish(&mut self, _: &End) -> io::Result<()> {
        self.interrupt()?;
        self.out.flush()
    }
}
