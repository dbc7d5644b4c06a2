//! Small pieces of text: escaped strings, names of numbers, times, what happens to a right.

use alloc::string::String;
use core::fmt::Write;

use mach_abi::{Disposition, type_name};
use mig_defs::table::{Form, Set};
use mig_defs::value::{Struct, Value, View, WaitStatus};

use crate::line::{Line, Tag};

/// Text with everything but printable ASCII escaped.
pub fn plain(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text {
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b'\0' => out.push_str("\\0"),
            b' '..=b'~' => out.push(char::from(*byte)),
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out
}

pub(crate) fn is_address(type_name: &str) -> bool {
    ["address_t", "offset_t", "uintptr_t", "pointer_t"].iter().any(|end| type_name.ends_with(end))
}

pub(crate) fn constants(line: &mut Line, set: Set<'_>, number: u32) {
    if !set.is_flags() {
        return match set.name_of(number) {
            Some(name) => line.push(Tag::Value, name),
            None => line.add(Tag::Value, format_args!("{}", number as i32)),
        };
    }
    let mut names = set.names_of(number);
    let mut any = false;
    for name in names.by_ref() {
        line.push(Tag::Value, if any { "|" } else { "" });
        line.push(Tag::Value, name);
        any = true;
    }
    match (any, names.rest()) {
        (false, 0) => line.push(Tag::Value, "0"),
        (false, rest) => line.add(Tag::Value, format_args!("{rest:#x}")),
        (true, 0) => {}
        (true, rest) => line.add(Tag::Value, format_args!("|{rest:#x}")),
    }
}

/// What became of a process.
pub(crate) fn wait_status(line: &mut Line, number: u32, signals: Option<Set<'_>>) {
    let signal = |line: &mut Line, what: &str, number: u8| {
        line.push(Tag::Value, what);
        match signals.and_then(|set| set.name_of(number.into())) {
            Some(name) => line.push(Tag::Value, name),
            None => line.add(Tag::Value, format_args!("signal {number}")),
        }
    };
    match WaitStatus::from_number(number) {
        Some(WaitStatus::Exited(status)) => line.add(Tag::Value, format_args!("exit {status}")),
        Some(WaitStatus::Killed { signal: by, dumped }) => {
            signal(line, "killed by ", by);
            line.push(Tag::Value, if dumped { ", core dumped" } else { "" });
        }
        Some(WaitStatus::Stopped(by)) => signal(line, "stopped by ", by),
        Some(WaitStatus::Continued) => line.push(Tag::Value, "continued"),
        None => line.add(Tag::Value, format_args!("{number:#x}")),
    }
}

/// What happens to a right, with a space behind it; nothing for an ordinary send right.
pub(crate) fn disposition_text(disposition: Disposition, view: View, verbose: bool) -> &'static str {
    match (u32::from(disposition.0), view) {
        (type_name::COPY_SEND, View::Sent) if verbose => "copy-send ",
        (type_name::MOVE_SEND, View::Received) if verbose => "send ",
        (type_name::MOVE_RECEIVE, View::Sent) => "move-receive ",
        (type_name::MOVE_SEND, View::Sent) => "move-send ",
        (type_name::MOVE_SEND_ONCE, View::Sent) => "move-send-once ",
        (type_name::MAKE_SEND, View::Sent) => "make-send ",
        (type_name::MAKE_SEND_ONCE, View::Sent) => "make-send-once ",
        (type_name::MOVE_RECEIVE, View::Received) => "receive ",
        (type_name::MOVE_SEND_ONCE, View::Received) => "send-once ",
        _ => "",
    }
}

/// Whether bytes of no particular kind are text: printable, or such pieces with a NUL behind each, as argument vectors are.
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    let printable = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t');
    if bytes.iter().all(printable) {
        return !bytes.is_empty();
    }
    let Some(pieces) = bytes.strip_suffix(b"\0") else { return false };
    // Short ones are more likely to be numbers.
    pieces.len() > 3 && pieces.split(|byte| *byte == 0).all(|piece| !piece.is_empty() && piece.iter().all(printable))
}

/// A struct of seconds and a part of a second, as a number of seconds; `None` if it is not one.
pub(crate) fn time(members: &Struct<'_>, form: Form) -> Option<String> {
    let (digits, limit) = match form {
        Form::Microseconds => (6, 1_000_000),
        Form::Nanoseconds => (9, 1_000_000_000),
        _ => return None,
    };
    let mut numbers = members.fields().map(|member| match member.value {
        Value::Signed { value, .. } => Some(value),
        Value::Unsigned { value, .. } => i64::try_from(value).ok(),
        _ => None,
    });
    let (seconds, part) = (numbers.next()??, numbers.next()??);
    // UTIME_NOW and UTIME_OMIT, for one, are no part of a second.
    let proper = numbers.next().is_none() && seconds >= 0 && (0..limit).contains(&part);
    proper.then(|| alloc::format!("{seconds}.{part:0digits$}s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_from_numbers() {
        for text in [&b"hello\n"[..], b"a", b"ls\0-l\0", b"name\0"] {
            assert!(is_text(text), "{text:?}");
        }
        for bytes in [&b""[..], b"\0", b"a\0", b"ab\0", b"a\0\0\0", b"abc\x80", b"ab\0\0cd\0", b"abc\0d"] {
            assert!(!is_text(bytes), "{bytes:?}");
        }
    }
}
