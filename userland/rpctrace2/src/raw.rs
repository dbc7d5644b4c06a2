//! The items of a message whose id nobody knows, as far as its type descriptors tell.

use mig_defs::wire::{DESCRIPTOR_SIZE, Descriptor, HEADER_SIZE};

/// One item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// Its type descriptor.
    pub descriptor: Descriptor,
    /// Its data; of out-of-line data, the 8 bytes of the address.
    pub data: &'a [u8],
}

/// An iterator over the items of a message. Stops before the first that does not fit.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    rest: &'a [u8],
}

impl<'a> Items<'a> {
    /// The items after the header.
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message.get(HEADER_SIZE..).unwrap_or_default() }
    }

    /// What has not been taken apart.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        let word = self.rest.first_chunk::<DESCRIPTOR_SIZE>()?;
        let descriptor = Descriptor::from_word(u64::from_le_bytes(*word));
        let body = &self.rest[DESCRIPTOR_SIZE..];
        let size = if descriptor.inline { usize::try_from(descriptor.data_size()).ok()? } else { 8 };
        let data = body.get(..size)?;
        self.rest = body.get(size.next_multiple_of(8)..).unwrap_or_default();
        Some(Item { descriptor, data })
    }
}
