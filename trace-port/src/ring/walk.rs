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

/// Bytes of a record's frame without its message and ports.
const SMALLEST: u64 = FRAME + size_of::<Part>() as u64;

/// Most bytes of a message and its ports that are looked at in place: so few that no more are too many of either.
const MOST: u64 = (MAX_PORTS * size_of::<Port>()) as u64;

/// In the kind and size of a record's frame: its outcome is told later.
const IS_OPEN: u64 = ((RECORD ^ OPEN) as u64) << 32;

const _: () = assert!(MOST <= MAX_BODY as u64);
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
    /// Where the next frame is, and its number. They are the reader's when the walk ends.
    next: u64,
    number: u64,
    /// From there on, as far as there is something, and no further than to the end of the ring.
    run: &'a [W],
    /// Where the time of the last record stands.
    time: Option<&'a W>,
}

impl<W: Word> Drop for Walk<'_, W> {
    fn drop(&mut self) {
        (self.reader.next, self.reader.number) = (self.next, self.number);
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
        let (next, number) = (self.next, self.number);
        Walk { reader: self, frames: ring.frames, head, next, number, run: &[], time: None }
    }
}

impl<'a, W: Word> Walk<'a, W> {
    /// Goes past a frame of so many bytes, which is none if it ends behind what is there. Returns what it holds behind its first words, in one piece.
    #[inline(always)]
    fn pass(&mut self, size: u64, first: usize) -> Option<&'a [W]> {
        let (frame, rest) = self.run.split_at_checked((size >> 3) as usize)?;
        let held = frame.get(first..)?;
        self.run = rest;
        // Sizes of frames are far from making a position come round that is not beyond the head.
        self.next = self.next.wrapping_add(size);
        self.number = self.number.wrapping_add(1);
        Some(held)
    }

    /// A record, if the next frame has one.
    #[inline(always)]
    fn record(&mut self) -> Option<Standing<'a, W>> {
        let (frame, head) =
            self.run.first_chunk::<{ FRAME_WORDS + PART_WORDS }>()?.split_first_chunk::<FRAME_WORDS>()?;
        let head: &[W; PART_WORDS] = head.first_chunk()?;
        let [position, number, size_and_kind] = frame.each_ref().map(|word| word.load(Ordering::Relaxed));
        let [_, first, _, _, _, time, sizes, _, _, _, ports, body_type] = head;
        let load = |word: &W| word.load(Ordering::Relaxed);
        let (first, captured, count) = (load(first), load(sizes) >> 32, load(ports));
        // What is too large to be multiplied is no count: no more of it is believed than that the size is right.
        let padded = ((captured + 7) & !7).wrapping_add(count.wrapping_mul(size_of::<Port>() as u64));
        let size = SMALLEST.wrapping_add(padded);
        // As `record::carried` has it: what is before ports is padded.
        let carried = if count == 0 { captured } else { padded };
        // What differs from what is to be, of all at once: of the first word that is the version, and what is none of a direction.
        let differs = (position ^ self.next)
            | (number ^ self.number)
            | (size_and_kind & !IS_OPEN ^ (size | (RECORD as u64) << 32))
            | (load(body_type) ^ record::body_type(carried as u32))
            | (first & (u64::from(u16::MAX) | u64::from(!(ILP32 | 1)) << 16) ^ u64::from(record::VERSION));
        if differs != 0 || padded > MOST {
            return None;
        }
        let wire = (first >> 16) as u8;
        let (direction, kind) = (Direction::from_wire(wire & !ILP32)?, EventKind::from_wire((first >> 24) as u8)?);
        let body = self.pass(size, FRAME_WORDS + PART_WORDS)?;
        self.time = Some(time);
        let format = if wire & ILP32 == 0 { Format::Lp64 } else { Format::Ilp32 };
        let open = (size_and_kind & IS_OPEN != 0).then_some(number);
        Some(Standing { direction, kind, format, open, captured: captured as usize, head, body })
    }

    /// An outcome, if the next frame has one.
    #[inline(always)]
    fn outcome(&mut self) -> Option<Outcome> {
        let words = self.run.first_chunk::<{ FRAME_WORDS + 1 }>()?;
        let [position, number, size_and_kind, word] = words.each_ref().map(|word| word.load(Ordering::Relaxed));
        if position != self.next || number != self.number || size_and_kind != (FRAME + 8) | (OUTCOME as u64) << 32 {
            return None;
        }
        self.pass(FRAME + 8, FRAME_WORDS)?;
        Some(Outcome { thread: word as u32, retval: (word >> 32) as u32 })
    }
}

/// What there is from a place in a ring, up to its end or to the head.
#[cold]
#[inline(never)]
fn run<W>(frames: &[W], next: u64, head: u64) -> &[W] {
    let index = (next >> 3) as usize & frames.len().wrapping_sub(1);
    let rest = frames.get(index..).unwrap_or(&[]);
    rest.get(..(head.wrapping_sub(next) >> 3) as usize).unwrap_or(rest)
}

impl<'a, W: Word> Iterator for Walk<'a, W> {
    type Item = Step<'a, W>;

    #[inline(always)]
    fn next(&mut self) -> Option<Step<'a, W>> {
        loop {
            if let Some(record) = self.record() {
                return Some(Step::Record(record));
            }
            if !self.run.is_empty() {
                return self.outcome().map(Step::Outcome);
            }
            self.run = run(self.frames, self.next, self.head);
            if self.run.is_empty() {
                return None;
            }
        }
    }
}
