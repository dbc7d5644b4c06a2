// SPDX-License-Identifier: GPL-2.0-or-later
//! Records as frames of a ring: the machine's recorder's, or a tracer's.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use spin::mutex::{SpinMutex, SpinMutexGuard};
use trace_port::record::{self, Part};
use trace_port::ring::{OUTCOME, Policy, Producer, RECORD, Reservation, Ring, Whole};

use crate::gnumach::{Kernel, Kmsg, Record};
use crate::numbers::ThreadNumber;
use crate::recorder;
use crate::state::State;

/// Words of a record before its message.
pub(crate) const PART_WORDS: usize = size_of::<Part>() / 8;

/// Where in a [`Part`] what the message's bytes are shown to be stands, by words of two halves: `message_size` and `captured_size`.
const SIZES: usize = 6;
/// `dropped` and `rcv_name`.
const DROPPED: usize = 7;
/// `task` and `sender`.
const TASKS: usize = 9;
/// The descriptor of the message.
pub(crate) const BODY_TYPE: usize = PART_WORDS - 1;

const _: () = {
    let header = core::mem::offset_of!(Part, header);
    assert!(header + core::mem::offset_of!(record::RecordHeader, message_size) == SIZES * 8);
    assert!(header + core::mem::offset_of!(record::RecordHeader, dropped) == DROPPED * 8);
    assert!(header + core::mem::offset_of!(record::RecordHeader, task) == TASKS * 8);
    assert!(core::mem::offset_of!(Part, body_type) == BODY_TYPE * 8);
};

/// A ring, and how it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sink<'a> {
    /// Its memory.
    pub(crate) ring: &'static Ring<'static, AtomicU64>,
    /// Who writes it.
    pub(crate) producer: &'a SpinMutex<Producer>,
    /// What becomes of what is full.
    pub(crate) policy: Policy,
    /// Of a tracer's ring: the number of its being given, where that changes with the next, and what it is to be. None is the recorder's.
    pub(crate) given: Option<(&'a AtomicU32, u32)>,
}

impl<'a> Sink<'a> {
    /// The producer, unless the ring is another tracer's by now.
    #[inline(always)]
    pub(crate) fn producer(&self) -> Option<SpinMutexGuard<'_, Producer>> {
        let producer = self.producer.lock();
        self.is_whose_it_was().then_some(producer)
    }

    /// Whether the ring is nobody else's by now.
    #[inline(always)]
    fn is_whose_it_was(&self) -> bool {
        self.given.is_none_or(|(given, number)| given.load(Relaxed) == number)
    }

    /// Room for a frame: none if there is none, which of the recorder's is counted.
    #[cold]
    #[inline(never)]
    fn room(&self, state: &State, (kind, size): (u32, u64), time: u64) -> Option<Reservation> {
        match self.given {
            None => recorder::reserve(state, self.ring, (kind, size), time),
            Some(_) => self.producer()?.reserve(self.ring, (kind, size), self.policy).ok(),
        }
    }

    fn commit(&self, room: Reservation) {
        self.producer.lock().commit(self.ring, room);
    }
}

/// Which record of a draft is written, and what of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    /// The draft's message, and where the record stands in it.
    pub(crate) at: (Record, usize),
    /// How many bytes of a message it has.
    pub(crate) captured: usize,
    /// At most so many are shown.
    pub(crate) bytes: usize,
    /// How many ports it has.
    pub(crate) ports: usize,
    /// What it is to say was lost before it.
    pub(crate) dropped: u32,
    /// Who is to be said to have sent it, if it does not say so itself.
    pub(crate) sender: Option<u32>,
}

impl Shown {
    /// Bytes in a ring, without a frame's own.
    pub(crate) fn size(&self) -> u64 {
        record::part_size(self.captured.min(self.bytes), self.ports) as u64
    }
}

/// Writes one record of a draft; `false` if there is no room, which of the recorder's is counted.
#[inline(never)]
pub(crate) fn write(kernel: &impl Kernel, state: &State, sink: &Sink<'_>, from: &Shown) -> bool {
    let Shown { at: (record, start), captured, bytes, ports, dropped, sender } = *from;
    let ring = sink.ring;
    let word = |offset: usize| kernel.record_read(record, start + offset);
    let shown = captured.min(bytes);
    let size = record::part_size(shown, ports);
    let time = word(core::mem::offset_of!(Part, header) + core::mem::offset_of!(record::RecordHeader, time));
    let Some(room) = sink.room(state, (RECORD, size as u64), time) else { return false };
    let part = (0..PART_WORDS).map(|index| {
        let value = word(index * 8);
        match index {
            0 => record::HEADER_TYPE,
            SIZES => value & LOW | (shown as u64) << 32,
            DROPPED => value & !LOW | u64::from(dropped),
            TASKS => sender.map_or(value, |sender| value & LOW | u64::from(sender) << 32),
            BODY_TYPE => record::body_type(record::carried(shown, ports) as u32),
            _ => value,
        }
    });
    room.fill(ring, 0, part);
    let (body, words) = (size_of::<Part>(), shown.div_ceil(8));
    room.fill(ring, PART_WORDS as u64, (0..words).map(|index| word(body + index * 8)));
    let listed = body + captured.next_multiple_of(8);
    let ports = ports * (size_of::<trace_port::Port>() / 8);
    room.fill(ring, (PART_WORDS + words) as u64, (0..ports).map(|index| word(listed + index * 8)));
    sink.commit(room);
    true
}

