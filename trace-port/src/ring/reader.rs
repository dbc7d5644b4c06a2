// SPDX-License-Identifier: GPL-2.0-or-later
//! Who reads a ring: while it is written, or what is left of it.

use core::sync::atomic::Ordering;

use zerocopy::IntoBytes;

use super::{
    FRAME, FRAMES_WORD, LARGEST_FRAME, MAGIC, MARKS, MARKS_WORD, MAX_CAPACITY, OLDEST, OPEN, OUTCOME, RECORD, REFUSED,
    Ring, VERSION, Word, control,
};
use crate::record::{self, Record};

/// Where a reader gets a ring's words from. What it gives is checked, and need not be the same twice.
pub trait Memory {
    /// A word of the kernel's page, before all that is read later; `None` if it is not there.
    fn control(&self, index: usize) -> Option<u64>;
    /// How many marks there are.
    fn marks(&self) -> usize;
    /// A mark.
    fn mark(&self, index: usize) -> Option<u64>;
    /// Copies words of the frames. Returns how many were there, from the first on.
    fn frames(&self, index: usize, out: &mut [u64]) -> usize;
    /// How many words of frames there are at most.
    fn words(&self) -> u64;
    /// What is read later is read after all before.
    fn fence(&self);
}

impl<W: Word> Memory for Ring<'_, W> {
    fn control(&self, index: usize) -> Option<u64> {
        self.control.get(index).map(|word| word.load(Ordering::Acquire))
    }

    fn marks(&self) -> usize {
        self.marks.len()
    }

    fn mark(&self, index: usize) -> Option<u64> {
        self.marks.get(index).map(|word| word.load(Ordering::Relaxed))
    }

    fn frames(&self, index: usize, out: &mut [u64]) -> usize {
        let from = self.frames.get(index..).unwrap_or(&[]);
        let count = from.len().min(out.len());
        let (to, from) = (out.get_mut(..count).unwrap_or(&mut []), from.get(..count).unwrap_or(&[]));
        // Several at a time: most of what a loop of single words does is to count them.
        let ((eights, rest), (from_eights, from_rest)) = (to.as_chunks_mut::<8>(), from.as_chunks::<8>());
        for (to, words) in eights.iter_mut().zip(from_eights) {
            for (to, word) in to.iter_mut().zip(words) {
                *to = word.load(Ordering::Relaxed);
            }
        }
        rest.iter_mut().zip(from_rest).for_each(|(to, word)| *to = word.load(Ordering::Relaxed));
        count
    }

    fn words(&self) -> u64 {
        self.frames.len() as u64
    }

    fn fence(&self) {
        W::fence(Ordering::Acquire);
    }
}

/// A ring in bytes that nobody writes any more, cut off anywhere: of a machine that has stopped.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    fn word(&self, index: usize) -> Option<u64> {
        let rest = self.0.get(index.checked_mul(8)?..)?;
        rest.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
    }
}

impl Memory for Bytes<'_> {
    fn control(&self, index: usize) -> Option<u64> {
        self.word(index)
    }

    fn marks(&self) -> usize {
        MARKS
    }

    fn mark(&self, index: usize) -> Option<u64> {
        self.word(MARKS_WORD + index)
    }

    fn frames(&self, index: usize, out: &mut [u64]) -> usize {
        let found = (FRAMES_WORD + index..).map_while(|index| self.word(index));
        out.iter_mut().zip(found).map(|(to, word)| *to = word).count()
    }

    fn words(&self) -> u64 {
        self.control(control::CAPACITY).unwrap_or(0) / 8
    }

    fn fence(&self) {}
}

/// Where in memory that begins on the boundary of a page rings seem to begin: what stands there decides [`Reader::open`].
pub fn find(memory: &[u8]) -> impl Iterator<Item = usize> {
    let pages = memory.chunks(4096).enumerate();
    pages.filter(|(_, page)| page.starts_with(&MAGIC.to_le_bytes())).map(|(index, _)| index * 4096)
}

/// Why memory is no ring, or none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingError {
    /// There is none.
    NoRing,
    /// Of another layout.
    WrongVersion {
        /// The version found.
        found: u64,
    },
    /// Its capacity, or where it ends, cannot be.
    BadWord {
        /// Which.
        word: &'static str,
        /// What it holds.
        found: u64,
    },
    /// The reader's buffer does not hold the largest frame.
    SmallBuffer,
}

