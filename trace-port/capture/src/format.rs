// SPDX-License-Identifier: GPL-2.0-or-later
//! The bytes of a capture: the file's head, the heads of blocks, and the end. docs/capture.md says the same to people.
//!
//! ```text
//! head of the file, 16 bytes          head of a block, 48 bytes                    the end, 16 bytes
//!  0  8  MAGIC                         0  4  BLOCK                                  0  8  offset of the index
//!  8  2  version                       4  1  kind                                   8  4  CRC-32 of bytes 0 to 7
//! 10  1  bits of a word: 64 or 32      5  1  codec                                 12  4  END
//! 11  1  zero                          6  2  zero
//! 12  4  CRC-32 of bytes 0 to 11       8  4  bytes of the contents as stored
//!                                     12  4  bytes of the contents
//!                                     16  8  time of the first record
//!                                     24  8  time of the last record
//!                                     32  4  messages in the block
//!                                     36  4  number of the block, from 0
//!                                     40  4  CRC-32 of the contents as stored
//!                                     44  4  CRC-32 of bytes 0 to 43
//! ```
//! All numbers are little-endian.

use crate::error::CaptureError;

/// What every capture begins with, whatever its version. A transfer that changes line ends or takes the eighth bit away damages it.
pub const MAGIC: [u8; 8] = *b"\x89MTRC\r\n\x1a";
/// Version of the format with contents of memory out of line, which this build writes where it is asked for those; it reads this one and all
/// before it.
pub const VERSION: u16 = 2;
/// Version that this build writes otherwise, for all who read captures.
pub const PLAIN: u16 = 1;
/// Bytes of the file's head, in every version.
pub const HEAD: usize = 16;
/// Bytes of a block's head.
pub const BLOCK_HEAD: usize = 48;
/// Bytes of the end.
pub const TRAILER: usize = 16;
/// What a block begins with.
pub const BLOCK: u32 = u32::from_le_bytes(*b"MBLK");
/// What a whole file ends with.
pub const END: u32 = u32::from_le_bytes(*b"MEND");
/// Most bytes of a block's contents. Tables are the largest.
pub const MAX_CONTENTS: usize = 16 * 1024 * 1024;
/// Most bytes that they are stored in: what does not become smaller is stored as it is.
pub const MAX_STORED: usize = MAX_CONTENTS;
/// Most bytes of a message, a name or a text among the entries.
pub const MAX_ENTRY: usize = 1024 * 1024;
/// Most bytes of the facts that a file begins with.
pub const MAX_FACTS: usize = 1024 * 1024;
/// Most blocks that the index tells of.
pub const MAX_INDEX: usize = 4096;
/// Bytes of contents with which a block of entries is written.
pub const FULL: usize = 64 * 1024;
/// Nanoseconds of records after which a block of entries is written.
pub const AGE: u64 = 100_000_000;

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// What is known before the first record: the first block.
    Facts = 1,
    /// The tables that decode: the second block.
    Tables = 2,
    /// What came, in the order in which it came.
    Entries = 3,
    /// Where blocks begin: the last block of a whole file.
    Index = 4,
}

impl Kind {
    const fn of(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Facts),
            2 => Some(Self::Tables),
            3 => Some(Self::Entries),
            4 => Some(Self::Index),
            _ => None,
        }
    }
}

/// How contents are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Codec {
    /// As they are.
    Stored = 0,
    /// As one LZ4 block, without a frame.
    Lz4 = 1,
}

/// The head of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHead {
    /// What it holds.
    pub kind: Kind,
    /// How it is stored.
    pub codec: Codec,
    /// Bytes of the contents in the file.
    pub stored: u32,
    /// Bytes of the contents.
    pub contents: u32,
    /// Time of the first record in it, in nanoseconds since 1970; 0 if it has none.
    pub first: u64,
    /// Time of the last record in it, in nanoseconds since 1970; 0 if it has none.
    pub last: u64,
    /// How many messages of the trace port are in it.
    pub messages: u32,
    /// Its number, from 0.
    pub number: u32,
    /// CRC-32 of the contents as stored.
    pub sum: u32,
}

/// A little-endian number of 32 bits in a message or a file; zero where it is not whole.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// A little-endian number of 64 bits in a message or a file; zero where it is not whole.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u16::from_le_bytes(*bytes))
}

fn byte_at(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// Puts bytes into an array, one part after the other; what has no room is left out.
fn join<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut joined = [0; N];
    for (place, byte) in joined.iter_mut().zip(parts.iter().copied().flatten()) {
        *place = *byte;
    }
    joined
}

/// The head of a file of this version, of records with words of so many bits.
pub fn head(version: u16, width: u8) -> [u8; HEAD] {
    let before: [u8; 12] = join(&[&MAGIC, &version.to_le_bytes(), &[width, 0]]);
    join(&[&before, &crc32fast::hash(&before).to_le_bytes()])
}

