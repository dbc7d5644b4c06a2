// SPDX-License-Identifier: GPL-2.0-or-later
//! Who writes a ring: takes room, fills it, gives it to the reader.
//!
//! What the producer goes by is in its own memory: of the ring it reads only the reader's tail, which may be any number.

use core::sync::atomic::Ordering;

use super::{FRAME, MAGIC, REFUSED, Ring, VERSION, Word, control};

/// How many producers can be writing at the same time.
const AT_ONCE: usize = 32;

/// Most bytes of a frame's contents that are written while the producer is held.
pub const QUICK: u64 = 4608;

/// Most bytes of frames that are written one behind the other without a look at anything but the producer: by so much less of what is oldest a ring
/// keeps that overwrites it.
const WINDOW: u64 = 4096;

/// Words of a frame before what it holds.
const FRAME_WORDS: usize = FRAME as usize / 8;

/// Bytes of a frame that says what was refused.
const REFUSED_SIZE: u64 = FRAME + 32;

/// What becomes of a record for which there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// It is refused: nothing is overwritten that the reader has not read.
    Full,
    /// The oldest are overwritten.
    Overwrite,
}

/// What of a ring's room a frame may have that is written by [`Producer::whole`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// All but what is kept.
    Common,
    /// What is kept, too.
    Kept,
}

/// Why a record has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It takes more than half the ring.
    TooLarge,
    /// The reader has not read enough, or says what cannot be.
    Full,
    /// Too many are writing at the moment, or one is for so long that all else is full.
    Busy,
}

/// Room for a frame's contents, which one producer has until it commits it.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The record's number.
    number: u64,
    /// Position of the contents.
    contents: u64,
    /// How many bytes they have.
    size: u64,
    /// Its place among those that are open.
    slot: usize,
}

impl Reservation {
    /// The record's number.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Writes a word of the contents; beyond their end nothing happens.
    #[inline(always)]
    pub fn set<W: Word>(&self, ring: &Ring<'_, W>, index: u64, value: u64) {
        // `index` first: a product of a large one would come round.
        if index < self.size >> 3 {
            ring.set_frame(self.contents.wrapping_add(index << 3), value);
        }
    }

    /// Writes words from one on; beyond the contents' end nothing happens.
    #[inline(always)]
    pub fn fill<W: Word>(&self, ring: &Ring<'_, W>, index: u64, mut words: impl Iterator<Item = u64>) {
        let count = (self.size >> 3).saturating_sub(index) as usize;
        let start = (self.contents.wrapping_add(index << 3) >> 3) as usize & ring.frames.len().wrapping_sub(1);
        let Some((begin, end)) = ring.frames.split_at_checked(start) else { return };
        // What does not fit before the end stands at the begin.
        let places = [end.get(..count).unwrap_or(end), begin.get(..count.saturating_sub(end.len())).unwrap_or(begin)];
        for place in places {
            for (place, word) in place.iter().zip(words.by_ref()) {
                place.store(word, Ordering::Relaxed);
            }
        }
    }

    /// Writes bytes from a word on, with zeros up to a multiple of 8; beyond the contents' end nothing happens.
    #[inline]
    pub fn put<W: Word>(&self, ring: &Ring<'_, W>, mut index: u64, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = 0;
            for (place, &byte) in chunk.iter().enumerate() {
                word |= u64::from(byte) << (8 * place);
            }
            self.set(ring, index, word);
            index = index.saturating_add(1);
        }
    }
}

/// Room for a frame in one piece, which is the reader's with [`Producer::publish`], and of which nothing is known until then.
#[must_use]
#[derive(Debug)]
pub struct Whole<'a, W> {
    /// What the contents have room in.
    pub contents: &'a [W],
    /// Where the frame's size and kind are said.
    size_and_kind: &'a W,
    kind: u32,
}

/// What was refused and not said yet.
#[derive(Clone, Copy, Debug)]
struct Untold {
    first: u64,
    from: u64,
    to: u64,
    bytes: u64,
}

