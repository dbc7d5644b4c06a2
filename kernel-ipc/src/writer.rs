// SPDX-License-Identifier: GPL-2.0-or-later
//! A ring and who writes it, the machine's recorder's or a tracer's, and records that are written where they stand, while nobody else writes.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use trace_port::Port;
use trace_port::record::{self, Part};
use trace_port::ring::{Policy, Producer, Ring, Room, Whole};

use crate::frames::{PART_WORDS, pair, word};
use crate::gnumach::latch::{Held, Latch};
use crate::gnumach::{ForOne, Kernel, Kmsg, Once};

/// Most ports of a record that is written where it stands.
const PORTS: usize = 4;

/// What it is written by.
#[derive(Debug)]
pub(crate) struct Pen {
    pub(crate) producer: Producer,
    /// How many outcomes are owed to the ring.
    pub(crate) owed: u32,
    /// While no more are than this, another may be.
    may_owe: u32,
    /// So many words of a message are written at most.
    words: usize,
}

impl Pen {
    /// Of a ring to which no more than so many outcomes may be owed, which takes so many bytes of a message.
    pub(crate) const fn of(producer: Producer, most_owed: u32, bytes: u32) -> Self {
        Self { producer, owed: 0, may_owe: most_owed.saturating_sub(1), words: bytes as usize / 8 }
    }

    /// Of a ring of which nobody is told how many are owed.
    pub(crate) const fn owing_any(producer: Producer, bytes: u32) -> Self {
        Self { may_owe: u32::MAX, ..Self::of(producer, 0, bytes) }
    }

    /// One more outcome is owed. Of the recorder's ring nobody looks at how many.
    #[inline(always)]
    pub(crate) const fn owes_one_more(&mut self) {
        self.owed = self.owed.wrapping_add(1);
    }

    /// An outcome that was owed is not owed any more.
    #[inline(always)]
    pub(crate) const fn owes_one_less(&mut self) {
        self.owed = self.owed.saturating_sub(1);
    }
}

/// A ring, and who writes it. All zero bytes until there is one.
#[derive(Debug)]
pub(crate) struct Writer {
    ring: Once<Ring<'static, AtomicU64>>,
    pen: Latch<Pen>,
    /// What tasks' words have of it: [`RingKey::bits`](crate::rings::RingKey::bits), 0 of the recorder's. It changes with the pen in hand.
    bits: AtomicU32,
}

impl Writer {
    /// Without a ring.
    pub(crate) const fn new() -> Self {
        Self { ring: Once::new(), pen: Latch::new(Pen::of(Producer::new(), 0, 0)), bits: AtomicU32::new(0) }
    }

    /// The ring.
    #[inline(always)]
    pub(crate) fn ring(&self) -> Option<&Ring<'static, AtomicU64>> {
        self.ring.get()
    }

    /// From now on its ring is this one, as whose it always is.
    pub(crate) fn keep_ring(&self, ring: Ring<'static, AtomicU64>) {
        self.ring.set(ring);
    }

    /// What it is written by, which one has at a time.
    #[inline(always)]
    pub(crate) fn pen(&self) -> Held<'_, Pen> {
        self.pen.lock()
    }

    /// What tasks' words have of it.
    #[inline(always)]
    pub(crate) fn bits(&self) -> u32 {
        self.bits.load(Relaxed)
    }

    /// Where that stands.
    #[inline(always)]
    pub(crate) const fn bits_word(&self) -> &AtomicU32 {
        &self.bits
    }

    /// Who has the pen gives the ring to somebody else.
    pub(crate) fn set_bits(&self, bits: u32) {
        self.bits.store(bits, Relaxed);
    }
}

/// Whose records are written, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// What the task's word has of the ring.
    pub(crate) bits: u32,
    /// What becomes of what is full.
    pub(crate) policy: Policy,
}

/// A frame of a record, of which nothing is known until it is published. Who writes it writes each word as soon as that is known: there are too many to be kept.
pub(crate) struct RecordFrame<'a> {
    ring: &'a Ring<'static, AtomicU64>,
    pen: Held<'a, Pen>,
    whole: Whole<'static, AtomicU64>,
    /// What is before the message.
    head: &'static [AtomicU64; PART_WORDS],
    message: &'static [AtomicU64],
    /// What is behind it.
    ports: &'static [[AtomicU64; 2]; PORTS],
    /// How many ports there are.
    count: usize,
}

