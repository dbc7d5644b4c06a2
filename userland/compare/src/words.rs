// SPDX-License-Identifier: GPL-2.0-or-later
//! A call in words: as it is shown, and as it is compared.

use std::fmt::Write;

use export::model::{Call, Contents, Field, Half, Port, Value};

use crate::told::Line;

/// Bytes of data that are shown.
const SHOWN: usize = 48;

/// Where port names stand that stand for no port.
const NO_PORTS: [&str; 2] = ["MACH_PORT_NULL", "MACH_PORT_DEAD"];

/// Writes a call twice.
#[derive(Debug, Default)]
struct Words {
    line: Line,
    /// What memory out of line held counts, too.
    has_contents: bool,
}

/// The words of a call, without whose it is.
pub(crate) fn line(call: &Call) -> Line {
    let mut words = Words::default();
    words.request(call);
    words.answer(call);
    words.line
}

/// What was asked, as it is shown.
pub(crate) fn request(call: &Call) -> String {
    let mut words = Words::default();
    words.request(call);
    words.line.text
}

/// The words of what came of a call; with what its memory out of line held, if both calls that are compared have that.
pub(crate) fn answer(call: &Call, has_contents: bool) -> Line {
    let mut words = Words { has_contents, ..Words::default() };
    words.answer(call);
    words.line
}

impl Words {
    fn request(&mut self, call: &Call) {
        self.both(match call.role {
            "server" | "control" => "<- ",
            "exception" => "-> ",
            "failed" => "mach_msg failed: ",
            _ => "",
        });
        self.both(&call.name);
        self.both("(");
        if let Some(request) = &call.request {
            self.half(request);
        }
        self.both(")");
    }

    fn answer(&mut self, call: &Call) {
        match (&call.result, call.outcome) {
            (Some(code), _) => self.both(&format!(" = {}", code.name)),
            (None, outcome) => self.both(&format!(" = ({outcome})")),
        }
        if let Some(reply) = call.reply.as_ref().filter(|reply| !reply.arguments.is_empty() || reply.port.is_some()) {
            self.both(" {");
            self.half(reply);
            self.both("}");
        }
    }

    fn both(&mut self, text: &str) {
        self.line.text.push_str(text);
        self.line.alike.push_str(text);
    }

    /// What is shown so, and is the same as anything of its kind.
    fn of_kind(&mut self, text: &str, kind: &str) {
        self.line.text.push_str(text);
        self.line.alike.push('*');
        self.line.alike.push_str(kind);
    }

    fn half(&mut self, half: &Half) {
        let mut separator = "";
        if let Some(port) = &half.port {
            self.port(port);
            separator = ", ";
        }
        for field in &half.arguments {
            self.both(core::mem::replace(&mut separator, ", "));
            self.field(field);
        }
        if half.missing > 0 {
            self.both(&format!("{separator}<{} bytes not captured>", half.missing));
        }
    }

    fn field(&mut self, field: &Field) {
        if !field.name.is_empty() {
            self.both(&field.name);
            self.both(": ");
        }
        self.value(&field.value, &field.ty);
    }

    fn value(&mut self, value: &Value, ty: &str) {
        match value {
            Value::Signed(..) | Value::Unsigned(..) | Value::Struct(_) if is_time(ty) => {
                let mut inner = Self::default();
                inner.plain(value, "");
                self.of_kind(&inner.line.text, "time");
            }
            Value::Unsigned(address, None) if is_address(ty) => self.address(*address),
            Value::Signed(address, None) if is_address(ty) => self.address(*address as u64),
            _ => self.plain(value, ty),
        }
    }

    /// Whether it is 0 is no matter of names.
    fn address(&mut self, address: u64) {
        match address {
            0 => self.both("0x0"),
            _ => self.of_kind(&format!("{address:#x}"), "address"),
        }
    }

    fn plain(&mut self, value: &Value, ty: &str) {
        match value {
            Value::Bool(value) => self.both(if *value { "true" } else { "false" }),
            Value::Signed(_, Some(name)) | Value::Unsigned(_, Some(name)) | Value::Code(_, name) => self.both(name),
            Value::Signed(number, None) => self.both(&number.to_string()),
            Value::Unsigned(number, None) => self.both(&number.to_string()),
            Value::Text(text) => self.data(text, |bytes| format!("\"{}\"", bytes.escape_ascii())),
            Value::Bytes(bytes) => self.data(bytes, |bytes| {
                let digits = bytes.iter().fold(String::new(), |mut digits, byte| {
                    // Writing to a String cannot fail.
                    let _ = write!(digits, "{byte:02x}");
                    digits
                });
                format!("<{digits}>")
            }),
            Value::Port(port) => self.port(port),
            Value::List(values) => {
                self.both("[");
                for (index, value) in values.iter().enumerate() {
                    self.both(if index > 0 { ", " } else { "" });
                    self.value(value, ty);
                }
                self.both("]");
            }
            Value::Struct(fields) => {
                self.both("{");
                for (index, field) in fields.iter().enumerate() {
                    self.both(if index > 0 { ", " } else { "" });
                    self.field(field);
                }
                self.both("}");
            }
            Value::Memory { address, size, contents } => {
                self.both("memory ");
                if let Some(address) = address {
                    self.address(*address);
                }
                self.both(&format!("[{size}]"));
                if let Contents::Read { bytes, .. } = contents
                    && self.has_contents
                {
                    self.both(" ");
                    self.value(&Value::Bytes(bytes.clone()), "");
                }
            }
            Value::Rights { count, ports } => {
                self.both(&format!("{count} rights ["));
                for (index, port) in ports.iter().enumerate() {
                    self.both(if index > 0 { ", " } else { "" });
                    self.port(port);
                }
                self.both("]");
            }
            Value::Wrong(what) => self.both(what),
        }
    }

    /// All of it counts; the begin of it is shown.
    fn data(&mut self, bytes: &[u8], write: impl Fn(&[u8]) -> String) {
        let shown = bytes.get(..SHOWN).unwrap_or(bytes);
        self.line.text.push_str(&write(shown));
        self.line.text.push_str(if shown.len() < bytes.len() { "..." } else { "" });
        self.line.alike.push_str(&write(bytes));
    }

    fn port(&mut self, port: &Port) {
        if let Some(right) = port.right {
            self.both(right);
            self.both(" ");
        }
        if NO_PORTS.contains(&port.label.as_str()) {
            return self.both(&port.label);
        }
        self.of_kind(&port.label, port.kind.unwrap_or("name"));
        // What the kernel does not say the number of is a name, which may be given again.
        self.line.ports.extend(port.number);
    }
}

/// Whether a type's name says that its values are addresses.
pub fn is_address(ty: &str) -> bool {
    ["address_t", "uintptr_t", "pointer_t"].iter().any(|end| ty.ends_with(end))
}

fn is_time(ty: &str) -> bool {
    ["time_value", "timespec", "timeval", "time_t"].iter().any(|part| ty.contains(part))
}