impl core::fmt::Display for RingError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoRing => write!(f, "there is no ring of records"),
            Self::WrongVersion { found } => {
                write!(f, "the ring of records has layout {found}, this reader knows {OLDEST} to {VERSION}")
            }
            Self::BadWord { word, found } => write!(f, "the ring of records is damaged: its {word} is {found:#x}"),
            Self::SmallBuffer => write!(f, "a reader's buffer must hold {LARGEST_FRAME} bytes"),
        }
    }
}

impl core::error::Error for RingError {}

/// Why records were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The kernel had no room for them.
    Refused,
    /// Newer ones took their place before they were read, or they were among refused ones of which that is true.
    Overwritten,
    /// What stands in their place is none, or memory ends there.
    Damaged,
    /// They were refused, or had not been written to their end, when the ring was read to its end.
    Unsaid,
}

/// Records that were lost, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Number of the first one.
    pub first: u64,
    /// Number of the last one.
    pub last: u64,
    /// Time of the first one if they were refused, else of the record before them; nanoseconds, as
    /// [`RecordHeader::time`](record::RecordHeader::time), 0 if there was none.
    pub from: u64,
    /// Time of the last one if they were refused, else of the record behind them, 0 if there is none.
    pub to: u64,
    /// Bytes that they had in the ring, or would have had.
    pub bytes: u64,
    /// Why.
    pub why: Why,
}

impl Lost {
    /// How many.
    pub const fn count(&self) -> u64 {
        self.last.wrapping_sub(self.first).wrapping_add(1)
    }
}

/// What a reader finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A record, and its bytes as they stand in the ring: [`Record::in_ring`] takes them apart.
    Record(Record<'a>, &'a [u8]),
    /// A record's number in the ring, the record, and its bytes, of a message whose outcome is told later.
    Open(u64, Record<'a>, &'a [u8]),
    /// That outcome.
    Outcome(Outcome),
    /// Records that are not there.
    Lost(Lost),
}

/// What has become of the last message that a thread was about to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// [`RecordHeader::thread`](record::RecordHeader::thread).
    pub thread: u32,
    /// [`RecordHeader::retval`](record::RecordHeader::retval).
    pub retval: u32,
}

/// How far a reader has come.
#[derive(Clone, Debug)]
pub struct Reader {
    pub(super) capacity: u64,
    /// Position of the next frame.
    pub(super) next: u64,
    /// Number of the next record.
    pub(super) number: u64,
    /// How many numbers there were when the ring was last looked at.
    numbers: u64,
    /// Time of the last record.
    pub(super) time: u64,
    /// Bytes that it has gone past since that, and why.
    pub(super) skipped: Option<(u64, Why)>,
    /// What stands at `next` is no frame.
    is_bad: bool,
}

impl Reader {
    /// A reader that begins with the oldest record of a ring.
    ///
    /// # Errors
    /// There is no ring, or one of another layout.
    pub fn open(memory: &impl Memory) -> Result<Self, RingError> {
        if memory.control(control::MAGIC) != Some(MAGIC) {
            return Err(RingError::NoRing);
        }
        let version = memory.control(control::VERSION).unwrap_or(0);
        if !(OLDEST..=VERSION).contains(&version) {
            return Err(RingError::WrongVersion { found: version });
        }
        let capacity = memory.control(control::CAPACITY).unwrap_or(0);
        let fits = capacity.is_power_of_two() && capacity <= MAX_CAPACITY as u64 && capacity >> 3 == memory.words();
        if !fits || capacity < 8 {
            return Err(RingError::BadWord { word: "capacity", found: capacity });
        }
        Ok(Self { capacity, next: 0, number: 0, numbers: 0, time: 0, skipped: None, is_bad: false })
    }

    /// How far it has come: all before may be overwritten.
    pub const fn position(&self) -> u64 {
        self.next
    }