/// The state of a ring's producers. A step takes it exclusively: with a lock, or before there is anybody else.
#[derive(Debug)]
pub struct Producer {
    /// Where the next frame will stand.
    reserved: u64,
    /// The next record's number.
    number: u64,
    /// From which position on the next frame is the first one in its part of the ring.
    unmarked: u64,
    /// Where open reservations begin, plus one; 0 of a free place.
    open: [u64; AT_ONCE],
    /// How many of them are taken: most often none.
    opened: usize,
    untold: Option<Untold>,
    /// Before this position nothing is left.
    floor: u64,
    /// How much room is kept, under [`Policy::Full`], by [`Room::Common`].
    kept: u64,
    /// Up to here a frame is written with no more than a look at this: nobody is writing, nothing is untold, the floor has moved, no part begins
    /// that has no mark, the end of the memory is not before it, and the reader has made room, or it was overwritten by the policy that was looked by. 0 for
    /// nowhere.
    until: u64,
    looked: Policy,
}

impl Default for Producer {
    fn default() -> Self {
        Self::new()
    }
}

impl Producer {
    /// Of a ring that nothing was written to.
    pub const fn new() -> Self {
        Self::keeping(0)
    }

    /// Of a ring that nothing was written to, of which so many bytes are kept for [`Room::Kept`] where the reader has not read all.
    pub const fn keeping(kept: u64) -> Self {
        Self {
            reserved: 0,
            number: 0,
            unmarked: 0,
            open: [0; AT_ONCE],
            opened: 0,
            untold: None,
            floor: 0,
            kept,
            until: 0,
            looked: Policy::Full,
        }
    }

    /// Makes zeroed memory a ring: from now on it is found.
    pub fn begin<W: Word>(&self, ring: &Ring<'_, W>) {
        Ring::set(ring.control, control::VERSION, VERSION, Ordering::Relaxed);
        Ring::set(ring.control, control::CAPACITY, ring.capacity(), Ordering::Relaxed);
        // No mark: positions are multiples of 8.
        for index in 0..ring.marks.len() {
            Ring::set(ring.marks, index, u64::MAX, Ordering::Relaxed);
        }
        Ring::set(ring.control, control::MAGIC, MAGIC, Ordering::Release);
    }

