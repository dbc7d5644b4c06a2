// SPDX-License-Identifier: GPL-2.0-or-later
//! JSON as it is written: members in the order in which they are said, and no tree in memory.

use std::borrow::Cow;
use std::fmt::{Display, Write};

use crate::model::{Code, Contents, Field, Port, Value};

/// An object or an array that is being written.
#[derive(Debug)]
pub(crate) struct Json<'a> {
    out: &'a mut String,
    end: char,
    is_empty: bool,
}

impl<'a> Json<'a> {
    /// Begins an object.
    pub(crate) fn object(out: &'a mut String) -> Self {
        out.push('{');
        Self { out, end: '}', is_empty: true }
    }

    /// Begins an array.
    pub(crate) fn array(out: &'a mut String) -> Self {
        out.push('[');
        Self { out, end: ']', is_empty: true }
    }

    fn separate(&mut self) {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.out.push(',');
        }
    }

    fn key(&mut self, key: &str) {
        self.separate();
        text(self.out, key);
        self.out.push(':');
    }

    /// A member that is a string.
    pub(crate) fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key);
        text(self.out, value);
        self
    }

    /// A member that is a number, or `true` or `false`: what is displayed as JSON has it.
    pub(crate) fn plain(&mut self, key: &str, value: impl Display) -> &mut Self {
        self.key(key);
        // Into a string it cannot fail.
        let _ = write!(self.out, "{value}");
        self
    }

    /// A member that is there if there is a value.
    pub(crate) fn maybe(&mut self, key: &str, value: Option<impl Display>) -> &mut Self {
        if let Some(value) = value {
            self.plain(key, value);
        }
        self
    }

    /// A member that is an object.
    pub(crate) fn nested(&mut self, key: &str, write: impl FnOnce(&mut Json<'_>)) -> &mut Self {
        self.key(key);
        let mut nested = Json::object(self.out);
        write(&mut nested);
        nested.end();
        self
    }

    /// A member that is an array.
    pub(crate) fn list(&mut self, key: &str, write: impl FnOnce(&mut Json<'_>)) -> &mut Self {
        self.key(key);
        let mut nested = Json::array(self.out);
        write(&mut nested);
        nested.end();
        self
    }

    /// An element that is an object.
    pub(crate) fn element(&mut self, write: impl FnOnce(&mut Json<'_>)) -> &mut Self {
        self.separate();
        let mut nested = Json::object(self.out);
        write(&mut nested);
        nested.end();
        self
    }

    /// A member that is a value of the model.
    pub(crate) fn value(&mut self, key: &str, value: &Value) -> &mut Self {
        self.key(key);
        self::value(self.out, value);
        self
    }

    /// An element that is a value of the model.
    pub(crate) fn element_value(&mut self, value: &Value) -> &mut Self {
        self.separate();
        self::value(self.out, value);
        self
    }

    /// Ends it.
    pub(crate) fn end(self) {
        self.out.push(self.end);
    }
}

/// Appends a string.
pub(crate) fn text(out: &mut String, text: &str) {
    // A string always can be written.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// What one of some named values is called as a member: one without a name, or with that of an earlier one, by its place, from 0.
pub(crate) fn key(fields: &[Field], place: usize) -> Cow<'_, str> {
    match fields.get(place) {
        Some(field)
            if !field.name.is_empty() && fields.iter().take(place).all(|earlier| earlier.name != field.name) =>
        {
            Cow::Borrowed(&field.name)
        }
        _ => Cow::Owned(place.to_string()),
    }
}

/// Appends named values as the members of an object.
pub(crate) fn fields(json: &mut Json<'_>, fields: &[Field]) {
    for (place, field) in fields.iter().enumerate() {
        json.value(&key(fields, place), &field.value);
    }
}

/// Writes what a port is.
pub(crate) fn port(json: &mut Json<'_>, port: &Port) {
    json.text("port", &port.label).maybe("number", port.number).maybe("name", port.name);
    if let Some(kind) = port.kind {
        json.text("kind", kind);
    }
    if let Some(right) = port.right {
        json.text("right", right);
    }
}

/// Writes a return code.
pub(crate) fn code(json: &mut Json<'_>, Code { number, name }: &Code) {
    json.plain("code", number).text("name", name);
}

fn object(out: &mut String, write: impl FnOnce(&mut Json<'_>)) {
    let mut json = Json::object(out);
    write(&mut json);
    json.end();
}

/// Appends a value. A number with a meaning, data, a port and a return code are objects, by whose first members one knows them.
pub(crate) fn value(out: &mut String, value: &Value) {
    let plain = |out: &mut String, value: &dyn Display| {
        let _ = write!(out, "{value}");
    };
    match value {
        Value::Bool(value) => plain(out, value),
        Value::Signed(value, None) => plain(out, value),
        Value::Unsigned(value, None) => plain(out, value),
        Value::Signed(number, Some(name)) => {
            object(out, |json| {
                json.plain("value", number).text("name", name);
            });
        }
        Value::Unsigned(number, Some(name)) => {
            object(out, |json| {
                json.plain("value", number).text("name", name);
            });
        }
        Value::Code(number, name) => object(out, |json| {
            json.plain("code", number).text("name", name);
        }),
        Value::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(utf8) => text(out, utf8),
            Err(_) => object(out, |json| {
                json.text("bytes", &hexadecimal(bytes));
            }),
        },
        Value::Bytes(bytes) => object(out, |json| {
            json.text("bytes", &hexadecimal(bytes));
        }),
        Value::Port(what) => object(out, |json| port(json, what)),
        Value::List(values) => {
            let mut json = Json::array(out);
            values.iter().for_each(|value| {
                json.element_value(value);
            });
            json.end();
        }
        Value::Struct(members) => object(out, |json| fields(json, members)),
        Value::Memory { address, size, contents } => object(out, |json| {
            json.plain("size", size).maybe("address", *address);
            match contents {
                Contents::Unknown => {}
                Contents::Read { when, bytes } => {
                    json.text("read", when).text("bytes", &hexadecimal(bytes));
                }
                Contents::NotRead(why) => {
                    json.text("not_read", why);
                }
            }
        }),
        Value::Rights { count, ports } => object(out, |json| {
            json.plain("count", count);
            json.list("ports", |json| {
                ports.iter().for_each(|what| {
                    json.element(|json| port(json, what));
                })
            });
        }),
        Value::Wrong(what) => object(out, |json| {
            json.text("error", what);
        }),
    }
}

/// Two digits a byte.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
