// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages in few bytes: numbers of seven bits a byte, and texts by a number, since nearly all of them come again.

use std::collections::HashMap;
use std::rc::Rc;

use export::model::{Code, Contents, Field, Half, Port, Value};
use export::seven;

/// Texts by their numbers.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    texts: Vec<Rc<str>>,
    numbers: HashMap<Rc<str>, u32>,
    fixed: Vec<&'static str>,
}

impl Texts {
    /// The number of a text.
    pub(crate) fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let (text, number) = (Rc::<str>::from(text), self.texts.len() as u32);
        self.texts.push(text.clone());
        self.numbers.insert(text, number);
        number
    }

    /// The text of a number.
    pub(crate) fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", |text| text)
    }

    /// Of the few that the program itself has.
    fn fixed(&mut self, text: &'static str) -> u64 {
        let place = self.fixed.iter().position(|known| *known == text).unwrap_or_else(|| {
            self.fixed.push(text);
            self.fixed.len() - 1
        });
        place as u64
    }
}

/// Writes.
pub(crate) struct Pack<'a> {
    pub(crate) texts: &'a mut Texts,
    pub(crate) out: Vec<u8>,
}

impl Pack<'_> {
    fn number(&mut self, number: u64) {
        seven::number(&mut self.out, number);
    }

    /// Small ones of either sign are short.
    fn signed(&mut self, number: i64) {
        seven::signed(&mut self.out, number);
    }

    fn text(&mut self, text: &str) {
        let number = self.texts.number(text);
        self.number(number.into());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    /// One more than the number, or 0 for none.
    fn maybe(&mut self, number: Option<u64>) {
        self.number(u64::from(number.is_some()));
        if let Some(number) = number {
            self.number(number);
        }
    }

    fn meaning(&mut self, meaning: Option<&String>) {
        let number = meaning.map(|text| self.texts.number(text).into());
        self.maybe(number);
    }

    /// All of a message but its place in the order.
    pub(crate) fn half(&mut self, half: &Half) {
        self.number(u64::from(half.is_sent) | u64::from(half.then_receives) << 1);
        self.number(half.thread.into());
        self.number(half.size.into());
        self.number(half.missing);
        self.number(u64::from(half.port.is_some()));
        if let Some(port) = &half.port {
            self.port(port);
        }
        self.number(u64::from(half.code.is_some()));
        if let Some(code) = &half.code {
            self.signed(code.number.into());
            self.text(&code.name);
        }
        self.fields(&half.arguments);
    }

    fn fields(&mut self, fields: &[Field]) {
        self.number(fields.len() as u64);
        for field in fields {
            self.text(&field.name);
            self.text(&field.ty);
            self.value(&field.value);
        }
    }

    fn port(&mut self, port: &Port) {
        self.text(&port.label);
        self.maybe(port.name.map(u64::from));
        self.maybe(port.number.map(u64::from));
        let [kind, right] = [port.kind, port.right].map(|text| text.map(|text| self.texts.fixed(text)));
        self.maybe(kind);
        self.maybe(right);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Bool(value) => self.out.push(u8::from(*value)),
            Value::Signed(number, meaning) => {
                self.out.push(2);
                self.signed(*number);
                self.meaning(meaning.as_ref());
            }
            Value::Unsigned(number, meaning) => {
                self.out.push(3);
                self.number(*number);
                self.meaning(meaning.as_ref());
            }
            Value::Code(number, name) => {
                self.out.push(4);
                self.signed((*number).into());
                self.text(name);
            }
            Value::Text(text) => {
                self.out.push(5);
                self.bytes(text);
            }
            Value::Bytes(bytes) => {
                self.out.push(6);
                self.bytes(bytes);
            }
            Value::Port(port) => {
                self.out.push(7);
                self.port(port);
            }
            Value::List(values) => {
                self.out.push(8);
                self.number(values.len() as u64);
                values.iter().for_each(|value| self.value(value));
            }
            Value::Struct(fields) => {
                self.out.push(9);
                self.fields(fields);
            }
            Value::Memory { address, size, contents } => {
                self.out.push(10);
                self.maybe(*address);
                self.number(*size);
                match contents {
                    Contents::Unknown => self.number(0),
                    Contents::Read { when, bytes } => {
                        self.number(1);
                        let when = self.texts.fixed(when);
                        self.maybe(Some(when));
                        self.bytes(bytes);
                    }
                    Contents::NotRead(why) => {
                        self.number(2);
                        self.text(why);
                    }
                }
            }
            Value::Rights { count, ports } => {
                self.out.push(11);
                self.number((*count).into());
                self.number(ports.len() as u64);
                ports.iter().for_each(|port| self.port(port));
            }
            Value::Wrong(what) => {
                self.out.push(12);
                self.text(what);
            }
        }
    }
}

/// Reads what [`Pack`] has written; of anything else it makes some message.
pub(crate) struct Unpack<'a> {
    pub(crate) texts: &'a Texts,
    pub(crate) bytes: &'a [u8],
}

