// SPDX-License-Identifier: GPL-2.0-or-later
//! Calls as text: a line of the list, and the tree of a message. Nothing in it moves a cursor or colours a terminal.

use std::borrow::Cow;
use std::fmt::Write;

use export::model::{Call, Contents, Field, Half, Port, Value};

/// Bytes of data that a line shows.
const SHOWN: usize = 48;
/// Those of a line in the tree.
const SHOWN_IN_TREE: usize = 256;

/// Text of which all but printable ASCII is escaped.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(
        text.chars().map(|letter| if matches!(letter, ' '..='~') { letter.into() } else { escaped(letter) }).collect(),
    )
}

fn escaped(letter: char) -> String {
    letter.escape_default().to_string()
}

/// What a call asks for.
pub(crate) fn request(call: &Call) -> String {
    let mut out = String::from(match call.role {
        "server" => "<- ",
        "control" => "(control) ",
        "exception" => "(exception) ",
        "failed" if call.name != "mach_msg" => "mach_msg: ",
        _ => "",
    });
    out.push_str(&call.name);
    out.push('(');
    if let Some(request) = &call.request {
        half(&mut out, request);
    }
    out.push(')');
    out
}

/// What came of it, behind the request or apart from it.
pub(crate) fn result(call: &Call) -> String {
    let mut out = String::new();
    match (&call.result, call.outcome) {
        (Some(code), _) if code.number == 0 => out.push_str(" = 0"),
        (Some(code), _) => push(&mut out, format_args!(" = {}", code.name)),
        (None, "answered") => out.push_str(" ="),
        (None, "one-way") => out.push_str(" = sent"),
        (None, "open") => out.push_str(" ..."),
        (None, _) => out.push_str(" = ?"),
    }
    if let Some(reply) = call.reply.as_ref().filter(|reply| !reply.arguments.is_empty()) {
        out.push_str(" {");
        half(&mut out, reply);
        out.push('}');
    }
    out
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // A String takes all.
    let _ = out.write_fmt(text);
}

fn half(out: &mut String, half: &Half) {
    let mut separator = "";
    if let Some(port) = half.port.as_ref().filter(|port| port.label != "self") {
        self::port(out, port);
        separator = ", ";
    }
    for field in &half.arguments {
        out.push_str(core::mem::replace(&mut separator, ", "));
        self::field(out, field);
    }
    if half.missing > 0 {
        push(out, format_args!("{separator}<{} bytes not captured>", half.missing));
    }
}

fn field(out: &mut String, field: &Field) {
    if !field.name.is_empty() {
        push(out, format_args!("{}: ", field.name));
    }
    value(out, &field.value, &field.ty, SHOWN);
}

fn value(out: &mut String, value: &Value, ty: &str, shown: usize) {
    match value {
        Value::Bool(value) => push(out, format_args!("{value}")),
        Value::Signed(_, Some(name)) | Value::Unsigned(_, Some(name)) | Value::Code(_, name) => out.push_str(name),
        Value::Signed(number, None) if is_address(ty) => push(out, format_args!("{number:#x}")),
        Value::Unsigned(number, None) if is_address(ty) => push(out, format_args!("{number:#x}")),
        Value::Signed(number, None) => push(out, format_args!("{number}")),
        Value::Unsigned(number, None) => push(out, format_args!("{number}")),
        Value::Text(text) => {
            let begin = text.get(..shown).unwrap_or(text);
            push(out, format_args!("\"{}\"{}", begin.escape_ascii(), more(begin, text)));
        }
        Value::Bytes(bytes) => {
            let begin = bytes.get(..shown / 2).unwrap_or(bytes);
            out.push('<');
            begin.iter().for_each(|byte| push(out, format_args!("{byte:02x}")));
            push(out, format_args!(">{}", more(begin, bytes)));
        }
        Value::Port(port) => self::port(out, port),
        Value::List(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                self::value(out, value, ty, shown);
            }
            out.push(']');
        }
        Value::Struct(fields) => {
            out.push('{');
            for (index, field) in fields.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                self::field(out, field);
            }
            out.push('}');
        }
        Value::Memory { address, size, contents } => {
            out.push_str("ool ");
            if let Some(address) = address {
                push(out, format_args!("{address:#x}"));
            }
            push(out, format_args!("[{size} bytes"));
            match contents {
                Contents::Unknown => {}
                Contents::Read { when, bytes } => {
                    out.push_str("; ");
                    if (bytes.len() as u64) < *size {
                        push(out, format_args!("{} ", bytes.len()));
                    }
                    push(out, format_args!("{when}: "));
                    let held = match bytes.is_ascii() {
                        true => Value::Text(bytes.clone()),
                        false => Value::Bytes(bytes.clone()),
                    };
                    self::value(out, &held, ty, shown);
                }
                Contents::NotRead(why) => push(out, format_args!("; {why}")),
            }
            out.push(']');
        }
        Value::Rights { count, ports } => {
            push(out, format_args!("{count} rights ["));
            for (index, port) in ports.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                self::port(out, port);
            }
            out.push_str(match (ports.len() < *count as usize, ports.is_empty()) {
                (false, _) => "]",
                (true, true) => "...]",
                (true, false) => ", ...]",
            });
        }
        Value::Wrong(what) => push(out, format_args!("<{what}>")),
    }
}

