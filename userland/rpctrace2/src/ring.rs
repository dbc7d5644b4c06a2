// SPDX-License-Identifier: GPL-2.0-or-later
//! From what stands in a ring to records with their outcomes, read many at once: for who reads the kernel's recorder from outside, and for a tracer with
//! a ring of its own.
//!
//! A message that was about to be sent is one that was sent, or not, by what follows. A receipt that is open has its outcome next.
//!
//! | what follows | what it says of a thread's open record |
//! |---|---|
//! | the thread's outcome | what that says |
//! | a record of what the thread does later | it was sent |
//! | a receipt with the same correlation number, by whomever | it was sent |
//! | news of lost records | nothing, for good: it is as lost as they are |
//! | the end of its task | the same |
//! | the end | nothing: it had not been written to its end |
//!
//! An outcome is written where its record stands as long as that is among those that were read last, so that records keep their order. Only what is
//! still open when all others have been taken is kept apart.

mod open;
#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::mem::{offset_of, take};
use core::ops::Range;

use bytes::{Bytes, BytesMut};
use trace_port::ring::{Item, LARGEST_FRAME, Lost, Memory, Outcome, Reader, RingError, UNKNOWN, Why};
use trace_port::{Record, RecordHeader, Records};
use zerocopy::IntoBytes;

use crate::Trace;
use open::{Open, Place};

/// Where a record's outcome stands in it.
const RETVAL: usize = size_of::<u64>() + offset_of!(RecordHeader, retval);
/// Bytes of records that share memory: what somebody keeps of one keeps so many.
const TOGETHER: usize = 4096;

/// What was read of a ring, and has not been taken out.
#[derive(Debug)]
pub struct Inbox {
    /// The frames that were read last.
    words: Vec<u64>,
    /// What is in them, in their order.
    found: Vec<Found>,
    /// How many of those have been taken out.
    taken: usize,
    open: Vec<Open>,
    /// Outcomes that are to be written where records stand, by their places among the bytes.
    told: Vec<(usize, u32)>,
    shared: Shared,
    has_lost: bool,
}

/// What was found.
#[derive(Debug)]
enum Found {
    /// A record among the words.
    Record {
        /// Its bytes among theirs.
        bytes: Range<usize>,
        sequence: u64,
        is_open: bool,
    },
    /// One that was open when the words before were read.
    Kept(Bytes, u64),
    Lost(Lost),
}

/// Memory for parts of what was read.
#[derive(Debug, Default)]
struct Shared {
    /// Where it begins among the bytes.
    start: usize,
    bytes: Bytes,
}

/// What has all that it is to have.
#[derive(Debug)]
pub enum Settled<'a> {
    /// A record.
    Record(Piece<'a>),
    /// Records that are not there.
    Lost(Lost),
}

/// A record as it stands in a ring.
#[derive(Debug)]
pub struct Piece<'a>(Source<'a>);

#[derive(Debug)]
enum Source<'a> {
    Read { words: &'a [u8], place: Range<usize>, shared: &'a mut Shared },
    Kept(Bytes),
}

impl Piece<'_> {
    /// Its bytes: [`Record::in_ring`] takes them apart.
    pub fn bytes(&self) -> &[u8] {
        match &self.0 {
            Source::Read { words, place, .. } => words.get(place.clone()).unwrap_or(&[]),
            Source::Kept(bytes) => bytes,
        }
    }

    /// Its bytes, to be kept as long as somebody likes.
    pub fn share(&mut self) -> Bytes {
        match &mut self.0 {
            Source::Read { words, place, shared } => shared.part(words, place),
            Source::Kept(bytes) => bytes.clone(),
        }
    }
}

impl Shared {
    /// A part of the words' bytes.
    fn part(&mut self, words: &[u8], place: &Range<usize>) -> Bytes {
        let within = |start: usize| place.start.checked_sub(start).zip(place.end.checked_sub(start));
        let known = within(self.start).filter(|(_, end)| *end <= self.bytes.len());
        let (first, end) = known.unwrap_or_else(|| {
            let end = place.start.saturating_add(TOGETHER).min(words.len()).max(place.end);
            *self =
                Self { start: place.start, bytes: Bytes::copy_from_slice(words.get(place.start..end).unwrap_or(&[])) };
            (0, place.len().min(self.bytes.len()))
        });
        self.bytes.slice(first..end)
    }
}

