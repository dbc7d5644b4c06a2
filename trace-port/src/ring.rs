// SPDX-License-Identifier: GPL-2.0-or-later
//! A ring of records in memory that a kernel writes and somebody else reads: layout, producers, reader. No pointer, no lock, no unsafe.
//!
//! ```text
//! offset       bytes  written by
//!      0        4096  the kernel: MAGIC, VERSION, capacity, head, floor, numbers, flags; from 512 on the 64 marks
//!   4096        4096  the reader: tail, wants, sleeps
//!   8192    capacity  the kernel: frames, one behind the other, over the end to the begin
//!
//! a frame: u64 position, u64 number, u32 size, u32 kind, then what it holds; size is a multiple of 8 and counts the frame itself
//!   RECORD     a record as in a trace_records: a word, RecordHeader, a word, the message zero padded, its ports
//!   REFUSED    u64 last, from, to, bytes: records that were not written, from the frame's number to `last`
//!   OPEN       as RECORD, of a message that a thread sends or receives, whose outcome is not known yet
//!   OUTCOME    u32 thread, u32 retval: what has become of the last OPEN of this thread, UNKNOWN if nobody knows
//! ```
//!
//! An OPEN record's `retval` is none. One of a receive has an OUTCOME. What is sent may have none: it was sent if a record of its thread's own calls follows without an OUTCOME between them, or if somebody
//! has received it, which is a record with the same correlation number. Where records are lost before anything says so, it is not known.
//!
//! All words are 64 bits, little-endian. *Positions* count the bytes ever written; a frame at position p stands at `p % capacity`, and says p, so that
//! bytes of an earlier round are never taken for it. *Head* is where the committed frames end. What is before *floor* is overwritten, or about to be:
//! it moves before the first byte is, by up to 4 KiB at once. Every record takes a *number*, also one that is refused: what a reader saw and what it is told was lost make all
//! numbers, without a gap. A *mark* is the first frame that begins in its 64th of the ring, where a reader begins that was overtaken.
//!
//! A ring that is full refuses ([`Policy::Full`], the record goes another way or is counted) or overwrites its oldest ([`Policy::Overwrite`]).
//! Producers write at the same time, each its own frame; the few instructions in which they take room, and give it to the reader, are the caller's to
//! serialize (`&mut` [`Producer`]). No one waits for a reader, whose page may hold anything at any time. A reader copies first, then looks whether it
//! was overtaken, then takes apart what it has alone, and believes none of it unchecked.

mod producer;
mod reader;
#[cfg(test)]
mod tests;
mod walk;

use core::sync::atomic::{AtomicU64, Ordering, compiler_fence};

pub use producer::{Policy, Producer, QUICK, Refused, Reservation, Room, Whole};
pub use reader::{Batch, Bytes, Item, Lost, Memory, Outcome, Reader, RingError, Why, find};
pub use walk::{Standing, Step, Walk};

/// The first word of a ring, on the boundary of a page.
pub const MAGIC: u64 = u64::from_le_bytes(*b"rpct2rng");

/// The second word: of this layout. The first one had neither [`OPEN`] nor [`OUTCOME`], and is read too.
pub const VERSION: u64 = 2;

/// The oldest layout that is read.
pub const OLDEST: u64 = 1;

/// Bytes before the frames.
pub const HEADER_SIZE: usize = 8192;

/// Bytes of the smallest ring's frames: the largest frame is to take no more than half of it.
pub const MIN_CAPACITY: usize = 512 * 1024;

/// Bytes of the frames of a tracer's own ring: what is larger than half of it goes another way.
pub const TRACERS_CAPACITY: usize = 256 * 1024;

/// Bytes of a tracer's ring.
pub const TRACERS_SIZE: usize = HEADER_SIZE + TRACERS_CAPACITY;

/// The tail of a reader that reads no more: so many bytes are never written, and who says that it has read them is believed nothing.
pub const CLOSED: u64 = 1 << 63;

/// Bytes of the largest ring's frames.
pub const MAX_CAPACITY: usize = 1 << 30;

/// How many marks there are, each for so many-th part of the ring.
pub const MARKS: usize = 64;

/// Bytes of a frame before what it holds.
pub const FRAME: u64 = 24;

