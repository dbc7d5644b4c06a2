// SPDX-License-Identifier: GPL-2.0-or-later
//! Fields to message bytes: the inverse of decode, for tests and for replaying a decoded message.

use mach_abi::header::MACH_MSGH_BITS_COMPLEX;
use mach_abi::{Descriptor, Format, Header};
use thiserror::Error;

use crate::table::{Item, ItemRole, Routine, Type, TypeKind};
use crate::value::{Element, Value, View};

/// Why values are not a message of the routine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// The buffer ends before the message does.
    #[error("item {item} at byte {offset} needs {need} bytes, the buffer has {have}")]
    NoRoom {
        /// Which item, from 0.
        item: usize,
        /// Where it starts.
        offset: usize,
        /// Bytes it needs.
        need: usize,
        /// Bytes there are.
        have: usize,
    },
    /// There are fewer values than the message has items.
    #[error("item {item} has no value")]
    Missing {
        /// Which item, from 0.
        item: usize,
    },
    /// The value's kind or size is not that of the item's type.
    #[error("item {item} at byte {offset} has a value of another type")]
    WrongType {
        /// Which item, from 0.
        item: usize,
        /// Where it starts.
        offset: usize,
    },
}

/// Writes the request (or reply) of a routine, in this format, with these values, in the order in which decode delivers them, and returns
/// its size. The request port goes into the header, whose size is computed; its complex bit is set if the items need it, and
/// stays if it is: of some messages MIG's stubs always set it.
pub fn encode<'a>(
    routine: Routine<'_>,
    is_reply: bool,
    format: Format,
    view: View,
    header: Header,
    values: impl IntoIterator<Item = Value<'a>>,
    buffer: &mut [u8],
) -> Result<usize, EncodeError> {
    let mut writer = Writer { format, buffer, at: format.header().end, item: 0, complex: false };
    let mut values = values.into_iter();
    let mut header = header;
    for (index, item) in routine.items(is_reply).enumerate() {
        writer.item = index;
        let value = values.next().ok_or(EncodeError::Missing { item: index })?;
        match (item.role(), value) {
            (ItemRole::RequestPort, Value::Port(right)) => match view {
                View::Sent => header.remote_port = right.name,
                View::Received => header.local_port = u64::from(right.name),
            },
            (ItemRole::RequestPort, _) => return Err(writer.wrong_type()),
            _ => writer.item(item, view, value)?,
        }
        // A failed routine's reply ends after its return code.
        if item.role() == ItemRole::RetCode && matches!(value, Value::KernReturn(code) if code != 0) {
            break;
        }
    }
    let Writer { buffer, at, complex, .. } = writer;
    header.size = at as u32;
    header.bits |= if complex { MACH_MSGH_BITS_COMPLEX } else { 0 };
    let have = buffer.len();
    let need = format.header().end;
    header.write(format, buffer).ok_or(EncodeError::NoRoom { item: 0, offset: 0, need, have })?;
    Ok(at)
}

struct Writer<'b> {
    format: Format,
    buffer: &'b mut [u8],
    at: usize,
    item: usize,
    complex: bool,
}

impl Writer<'_> {
    fn wrong_type(&self) -> EncodeError {
        EncodeError::WrongType { item: self.item, offset: self.at }
    }

    fn item(&mut self, item: Item<'_>, view: View, value: Value<'_>) -> Result<(), EncodeError> {
        let low = match view {
            View::Sent => item.sent(),
            View::Received => item.received(),
        };
        let descriptor = Descriptor::from_word(u64::from(low));
        let word = self.format.word();
        let mut number = [0; 8];
        match value {
            Value::OutOfLine { address, size, deallocate, .. } => {
                let bits = u64::from(descriptor.size).max(1);
                let descriptor =
                    Descriptor { number: (size * 8 / bits) as u32, inline: false, deallocate, ..descriptor };
                self.write(descriptor, &address.to_le_bytes()[..word], word, true)
            }
            Value::OutOfLinePorts { address, count, disposition, deallocate, .. } => {
                let descriptor = Descriptor {
                    name: disposition.0,
                    size: 32,
                    number: count,
                    inline: false,
                    deallocate,
                    ..descriptor
                };
                self.write(descriptor, &address.to_le_bytes()[..word], word, true)
            }
            Value::Port(right) => {
                number[..4].copy_from_slice(&right.name.to_le_bytes());
                self.write(
                    Descriptor { name: right.disposition.0, number: 1, ..descriptor },
                    &number[..word],
                    word,
                    true,
                )
            }
            Value::Array(array) => {
                let right = match array.element {
                    Element::RightOf(_, disposition, _) | Element::Right(disposition, _) => Some(disposition.0),
                    _ => None,
                };
                let name = right.unwrap_or(descriptor.name);
                self.inline(Descriptor { name, ..descriptor }, array.data, array.data.len(), right.is_some())
            }
            _ => {
                let data = plain(value, &mut number).ok_or_else(|| self.wrong_type())?;
                let size = self.data_size(item.ty(), data.len())?;
                self.inline(descriptor, data, size, false)
            }
        }
    }

    /// Bytes that `length` bytes of a value of this type take: C strings are filled up or get their NUL.
    fn data_size(&self, ty: Type<'_>, length: usize) -> Result<usize, EncodeError> {
        match (ty.kind(), ty.size()) {
            (TypeKind::CString, 0) => Ok(length + 1),
            (TypeKind::CString, size) if length < size => Ok(size),
            (TypeKind::Array, 0) => Ok(length),
            (_, size) if size == length => Ok(size),
            _ => Err(self.wrong_type()),
        }
    }

    fn inline(&mut self, descriptor: Descriptor, data: &[u8], size: usize, complex: bool) -> Result<(), EncodeError> {
        let bits = usize::from(descriptor.size).max(1);
        if !(size * 8).is_multiple_of(bits) {
            return Err(self.wrong_type());
        }
        let number = (size * 8 / bits) as u32;
        self.write(Descriptor { number, inline: true, ..descriptor }, data, size, complex)
    }

    fn write(&mut self, descriptor: Descriptor, data: &[u8], size: usize, complex: bool) -> Result<(), EncodeError> {
        let start = descriptor.bytes(self.format);
        let need = start + self.format.align(size);
        let have = self.buffer.len().saturating_sub(self.at);
        let no_room = EncodeError::NoRoom { item: self.item, offset: self.at, need, have };
        let place = self.buffer.get_mut(self.at..self.at + need).ok_or(no_room)?;
        place.fill(0);
        descriptor.write(self.format, place).ok_or(no_room)?;
        place[start..start + data.len()].copy_from_slice(data);
        self.at += need;
        self.complex |= complex;
        Ok(())
    }
}

/// The bytes of a value that stands in the message as it is.
fn plain<'v>(value: Value<'v>, number: &'v mut [u8; 8]) -> Option<&'v [u8]> {
    let (wide, bits) = match value {
        Value::Signed { value, bits } => (value as u64, bits),
        Value::Unsigned { value, bits } => (value, bits),
        Value::Bool(value) => (u64::from(value), 32),
        Value::KernReturn(code) => (u64::from(code as u32), 32),
        Value::PortName(name) => (u64::from(name), 32),
        Value::Text(bytes) | Value::Bytes(bytes) => return Some(bytes),
        Value::Struct(members) => return Some(members.bytes()),
        _ => return None,
    };
    *number = wide.to_le_bytes();
    number.get(..usize::from(bits / 8))
}
