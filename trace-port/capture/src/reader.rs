// SPDX-License-Identifier: GPL-2.0-or-later
//! Reads a capture, a block at a time: what it needs does not depend on the file's size.

use core::mem;
use std::io::{self, Read, Seek, SeekFrom};
use std::vec::Vec;

use lz4_flex::block::decompress;
use thiserror::Error;

use crate::error::CaptureError;
use crate::facts::Facts;
use crate::format::{self, BLOCK_HEAD, BlockHead, Codec, HEAD, Kind, MAGIC, TRAILER};
use crate::index::Index;

/// Why a file is not read, or no further.
#[derive(Debug, Error)]
pub enum ReadError {
    /// Of what stands in it.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// Of the system.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl ReadError {
    /// Whether the file ends too early: if somebody still writes it, the rest comes.
    pub fn is_cut(&self) -> bool {
        matches!(self, Self::Capture(CaptureError::Cut { .. }))
    }
}

/// A block of entries.
#[derive(Debug)]
pub struct Block {
    /// What stands before it.
    pub head: BlockHead,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// What [`crate::Entries`] takes apart.
    pub contents: Vec<u8>,
}

/// What a file has before its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Bits of a word.
    pub width: u8,
    /// What the file says of itself.
    pub facts: Facts,
    /// The tables that decode.
    pub tables: Vec<u8>,
}

/// A file that is read. Where it is cut, reading may be tried again: what has been read of an item is kept.
#[derive(Debug)]
pub struct Reader<R> {
    file: R,
    /// What has been read of the next item.
    part: Vec<u8>,
    /// Bits of a word, and what the file says of itself, once that has been read.
    width: Option<u8>,
    facts: Option<Facts>,
    /// The head of the next block, once it has been read.
    head: Option<BlockHead>,
    /// Where that block begins, or the file's head.
    offset: u64,
    index: Index,
    /// Where the index begins, once it has been read.
    index_at: Option<u64>,
    is_whole: bool,
}

impl<R: Read> Reader<R> {
    /// Reads from here.
    pub fn new(file: R) -> Self {
        Self {
            file,
            part: Vec::new(),
            width: None,
            facts: None,
            head: None,
            offset: 0,
            index: Index::default(),
            index_at: None,
            is_whole: false,
        }
    }

    /// How much of the file has been read, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Where it reads from.
    pub fn file_mut(&mut self) -> &mut R {
        &mut self.file
    }

    /// The index of all that has been read.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Reads what stands before the entries. Before anything else, and until it has succeeded.
    ///
    /// # Errors
    /// If the file is no capture, of a later version, cut or damaged. After a cut the same may be tried again.
    pub fn contents(&mut self) -> Result<Contents, ReadError> {
        let width = match self.width {
            Some(width) => width,
            None => self.file_head()?,
        };
        self.width = Some(width);
        let facts = match self.facts.take() {
            Some(facts) => facts,
            None => {
                let block = self.expect(Kind::Facts, "a block of facts, kind")?;
                let wrong =
                    |at| CaptureError::Contents { block: 0, offset: block.offset, item: "a fact", at: at as u64 };
                Facts::read(&block.contents).map_err(wrong)?
            }
        };
        match self.expect(Kind::Tables, "a block of tables, kind") {
            Ok(tables) => Ok(Contents { width, facts, tables: tables.contents }),
            Err(error) => {
                self.facts = Some(facts);
                Err(error)
            }
        }
    }

    /// Reads the head of the file; answers how many bits a word has.
    fn file_head(&mut self) -> Result<u8, ReadError> {
        let head = self.item(0, HEAD as u64, "the file's head");
        // Of a file that is cut there it may be seen that it is none.
        let begins = self.part.get(..MAGIC.len().min(self.part.len())).unwrap_or_default();
        if head.is_err() && !MAGIC.starts_with(begins) {
            let mut found = [0; MAGIC.len()];
            found.iter_mut().zip(begins).for_each(|(place, byte)| *place = *byte);
            return Err(CaptureError::NotACapture(found).into());
        }
        let width = format::read_head(head?.first_chunk().unwrap_or(&[0; HEAD]))?;
        self.offset = HEAD as u64;
        Ok(width)
    }

    /// The next block of entries; `None` if the file is whole, and this was its end.
    ///
    /// # Errors
    /// If the file is cut or damaged there. After a cut the same may be tried again.
    pub fn next_block(&mut self) -> Result<Option<Block>, ReadError> {
        if self.is_whole {
            return Ok(None);
        }
        if self.index_at.is_none() {
            let block = self.block()?;
            match block.head.kind {
                Kind::Entries => return Ok(Some(block)),
                Kind::Index => self.take_index(&block)?,
                kind => return Err(other_kind(&block, Kind::Entries, "a block of entries, kind", kind).into()),
            }
        }
        let end = self.item(0, TRAILER as u64, "the end")?;
        let found = format::read_trailer(end.first_chunk().unwrap_or(&[0; TRAILER]));
        let damaged = |offset, item, expected, found| CaptureError::Damaged {
            block: self.index.blocks + 1,
            offset,
            item,
            expected,
            found,
        };
        let index_at = self.index_at.unwrap_or_default();
        if found != Some(index_at) {
            return Err(damaged(self.offset, "the end, with the index at", index_at, found.unwrap_or(0)).into());
        }
        let after = self.offset + TRAILER as u64;
        let mut more = [0];
        if self.file.read(&mut more)? > 0 {
            return Err(damaged(after, "nothing behind the end:", 0, more[0].into()).into());
        }
        (self.offset, self.is_whole) = (after, true);
        Ok(None)
    }