    /// Takes room for a frame of this kind with at most so many bytes, a multiple of 8, that is written before anything else is done with the producer.
    /// `None` where more is to be done than that, and nothing has changed: others are writing, something was refused, the frame would go over the
    /// end, it is large, or there is no room. A reader that reads no more may be given as much as was promised before it said so.
    #[inline(always)]
    pub fn whole<'a, W: Word>(
        &mut self,
        ring: &Ring<'a, W>,
        (kind, bytes): (u32, u64),
        (policy, room): (Policy, Room),
    ) -> Option<Whole<'a, W>> {
        let end = self.end_of(bytes)?;
        let can = policy == self.looked && end <= self.until || self.look(ring, end, (policy, room));
        if can { self.take(ring, kind, (bytes >> 3) as usize) } else { None }
    }

    /// [`Producer::whole`], with so many words, where that needs no look at anything but the producer: of what the last look has promised, by whichever
    /// policy. What may be overwritten by that is below the floor already.
    #[inline(always)]
    pub fn whole_at_once<'a, W: Word>(&self, ring: &Ring<'a, W>, (kind, words): (u32, usize)) -> Option<Whole<'a, W>> {
        let can = words <= QUICK as usize / 8 && self.reserved.wrapping_add(FRAME + words as u64 * 8) <= self.until;
        if can { self.take(ring, kind, words) } else { None }
    }

    /// Where a frame with so many bytes ends, if they are not too many.
    #[inline(always)]
    const fn end_of(&self, bytes: u64) -> Option<u64> {
        if bytes <= QUICK { Some(self.reserved.wrapping_add(FRAME + bytes)) } else { None }
    }

    #[inline(always)]
    fn take<'a, W: Word>(&self, ring: &Ring<'a, W>, kind: u32, words: usize) -> Option<Whole<'a, W>> {
        let start = self.reserved;
        let index = (start >> 3) as usize & ring.frames.len().wrapping_sub(1);
        let frame = ring.frames.get(index..index.wrapping_add(FRAME_WORDS + words))?;
        let (head, contents) = frame.split_first_chunk::<FRAME_WORDS>()?;
        let [position, number, size_and_kind] = head;
        position.store(start, Ordering::Relaxed);
        number.store(self.number, Ordering::Relaxed);
        Some(Whole { contents, size_and_kind, kind })
    }

    /// Whether a frame up to this position may be written, and up to where it may be with no look.
    #[cold]
    #[inline(never)]
    fn look<W: Word>(&mut self, ring: &Ring<'_, W>, end: u64, (policy, room): (Policy, Room)) -> bool {
        let (capacity, start) = (ring.capacity(), self.reserved);
        // A position that comes round is none, nor is one so near to that.
        if self.opened != 0 || self.untold.is_some() || end < start || end > u64::MAX - WINDOW - QUICK {
            return false;
        }
        // The end of the memory.
        let piece = (start | capacity.wrapping_sub(1)).wrapping_add(1);
        // A tail beyond the end comes round to a large number.
        let free =
            capacity.checked_sub(start.wrapping_sub(ring.tail())).map(|free| start.saturating_add(free)).unwrap_or(0);
        let common = free.saturating_sub(self.kept);
        let allowed = match (policy, room) {
            (Policy::Overwrite, _) => piece,
            (Policy::Full, Room::Common) => common.min(piece),
            (Policy::Full, Room::Kept) => free.min(piece),
        };
        if end > allowed {
            return false;
        }
        self.mark(ring, start);
        // A part ends where the memory does, if not before.
        let window = self.unmarked.min(start.saturating_add(WINDOW.min(capacity >> 6)));
        self.looked = policy;
        self.until = if policy == Policy::Overwrite { window } else { window.min(common) };
        let until = end.max(self.until);
        self.raise_floor(ring, until.saturating_sub(capacity));
        true
    }

    /// Nothing before this position is left.
    #[inline(always)]
    fn raise_floor<W: Word>(&mut self, ring: &Ring<'_, W>, floor: u64) {
        self.floor = self.floor.max(floor);
        Ring::set(ring.control, control::FLOOR, self.floor, Ordering::Relaxed);
        // Who reads a byte of what follows sees the floor.
        W::fence(Ordering::Release);
    }

    /// A frame is written by another way than [`Producer::whole`], or something is to be told before the next one.
    #[inline(always)]
    fn look_again(&mut self) {
        self.until = 0;
    }

    /// Gives a frame to the reader, of whose contents so many bytes, a multiple of 8, were written; there are no more than there was room for.
    #[inline(always)]
    pub fn publish<W: Word>(&mut self, ring: &Ring<'_, W>, whole: &Whole<'_, W>, bytes: u64) {
        let size = FRAME + bytes;
        debug_assert!(bytes <= size_of_val(whole.contents) as u64, "there was no room for {bytes}");
        whole.size_and_kind.store(size | u64::from(whole.kind) << 32, Ordering::Relaxed);
        let end = self.reserved.wrapping_add(size);
        self.reserved = end;
        self.number = self.number.wrapping_add(1);
        Ring::set(ring.control, control::NUMBERS, self.number, Ordering::Relaxed);
        Ring::set(ring.control, control::HEAD, end, Ordering::Release);
    }

    /// Whether nobody is writing.
    pub const fn is_idle(&self) -> bool {
        self.opened == 0
    }

    /// Whether a few frames of so many bytes in all, their heads among them, have room without overwriting what the reader has not read.
    #[inline(always)]
    pub fn has_room<W: Word>(&self, ring: &Ring<'_, W>, bytes: u64) -> bool {
        let end = self.reserved.wrapping_add(bytes);
        // A tail beyond the end comes round to a large number.
        end.wrapping_sub(ring.tail()) <= ring.capacity() && self.opened < AT_ONCE / 2
    }

    /// Takes room for a frame of this kind with so many bytes.
    ///
    /// # Errors
    /// There is no room: nothing has changed. Where it goes no other way [`Producer::refuse`] counts it.
    pub fn reserve<W: Word>(
        &mut self,
        ring: &Ring<'_, W>,
        (kind, bytes): (u32, u64),
        policy: Policy,
    ) -> Result<Reservation, Refused> {
        let capacity = ring.capacity();
        if bytes > capacity >> 1 {
            return Err(Refused::TooLarge);
        }
        let contents = bytes.next_multiple_of(8);
        let told = if self.untold.is_some() { REFUSED_SIZE } else { 0 };
        let size = told + FRAME + contents;
        if size > capacity >> 1 {
            return Err(Refused::TooLarge);
        }
        let start = self.reserved;
        let end = start.checked_add(size).ok_or(Refused::Full)?;
        let floor = end.saturating_sub(capacity);
        let slot = match self.opened {
            0 => 0,
            _ => self.open.iter().position(|&place| place == 0).ok_or(Refused::Busy)?,
        };
        if self.oldest_open().is_some_and(|oldest| oldest < floor) {
            return Err(Refused::Busy);
        }
        // A tail beyond all that was written comes round to a large number.
        if policy == Policy::Full && end.wrapping_sub(ring.tail()) > capacity {
            return Err(Refused::Full);
        }
        self.look_again();
        self.raise_floor(ring, floor);
        if let Some(place) = self.open.get_mut(slot) {
            *place = start + 1;
            self.opened += 1;
        }
        self.reserved = end;
        if let Some(untold) = self.untold.take() {
            self.tell(ring, start, untold);
        }
        let frame = start + told;
        self.mark(ring, frame);
        let number = self.number;
        self.frame(ring, frame, number, FRAME + contents, kind);
        self.number = number.wrapping_add(1);
        Ring::set(ring.control, control::NUMBERS, self.number, Ordering::Relaxed);
        Ok(Reservation { number, contents: frame + FRAME, size: contents, slot })
    }

    /// Gives a record to the reader, once all before it are whole, too.
    pub fn commit<W: Word>(&mut self, ring: &Ring<'_, W>, reservation: Reservation) {
        if let Some(place) = self.open.get_mut(reservation.slot) {
            *place = 0;
            self.opened = self.opened.saturating_sub(1);
        }
        let head = self.oldest_open().unwrap_or(self.reserved);
        Ring::set(ring.control, control::HEAD, head, Ordering::Release);
    }

    /// Counts a record of so many bytes that is lost, of this time. The frame before the next record says it.
    pub fn refuse<W: Word>(&mut self, ring: &Ring<'_, W>, bytes: u64, time: u64) {
        self.look_again();
        let number = self.number;
        self.number = number.wrapping_add(1);
        Ring::set(ring.control, control::NUMBERS, self.number, Ordering::Relaxed);
        let untold = self.untold.get_or_insert(Untold { first: number, from: time, to: time, bytes: 0 });
        untold.to = time;
        untold.bytes = untold.bytes.saturating_add(bytes);
    }

    /// How far the reader is behind, in bytes, by its own word; at most the capacity.
    pub fn unread<W: Word>(&self, ring: &Ring<'_, W>) -> u64 {
        self.reserved.wrapping_sub(ring.tail()).min(ring.capacity())
    }

    #[inline(always)]
    fn oldest_open(&self) -> Option<u64> {
        if self.opened == 0 {
            return None;
        }
        self.open.iter().filter_map(|place| place.checked_sub(1)).min()
    }

    /// Says in a frame of its own what was refused before the next record.
    fn tell<W: Word>(&mut self, ring: &Ring<'_, W>, start: u64, untold: Untold) {
        self.mark(ring, start);
        self.frame(ring, start, untold.first, REFUSED_SIZE, REFUSED);
        let last = self.number.wrapping_sub(1);
        for (index, value) in [last, untold.from, untold.to, untold.bytes].into_iter().enumerate() {
            ring.set_frame(start + FRAME + index as u64 * 8, value);
        }
    }

    fn frame<W: Word>(&self, ring: &Ring<'_, W>, position: u64, number: u64, size: u64, kind: u32) {
        ring.set_frame(position, position);
        ring.set_frame(position + 8, number);
        ring.set_frame(position + 16, size | u64::from(kind) << 32);
    }

    /// A frame begins here: if it is the first one in its part of the ring, the mark says where.
    #[inline(always)]
    fn mark<W: Word>(&mut self, ring: &Ring<'_, W>, position: u64) {
        if position >= self.unmarked {
            self.mark_first(ring, position);
        }
    }

    #[cold]
    #[inline(never)]
    fn mark_first<W: Word>(&mut self, ring: &Ring<'_, W>, position: u64) {
        let marks = ring.marks.len().max(1);
        let shift = part_shift(ring.capacity(), marks);
        let part = position >> shift;
        self.unmarked = part.saturating_add(1).checked_shl(shift).unwrap_or(u64::MAX);
        Ring::set(ring.marks, part as usize & (marks - 1), position, Ordering::Relaxed);
    }
}

/// By how much a position is shifted to give the part of the ring it is in, counted on; both are powers of two.
fn part_shift(capacity: u64, marks: usize) -> u32 {
    capacity.trailing_zeros().saturating_sub(marks.trailing_zeros()) & 63
}
