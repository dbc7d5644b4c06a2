// SPDX-License-Identifier: GPL-2.0-or-later
//! The walk over a message's items by their type descriptors, and what an item is as far as its descriptor tells.

use mach_abi::bytes::read_u32;
use mach_abi::{Descriptor, Disposition, Format, type_name as tn};

use crate::value::{Array, Element, Units, Value, View, Within};

/// One item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// Its type descriptor.
    pub descriptor: Descriptor,
    /// Its data; of out-of-line data, the bytes of the address.
    pub data: &'a [u8],
    /// The data are only the beginning: the message was cut off there.
    pub is_cut: bool,
    /// The format of its message.
    format: Format,
    /// Where the next item starts, or the end of the message.
    pub(crate) end: usize,
}

/// An item is longer than what is left of its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short {
    /// Bytes it needs.
    pub(crate) need: u64,
    /// Bytes there are.
    pub(crate) have: u64,
}

/// The item that starts at `offset` of a message that has so many bytes in `whole`, of which these are the first or all.
pub(crate) fn item_at(format: Format, message: &[u8], whole: usize, offset: usize) -> Result<Item<'_>, Short> {
    let left = message.len().saturating_sub(offset);
    let have = whole.max(message.len()).saturating_sub(offset) as u64;
    // Where there is a short descriptor and yet none, it is of the long form.
    let need = format.descriptor_size(left >= format.descriptor_size(false)) as u64;
    let descriptor = Descriptor::read(format, message, offset).ok_or(Short { need, have })?;
    let start = offset + descriptor.bytes(format);
    let size = if descriptor.inline { descriptor.data_size() } else { format.word() as u64 };
    // The sum fits: a descriptor describes less than 2^45 bytes.
    let need = descriptor.bytes(format) as u64 + size;
    let data = usize::try_from(size).ok().and_then(|size| message.get(start..start.checked_add(size)?));
    let (data, is_cut) = match data {
        Some(data) => (data, false),
        None if need <= have && descriptor.inline => (message.get(start..).unwrap_or(&[]), true),
        None => return Err(Short { need, have }),
    };
    // The padding after the last item may be missing.
    let end = (start + format.align(data.len())).min(message.len());
    Ok(Item { descriptor, data, is_cut, format, end })
}

impl<'a> Item<'a> {
    /// Its value. What has no form of its own is bytes.
    pub fn value(&self, view: View) -> Value<'a> {
        let Descriptor { name, number, deallocate, inline, .. } = self.descriptor;
        let (disposition, address, units) = (Disposition(name), self.address(), self.units());
        if !inline && units == Units::Ports {
            return Value::OutOfLinePorts { address, count: number, disposition, view, deallocate };
        }
        if !inline {
            let size = self.descriptor.data_size();
            return Value::OutOfLine { address, size, units, count: number, deallocate };
        }
        let element = match units {
            Units::Ports => Element::Right(disposition, view),
            Units::Names => Element::Name,
            Units::Integers(_) => Element::Integer,
            // A C string ends before its padding, which an array of characters has none of.
            Units::Characters if u32::from(name) == tn::STRING => return Value::Text(until_padding(self.data)),
            Units::Characters => return Value::Text(self.data),
            Units::Bytes => return Value::Bytes(self.data),
        };
        let stride = usize::from(self.descriptor.size / 8);
        let array =
            Array { element, data: self.data, count: self.data.len() / stride, stride, within: Within::default() };
        match array.get(0) {
            Some(only) if number == 1 => only,
            _ if number == 1 => Value::Bytes(self.data),
            _ => Value::Array(array),
        }
    }

    /// What its elements are.
    fn units(&self) -> Units {
        let Descriptor { name, size, number, inline, .. } = self.descriptor;
        match (u32::from(name), size) {
            _ if self.descriptor.is_port() && matches!(size, 32 | 64) => Units::Ports,
            (tn::PORT_NAME, 32 | 64) => Units::Names,
            (tn::CHAR, 8) => Units::Characters,
            (tn::STRING, _) => Units::Characters,
            // One is a small integer, several are data.
            (tn::BYTE, 8) if number == 1 && inline => Units::Integers(8),
            (tn::INTEGER_16 | tn::INTEGER_32 | tn::INTEGER_64, 8) => Units::Integers(8),
            (tn::BOOLEAN | tn::INTEGER_16 | tn::INTEGER_32 | tn::INTEGER_64, 16 | 32 | 64) => {
                Units::Integers(size as u8)
            }
            _ => Units::Bytes,
        }
    }

    /// Of out-of-line data: where they are.
    pub(crate) fn address(&self) -> u64 {
        self.format.read_word(self.data, 0).unwrap_or(0)
    }

    /// The return code that it is if it comes first in a reply, by MIG's convention.
    pub fn return_code(&self) -> Option<i32> {
        let Descriptor { name, size, number, inline, .. } = self.descriptor;
        let is_code = u32::from(name) == tn::INTEGER_32 && (size, number, inline) == (32, 1, true);
        read_u32(self.data, 0).filter(|_| is_code).map(|code| code as i32)
    }
}

fn until_padding(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &text[..end]
}

/// An iterator over the items of a message. Stops before the first that does not fit; of one that is cut off, the beginning is an item.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    format: Format,
    message: &'a [u8],
    /// The message's size before it was cut off.
    whole: usize,
    offset: usize,
}

impl<'a> Items<'a> {
    /// The items after the header.
    pub fn new(format: Format, message: &'a [u8]) -> Self {
        Self { format, message, whole: message.len(), offset: format.header().end.min(message.len()) }
    }

    /// The items of a message that had so many bytes before it was cut off.
    #[must_use]
    pub fn cut_from(self, whole: usize) -> Self {
        Self { whole, ..self }
    }

    /// What has not been taken apart.
    pub fn rest(&self) -> &'a [u8] {
        self.message.get(self.offset..).unwrap_or(&[])
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        let item = item_at(self.format, self.message, self.whole, self.offset).ok()?;
        self.offset = item.end;
        Some(item)
    }
}