fn more(begin: &[u8], all: &[u8]) -> String {
    if begin.len() < all.len() { format!("...[{} bytes]", all.len()) } else { String::new() }
}

fn port(out: &mut String, port: &Port) {
    if let Some(right) = port.right {
        push(out, format_args!("{right} "));
    }
    out.push_str(&port.label);
}

fn is_address(ty: &str) -> bool {
    ["address_t", "uintptr_t", "pointer_t", "offset_t"].iter().any(|end| ty.ends_with(end))
}

/// A line of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Branch {
    pub(crate) text: String,
    /// It begins a part.
    pub(crate) is_head: bool,
    /// Something is wrong in it.
    pub(crate) is_wrong: bool,
}

/// All that is known of a call, a line for each value.
pub(crate) fn tree(call: &Call) -> Vec<Branch> {
    let mut out = Vec::new();
    let mut about = format!("{} {}", call.label, call.name);
    if let (Some(subsystem), Some(id)) = (&call.subsystem, call.msgh_id) {
        push(&mut about, format_args!("  ({subsystem}, msgh_id {id})"));
    }
    push(&mut about, format_args!("  {}, {}", call.role, call.outcome));
    if let Some(took) = call.duration() {
        push(&mut about, format_args!(", {}", duration(took)));
    }
    head(&mut out, about, call.has_failed);
    if let Some(request) = &call.request {
        message(&mut out, "request", request);
    }
    if let Some(reply) = &call.reply {
        message(&mut out, "reply", reply);
    } else if let Some(code) = &call.result {
        head(&mut out, format!("mach_msg returned {} ({:#x})", code.name, code.number), call.has_failed);
    }
    if let Some(split) = call.split {
        let [queue, server, reply] = [split.queue, split.server, split.reply].map(duration);
        head(&mut out, format!("queued {queue}, served {server}, answer under way {reply}"), false);
    }
    out
}

fn head(out: &mut Vec<Branch>, text: String, is_wrong: bool) {
    out.push(Branch { text, is_head: true, is_wrong });
}

fn message(out: &mut Vec<Branch>, what: &str, half: &Half) {
    let way = if half.is_sent { "sent" } else { "received" };
    let mut text = format!("{what} {way}, record {}, thread {}, {} bytes", half.sequence, half.thread, half.size);
    if half.missing > 0 {
        push(&mut text, format_args!(", {} of them not captured", half.missing));
    }
    head(out, text, false);
    if let Some(port) = &half.port {
        let what = if half.is_sent { "to" } else { "on" };
        leaf(out, 1, what, &Value::Port(port.clone()), "");
    }
    if let Some(code) = &half.code {
        let text = format!("  = {} ({})", code.name, code.number);
        out.push(Branch { text, is_head: false, is_wrong: code.number != 0 });
    }
    half.arguments.iter().for_each(|field| branch(out, 1, &field.name, &field.value, &field.ty));
}

