//! Messages and values to text: what each looks like in a line.

use alloc::string::String;
use core::fmt::Write;

use mach_abi::code::{MACH_MSG_MASK, SHORTAGES};
use mig_defs::decode::Message;
use mig_defs::raw::Items;
use mig_defs::table::{Form, Set, Tables};
use mig_defs::value::{Array, Field, PortRight, Struct, Value, View};

use crate::correlate::{is_name, received_on};
use crate::event::Event;
use crate::line::{Line, Tag};
use crate::names::{Names, TaskIndex};
use crate::options::Options;
use crate::text::{constants, disposition_text, is_address, is_text, plain, time, wait_status};

/// Most array elements that are printed without `-v`.
const ELEMENTS_MAX: usize = 32;

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
    /// `routine(argument: value, ...)`, of a request or of any message whose id is unknown.
    pub fn request(&self, line: &mut Line, event: &Event) {
        let Some(message) = event.decode(self.tables) else {
            return self.unknown(line, event);
        };
        line.push(Tag::Routine, message.routine().name());
        line.push(Tag::Plain, "(");
        self.fields(line, &message, None);
        line.push(Tag::Plain, ")");
    }

    /// `KERN_SUCCESS {argument: value, ...}`. Returns whether it is a failure.
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
                line.add_dump(error.offset, message.rest(error.offset));
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
            for (name, _) in SHORTAGES.iter().filter(|(_, bit)| bits & bit != 0) {
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
                    // Of some routines only the name is known.
                    if !field.name.is_empty() {
                        line.push(Tag::Argument, field.name);
                        line.push(Tag::Plain, ": ");
                    }
                    match field.value {
                        Value::Port(right) if is_request_port => self.port(line, right.name),
                        _ => self.field(line, &field),
                    }
                }
                Err(error) => {
                    line.add(Tag::Note, format_args!("<{error}>"));
                    line.add_dump(error.offset, message.rest(error.offset));
                }
            }
        }
    }

    fn field(&self, line: &mut Line, field: &Field<'_>) {
        let is_hex = field.form == Form::Hexadecimal || is_address(field.type_name);
        match (field.value, field.form) {
            (Value::Text(path), Form::Path) => line.add(Tag::Text, format_args!("\"{}\"", plain(path))),
            (Value::Struct(members), form) => self.members(line, &members, form),
            (Value::Signed { value, .. }, Form::WaitStatus) => {
                wait_status(line, value as u32, self.tables.set("signal"));
            }
            (value, _) => self.value(line, value, field.set, is_hex),
        }
    }

    fn members(&self, line: &mut Line, members: &Struct<'_>, form: Form) {
        if let Some(time) = time(members, form) {
            return line.push(Tag::Value, &time);
        }
        line.push(Tag::Plain, "{");
        let (mut separator, mut left_out) = ("", false);
        for member in members.fields() {
            let zero = matches!(member.value, Value::Unsigned { value: 0, .. } | Value::Signed { value: 0, .. });
            if zero && form == Form::Sparse && !self.options.verbose {
                left_out = true;
                continue;
            }
            line.push(Tag::Plain, core::mem::replace(&mut separator, ", "));
            line.push(Tag::Argument, member.name);
            line.push(Tag::Plain, ": ");
            self.field(line, &member);
        }
        if left_out {
            line.push(Tag::Plain, separator);
            line.push(Tag::Plain, "...");
        }
        line.push(Tag::Plain, "}");
    }

    fn value(&self, line: &mut Line, value: Value<'_>, set: Option<Set<'_>>, is_hex: bool) {
        match value {
            Value::Bool(value) => line.add(Tag::Value, format_args!("{value}")),
            Value::Signed { value, bits } => match set {
                Some(set) => constants(line, set, value as u32),
                None if is_hex && bits == 32 => line.add(Tag::Value, format_args!("{:#x}", value as u32)),
                None if is_hex => line.add(Tag::Value, format_args!("{value:#x}")),
                None => line.add(Tag::Value, format_args!("{value}")),
            },
            Value::Unsigned { value, .. } => match set.zip(u32::try_from(value).ok()) {
                Some((set, value)) => constants(line, set, value),
                None if is_hex => line.add(Tag::Value, format_args!("{value:#x}")),
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
            Value::Struct(members) => self.members(line, &members, Form::Plain),
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
                line.push(Tag::Plain, "...");
                break;
            }
            let (type_name, set, form) = (array.element_type_name(), array.set(), array.form());
            self.field(line, &Field { name: "", type_name, value, set, form });
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
            Some(start) if start.len() < bytes.len() && !self.options.verbose => (start, "..."),
            _ => (bytes, ""),
        }
    }

    fn text(&self, line: &mut Line, text: &[u8]) {
        let (shown, cut) = self.shown(text);
        line.add(Tag::Text, format_args!("\"{}\"{cut}", plain(shown)));
    }

    /// Data of no particular kind; text is often sent as such.
    fn data(&self, line: &mut Line, bytes: &[u8]) {
        if is_text(bytes) { self.text(line, bytes) } else { self.bytes(line, bytes) }
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

    /// `msgh_id 2999(to port 7, 56 bytes: 5, "...")`, or `on` the port it came in on.
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
        let mut items = Items::new(event.format, &event.message);
        let mut separator = ": ";
        for item in items.by_ref() {
            line.push(Tag::Plain, core::mem::replace(&mut separator, ", "));
            self.value(line, item.value(event.view()), None, false);
        }
        if !items.rest().is_empty() {
            line.push(Tag::Plain, separator);
            self.bytes(line, items.rest());
        }
        line.push(Tag::Plain, ")");
    }

    /// A reply whose id is unknown. By MIG's convention a return code comes first.
    pub fn unknown_reply(&self, line: &mut Line, event: &Event) -> bool {
        let mut items = Items::new(event.format, &event.message);
        let code = items.next().and_then(|item| item.return_code());
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
            self.value(line, item.value(event.view()), None, false);
        }
        if !items.rest().is_empty() {
            line.push(Tag::Plain, core::mem::replace(&mut separator, ", "));
            self.bytes(line, items.rest());
        }
        line.push(Tag::Plain, if separator == ", " { "}" } else { "" });
        code != Some(0)
    }

    /// `, options: MACH_SEND_MSG|..., time_out: 100`
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
        if event.message.len() > event.format.header().end
            || (event.view() == View::Sent && event.mach_header().is_some())
        {
            line.push(Tag::Plain, " ");
            self.request(line, event);
        }
    }
}
