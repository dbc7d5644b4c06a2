//! Messages and values to text: what each looks like in a line.

use alloc::string::String;
use core::fmt::Write;

use mig_defs::decode::Message;
use mig_defs::table::{Set, Tables};
use mig_defs::value::{Array, Disposition, Field, PortRight, Value, View};
use mig_defs::wire::{HEADER_SIZE, type_name};

use crate::correlate::{is_name, received_on};
use crate::event::Event;
use crate::line::{Line, Tag};
use crate::names::{Names, TaskIndex};
use crate::options::Options;
use crate::raw::Items;

/// Most array elements that are printed without `-v`.
const ELEMENTS_MAX: usize = 32;

/// Bits that `mach_msg` adds to an error to say which resource was short.
const MACH_MSG_MASK: u32 = 0x3c00;
const MACH_MSG_BITS: [(u32, &str); 4] = [
    (0x2000, "MACH_MSG_IPC_SPACE"),
    (0x1000, "MACH_MSG_VM_SPACE"),
    (0x0800, "MACH_MSG_IPC_KERNEL"),
    (0x0400, "MACH_MSG_VM_KERNEL"),
];

/// Writes the messages of one task's thread.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// Routines, types and constants.
    pub tables: Tables<'a>,
    /// Ports.
    pub names: &'a Names,
    /// `-s`, `-v`.
    pub options: &'a Options,
    /// Whose message it is.
    pub task: TaskIndex,
    /// Whose message it is.
    pub thread: u32,
    /// The task in whose name space plain port names are.
    pub space: TaskIndex,
}