impl Inbox {
    /// One that reads frames of so many bytes at once, or of the largest frame's if that is more.
    pub fn new(bytes: usize) -> Self {
        let words = vec![0; bytes.max(LARGEST_FRAME).div_ceil(size_of::<u64>())];
        let (found, open, told) = (Vec::new(), Vec::new(), Vec::new());
        Self { words, found, taken: 0, open, told, shared: Shared::default(), has_lost: false }
    }

    /// Whether all that was found has been taken out. What is open may be left.
    pub fn is_empty(&self) -> bool {
        self.taken == self.found.len()
    }

    /// Reads what is new, as far as there is room. What was read before has to be taken out first.
    ///
    /// # Errors
    /// As of [`Reader::read`].
    pub fn read(&mut self, reader: &mut Reader, memory: &impl Memory) -> Result<(), RingError> {
        if !self.is_empty() {
            return Ok(());
        }
        self.found.clear();
        (self.taken, self.shared) = (0, Shared::default());
        let mut words = take(&mut self.words);
        let read = reader.read(memory, &mut words).map(|mut batch| {
            let start = batch.position();
            while let Some(item) = batch.next() {
                let end = batch.position().wrapping_sub(start);
                self.sort(item, usize::try_from(end).unwrap_or(0));
            }
        });
        self.words = words;
        self.tell();
        read
    }

    /// Takes note of what a message of the trace port says of open records: what it holds was written after they were. Returns the sequence number of
    /// its first record, before which [`Inbox::give`] is to give what comes before that.
    pub fn heed(&mut self, message: &[u8]) -> u64 {
        let records = || Records::parse(message).into_iter().flatten().map_while(Result::ok);
        if !self.open.is_empty() {
            records().for_each(|record| self.settle_by(&record));
            self.tell();
        }
        records().next().map_or(0, |record| record.header.sequence.get())
    }

    /// Gives a trace what is settled, but for records with sequence numbers from this one on. Returns whether there is more, where there is so much
    /// text that it is to be written before.
    pub fn give(&mut self, before: u64, room: usize, trace: &mut Trace<'_>, text: &mut String) -> bool {
        while let Some(found) = self.next_before(before) {
            match found {
                Settled::Record(mut piece) => trace.piece(&mut piece, text),
                Settled::Lost(lost) => trace.lost(told(&lost), text),
            }
            if text.len() >= room {
                return true;
            }
        }
        false
    }

    /// Whether a ring in which nothing is overwritten or refused has lost something all the same.
    pub const fn has_lost(&self) -> bool {
        self.has_lost
    }

    /// The task with this number of the kernel's has ended: what of it is open is not told any more.
    pub fn ended(&mut self, task: u32) {
        while let Some(at) = self.open.iter().position(|open| open.task == task) {
            self.lose(at, Why::Unsaid);
        }
    }