/// Kind of a frame that holds a record.
pub const RECORD: u32 = 1;
/// Kind of a frame that says which records were refused.
pub const REFUSED: u32 = 2;
/// Kind of a frame that holds a record of a send whose outcome is not known yet.
pub const OPEN: u32 = 3;
/// Kind of a frame that tells such an outcome.
pub const OUTCOME: u32 = 4;

/// The `retval` of an OUTCOME that nobody knows.
pub const UNKNOWN: u32 = u32::MAX;

/// Bytes of the largest frame.
pub const LARGEST_FRAME: usize =
    FRAME as usize + crate::record::part_size(crate::record::MAX_BODY, crate::port::MAX_PORTS);

/// Bit of the word `wants`: the reader wants producers to wait until it has made room, rather than lose what it has not read.
pub const WAIT: u64 = 1;

const _: () = assert!(LARGEST_FRAME <= MIN_CAPACITY / 2);

/// Words of the kernel's page, by index.
pub mod control {
    /// [`MAGIC`](super::MAGIC).
    pub const MAGIC: usize = 0;
    /// [`VERSION`](super::VERSION).
    pub const VERSION: usize = 1;
    /// Bytes of the frames, a power of two.
    pub const CAPACITY: usize = 2;
    /// Where the committed frames end.
    pub const HEAD: usize = 3;
    /// Before this position nothing is left.
    pub const FLOOR: usize = 4;
    /// How many numbers were given to records.
    pub const NUMBERS: usize = 5;
    /// What is recorded: the producer's affair, 0 while nothing is.
    pub const FLAGS: usize = 6;
    /// How many words there are before the marks.
    pub const WORDS: usize = 8;
}

/// Words of the reader's page, by index.
pub mod wishes {
    /// What the reader has read, a position.
    pub const TAIL: usize = 0;
    /// [`WAIT`](super::WAIT).
    pub const WANTS: usize = 1;
    /// Not 0: the reader is about to sleep, and is to be woken when so many bytes are unread.
    pub const SLEEPS: usize = 2;
    /// How many words there are.
    pub const WORDS: usize = 3;
}

/// Where the marks begin in the kernel's page, in words.
pub const MARKS_WORD: usize = 64;
/// Where the reader's page begins, in words.
pub const WISHES_WORD: usize = 512;
/// Where the frames begin, in words.
pub const FRAMES_WORD: usize = HEADER_SIZE / 8;

/// Messages that a tracer with a ring has in the queue of its trace port at most, each of which holds back who fills it: what fits is in the ring, which
/// takes more than a queue.
pub const QUEUE: u32 = 2;

/// A word that several may use at the same time.
pub trait Word {
    /// Its value.
    fn load(&self, order: Ordering) -> u64;
    /// Sets it.
    fn store(&self, value: u64, order: Ordering);
    /// Orders what is before it and what is behind it.
    fn fence(order: Ordering);
}

impl Word for AtomicU64 {
    #[inline(always)]
    fn load(&self, order: Ordering) -> u64 {
        Self::load(self, order)
    }

    #[inline(always)]
    fn store(&self, value: u64, order: Ordering) {
        Self::store(self, value, order);
    }

    #[inline(always)]
    fn fence(order: Ordering) {
        core::sync::atomic::fence(order);
    }
}

/// A ring's words, by their use.
#[derive(Debug)]
pub struct Ring<'a, W> {
    /// The kernel's, before the marks.
    pub control: &'a [W; control::WORDS],
    /// The marks, of which there is a power of two.
    pub marks: &'a [W],
    /// The reader's.
    pub wishes: &'a [W; wishes::WORDS],
    /// The frames, of which there is a power of two.
    pub frames: &'a [W],
}

impl<W> Clone for Ring<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W> Copy for Ring<'_, W> {}

impl<'a, W: Word> Ring<'a, W> {
    /// The ring in memory of this layout, as large as the largest power of two that fits; `None` if that is less than [`MIN_CAPACITY`].
    pub fn over(words: &'a [W]) -> Option<Self> {
        let room = words.len().checked_sub(FRAMES_WORD)?.min(MAX_CAPACITY / 8);
        if room < MIN_CAPACITY / 8 {
            return None;
        }
        let frames = 1 << room.ilog2();
        Some(Self {
            control: words.first_chunk()?,
            marks: words.get(MARKS_WORD..MARKS_WORD + MARKS)?,
            wishes: words.get(WISHES_WORD..)?.first_chunk()?,
            frames: words.get(FRAMES_WORD..FRAMES_WORD + frames)?,
        })
    }

