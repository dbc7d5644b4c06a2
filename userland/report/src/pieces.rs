// SPDX-License-Identifier: GPL-2.0-or-later
//! Small pieces of text: escaped strings, names of numbers, times, what happens to a right.

use alloc::string::String;

use mach_abi::code::{MACH_MSG_MASK, SHORTAGES};
use mach_abi::{Disposition, type_name};
use mig_defs::table::{Form, Set, Tables, Type};
use mig_defs::value::{Struct, Value, View, WaitStatus};

use crate::number::{byte, decimal, hexadecimal, padded};

/// Appends text with everything but printable ASCII escaped.
pub(crate) fn plain(out: &mut String, text: &[u8]) {
    for &letter in text {
        match letter {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b'\0' => out.push_str("\\0"),
            b' '..=b'~' => out.push(char::from(letter)),
            _ => {
                out.push_str("\\x");
                byte(out, letter);
            }
        }
    }
}

/// Appends text in quotation marks, every byte of it in hexadecimal.
pub(crate) fn quoted_in_hexadecimal(out: &mut String, text: &[u8]) {
    out.push('"');
    for &letter in text {
        out.push_str("\\x");
        byte(out, letter);
    }
    out.push('"');
}

/// Appends text in quotation marks, escaped.
pub(crate) fn quoted(out: &mut String, text: &[u8]) {
    out.push('"');
    plain(out, text);
    out.push('"');
}

pub(crate) fn is_address(ty: Type<'_>) -> bool {
    ty.is_called(&["address_t", "offset_t", "uintptr_t", "pointer_t"])
}

/// Appends a return code by name, or as a number if it has none.
pub(crate) fn code(out: &mut String, tables: Tables<'_>, code: i32) {
    if let Some(name) = tables.error_name(code) {
        return out.push_str(name);
    }
    let bits = code as u32;
    if let Some(name) = tables.error_name((bits & !MACH_MSG_MASK) as i32).filter(|_| bits >> 16 == 0x1000) {
        out.push_str(name);
        for (name, _) in SHORTAGES.iter().filter(|(_, bit)| bits & bit != 0) {
            out.push('|');
            out.push_str(name);
        }
        return;
    }
    match code {
        -0x1000..0x1000 => decimal(out, code),
        _ => hexadecimal(out, bits.into()),
    }
}

/// Appends what a number means.
pub(crate) fn constants(out: &mut String, set: Set<'_>, number: u32) {
    if !set.is_flags() {
        return match set.name_of(number) {
            Some(name) => out.push_str(name),
            None => decimal(out, number as i32),
        };
    }
    let mut names = set.names_of(number);
    let mut any = false;
    for name in names.by_ref() {
        out.push_str(if any { "|" } else { "" });
        out.push_str(name);
        any = true;
    }
    match (any, names.rest()) {
        (false, 0) => out.push('0'),
        (true, 0) => {}
        (_, rest) => {
            out.push_str(if any { "|" } else { "" });
            hexadecimal(out, rest.into());
        }
    }
}

/// Appends what became of a process.
pub(crate) fn wait_status(out: &mut String, number: u32, signals: Option<Set<'_>>) {
    let signal = |out: &mut String, what: &str, number: u8| {
        out.push_str(what);
        match signals.and_then(|set| set.name_of(number.into())) {
            Some(name) => out.push_str(name),
            None => {
                out.push_str("signal ");
                decimal(out, number);
            }
        }
    };
    match WaitStatus::from_number(number) {
        Some(WaitStatus::Exited(status)) => {
            out.push_str("exit ");
            decimal(out, status);
        }
        Some(WaitStatus::Killed { signal: by, dumped }) => {
            signal(out, "killed by ", by);
            out.push_str(if dumped { ", core dumped" } else { "" });
        }
        Some(WaitStatus::Stopped(by)) => signal(out, "stopped by ", by),
        Some(WaitStatus::Continued) => out.push_str("continued"),
        None => hexadecimal(out, number.into()),
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

/// Appends a struct of seconds and a part of a second as a number of seconds; `false` if it is not one.
pub(crate) fn time(out: &mut String, members: &Struct<'_>, form: Form) -> bool {
    let (digits, limit) = match form {
        Form::Microseconds => (6, 1_000_000),
        Form::Nanoseconds => (9, 1_000_000_000),
        _ => return false,
    };
    let mut numbers = members.fields().map(|member| match member.value {
        Value::Signed { value, .. } => u64::try_from(value).ok(),
        Value::Unsigned { value, .. } => Some(value).filter(|value| *value <= i64::MAX as u64),
        _ => None,
    });
    // UTIME_NOW and UTIME_OMIT, for one, are no part of a second.
    let (Some(Some(seconds)), Some(Some(part)), None) = (numbers.next(), numbers.next(), numbers.next()) else {
        return false;
    };
    if part >= limit {
        return false;
    }
    decimal(out, seconds);
    out.push('.');
    padded(out, part, digits);
    out.push('s');
    true
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