impl Writer<'_> {
    /// `routine(argument: value, …)`, of a request or of any message whose id is unknown.
    pub fn request(&self, line: &mut Line, event: &Event) {
        let Some(message) = event.decode(self.tables) else {
            return self.unknown(line, event);
        };
        line.push(Tag::Routine, message.routine().name());
        line.push(Tag::Plain, "(");
        self.fields(line, &message, None);
        line.push(Tag::Plain, ")");
    }

    /// `KERN_SUCCESS {argument: value, …}`. Returns whether it is a failure.
    pub fn reply(&self, line: &mut Line, message: &Message<'_>) -> bool {
        let mut fields = message.fields();
        let code = match fields.next() {
            Some(Ok(Field { value: Value::KernReturn(code), .. })) => code,
            Some(Ok(_)) | None => {
                line.push(Tag::Success, message.routine().name());
                line.push(Tag::Plain, "(");
                self.fields(line, message, None);
                line.push(Tag::Plain, ")");
                return false;
            }
            Some(Err(error)) => {
                line.add(Tag::Note, format_args!("<{error}>"));
                return true;
            }
        };
        self.code(line, code);
        // What comes with a failure is not set.
        if code == 0 && fields.next().is_some() {
            line.push(Tag::Plain, " {");
            self.fields(line, message, Some(1));
            line.push(Tag::Plain, "}");
        }
        code != 0
    }

    /// A return code by name.
    pub fn code(&self, line: &mut Line, code: i32) {
        let tag = if code == 0 { Tag::Success } else { Tag::Failure };
        if let Some(name) = self.tables.error_name(code) {
            return line.push(tag, name);
        }
        let bits = code as u32;
        if let Some(name) = self.tables.error_name((bits & !MACH_MSG_MASK) as i32).filter(|_| bits >> 16 == 0x1000) {
            line.push(tag, name);
            for (_, name) in MACH_MSG_BITS.iter().filter(|(bit, _)| bits & bit != 0) {
                line.add(tag, format_args!("|{name}"));
            }
            return;
        }
        match code {
            -0x1000..0x1000 => line.add(tag, format_args!("{code}")),
            _ => line.add(tag, format_args!("{bits:#x}")),
        }
    }

    /// A port.
    pub fn port(&self, line: &mut Line, name: u32) {
        line.push(Tag::Port, &self.names.port(self.task, self.thread, name));
    }

    fn fields(&self, line: &mut Line, message: &Message<'_>, skip: Option<usize>) {
        for (index, field) in message.fields().skip(skip.unwrap_or(0)).enumerate() {
            if index > 0 {
                line.push(Tag::Plain, ", ");
            }
            match field {
                Ok(field) => {
                    let is_request_port = index == 0 && !message.is_reply();
                    line.push(Tag::Argument, field.name);
                    line.push(Tag::Plain, ": ");
                    match field.value {
                        Value::Port(right) if is_request_port => self.port(line, right.name),
                        value => self.value(line, value, field.type_name, field.set),
                    }
                }
                Err(error) => {
                    line.add(Tag::Note, format_args!("<{error}>"));
                    let rest = message.rest(error.offset);
                    if !rest.is_empty() {
                        line.push(Tag::Plain, " ");
                        self.bytes(line, rest);
                    }
                }
            }
        }
    }

    fn value(&self, line: &mut Line, value: Value<'_>, type_name: &str, set: Option<Set<'_>>) {
        match value {
            Value::Bool(value) => line.add(Tag::Value, format_args!("{value}")),
            Value::Signed { value, .. } => match set {
                Some(set) => constants(line, set, value as u32),
                None if is_address(type_name) => line.add(Tag::Value, format_args!("{value:#x}")),
                None => line.add(Tag::Value, format_args!("{value}")),
            },
            Value::Unsigned { value, .. } => match set.zip(u32::try_from(value).ok()) {
                Some((set, value)) => constants(line, set, value),
                None if is_address(type_name) => line.add(Tag::Value, format_args!("{value:#x}")),
                None => line.add(Tag::Value, format_args!("{value}")),
            },
            Value::KernReturn(code) => self.code(line, code),
            Value::Text(text) => self.text(line, text),
            Value::Bytes(bytes) => self.data(line, bytes),
            Value::PortName(name) => {
                line.push(Tag::Port, &self.names.port(self.space, self.thread, name));
            }
            Value::Port(right) => self.right(line, right),
            Value::Array(array) => self.array(line, &array),
            Value::Struct(members) => {
                line.push(Tag::Plain, "{");
                for (index, member) in members.fields().enumerate() {
                    line.push(Tag::Plain, if index > 0 { ", " } else { "" });
                    line.push(Tag::Argument, member.name);
                    line.push(Tag::Plain, ": ");
                    self.value(line, member.value, member.type_name, member.set);
                }
                line.push(Tag::Plain, "}");
            }
            Value::OutOfLine { address, size, deallocate } => {
                let given = if deallocate && self.options.verbose { "dealloc " } else { "" };
                line.add(Tag::Value, format_args!("{given}ool {address:#x}[{size}]"));
            }
            Value::OutOfLinePorts { address, count, disposition, view, .. } => {
                let how = disposition_text(disposition, view, self.options.verbose);
                line.add(Tag::Value, format_args!("{how}ool {address:#x}[{count} ports]"));
            }
            other => line.add(Tag::Value, format_args!("{other:?}")),
        }
    }

    fn array(&self, line: &mut Line, array: &Array<'_>) {
        line.push(Tag::Plain, "[");
        for (index, value) in array.iter().enumerate() {
            line.push(Tag::Plain, if index > 0 { ", " } else { "" });
            if index == ELEMENTS_MAX && !self.options.verbose {
                line.push(Tag::Plain, "…");
                break;
            }
            self.value(line, value, array.element_type_name(), array.set());
        }
        line.push(Tag::Plain, "]");
    }

    fn right(&self, line: &mut Line, right: PortRight) {
        if is_name(right.name) {
            line.push(Tag::Port, disposition_text(right.disposition, right.view, self.options.verbose));
        }
        self.port(line, right.name);
    }

    fn shown<'b>(&self, bytes: &'b [u8]) -> (&'b [u8], &'static str) {
        match bytes.get(..self.options.string_size) {
            Some(start) if start.len() < bytes.len() && !self.options.verbose => (start, "…"),
            _ => (bytes, ""),
        }
    }

    fn text(&self, line: &mut Line, text: &[u8]) {
        let (shown, cut) = self.shown(text);
        line.add(Tag::Text, format_args!("\"{}\"{cut}", plain(shown)));
    }

    /// Data of no particular kind; text is often sent as such.
    fn data(&self, line: &mut Line, bytes: &[u8]) {
        if !bytes.is_empty() && bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t')) {
            return self.text(line, bytes);
        }
        self.bytes(line, bytes);
    }

    fn bytes(&self, line: &mut Line, bytes: &[u8]) {
        let (shown, cut) = self.shown(bytes);
        let mut text = String::new();
        for (index, byte) in shown.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{}{byte:02x}", if index > 0 { " " } else { "" });
        }
        line.add(Tag::Value, format_args!("<{text}{cut}>"));
    }

    /// `msgh_id 2999(to port 7, 56 bytes: 5, "…")`, or `on` the port it came in on.
    fn unknown(&self, line: &mut Line, event: &Event) {
        let header = event.mach_header().unwrap_or_default();
        let (preposition, port) = match event.view() {
            View::Sent => ("to", header.remote_port),
            View::Received => ("on", received_on(header, event)),
        };
        line.add(Tag::Routine, format_args!("msgh_id {}", header.id));
        line.add(Tag::Plain, format_args!("({preposition} "));
        self.port(line, port);
        line.add(Tag::Plain, format_args!(", {} bytes", event.message_size));
        let mut items = Items::new(&event.message);
        let mut separator = ": ";
        for item in items.by_ref() {
            line.push(Tag::Plain, core::mem::replace(&mut separator, ", "));
            self.item(line, item, event.view());
        }
        if !items.rest().is_empty() {
            line.push(Tag::Plain, separator);
            self.bytes(line, items.rest());
        }
        line.push(Tag::Plain, ")");
    }

    fn item(&self, line: &mut Line, item: crate::raw::Item<'_>, view: View) {
        let descriptor = item.descriptor;
        let low = |data: &[u8]| data.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        let wide = |data: &[u8]| data.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let many = if descriptor.is_port() { " ports" } else { "" };
        let how = if descriptor.is_port() {
            disposition_text(Disposition(descriptor.name), view, self.options.verbose)
        } else {
            ""
        };
        match (u32::from(descriptor.name), descriptor.inline, item.data.len()) {
            (_, false, _) => {
                let size = if descriptor.is_port() { descriptor.number.into() } else { descriptor.data_size() };
                line.add(Tag::Value, format_args!("{how}ool {:#x}[{size}{many}]", wide(item.data)));
            }
            (_, true, 8) if descriptor.is_port() => {
                line.push(Tag::Port, how);
                self.port(line, low(item.data));
            }
            (type_name::PORT_NAME, true, 4 | 8) => self.port(line, low(item.data)),
            (type_name::CHAR | type_name::STRING, true, _) => self.text(line, until_padding(item.data)),
            (type_name::INTEGER_32, true, 4) => line.add(Tag::Value, format_args!("{}", low(item.data) as i32)),
            (type_name::INTEGER_64, true, 8) => line.add(Tag::Value, format_args!("{}", wide(item.data) as i64)),
            _ => self.data(line, item.data),
        }
    }

    /// A reply whose id is unknown. By MIG's convention a return code comes first.
    pub fn unknown_reply(&self, line: &mut Line, event: &Event) -> bool {
        let mut items = Items::new(&event.message);
        let code = items.next().and_then(|item| match (u32::from(item.descriptor.name), item.data) {
            (type_name::INTEGER_32, [a, b, c, d]) => Some(i32::from_le_bytes([*a, *b, *c, *d])),
            _ => None,
        });
        match code {
            Some(code) => self.code(line, code),
            // Not a reply at all, such as the notification that the reply right died.
            None => {
                self.request(line, event);
                return true;
            }
        }
        let mut separator = " {";
        for item in items.by_ref() {
            line.push(Tag::Plain, core::mem::replace(&mut separator, ", "));
            self.item(line, item, event.view());
        }
        if !items.rest().is_empty() {
            line.push(Tag::Plain, core::mem::replace(&mut separator, ", "));
            self.bytes(line, items.rest());
        }
        line.push(Tag::Plain, if separator == ", " { "}" } else { "" });
        code != Some(0)
    }

    /// `, options: MACH_SEND_MSG|…, time_out: 100`
    pub fn mach_msg_options(&self, line: &mut Line, event: &Event) {
        line.push(Tag::Plain, ", ");
        line.push(Tag::Argument, "options");
        line.push(Tag::Plain, ": ");
        match self.tables.set("mach_msg_option") {
            Some(set) => constants(line, set, event.options),
            None => line.add(Tag::Value, format_args!("{:#x}", event.options)),
        }
        if event.time_out != 0 {
            line.push(Tag::Plain, ", ");
            line.push(Tag::Argument, "time_out");
            line.add(Tag::Plain, format_args!(": {}", event.time_out));
        }
    }

    /// Of a failed `mach_msg`: what the message was, if there is more of it than a header.
    pub fn failed_message(&self, line: &mut Line, event: &Event) {
        if event.message.len() > HEADER_SIZE || (event.view() == View::Sent && event.mach_header().is_some()) {
            line.push(Tag::Plain, " ");
            self.request(line, event);
        }
    }
}

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

fn until_padding(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &text[..end]
}

fn is_address(type_name: &str) -> bool {
    ["address_t", "offset_t", "uintptr_t", "pointer_t"].iter().any(|end| type_name.ends_with(end))
}

fn constants(line: &mut Line, set: Set<'_>, number: u32) {
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

/// What happens to a right, with a space behind it; nothing for an ordinary send right.
fn disposition_text(disposition: Disposition, view: View, verbose: bool) -> &'static str {
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
