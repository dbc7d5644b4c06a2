// SPDX-License-Identifier: GPL-2.0-or-later
//! Who reads a ring where it stands, without a copy: for rings of which nothing is overwritten that is not read, as a tracer's own.
//!
//! What is looked at is checked as it is where it was copied, each word is loaded once before it is believed, and whatever stands there later, no more
//! is read than the frame. A walk knows frames as they most often are, and stops before all else: what that is [`Reader::read`] tells.

use core::sync::atomic::Ordering;

use mach_abi::Format;
use zerocopy::{FromBytes, IntoBytes};

use super::{CLOSED, FRAME, OPEN, OUTCOME, Outcome, RECORD, Reader, Ring, Word, control};
use crate::event::{Direction, EventKind};
use crate::port::{MAX_PORTS, Port};
use crate::record::{self, ILP32, MAX_BODY, Part, RecordHeader};

/// Words of a frame before what it holds.
const FRAME_WORDS: usize = FRAME as usize / 8;
/// Words of a record before its message.
const PART_WORDS: usize = size_of::<Part>() / 8;

const _: () = assert!(RECORD & OPEN == RECORD, "the kinds of records differ by a bit that OPEN has");
const _: () = assert!(Direction::Send as u8 == 0 && Direction::Receive as u8 == 1);

/// A record where it stands in a ring.
#[derive(Debug)]
pub struct Standing<'a, W> {
    /// Sent or received.
    pub direction: Direction,
    /// On which port.
    pub kind: EventKind,
    /// The format of the message.
    pub format: Format,
    /// Its number, if its outcome is told later.
    pub open: Option<u64>,
    /// How many bytes of the message there are.
    pub captured: usize,
    head: &'a [W; PART_WORDS],
    /// The message, zero padded, and its ports.
    body: &'a [W],
}

impl<W: Word> Standing<'_, W> {
    /// What the kernel says about the message. The sizes in it are those that were checked unless somebody but the kernel writes the ring.
    pub fn header(&self) -> RecordHeader {
        let mut words = [0_u64; size_of::<RecordHeader>() / 8];
        let places = self.head.get(1..).unwrap_or(&[]);
        words.iter_mut().zip(places).for_each(|(word, place)| *word = place.load(Ordering::Relaxed));
        RecordHeader::read_from_bytes(words.as_bytes()).unwrap_or_default()
    }

    /// [`RecordHeader::sequence`].
    #[inline]
    pub fn sequence(&self) -> u64 {
        let [_, _, _, sequence, ..] = self.head;
        sequence.load(Ordering::Relaxed)
    }

    /// A word of the message, of which the last is zero padded; `None` behind its end.
    #[inline]
    pub fn message_word(&self, index: usize) -> Option<u64> {
        self.body.get(..self.captured.div_ceil(8))?.get(index).map(|word| word.load(Ordering::Relaxed))
    }

    /// How many [`Port`]s there are.
    #[inline]
    pub fn ports(&self) -> usize {
        self.body.len().saturating_sub(self.captured.div_ceil(8)) / (size_of::<Port>() / 8)
    }

    /// Copies the whole record, as far as there is room: [`Record::in_ring`](crate::Record::in_ring) takes it apart. Returns how many words it has.
    pub fn copy(&self, out: &mut [u64]) -> usize {
        let words = self.head.iter().chain(self.body);
        out.iter_mut().zip(words).for_each(|(out, word)| *out = word.load(Ordering::Relaxed));
        PART_WORDS + self.body.len()
    }
}

/// What a walk comes to.
#[derive(Debug)]
pub enum Step<'a, W> {
    /// A record.
    Record(Standing<'a, W>),
    /// The outcome of an open one.
    Outcome(Outcome),
}

/// A walk over the frames that are there.
#[derive(Debug)]
pub struct Walk<'a, W: Word> {
    reader: &'a mut Reader,
    frames: &'a [W],
    head: u64,
    /// Where the time of the last record stands.
    time: Option<&'a W>,
}

impl<W: Word> Drop for Walk<'_, W> {
    fn drop(&mut self) {
        if let Some(time) = self.time {
            self.reader.time = time.load(Ordering::Relaxed);
        }
    }
}