impl Unpack<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *first
    }

    fn number(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        number
    }

    fn signed(&mut self) -> i64 {
        let number = self.number();
        (number >> 1) as i64 ^ -((number & 1) as i64)
    }

    fn text(&mut self) -> String {
        let number = self.number() as u32;
        self.texts.text(number).to_owned()
    }

    fn taken(&mut self) -> Vec<u8> {
        let size = self.number() as usize;
        let (taken, rest) = self.bytes.split_at_checked(size).unwrap_or((self.bytes, &[]));
        self.bytes = rest;
        taken.to_vec()
    }

    fn maybe(&mut self) -> Option<u64> {
        (self.number() != 0).then(|| self.number())
    }

    fn meaning(&mut self) -> Option<String> {
        let number = self.maybe()?;
        Some(self.texts.text(number as u32).to_owned())
    }

    fn fixed(&mut self) -> Option<&'static str> {
        let place = self.maybe()?;
        self.texts.fixed.get(place as usize).copied()
    }

    /// A message of this time and place in the order.
    pub(crate) fn half(&mut self, time: u64, sequence: u64, correlation: u64) -> Half {
        let flags = self.number();
        Half {
            time,
            sequence,
            correlation,
            is_sent: flags & 1 != 0,
            then_receives: flags & 2 != 0,
            thread: self.number() as u32,
            size: self.number() as u32,
            missing: self.number(),
            port: (self.number() != 0).then(|| self.port()),
            code: (self.number() != 0).then(|| Code { number: self.signed() as i32, name: self.text() }),
            arguments: self.fields(),
            record: None,
        }
    }

    fn fields(&mut self) -> Vec<Field> {
        let count = self.number();
        (0..count).map(|_| Field { name: self.text(), ty: self.text(), value: self.value() }).collect()
    }

    fn port(&mut self) -> Port {
        Port {
            label: self.text(),
            name: self.maybe().map(|name| name as u32),
            number: self.maybe().map(|number| number as u32),
            kind: self.fixed(),
            right: self.fixed(),
        }
    }

    fn value(&mut self) -> Value {
        match self.byte() {
            tag @ (0 | 1) => Value::Bool(tag != 0),
            2 => Value::Signed(self.signed(), self.meaning()),
            3 => Value::Unsigned(self.number(), self.meaning()),
            4 => Value::Code(self.signed() as i32, self.text()),
            5 => Value::Text(self.taken()),
            6 => Value::Bytes(self.taken()),
            7 => Value::Port(self.port()),
            8 => {
                let count = self.number();
                Value::List((0..count).map(|_| self.value()).collect())
            }
            9 => Value::Struct(self.fields()),
            10 => Value::Memory {
                address: self.maybe(),
                size: self.number(),
                contents: match self.number() {
                    1 => Contents::Read { when: self.fixed().unwrap_or_default(), bytes: self.taken() },
                    2 => Contents::NotRead(self.text()),
                    _ => Contents::Unknown,
                },
            },
            11 => {
                let (count, shown) = (self.number() as u32, self.number());
                Value::Rights { count, ports: (0..shown).map(|_| self.port()).collect() }
            }
            _ => Value::Wrong(self.text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        let port = Port {
            label: "device \"console\"".into(),
            name: Some(u32::MAX),
            number: Some(7),
            kind: Some("device"),
            right: Some("MOVE_SEND"),
        };
        let bare = Port { label: String::new(), name: None, number: None, kind: None, right: None };
        let values = vec![
            Value::Bool(true),
            Value::Bool(false),
            Value::Signed(i64::MIN, None),
            Value::Signed(-1, Some("MINUS".into())),
            Value::Unsigned(u64::MAX, Some("ALL".into())),
            Value::Code(-308, "MIG_SERVER_DIED".into()),
            Value::Text(b"a\x1b\xff".to_vec()),
            Value::Bytes(vec![0; 300]),
            Value::Port(port.clone()),
            Value::List(vec![Value::List(Vec::new()), Value::Unsigned(128, None)]),
            Value::Struct(vec![Field { name: "x".into(), ty: "int".into(), value: Value::Signed(64, None) }]),
            Value::Memory { address: None, size: 4096, contents: Contents::Unknown },
            Value::Memory {
                address: Some(0x2000),
                size: 3,
                contents: Contents::Read { when: "read after the copy", bytes: b"ab".to_vec() },
            },
            Value::Memory { address: Some(1), size: 1, contents: Contents::NotRead("given away".into()) },
            Value::Rights { count: 3, ports: vec![port.clone(), bare] },
            Value::Wrong("cut".into()),
        ];
        let field = |value| Field { name: "name".into(), ty: "type".into(), value };
        let half = Half {
            time: 1,
            sequence: 2,
            correlation: 3,
            is_sent: true,
            thread: 9,
            size: 64,
            missing: 1 << 40,
            then_receives: true,
            port: Some(port),
            code: Some(Code { number: i32::MIN, name: "?".into() }),
            arguments: values.into_iter().map(field).collect(),
            record: None,
        };
        let mut texts = Texts::default();
        let mut pack = Pack { texts: &mut texts, out: Vec::new() };
        pack.half(&half);
        let out = pack.out;
        assert_eq!(Unpack { texts: &texts, bytes: &out }.half(1, 2, 3), half);
    }
}
