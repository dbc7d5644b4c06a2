// SPDX-License-Identifier: GPL-2.0-or-later
//! What memory out of line held, which was read when a thread had stopped with the message: an entry of its own.

use alloc::vec::Vec;

use crate::format::{MAX_ENTRY, u32_at, u64_at};

/// Bytes before what was read.
const HEAD: usize = 32;
/// Most bytes of one item that are kept.
pub const MAX_READ: usize = MAX_ENTRY / 2;

/// What an item of a message out of line held, as far as it could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory<'a> {
    /// The sequence number of the message's record.
    pub sequence: u64,
    /// Where the memory is, in the task that the record is of.
    pub address: u64,
    /// How many bytes it has.
    pub size: u64,
    /// What became of reading it.
    pub found: Found<'a>,
}

/// What became of reading memory out of line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// These are the first of its bytes, or all, as they were when they were read.
    Read(&'a [u8]),
    /// The message took the memory out of its sender's task.
    GivenAway,
    /// The kernel answered this `kern_return_t`.
    Refused(i32),
    /// Somebody provides the memory, a pager, who might be waiting for the message: it was not read.
    Paged,
}

impl<'a> Memory<'a> {
    /// Appends it. Of what is too much to be kept only the beginning is.
    pub(crate) fn push(&self, out: &mut Vec<u8>) {
        let (what, code, bytes): (u32, i32, &[u8]) = match self.found {
            Found::Read(bytes) => (0, 0, bytes.get(..MAX_READ).unwrap_or(bytes)),
            Found::GivenAway => (1, 0, &[]),
            Found::Refused(code) => (2, code, &[]),
            Found::Paged => (3, 0, &[]),
        };
        [self.sequence, self.address, self.size].iter().for_each(|number| out.extend(number.to_le_bytes()));
        out.extend(what.to_le_bytes());
        out.extend(code.to_le_bytes());
        out.extend_from_slice(bytes);
    }

    /// What these bytes are, if they are that.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let rest = bytes.get(HEAD..)?;
        let [sequence, address, size] = [0, 8, 16].map(|at| u64_at(bytes, at));
        let found = match (u32_at(bytes, 24), u32_at(bytes, 28), rest.len()) {
            (0, 0, count) if count as u64 <= size => Found::Read(rest),
            (1, 0, 0) => Found::GivenAway,
            (2, code, 0) => Found::Refused(code as i32),
            (3, 0, 0) => Found::Paged,
            _ => return None,
        };
        Some(Self { sequence, address, size, found })
    }
}