/// Reads the head of a file; answers how many bits a word has.
///
/// # Errors
/// If it is not that of a capture, of a later version, or damaged.
pub fn read_head(bytes: &[u8; HEAD]) -> Result<u8, CaptureError> {
    let magic: [u8; 8] = join(&[bytes]);
    if magic != MAGIC {
        return Err(CaptureError::NotACapture(magic));
    }
    let damaged = |offset, item, expected, found| CaptureError::Damaged { block: 0, offset, item, expected, found };
    let (expected, found) = (crc32fast::hash(&bytes[..12]), u32_at(bytes, 12));
    if expected != found {
        return Err(damaged(12, "CRC-32 of the file's head", expected.into(), found.into()));
    }
    match (u16_at(bytes, 8), byte_at(bytes, 10)) {
        (found @ 0, _) => Err(CaptureError::Version { offset: 8, latest: VERSION, found }),
        (version @ ..=VERSION, width @ (32 | 64)) if version > 0 => Ok(width),
        (..=VERSION, width) => Err(damaged(10, "bits of a word", 64, width.into())),
        (found, _) => Err(CaptureError::Future { found, latest: VERSION }),
    }
}

impl BlockHead {
    /// Its bytes.
    pub fn bytes(&self) -> [u8; BLOCK_HEAD] {
        let before: [u8; 44] = join(&[
            &BLOCK.to_le_bytes(),
            &[self.kind as u8, self.codec as u8, 0, 0],
            &self.stored.to_le_bytes(),
            &self.contents.to_le_bytes(),
            &self.first.to_le_bytes(),
            &self.last.to_le_bytes(),
            &self.messages.to_le_bytes(),
            &self.number.to_le_bytes(),
            &self.sum.to_le_bytes(),
        ]);
        join(&[&before, &crc32fast::hash(&before).to_le_bytes()])
    }

    /// Reads the head of the block with this number, which begins at this offset of the file.
    ///
    /// # Errors
    /// If it is damaged, or larger than any that is written.
    pub fn read(bytes: &[u8; BLOCK_HEAD], block: u32, offset: u64) -> Result<Self, CaptureError> {
        let expect = |at: usize, item, expected: u64, found: u64| {
            let offset = offset + at as u64;
            if expected == found { Ok(()) } else { Err(CaptureError::Damaged { block, offset, item, expected, found }) }
        };
        expect(0, "the beginning of a block", BLOCK.into(), u32_at(bytes, 0).into())?;
        expect(44, "CRC-32 of a block's head", crc32fast::hash(&bytes[..44]).into(), u32_at(bytes, 44).into())?;
        expect(36, "block number", block.into(), u32_at(bytes, 36).into())?;
        let kind = Kind::of(byte_at(bytes, 4));
        let codec = match byte_at(bytes, 5) {
            0 => Some(Codec::Stored),
            1 => Some(Codec::Lz4),
            _ => None,
        };
        let (Some(kind), Some(codec)) = (kind, codec) else {
            let at = if kind.is_none() { 4 } else { 5 };
            let item = if kind.is_none() { "a kind of block, such as" } else { "a codec, such as" };
            return Err(CaptureError::Damaged {
                block,
                offset: offset + at as u64,
                item,
                expected: 1,
                found: byte_at(bytes, at).into(),
            });
        };
        let limited = |at: usize, item, limit: usize| match u32_at(bytes, at) {
            found if found as usize > limit => {
                let (offset, limit) = (offset + at as u64, limit as u64);
                Err(CaptureError::TooLarge { block, offset, item, limit, found: found.into() })
            }
            found => Ok(found),
        };
        let stored = limited(8, "stored contents", MAX_STORED)?;
        let contents = limited(12, "contents", if kind == Kind::Facts { MAX_FACTS } else { MAX_CONTENTS })?;
        if codec == Codec::Stored {
            expect(8, "stored contents of", contents.into(), stored.into())?;
        }
        Ok(Self {
            kind,
            codec,
            stored,
            contents,
            first: u64_at(bytes, 16),
            last: u64_at(bytes, 24),
            messages: u32_at(bytes, 32),
            number: block,
            sum: u32_at(bytes, 40),
        })
    }
}

/// The end of a whole file, whose index is the block that begins at this offset.
pub fn trailer(index: u64) -> [u8; TRAILER] {
    let offset = index.to_le_bytes();
    join(&[&offset, &crc32fast::hash(&offset).to_le_bytes(), &END.to_le_bytes()])
}

/// Where the index begins, if this is the end of a whole file.
pub fn read_trailer(bytes: &[u8; TRAILER]) -> Option<u64> {
    let is_end = u32_at(bytes, 12) == END && u32_at(bytes, 8) == crc32fast::hash(&bytes[..8]);
    is_end.then(|| u64_at(bytes, 0))
}