    /// A ring whose parts stand in different places: the kernel's page, the reader's, and the frames, of which there is a power of two; `None` if
    /// they are too small, or too many.
    pub fn in_parts(kernels: &'a [W], readers: &'a [W], frames: &'a [W]) -> Option<Self> {
        if !frames.len().is_power_of_two() || frames.len() > MAX_CAPACITY / 8 {
            return None;
        }
        Some(Self {
            control: kernels.first_chunk()?,
            marks: kernels.get(MARKS_WORD..MARKS_WORD + MARKS)?,
            wishes: readers.first_chunk()?,
            frames,
        })
    }

    /// Bytes of the frames.
    pub const fn capacity(&self) -> u64 {
        self.frames.len() as u64 * 8
    }

    #[inline(always)]
    fn set(words: &[W], index: usize, value: u64, order: Ordering) {
        if let Some(word) = words.get(index) {
            word.store(value, order);
        }
    }

    /// The word of the frames at a position.
    #[inline(always)]
    fn set_frame(&self, position: u64, value: u64) {
        let index = (position >> 3) as usize & self.frames.len().wrapping_sub(1);
        Self::set(self.frames, index, value, Ordering::Relaxed);
    }

    /// Makes it memory that tells nothing of what it was used for, before another producer begins it.
    pub fn clear(&self) {
        let words = self.control.iter().chain(self.marks).chain(self.wishes).chain(self.frames);
        words.for_each(|word| word.store(0, Ordering::Relaxed));
    }

    /// What the producer says is recorded.
    pub fn set_flags(&self, flags: u64) {
        Self::set(self.control, control::FLAGS, flags, Ordering::Relaxed);
    }

    /// What the reader wants, whoever wrote it.
    pub fn wants(&self) -> u64 {
        self.wishes.get(wishes::WANTS).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    /// What the reader says that it has read, whoever wrote it.
    pub fn tail(&self) -> u64 {
        self.wishes.get(wishes::TAIL).map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// For a reader: all before this position may be overwritten.
    pub fn set_tail(&self, position: u64) {
        Self::set(self.wishes, wishes::TAIL, position, Ordering::Release);
    }

    /// For a reader that reads no more: no record has room from now on, under [`Policy::Full`], but for the few for which the producer has looked before.
    pub fn close(&self) {
        self.set_tail(CLOSED);
    }

    /// For a reader: it is about to sleep until so many bytes are unread, 1 for any, or no more, with 0. Before it sleeps it looks once more how many
    /// there are ([`Ring::unread`]).
    pub fn set_sleeps(&self, until: u64) {
        Self::set(self.wishes, wishes::SLEEPS, until, Ordering::Relaxed);
        W::fence(Ordering::SeqCst);
    }

    /// For a producer, after it has published: whether the reader is to be woken, which is said once.
    #[inline(always)]
    pub fn take_sleep(&self) -> bool {
        W::fence(Ordering::SeqCst);
        self.take_sleep_alone()
    }

    /// [`Ring::take_sleep`] where nobody else runs meanwhile, neither the reader nor another producer, as on one processor: nothing has to be ordered but
    /// what the compiler makes of it.
    #[inline(always)]
    pub fn take_sleep_alone(&self) -> bool {
        compiler_fence(Ordering::SeqCst);
        let until = self.wishes.get(wishes::SLEEPS).map_or(0, |word| word.load(Ordering::Relaxed));
        // What cannot be is much.
        let is_due = until != 0 && self.unread() >= until;
        if is_due {
            Self::set(self.wishes, wishes::SLEEPS, 0, Ordering::Relaxed);
        }
        is_due
    }

    /// How many bytes of committed frames the reader has not read, by its own word.
    pub fn unread(&self) -> u64 {
        self.head().wrapping_sub(self.tail())
    }

    /// Where the committed frames end, by the kernel's page.
    pub fn head(&self) -> u64 {
        self.control.get(control::HEAD).map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// For a reader: what it wants.
    pub fn set_wants(&self, wants: u64) {
        Self::set(self.wishes, wishes::WANTS, wants, Ordering::Relaxed);
    }
}