    /// Number of the next record: so many were seen, or told to be lost.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Copies what is new into a buffer, as far as it has room. If there is nothing, or the reader was overtaken meanwhile, the batch is empty.
    ///
    /// # Errors
    /// What the kernel's page says cannot be; or the buffer is too small for any frame.
    pub fn read<'a>(&'a mut self, memory: &impl Memory, buffer: &'a mut [u64]) -> Result<Batch<'a>, RingError> {
        let largest = (self.capacity >> 1).min(LARGEST_FRAME as u64);
        if ((buffer.len() as u64) << 3) < largest {
            return Err(RingError::SmallBuffer);
        }
        let mut good = 0;
        // Each time it goes on from another mark, or from the end.
        for _ in 0..memory.marks().saturating_add(2) {
            let head = memory.control(control::HEAD).ok_or(RingError::NoRing)?;
            if head < self.next || !head.is_multiple_of(8) {
                return Err(RingError::BadWord { word: "head", found: head });
            }
            self.numbers = memory.control(control::NUMBERS).ok_or(RingError::NoRing)?;
            let floor = memory.control(control::FLOOR).ok_or(RingError::NoRing)?;
            let floor = floor.max(head.saturating_sub(self.capacity)).min(head);
            if self.next < floor {
                self.go_on_from(memory, (floor, head), Why::Overwritten);
            } else if self.is_bad {
                self.go_on_from(memory, (self.next.saturating_add(8), head), Why::Damaged);
            }
            self.is_bad = false;
            let wanted = usize::try_from((head - self.next) >> 3).unwrap_or(usize::MAX).min(buffer.len());
            let copied = self.copy(memory, buffer.get_mut(..wanted).unwrap_or(&mut []));
            memory.fence();
            let floor = memory.control(control::FLOOR).ok_or(RingError::NoRing)?;
            if wanted == 0 || floor > self.next {
                // What was overtaken meanwhile is found missing the next time.
                break;
            }
            if Frame::at(buffer.get(..copied).unwrap_or(&[]), self.next, largest).is_ok() {
                good = copied;
                break;
            }
            self.is_bad = true;
        }
        Ok(Batch { largest, reader: self, words: buffer.get(..good).unwrap_or(&[]) })
    }

    /// Whether what comes next is expected to be the next frame.
    pub(super) const fn is_usual(&self) -> bool {
        self.skipped.is_none() && !self.is_bad
    }

    /// What was lost behind the last record, for who reads no further.
    pub fn rest(&self, memory: &impl Memory) -> Option<Lost> {
        let numbers = memory.control(control::NUMBERS)?;
        let (bytes, why) = self.skipped.unwrap_or((0, Why::Unsaid));
        let last = numbers.checked_sub(1).filter(|last| *last >= self.number)?;
        Some(Lost { first: self.number, last, from: self.time, to: 0, bytes, why })
    }

    /// Goes on from the first mark in a range of positions, or from its end.
    fn go_on_from(&mut self, memory: &impl Memory, (first, end): (u64, u64), why: Why) {
        let marks = (0..memory.marks()).filter_map(|index| memory.mark(index));
        let good = marks.filter(|mark| (first..end).contains(mark) && mark.is_multiple_of(8));
        let next = good.min().unwrap_or(end);
        self.skip(next.saturating_sub(self.next), why);
        self.next = next;
    }

    fn skip(&mut self, bytes: u64, why: Why) {
        let (before, why) = self.skipped.unwrap_or((0, why));
        self.skipped = Some((before.saturating_add(bytes), why));
    }

    /// Copies words from the next position on, over the end. Returns how many were there.
    fn copy(&self, memory: &impl Memory, out: &mut [u64]) -> usize {
        let words = usize::try_from(self.capacity >> 3).unwrap_or(0);
        let index = (self.next >> 3) as usize & words.wrapping_sub(1);
        let Some((high, low)) = out.split_at_mut_checked(out.len().min(words.saturating_sub(index))) else { return 0 };
        let copied = memory.frames(index, high);
        if copied < high.len() { copied } else { copied.saturating_add(memory.frames(0, low)) }
    }
}

/// What a frame says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) number: u64,
    /// In words.
    pub(super) size: usize,
    pub(super) kind: u32,
}

/// Why there is no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoFrame {
    /// The words end before it does.
    Cut,
    /// It is none.
    Bad,
}

impl Frame {
    /// The frame at the begin of `words`, which is to be at this position and at most so large.
    pub(super) fn at(words: &[u64], position: u64, largest: u64) -> Result<Self, NoFrame> {
        let &[found, number, size_and_kind, ..] = words else { return Err(NoFrame::Cut) };
        let (size, kind) = (size_and_kind & u64::from(u32::MAX), (size_and_kind >> 32) as u32);
        if found != position || size < FRAME || size > largest || !size.is_multiple_of(8) {
            return Err(NoFrame::Bad);
        }
        let size = (size >> 3) as usize;
        if size > words.len() { Err(NoFrame::Cut) } else { Ok(Self { number, size, kind }) }
    }

    /// The first words of what it holds.
    pub(super) fn contents(self, words: &[u64]) -> &[u64] {
        words.get((FRAME >> 3) as usize..self.size).unwrap_or(&[])
    }
}

