//! The walk over a message's items by their type descriptors, and what an item is as far as its descriptor tells.

use mach_abi::{Descriptor, Disposition, Format, type_name as tn};

use mach_abi::bytes::{read_u32, read_u64};

use crate::value::{PortRight, Value, View};

/// One item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// Its type descriptor.
    pub descriptor: Descriptor,
    /// Its data; of out-of-line data, the bytes of the address.
    pub data: &'a [u8],
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

/// The item that starts at `offset`.
pub(crate) fn item_at(format: Format, message: &[u8], offset: usize) -> Result<Item<'_>, Short> {
    let left = message.len().saturating_sub(offset);
    let have = left as u64;
    // Where there is a short descriptor and yet none, it is of the long form.
    let need = format.descriptor_size(left >= format.descriptor_size(false)) as u64;
    let descriptor = Descriptor::read(format, message, offset).ok_or(Short { need, have })?;
    let start = offset + descriptor.bytes(format);
    let size = if descriptor.inline { descriptor.data_size() } else { format.word() as u64 };
    let data = usize::try_from(size).ok().and_then(|size| message.get(start..start.checked_add(size)?));
    // The sum fits: a descriptor describes less than 2^45 bytes.
    let data = data.ok_or(Short { need: descriptor.bytes(format) as u64 + size, have })?;
    // The padding after the last item may be missing.
    let end = (start + format.align(data.len())).min(message.len());
    Ok(Item { descriptor, data, format, end })
}

impl<'a> Item<'a> {
    /// Its value. What has no form of its own is bytes.
    pub fn value(&self, view: View) -> Value<'a> {
        let Descriptor { name, number, deallocate, inline, .. } = self.descriptor;
        let disposition = Disposition(name);
        let (low, wide) = (read_u32(self.data, 0).unwrap_or(0), read_u64(self.data, 0).unwrap_or(0));
        let (address, word) = (self.address(), self.format.word());
        match (u32::from(name), inline, self.data.len()) {
            (_, false, _) if self.descriptor.is_port() => {
                Value::OutOfLinePorts { address, count: number, disposition, view, deallocate }
            }
            (_, false, _) => Value::OutOfLine { address, size: self.descriptor.data_size(), deallocate },
            (_, true, size) if self.descriptor.is_port() && size == word => {
                Value::Port(PortRight { name: low, disposition, view })
            }
            (tn::PORT_NAME, true, 4 | 8) => Value::PortName(low),
            (tn::CHAR | tn::STRING, true, _) => Value::Text(until_padding(self.data)),
            (tn::INTEGER_32, true, 4) => Value::Signed { value: i64::from(low as i32), bits: 32 },
            (tn::INTEGER_64, true, 8) => Value::Signed { value: wide as i64, bits: 64 },
            _ => Value::Bytes(self.data),
        }
    }

    /// Of out-of-line data: where they are.
    pub(crate) fn address(&self) -> u64 {
        self.format.read_word(self.data, 0).unwrap_or(0)
    }

    /// The return code that it is if it comes first in a reply, by MIG's convention.
    pub fn return_code(&self) -> Option<i32> {
        match self.value(View::Received) {
            Value::Signed { value, bits: 32 } => i32::try_from(value).ok(),
            _ => None,
        }
    }
}

fn until_padding(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &text[..end]
}

/// An iterator over the items of a message. Stops before the first that does not fit.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    format: Format,
    message: &'a [u8],
    offset: usize,
}

impl<'a> Items<'a> {
    /// The items after the header.
    pub fn new(format: Format, message: &'a [u8]) -> Self {
        Self { format, message, offset: format.header().end.min(message.len()) }
    }

    /// What has not been taken apart.
    pub fn rest(&self) -> &'a [u8] {
        self.message.get(self.offset..).unwrap_or(&[])
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        let item = item_at(self.format, self.message, self.offset).ok()?;
        self.offset = item.end;
        Some(item)
    }
}
