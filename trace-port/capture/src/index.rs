// SPDX-License-Identifier: GPL-2.0-or-later
//! Where blocks begin. It stands at the end of a whole file, and is made again by reading one that has none.

use alloc::vec::Vec;

use crate::format::{BlockHead, Kind, MAX_INDEX, u32_at, u64_at};

/// A block of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where in the file it begins, in bytes.
    pub offset: u64,
    /// Its number.
    pub block: u32,
    /// Messages before it.
    pub messages: u64,
    /// Time of the first record in it, in nanoseconds since 1970; 0 if it has none.
    pub time: u64,
}

/// Where blocks of entries begin, and how much there is. Of very many blocks every second, fourth … one stands here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// In the order of the file.
    pub places: Vec<Place>,
    /// Blocks of all kinds before the index.
    pub blocks: u32,
    /// Messages of the trace port.
    pub messages: u64,
    /// Time of the first record, in nanoseconds since 1970; 0 if there is none.
    pub first: u64,
    /// Time of the last record, in nanoseconds since 1970; 0 if there is none.
    pub last: u64,
    /// Which blocks of entries have a place: each whose count of such before it this divides.
    stride: u64,
    /// Blocks of entries.
    entries: u64,
}

impl Default for Index {
    fn default() -> Self {
        Self { places: Vec::new(), blocks: 0, messages: 0, first: 0, last: 0, stride: 1, entries: 0 }
    }
}

/// Bytes before the places, and of one.
const HEAD: usize = 48;
const PLACE: usize = 32;

impl Index {
    /// Takes the next block.
    pub fn push(&mut self, head: &BlockHead, offset: u64) {
        self.blocks = self.blocks.saturating_add(1);
        if head.kind != Kind::Entries {
            return;
        }
        if self.entries.is_multiple_of(self.stride) {
            if self.places.len() == MAX_INDEX {
                let mut is_kept = false;
                self.places.retain(|_| {
                    is_kept = !is_kept;
                    is_kept
                });
                self.stride = self.stride.saturating_mul(2);
            }
            if self.entries.is_multiple_of(self.stride) {
                let place = Place { offset, block: head.number, messages: self.messages, time: head.first };
                self.places.push(place);
            }
        }
        self.entries += 1;
        self.messages = self.messages.saturating_add(head.messages.into());
        if self.first == 0 {
            self.first = head.first;
        }
        self.last = self.last.max(head.last);
    }

    /// The contents of its block.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + self.places.len() * PLACE);
        for number in [self.messages, self.first, self.last, self.stride, self.entries, self.blocks.into()] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for place in &self.places {
            for number in [place.offset, place.block.into(), place.messages, place.time] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        bytes
    }

    /// Reads the contents of its block; or where they are wrong.
    #[cfg_attr(not(feature = "std"), expect(dead_code, reason = "readers have files"))]
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, usize> {
        let places = bytes.get(HEAD..).ok_or(bytes.len())?;
        if !places.len().is_multiple_of(PLACE) || places.len() / PLACE > MAX_INDEX {
            return Err(HEAD);
        }
        let places = places.chunks_exact(PLACE).map(|place| {
            let [offset, messages, time] = [0, 16, 24].map(|at| u64_at(place, at));
            Place { offset, block: u32_at(place, 8), messages, time }
        });
        let [messages, first, last, stride, entries] = [0, 8, 16, 24, 32].map(|at| u64_at(bytes, at));
        let places = places.collect();
        Ok(Self { places, blocks: u32_at(bytes, 40), messages, first, last, stride, entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Codec;

    #[test]
    fn of_very_many_blocks_it_has_as_many_as_it_may() {
        let mut index = Index::default();
        for number in 0..3 * MAX_INDEX as u32 {
            let (kind, time) = (Kind::Entries, 100 + u64::from(number));
            let head = BlockHead {
                kind,
                codec: Codec::Stored,
                stored: 0,
                contents: 0,
                first: time,
                last: time,
                messages: 2,
                number,
                sum: 0,
            };
            index.push(&head, u64::from(number) * 48);
        }
        assert_eq!((index.places.len(), index.messages), (3 * MAX_INDEX / 4, 6 * MAX_INDEX as u64));
        for (count, place) in index.places.iter().enumerate() {
            let number = 4 * count as u64;
            let expected =
                Place { offset: number * 48, block: number as u32, messages: 2 * number, time: 100 + number };
            assert_eq!(*place, expected);
        }
        assert_eq!(Index::read(&index.bytes()), Ok(index));
    }
}
