// SPDX-License-Identifier: GPL-2.0-or-later
//! Protocol buffers as they are written: fields one after the other, each a key and a value.

use crate::seven::number;

/// A message that is being written.
#[derive(Debug, Default)]
pub(crate) struct Proto(Vec<u8>);

/// Wire types.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;

impl Proto {
    fn varint(&mut self, value: u64) {
        number(&mut self.0, value);
    }

    fn key(&mut self, field: u64, wire: u64) {
        self.varint(field << 3 | wire);
    }

    /// A number without a sign, an enumeration or a truth value.
    pub(crate) fn uint(&mut self, field: u64, value: u64) -> &mut Self {
        self.key(field, VARINT);
        self.varint(value);
        self
    }

    /// An `int32` or `int64`, whose negative numbers take ten bytes.
    pub(crate) fn int(&mut self, field: u64, value: i64) -> &mut Self {
        self.uint(field, value as u64)
    }

    /// A `fixed64`.
    pub(crate) fn fixed64(&mut self, field: u64, value: u64) -> &mut Self {
        self.key(field, FIXED64);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// A string.
    pub(crate) fn text(&mut self, field: u64, text: &str) -> &mut Self {
        self.key(field, LENGTH);
        self.varint(text.len() as u64);
        self.0.extend(text.as_bytes());
        self
    }

    /// A message in it.
    pub(crate) fn nested(&mut self, field: u64, write: impl FnOnce(&mut Self)) -> &mut Self {
        let mut nested = Self::default();
        write(&mut nested);
        self.key(field, LENGTH);
        self.varint(nested.0.len() as u64);
        self.0.append(&mut nested.0);
        self
    }

    /// The fields of another.
    pub(crate) fn append(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the encoding's documentation, protobuf.dev/programming-guides/encoding.
    #[test]
    fn bytes_are_those_of_the_documentation() {
        let mut proto = Proto::default();
        assert_eq!(proto.uint(1, 150).bytes(), [0x08, 0x96, 0x01]);
        let mut proto = Proto::default();
        assert_eq!(proto.text(2, "testing").bytes(), b"\x12\x07testing");
        let mut proto = Proto::default();
        proto.nested(3, |inner| {
            inner.uint(1, 150);
        });
        assert_eq!(proto.bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        let mut proto = Proto::default();
        assert_eq!(proto.int(1, -2).bytes(), [0x08, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    }
}