fn branch(out: &mut Vec<Branch>, depth: usize, name: &str, value: &Value, ty: &str) {
    let begin = |out: &mut Vec<Branch>, what: String| {
        let text = format!("{:1$}{2}{3}{what}", "", depth * 2, name, if name.is_empty() { "" } else { ": " });
        out.push(Branch { text, is_head: false, is_wrong: false });
    };
    match value {
        Value::Struct(fields) => {
            begin(out, ty.to_owned());
            fields.iter().for_each(|field| branch(out, depth + 1, &field.name, &field.value, &field.ty));
        }
        Value::List(values)
            if values.iter().any(|value| matches!(value, Value::Struct(_) | Value::Port(_) | Value::List(_))) =>
        {
            begin(out, format!("{} of {ty}", values.len()));
            for (index, value) in values.iter().enumerate() {
                branch(out, depth + 1, &format!("[{index}]"), value, ty);
            }
        }
        Value::Rights { count, ports } => {
            begin(out, format!("{count} rights"));
            for (index, port) in ports.iter().enumerate() {
                leaf(out, depth + 1, &format!("[{index}]"), &Value::Port(port.clone()), "");
            }
        }
        _ => leaf(out, depth, name, value, ty),
    }
}

fn leaf(out: &mut Vec<Branch>, depth: usize, name: &str, value: &Value, ty: &str) {
    let mut text = format!("{:1$}{name}{2}", "", depth * 2, if name.is_empty() { "" } else { ": " });
    self::value(&mut text, value, ty, SHOWN_IN_TREE);
    match value {
        Value::Port(Port { name: Some(name), number, .. }) => {
            push(&mut text, format_args!("  name {name}"));
            if let Some(number) = number {
                push(&mut text, format_args!(", the kernel's {number}"));
            }
        }
        Value::Signed(number, Some(_)) => push(&mut text, format_args!(" ({number:#x})")),
        Value::Unsigned(number, Some(_)) => push(&mut text, format_args!(" ({number:#x})")),
        Value::Code(number, _) => push(&mut text, format_args!(" ({number})")),
        _ => {}
    }
    if !ty.is_empty() {
        push(&mut text, format_args!("   {ty}"));
    }
    out.push(Branch { text, is_head: false, is_wrong: matches!(value, Value::Wrong(_)) });
}

/// Nanoseconds in a unit that suits, with tenths.
pub(crate) fn duration(nanoseconds: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", nanoseconds / unit, nanoseconds % unit / (unit / 10));
    match nanoseconds {
        0..1_000 => format!("{nanoseconds} ns"),
        1_000..1_000_000 => tenths(1_000) + " us",
        1_000_000..1_000_000_000 => tenths(1_000_000) + " ms",
        _ => tenths(1_000_000_000) + " s",
    }
}

/// Sixteen bytes a line.
pub(crate) fn hex(bytes: &[u8]) -> impl Iterator<Item = String> {
    bytes.chunks(16).enumerate().map(|(index, row)| {
        let mut text = format!("{:04x} ", index * 16);
        for place in 0..16 {
            text.push_str(if place == 8 { "  " } else { " " });
            match row.get(place) {
                Some(byte) => push(&mut text, format_args!("{byte:02x}")),
                None => text.push_str("  "),
            }
        }
        text.push_str("  |");
        text.extend(row.iter().map(|byte| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' }));
        text.push('|');
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_in_rows_of_sixteen() {
        let bytes: Vec<u8> = (0x1b..0x2d).collect();
        let rows: Vec<String> = hex(&bytes).collect();
        let first = "0000  1b 1c 1d 1e 1f 20 21 22  23 24 25 26 27 28 29 2a  |..... !\"#$%&'()*|";
        let second = format!("0010  2b 2c{:43}  |+,|", "");
        assert_eq!(rows, [first.to_owned(), second]);
        assert_eq!(hex(&[]).count(), 0);
    }

    #[test]
    fn times_have_a_unit_that_suits() {
        let of = |nanoseconds| duration(nanoseconds);
        assert_eq!([of(0), of(999), of(1_000), of(10_550)], ["0 ns", "999 ns", "1.0 us", "10.5 us"]);
        assert_eq!([of(999_999), of(7_500_000), of(61_000_000_000)], ["999.9 us", "7.5 ms", "61.0 s"]);
    }

    #[test]
    fn what_is_not_printable_is_escaped() {
        assert_eq!(clean("plain ~"), "plain ~");
        assert_eq!(clean("a\x1b[0m\n\u{e9}\u{202e}"), "a\\u{1b}[0m\\n\\u{e9}\\u{202e}");
    }
}