/// What a reader has copied. Taken out, an item counts as read.
#[derive(Debug)]
pub struct Batch<'a> {
    pub(super) reader: &'a mut Reader,
    pub(super) words: &'a [u64],
    largest: u64,
}

impl Batch<'_> {
    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Position of the next frame: what the last item holds ends there.
    pub const fn position(&self) -> u64 {
        self.reader.next
    }
}

impl<'a> Batch<'a> {
    fn advance(&mut self, frame: Frame) {
        self.words = self.words.get(frame.size..).unwrap_or(&[]);
        self.reader.next = self.reader.next.saturating_add((frame.size as u64) << 3);
    }

    /// The records that are missing before a frame with this number and time; an error if it cannot have that number.
    fn gap(&mut self, number: u64, time: u64) -> Result<Option<Lost>, NoFrame> {
        let reader = &mut *self.reader;
        let first = reader.number;
        match reader.skipped {
            _ if number < first || number >= reader.numbers => Err(NoFrame::Bad),
            None if number != first => Err(NoFrame::Bad),
            // Only frames that tell of others, or parts of one, were passed.
            _ if number == first => Ok(None),
            skipped => {
                let (bytes, why) = skipped.unwrap_or((0, Why::Damaged));
                (reader.number, reader.skipped) = (number, None);
                Ok(Some(Lost { first, last: number.wrapping_sub(1), from: reader.time, to: time, bytes, why }))
            }
        }
    }

    fn record(&mut self, frame: Frame, words: &'a [u64]) -> Result<Item<'a>, NoFrame> {
        let bytes = frame.contents(words).as_bytes();
        let record = Record::in_ring(bytes).map_err(|_| NoFrame::Bad)?;
        let size = record::part_size(record.message.len(), record.ports.len());
        if size != bytes.len() {
            return Err(NoFrame::Bad);
        }
        let time = record.header.time.get();
        if let Some(lost) = self.gap(frame.number, time)? {
            return Ok(Item::Lost(lost));
        }
        self.pass(frame, time);
        Ok(if frame.kind == OPEN { Item::Open(frame.number, record, bytes) } else { Item::Record(record, bytes) })
    }

    fn outcome(&mut self, frame: Frame, words: &[u64]) -> Result<Item<'a>, NoFrame> {
        let &[word] = frame.contents(words) else { return Err(NoFrame::Bad) };
        let time = self.reader.time;
        if let Some(lost) = self.gap(frame.number, time)? {
            return Ok(Item::Lost(lost));
        }
        self.pass(frame, time);
        Ok(Item::Outcome(Outcome { thread: word as u32, retval: (word >> 32) as u32 }))
    }

    /// Goes past a frame that has one number.
    fn pass(&mut self, frame: Frame, time: u64) {
        self.advance(frame);
        self.reader.number = frame.number.saturating_add(1);
        (self.reader.time, self.reader.skipped) = (time, None);
    }

    fn refused(&mut self, frame: Frame, words: &[u64]) -> Result<Item<'a>, NoFrame> {
        let &[last, from, to, bytes] = frame.contents(words) else { return Err(NoFrame::Bad) };
        let first = frame.number;
        if last < first || last >= self.reader.numbers {
            return Err(NoFrame::Bad);
        }
        if let Some(lost) = self.gap(first, from)? {
            return Ok(Item::Lost(lost));
        }
        self.advance(frame);
        self.reader.number = last.saturating_add(1);
        (self.reader.time, self.reader.skipped) = (to, None);
        Ok(Item::Lost(Lost { first, last, from, to, bytes, why: Why::Refused }))
    }
}

impl<'a> Iterator for Batch<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        loop {
            let words = self.words;
            let frame = match Frame::at(words, self.reader.next, self.largest) {
                Ok(frame) => frame,
                Err(no) => {
                    self.reader.is_bad |= no == NoFrame::Bad && !words.is_empty();
                    self.words = &[];
                    return None;
                }
            };
            let item = match frame.kind {
                RECORD | OPEN => self.record(frame, words),
                OUTCOME => self.outcome(frame, words),
                REFUSED => self.refused(frame, words),
                _ => Err(NoFrame::Bad),
            };
            match item {
                Ok(item) => return Some(item),
                Err(_) => {
                    self.advance(frame);
                    self.reader.skip((frame.size as u64) << 3, Why::Damaged);
                }
            }
        }
    }
}