/// A port in a frame, whose words are read again where there are too many to be kept. They are what was written: of a tracer's ring who reads it has the
/// frames read-only, and of the recorder's it is who runs the machine.
#[derive(Clone, Copy)]
pub(crate) struct WrittenPort(&'static [AtomicU64; 2]);

impl WrittenPort {
    /// Its words.
    #[inline(always)]
    pub(crate) fn words(self) -> [u64; 2] {
        [self.0[0].load(Relaxed), self.what()]
    }

    /// The second of them.
    #[inline(always)]
    pub(crate) fn what(self) -> u64 {
        self.0[1].load(Relaxed)
    }
}

impl Writer {
    /// A frame for a record of a message of so many bytes, and with room for [`PORTS`] ports. What it has of the message is written already, zero padded.
    /// `None` where there is more to it than to write it, or not the room that it may have.
    #[inline(always)]
    pub(crate) fn record(
        &self,
        kernel: &impl Kernel,
        terms: Terms,
        kind: u32,
        (kmsg, size): (Kmsg, u32),
    ) -> Option<RecordFrame<'_>> {
        let pen = self.pen();
        let words = pen.words.min((size as usize).div_ceil(8));
        let whole = |producer: &mut Producer, ring: &_, words| {
            producer.whole(ring, (kind, words as u64 * 8), (terms.policy, Room::Common))
        };
        let is_its = self.bits() == terms.bits;
        let frame = self.record_by(pen, is_its, words, whole)?;
        let captured = size.min(words as u32 * 8);
        frame.begin(size, captured);
        copy(kernel, kmsg, captured, frame.message);
        Some(frame)
    }

    /// [`Writer::record`] where nobody has to look for room, of a message of so many words.
    #[inline(always)]
    pub(crate) fn record_at_once(
        &self,
        kernel: &impl Kernel,
        (one, bits): (ForOne, u32),
        kind: u32,
        (kmsg, size): (Kmsg, usize),
    ) -> Option<RecordFrame<'_>> {
        let pen = self.pen.take(one)?;
        let words = pen.words.min(size);
        let whole = |producer: &mut Producer, ring: &_, words| producer.whole_at_once(ring, (kind, words));
        let is_its = one.look_at(&self.bits) == bits;
        let frame = self.record_by(pen, is_its, words, whole)?;
        frame.begin(size as u32 * 8, words as u32 * 8);
        kernel.copy_message(kmsg, frame.message);
        Some(frame)
    }

    #[inline(always)]
    fn record_by<'a>(
        &'a self,
        mut pen: Held<'a, Pen>,
        is_its: bool,
        words: usize,
        whole: impl FnOnce(&mut Producer, &Ring<'static, AtomicU64>, usize) -> Option<Whole<'static, AtomicU64>>,
    ) -> Option<RecordFrame<'a>> {
        let ring = self.ring()?;
        if !is_its || pen.owed > pen.may_owe {
            return None;
        }
        let whole = whole(&mut pen.producer, ring, PART_WORDS + words + 2 * PORTS)?;
        let (head, rest) = whole.contents.split_first_chunk()?;
        let (message, ports) = rest.split_at_checked(words)?;
        let ports = ports.as_chunks().0.first_chunk()?;
        Some(RecordFrame { ring, pen, whole, head, message, ports, count: 0 })
    }
}

impl<'a> RecordFrame<'a> {
    /// Of a message of so many bytes, of which it has so many.
    #[inline(always)]
    fn begin(&self, size: u32, captured: u32) {
        self.set(word::HEADER_TYPE, record::HEADER_TYPE);
        self.set(word::SIZES, pair(size, captured));
    }

    /// Writes a [`word`].
    #[inline(always)]
    pub(crate) fn set(&self, word: usize, value: u64) {
        if let Some(place) = self.head.get(word) {
            place.store(value, Relaxed);
        }
    }

    /// Writes the words of a port behind those that are there; none if there is no room.
    #[inline(always)]
    pub(crate) fn put_port(&mut self, [first, second]: [u64; 2]) -> Option<WrittenPort> {
        let place = self.ports.get(self.count)?;
        place[0].store(first, Relaxed);
        place[1].store(second, Relaxed);
        self.count += 1;
        Some(WrittenPort(place))
    }

    /// How many it has.
    #[inline(always)]
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// What the ring is written by.
    #[inline(always)]
    pub(crate) fn pen(&mut self) -> &mut Pen {
        &mut self.pen
    }

    /// The record, which has ports, is the reader's. Returns its ring.
    #[inline(always)]
    pub(crate) fn publish(mut self) -> &'a Ring<'static, AtomicU64> {
        let carried = (self.message.len() * 8 + self.count * size_of::<Port>()) as u64;
        self.set(word::PORTS, self.count as u64);
        self.set(word::BODY_TYPE, record::body_type(carried as u32));
        self.pen.producer.publish(self.ring, &self.whole, size_of::<Part>() as u64 + carried);
        self.ring
    }
}

/// The first so many bytes of a message, zero padded.
#[inline(always)]
fn copy(kernel: &impl Kernel, kmsg: Kmsg, bytes: u32, places: &[AtomicU64]) {
    kernel.copy_message(kmsg, places);
    if !bytes.is_multiple_of(8)
        && let Some(last) = places.last()
    {
        let word = kernel.message_word(kmsg, (places.len() - 1) * 8);
        last.store(word & ((1 << (8 * (bytes % 8))) - 1), Relaxed);
    }
}