    /// The next block, which is of this kind.
    fn expect(&mut self, kind: Kind, item: &'static str) -> Result<Block, ReadError> {
        let found = self.block()?;
        if found.head.kind == kind { Ok(found) } else { Err(other_kind(&found, kind, item, found.head.kind).into()) }
    }

    /// The next block, whatever it holds.
    fn block(&mut self) -> Result<Block, ReadError> {
        let (number, offset) = (self.index.blocks, self.offset);
        let head = match self.head {
            Some(head) => head,
            None => {
                let bytes = self.item(0, BLOCK_HEAD as u64, "a block's head")?;
                BlockHead::read(bytes.first_chunk().unwrap_or(&[0; BLOCK_HEAD]), number, offset)?
            }
        };
        self.head = Some(head);
        let stored = self.item(BLOCK_HEAD as u64, head.stored.into(), "a block's contents")?;
        let damaged = |item, expected, found| CaptureError::Damaged { block: number, offset, item, expected, found };
        let sum = crc32fast::hash(&stored);
        if sum != head.sum {
            return Err(damaged("CRC-32 of the contents", head.sum.into(), sum.into()).into());
        }
        let contents = match head.codec {
            Codec::Stored => stored,
            Codec::Lz4 => decompress(&stored, head.contents as usize).map_err(|_| CaptureError::Contents {
                block: number,
                offset,
                item: "LZ4",
                at: 0,
            })?,
        };
        if contents.len() != head.contents as usize {
            return Err(damaged("contents of", head.contents.into(), contents.len() as u64).into());
        }
        if head.kind != Kind::Index {
            self.index.push(&head, offset);
        }
        self.head = None;
        self.offset += BLOCK_HEAD as u64 + u64::from(head.stored);
        Ok(Block { head, offset, contents })
    }

    /// Compares the index of the file with that of what has been read.
    fn take_index(&mut self, block: &Block) -> Result<(), CaptureError> {
        let (number, offset) = (block.head.number, block.offset);
        let wrong = |at: usize| CaptureError::Contents {
            block: number,
            offset,
            item: "the index of the blocks before it",
            at: at as u64,
        };
        let found = Index::read(&block.contents).map_err(wrong)?;
        self.index_at = Some(offset);
        if found == self.index { Ok(()) } else { Err(wrong(0)) }
    }

    /// So many bytes that begin so far behind the current place.
    fn item(&mut self, behind: u64, need: u64, item: &'static str) -> Result<Vec<u8>, ReadError> {
        let missing = need.saturating_sub(self.part.len() as u64);
        (&mut self.file).take(missing).read_to_end(&mut self.part)?;
        let have = self.part.len() as u64;
        if have < need {
            let (block, offset) = (self.index.blocks, self.offset + behind);
            return Err(CaptureError::Cut { block, offset, item, need, have }.into());
        }
        Ok(mem::take(&mut self.part))
    }
}

fn other_kind(block: &Block, expected: Kind, item: &'static str, found: Kind) -> CaptureError {
    CaptureError::Damaged {
        block: block.head.number,
        offset: block.offset + 4,
        item,
        expected: expected as u64,
        found: found as u64,
    }
}

/// The index of a file: that at its end, or where there is none one that is made of the heads of its blocks, as far as they are whole.
/// `true` if it was at its end. Where in the file one reads next is not defined afterwards.
///
/// # Errors
/// If the file cannot be read.
pub fn index(file: &mut (impl Read + Seek)) -> Result<(Index, bool), ReadError> {
    if let Some(index) = index_at_end(file)? {
        return Ok((index, true));
    }
    let size = file.seek(SeekFrom::End(0))?;
    let mut index = Index::default();
    let mut offset = HEAD as u64;
    loop {
        let mut bytes = [0; BLOCK_HEAD];
        if offset + (BLOCK_HEAD as u64) > size {
            return Ok((index, false));
        }
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut bytes)?;
        let Ok(head) = BlockHead::read(&bytes, index.blocks, offset) else { return Ok((index, false)) };
        let end = offset + BLOCK_HEAD as u64 + u64::from(head.stored);
        if head.kind == Kind::Index || end > size {
            return Ok((index, false));
        }
        index.push(&head, offset);
        offset = end;
    }
}

/// The index at the end of a file, if there is one.
fn index_at_end(file: &mut (impl Read + Seek)) -> Result<Option<Index>, ReadError> {
    let size = file.seek(SeekFrom::End(0))?;
    let Some(end) = size.checked_sub(TRAILER as u64) else { return Ok(None) };
    file.seek(SeekFrom::Start(end))?;
    let mut bytes = [0; TRAILER];
    file.read_exact(&mut bytes)?;
    let Some(at) = format::read_trailer(&bytes).filter(|at| *at < end) else { return Ok(None) };
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = [0; BLOCK_HEAD];
    let mut reader = Reader::new(file);
    reader.offset = at;
    reader.file.read_exact(&mut bytes)?;
    // Its number says how many blocks are before it.
    reader.index.blocks = format::u32_at(&bytes, 36);
    reader.file.seek(SeekFrom::Start(at))?;
    let block = match reader.block() {
        Ok(block) if block.head.kind == Kind::Index => block,
        _ => return Ok(None),
    };
    Ok(Index::read(&block.contents).ok())
}
