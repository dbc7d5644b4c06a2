// SPDX-License-Identifier: GPL-2.0-or-later
//! Records of drafts as frames of a ring: the machine's recorder's, or a tracer's; and outcomes.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use trace_port::Port;
use trace_port::record::{self, Part};
use trace_port::ring::{OUTCOME, Policy, RECORD, Reservation, Ring, Room};

use crate::gnumach::latch::Held;
use crate::gnumach::{Kernel, Record};
use crate::numbers::ThreadNumber;
use crate::recorder;
use crate::state::State;
use crate::writer::{Pen, Writer};

/// Words of a record before its message.
pub(crate) const PART_WORDS: usize = size_of::<Part>() / 8;

/// Where in a [`Part`] members stand, by words, most of them of two halves.
pub(crate) mod word {
    /// The descriptor of the header.
    pub(crate) const HEADER_TYPE: usize = 0;
    /// `version`, `direction` and `kind`, and `options`.
    pub(crate) const FIRST: usize = 1;
    /// `retval` and `thread`.
    pub(crate) const THREAD: usize = 2;
    /// `sequence`.
    pub(crate) const SEQUENCE: usize = 3;
    /// `correlation`.
    pub(crate) const CORRELATION: usize = 4;
    /// `time`.
    pub(crate) const TIME: usize = 5;
    /// `message_size` and `captured_size`.
    pub(crate) const SIZES: usize = 6;
    /// `dropped` and `rcv_name`.
    pub(crate) const DROPPED: usize = 7;
    /// `time_out` and `notify`.
    pub(crate) const TIME_OUT: usize = 8;
    /// `task` and `sender`.
    pub(crate) const TASKS: usize = 9;
    /// `ports`.
    pub(crate) const PORTS: usize = 10;
    /// The descriptor of the message.
    pub(crate) const BODY_TYPE: usize = super::PART_WORDS - 1;
}

use word::{BODY_TYPE, DROPPED, SIZES, TASKS};

const _: () = {
    use core::mem::offset_of;
    use record::RecordHeader;
    let header = offset_of!(Part, header);
    assert!(header + offset_of!(RecordHeader, version) == word::FIRST * 8);
    assert!(header + offset_of!(RecordHeader, options) == word::FIRST * 8 + 4);
    assert!(header + offset_of!(RecordHeader, thread) == word::THREAD * 8 + 4);
    assert!(header + offset_of!(RecordHeader, sequence) == word::SEQUENCE * 8);
    assert!(header + offset_of!(RecordHeader, correlation) == word::CORRELATION * 8);
    assert!(header + offset_of!(RecordHeader, time) == word::TIME * 8);
    assert!(header + offset_of!(RecordHeader, message_size) == SIZES * 8);
    assert!(header + offset_of!(RecordHeader, dropped) == DROPPED * 8);
    assert!(header + offset_of!(RecordHeader, time_out) == word::TIME_OUT * 8);
    assert!(header + offset_of!(RecordHeader, task) == TASKS * 8);
    assert!(header + offset_of!(RecordHeader, ports) == word::PORTS * 8);
    assert!(offset_of!(Part, body_type) == BODY_TYPE * 8);
};

/// A word of two halves.
#[inline(always)]
pub(crate) const fn pair(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

/// A ring, and how it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sink<'a> {
    /// Who writes it.
    pub(crate) writer: &'a Writer,
    /// Its memory.
    pub(crate) ring: &'a Ring<'static, AtomicU64>,
    /// What becomes of what is full.
    pub(crate) policy: Policy,
    /// Of a tracer's ring: a number of its being given, where that changes with the next, and what it is to be. None is the recorder's.
    pub(crate) given: Option<(&'a AtomicU32, u32)>,
}

impl<'a> Sink<'a> {
    /// What it is written by, unless the ring is another tracer's by now.
    #[inline(always)]
    pub(crate) fn pen(&self) -> Option<Held<'a, Pen>> {
        let pen = self.writer.pen();
        self.is_whose_it_was().then_some(pen)
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
            Some(_) => self.pen()?.producer.reserve(self.ring, (kind, size), self.policy).ok(),
        }
    }

    fn commit(&self, room: Reservation) {
        self.writer.pen().producer.commit(self.ring, room);
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
    let ports = ports * (size_of::<Port>() / 8);
    room.fill(ring, (PART_WORDS + words) as u64, (0..ports).map(|index| word(listed + index * 8)));
    sink.commit(room);
    true
}

const LOW: u64 = 0xffff_ffff;

/// Says what has become of the message of a thread's, of which the ring has an open record, if there is room.
#[inline(always)]
pub(crate) fn put_outcome(state: &State, sink: &Sink<'_>, thread: ThreadNumber, retval: u32) {
    let outcome = pair(thread.get(), retval);
    {
        // Not by `pen`: an option of the lock's guard costs instructions.
        let mut pen = sink.writer.pen();
        if sink.is_whose_it_was()
            && let Some(whole) = pen.producer.whole(sink.ring, (OUTCOME, 8), (sink.policy, Room::Kept))
            && let [place] = whole.contents
        {
            place.store(outcome, Relaxed);
            return pen.producer.publish(sink.ring, &whole, 8);
        }
    }
    put_outcome_anyhow(state, sink, outcome);
}

#[cold]
#[inline(never)]
fn put_outcome_anyhow(state: &State, sink: &Sink<'_>, outcome: u64) {
    let Some(room) = sink.room(state, (OUTCOME, 8), 0) else { return };
    room.set(sink.ring, 0, outcome);
    sink.commit(room);
}