impl Reader {
    /// Walks over what is new, where it stands. Nothing may be overwritten of the ring before the reader gives it back ([`Ring::set_tail`]), so that
    /// this is nothing for a ring that is written with [`Policy::Overwrite`](super::Policy::Overwrite). After the walk [`Reader::read`] tells what is left: nothing, or what
    /// is not as usual.
    pub fn walk<'a, W: Word>(&'a mut self, ring: &Ring<'a, W>) -> Walk<'a, W> {
        let word = |index: usize| ring.control.get(index).map_or(0, |word| word.load(Ordering::Acquire));
        let head = word(control::HEAD);
        // What cannot be, or was overwritten, is for `read`.
        let is_usual = self.is_usual() && ring.capacity() == self.capacity && word(control::FLOOR) <= self.next;
        let is_usual = is_usual && head < CLOSED && head.wrapping_sub(self.next) <= self.capacity;
        let head = if is_usual { head } else { self.next };
        Walk { reader: self, frames: ring.frames, head, time: None }
    }
}

impl<'a, W: Word> Walk<'a, W> {
    /// Goes past a frame of so many bytes, which is none if it ends behind what is there. Returns what it holds behind its first words, in one piece.
    #[inline(always)]
    fn pass(&mut self, index: usize, size: u64, first: usize) -> Option<&'a [W]> {
        // Sizes of frames are far from making a position come round that is not beyond the head.
        let (next, end) = (self.reader.next.wrapping_add(size), index.wrapping_add((size >> 3) as usize));
        let rest = self.frames.get(index.wrapping_add(first)..end)?;
        if next > self.head {
            return None;
        }
        self.reader.next = next;
        self.reader.number = self.reader.number.wrapping_add(1);
        Some(rest)
    }

    #[inline(always)]
    fn record(&mut self, index: usize, open: Option<u64>, size: u64, head: &'a [W; PART_WORDS]) -> Option<Step<'a, W>> {
        let [_, first, _, _, _, time, sizes, _, _, _, ports, body_type] = head;
        let load = |word: &W| word.load(Ordering::Relaxed);
        let (first, captured, count) = (load(first), (load(sizes) >> 32) as usize, load(ports) as u32 as usize);
        if captured > MAX_BODY || count > MAX_PORTS {
            return None;
        }
        let carried = record::carried(captured, count);
        let whole = (FRAME as usize + size_of::<Part>() + carried.next_multiple_of(8)) as u64;
        if size != whole || load(body_type) != record::body_type(carried as u32) {
            return None;
        }
        // The version, and what is none of a direction, at once.
        let known = u64::from(record::VERSION);
        if first & (u64::from(u16::MAX) | u64::from(!(ILP32 | 1)) << 16) != known {
            return None;
        }
        let wire = (first >> 16) as u8;
        let (direction, kind) = (Direction::from_wire(wire & !ILP32)?, EventKind::from_wire((first >> 24) as u8)?);
        let body = self.pass(index, size, FRAME_WORDS + PART_WORDS)?;
        self.time = Some(time);
        let format = if wire & ILP32 == 0 { Format::Lp64 } else { Format::Ilp32 };
        Some(Step::Record(Standing { direction, kind, format, open, captured, head, body }))
    }
}

impl<'a, W: Word> Iterator for Walk<'a, W> {
    type Item = Step<'a, W>;

    #[inline(always)]
    fn next(&mut self) -> Option<Step<'a, W>> {
        let (next, own) = (self.reader.next, self.reader.number);
        if next == self.head {
            return None;
        }
        let index = (next >> 3) as usize & self.frames.len().wrapping_sub(1);
        // An outcome so near to the end that a record would go over it is for `read`, too.
        let chunk = self.frames.get(index..)?.first_chunk::<{ FRAME_WORDS + PART_WORDS }>()?;
        let (frame, rest) = chunk.split_first_chunk::<FRAME_WORDS>()?;
        let head = rest.first_chunk::<PART_WORDS>()?;
        let [position, number, size_and_kind] = frame.each_ref().map(|word| word.load(Ordering::Relaxed));
        if position != next || number != own {
            return None;
        }
        let size = size_and_kind & u64::from(u32::MAX);
        match (size_and_kind >> 32) as u32 {
            kind if kind | (RECORD ^ OPEN) == OPEN => self.record(index, (kind == OPEN).then_some(own), size, head),
            OUTCOME if size == FRAME + 8 => {
                self.pass(index, size, FRAME_WORDS)?;
                let [word, ..] = head;
                let word = word.load(Ordering::Relaxed);
                Some(Step::Outcome(Outcome { thread: word as u32, retval: (word >> 32) as u32 }))
            }
            _ => None,
        }
    }
}