    /// Takes out the next that is settled, unless it is a record with a sequence number from this one on.
    pub fn next_before(&mut self, sequence: u64) -> Option<Settled<'_>> {
        while let Some(Found::Record { bytes, is_open: true, .. }) = self.found.get(self.taken) {
            let contents = BytesMut::from(self.words.as_bytes().get(bytes.clone()).unwrap_or(&[]));
            let is_it = |open: &&mut Open| matches!(open.place, Place::Found(at) if at == self.taken);
            if let Some(open) = self.open.iter_mut().find(is_it) {
                open.place = Place::Kept(contents);
            }
            self.taken += 1;
        }
        let found = self.found.get(self.taken)?;
        if matches!(found, Found::Record { sequence: own, .. } | Found::Kept(_, own) if *own >= sequence) {
            return None;
        }
        self.taken += 1;
        Some(match found {
            Found::Record { bytes, .. } => {
                let (words, place) = (self.words.as_bytes(), bytes.clone());
                Settled::Record(Piece(Source::Read { words, place, shared: &mut self.shared }))
            }
            Found::Kept(bytes, _) => Settled::Record(Piece(Source::Kept(bytes.clone()))),
            Found::Lost(lost) => Settled::Lost(*lost),
        })
    }

    /// Takes out the next that is settled.
    pub fn take_next(&mut self) -> Option<Settled<'_>> {
        self.next_before(u64::MAX)
    }

    /// Takes what a reader has found, which ends at this place among the bytes.
    fn sort(&mut self, item: Item<'_>, end: usize) {
        match item {
            Item::Record(record, contents) => {
                self.settle_by(&record);
                self.push(&record, (contents, end), false);
            }
            Item::Open(number, record, contents) => {
                self.settle_by(&record);
                let thread = record.header.thread.get();
                // A thread does one thing after the other.
                if let Some(at) = self.open.iter().position(|open| open.thread == thread) {
                    self.lose(at, Why::Unsaid);
                }
                self.open.push(Open::of(number, &record, Place::Found(self.found.len())));
                self.push(&record, (contents, end), true);
            }
            Item::Outcome(Outcome { thread, retval }) => {
                // Whose record is not there was told of, or is settled.
                if let Some(at) = self.open.iter().position(|open| open.thread == thread) {
                    match retval {
                        UNKNOWN => self.lose(at, Why::Unsaid),
                        retval => self.settle(at, retval),
                    }
                }
            }
            Item::Lost(lost) => {
                self.has_lost = true;
                while !self.open.is_empty() {
                    self.lose(0, lost.why);
                }
                self.found.push(Found::Lost(lost));
            }
        }
    }

    fn push(&mut self, record: &Record<'_>, (contents, end): (&[u8], usize), is_open: bool) {
        let bytes = end.saturating_sub(contents.len())..end;
        self.found.push(Found::Record { bytes, sequence: record.header.sequence.get(), is_open });
    }

    /// What a record says of others.
    fn settle_by(&mut self, record: &Record<'_>) {
        while let Some(at) = self.open.iter().position(|open| open.is_settled_by(record)) {
            self.settle(at, 0);
        }
    }

    /// This is the outcome of an open record.
    fn settle(&mut self, at: usize, retval: u32) {
        let open = self.open.remove(at);
        match open.place {
            Place::Found(at) => {
                if let Some(Found::Record { bytes, is_open, .. }) = self.found.get_mut(at) {
                    self.told.push((bytes.start.saturating_add(RETVAL), retval));
                    *is_open = false;
                }
            }
            Place::Kept(mut contents) => {
                set(&mut contents, RETVAL, retval);
                self.found.push(Found::Kept(contents.freeze(), open.sequence));
            }
        }
    }

    /// Nobody says any more what has become of an open record.
    fn lose(&mut self, at: usize, why: Why) {
        let open = self.open.remove(at);
        let lost = |bytes: usize| {
            let Open { number, time, .. } = open;
            Found::Lost(Lost { first: number, last: number, from: time, to: time, bytes: bytes as u64, why })
        };
        match open.place {
            Place::Found(at) => {
                if let Some(found) = self.found.get_mut(at)
                    && let Found::Record { bytes, .. } = found
                {
                    *found = lost(bytes.len());
                }
            }
            Place::Kept(ref contents) => self.found.push(lost(contents.len())),
        }
    }

    /// Writes outcomes where their records stand.
    fn tell(&mut self) {
        if !self.told.is_empty() {
            // What was shared before shows what was not yet told.
            self.shared = Shared::default();
        }
        let bytes = self.words.as_mut_bytes();
        self.told.drain(..).for_each(|(place, retval)| set(bytes, place, retval));
    }
}

/// What a trace is told of lost records: they have their numbers of the ring, not those of all events.
pub(crate) fn told(lost: &Lost) -> capture::Lost {
    capture::Lost { first: 0, last: 0, time: lost.from, count: lost.count(), bytes: lost.bytes }
}

fn set(bytes: &mut [u8], place: usize, value: u32) {
    if let Some(bytes) = bytes.get_mut(place..).and_then(|rest| rest.first_chunk_mut()) {
        *bytes = value.to_le_bytes();
    }
}