const LOW: u64 = 0xffff_ffff;

/// A frame that is written where it stands, while nobody else writes the ring.
pub(crate) struct Frame<'a> {
    ring: &'static Ring<'static, AtomicU64>,
    producer: SpinMutexGuard<'a, Producer>,
    whole: Whole<'static, AtomicU64>,
}

impl<'a> Sink<'a> {
    /// A frame with so many bytes. `None` where there is more to it than to write it, or no room beside what is `kept` for others.
    #[inline(always)]
    pub(crate) fn begin(self, kind: u32, bytes: u64, kept: u64) -> Option<Frame<'a>> {
        // Not by `producer`: an option of the lock's guard costs each record instructions.
        let mut producer = self.producer.lock();
        if !self.is_whose_it_was() {
            return None;
        }
        let whole = producer.whole(self.ring, (kind, bytes), (self.policy, kept))?;
        Some(Frame { ring: self.ring, producer, whole })
    }
}

impl Frame<'_> {
    /// The ring that it is in.
    #[inline(always)]
    pub(crate) fn ring(&self) -> &'static Ring<'static, AtomicU64> {
        self.ring
    }

    /// Writes what is before a message, so many of its bytes, zero padded, and what is behind it, the words of a [`trace_port::Port`] each; that is all
    /// that the frame has room for.
    #[inline(always)]
    pub(crate) fn write(
        mut self,
        kernel: &impl Kernel,
        head: [u64; PART_WORDS],
        (kmsg, size): (Kmsg, usize),
        ports: &[[u64; 2]],
    ) {
        if let Some((places, rest)) = self.whole.contents.split_first_chunk::<PART_WORDS>()
            && let Some((message, places_of_ports)) = rest.split_at_checked(size.div_ceil(8))
        {
            store(places, head);
            for (index, place) in message.iter().enumerate() {
                place.store(kernel.message_word(kmsg, index * 8), Relaxed);
            }
            if !size.is_multiple_of(8)
                && let Some(last) = message.last()
            {
                let word = kernel.message_word(kmsg, (message.len() - 1) * 8);
                last.store(word & ((1 << (8 * (size % 8))) - 1), Relaxed);
            }
            for ([first, second], port) in places_of_ports.as_chunks::<2>().0.iter().zip(ports) {
                first.store(port[0], Relaxed);
                second.store(port[1], Relaxed);
            }
        }
        self.producer.publish(self.ring, self.whole);
    }
}

/// Each word with an instruction of its own.
#[inline(always)]
fn store(places: &[AtomicU64; PART_WORDS], words: [u64; PART_WORDS]) {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = places;
    let [first, second, third, fourth, fifth, sixth, seventh, eighth, ninth, tenth, eleventh, twelfth] = words;
    a.store(first, Relaxed);
    b.store(second, Relaxed);
    c.store(third, Relaxed);
    d.store(fourth, Relaxed);
    e.store(fifth, Relaxed);
    f.store(sixth, Relaxed);
    g.store(seventh, Relaxed);
    h.store(eighth, Relaxed);
    i.store(ninth, Relaxed);
    j.store(tenth, Relaxed);
    k.store(eleventh, Relaxed);
    l.store(twelfth, Relaxed);
}

/// Says what has become of the message of a thread's, of which the ring has an open record, if there is room.
#[inline(never)]
pub(crate) fn put_outcome(state: &State, sink: &Sink<'_>, thread: ThreadNumber, retval: u32) {
    let outcome = u64::from(thread.get()) | u64::from(retval) << 32;
    if let Some(mut frame) = sink.begin(OUTCOME, 8, 0) {
        frame.whole.contents.iter().for_each(|place| place.store(outcome, Relaxed));
        return frame.producer.publish(frame.ring, frame.whole);
    }
    let Some(room) = sink.room(state, (OUTCOME, 8), 0) else { return };
    room.set(sink.ring, 0, outcome);
    sink.commit(room);
}
