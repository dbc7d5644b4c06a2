// SPDX-License-Identifier: GPL-2.0-or-later
//! Writes a capture: into memory, from where somebody else appends it to a file.

use alloc::vec::Vec;
use core::mem::{offset_of, take};

use lz4_flex::block::{compress_into, get_maximum_output_size};
use mach_abi::header::LP64;
use trace_port::record::{HEADER_OFFSET, HEADER_TYPE, Prefix};
use trace_port::{RecordHeader, is_record};
use zerocopy::IntoBytes;

use crate::entry::{Note, push_message, push_note};
use crate::facts::Facts;
use crate::format::{self, AGE, BlockHead, Codec, FULL, Kind, u32_at, u64_at};
use crate::index::Index;

/// Where the time of a message's first record stands in it.
const TIME: usize = HEADER_OFFSET + offset_of!(RecordHeader, time);

/// A capture that is being written.
#[derive(Debug)]
pub struct Writer {
    /// The entries of the block that has not been written.
    entries: Vec<u8>,
    /// How many messages are among them, and the times of the first and the last record.
    messages: u32,
    first: u64,
    last: u64,
    /// What is to be appended to the file.
    out: Vec<u8>,
    /// Bytes of the file before it.
    written: u64,
    index: Index,
}

impl Writer {
    /// A capture of records with words of so many bits, of which these facts are known; the tables decode it.
    pub fn new(width: u8, facts: &Facts, tables: &[u8]) -> Self {
        Self::of_version(format::PLAIN, width, facts, tables)
    }

    /// Begins a capture of version 2, in which [`Note::Memory`] may be: readers of version 1 alone refuse it in one line.
    pub fn with_memory(width: u8, facts: &Facts, tables: &[u8]) -> Self {
        Self::of_version(format::VERSION, width, facts, tables)
    }

    fn of_version(version: u16, width: u8, facts: &Facts, tables: &[u8]) -> Self {
        let mut writer = Self {
            entries: Vec::with_capacity(FULL),
            messages: 0,
            first: 0,
            last: 0,
            out: format::head(version, width).to_vec(),
            written: 0,
            index: Index::default(),
        };
        writer.block(Kind::Facts, &facts.bytes());
        writer.block(Kind::Tables, tables);
        writer
    }

    /// Takes a message that came to the trace port.
    pub fn message(&mut self, message: &[u8]) {
        let time = is_record(u32_at(message, LP64.id)).then(|| u64_at(message, TIME));
        self.push(&[message], time);
    }

    /// Takes a record as it stands in a [ring](trace_port::ring): it is kept as the message that would have brought it.
    pub fn record(&mut self, part: &[u8]) {
        let Some(rest) = part.get(size_of::<u64>()..) else { return };
        let prefix = Prefix::without_rights(part.len());
        // Its first word may be any.
        let time = u64_at(part, TIME - size_of::<Prefix>());
        self.push(&[prefix.as_bytes(), &HEADER_TYPE.to_le_bytes(), rest], Some(time));
    }

    /// Takes a message in pieces, which is of this time if that is known.
    fn push(&mut self, pieces: &[&[u8]], time: Option<u64>) {
        if let Some(time) = time {
            if self.first == 0 {
                self.first = time;
            }
            self.last = self.last.max(time);
        }
        self.messages += 1;
        push_message(pieces, &mut self.entries);
        if self.entries.len() >= FULL || self.last.saturating_sub(self.first) >= AGE {
            self.end_block();
        }
    }

    /// Takes note of something else.
    pub fn note(&mut self, note: Note<'_>) {
        push_note(note, &mut self.entries);
        if self.entries.len() >= FULL {
            self.end_block();
        }
    }

    /// Whether there are entries that are in no block.
    pub fn is_waiting(&self) -> bool {
        !self.entries.is_empty()
    }

    /// Makes a block of the entries that are in none.
    pub fn end_block(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        let mut entries = take(&mut self.entries);
        self.block(Kind::Entries, &entries);
        entries.clear();
        self.entries = entries;
        (self.messages, self.first, self.last) = (0, 0, 0);
    }

    /// Nothing comes any more: the file is whole with this.
    pub fn finish(&mut self) {
        self.end_block();
        let index = self.written + self.out.len() as u64;
        let bytes = self.index.bytes();
        self.block(Kind::Index, &bytes);
        self.out.extend(format::trailer(index));
    }

    /// What is to be appended to the file.
    pub fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// Forgets [`Writer::bytes`], which have been appended.
    pub fn appended(&mut self) {
        self.written += self.out.len() as u64;
        self.out.clear();
    }

    /// Writes a block.
    fn block(&mut self, kind: Kind, contents: &[u8]) {
        let offset = self.written + self.out.len() as u64;
        let start = self.out.len() + format::BLOCK_HEAD;
        self.out.resize(start + get_maximum_output_size(contents.len()), 0);
        let place = self.out.get_mut(start..).unwrap_or_default();
        let (codec, stored) = match compress_into(contents, place) {
            Ok(stored) if stored < contents.len() => (Codec::Lz4, stored),
            _ => {
                self.out.truncate(start);
                self.out.extend_from_slice(contents);
                (Codec::Stored, contents.len())
            }
        };
        self.out.truncate(start + stored);
        let head = BlockHead {
            kind,
            codec,
            stored: stored as u32,
            contents: contents.len() as u32,
            first: self.first,
            last: self.last,
            messages: self.messages,
            number: self.index.blocks,
            sum: crc32fast::hash(self.out.get(start..).unwrap_or_default()),
        };
        let place = self.out.get_mut(start - format::BLOCK_HEAD..start).unwrap_or_default();
        place.iter_mut().zip(head.bytes()).for_each(|(place, byte)| *place = byte);
        self.index.push(&head, offset);
    }
}
