// SPDX-License-Identifier: GPL-2.0-or-later
//! Rings of tracers: memory that who receives from a trace port maps, and where records are written that would else be messages.
//!
//! A fixed pool, made as it is asked for and never given back. A ring is a trace port's, for all tasks that are traced to it. Nothing waits
//! because of it: what finds no room, is too large, or needs a message goes the way it would go without. What needs one is the first record of
//! each task, which brings the right to it, and what follows lost records, as it says so; see [`RingKey`] for when a task's records may go there.
//!
//! The ring belongs to the port, which is kept by a reference, as long as the port is received from by the task that has asked for it. It ends with
//! that task, before the task's space can become another's; a port that dies, or whose receive right goes elsewhere, is seen by each write. A
//! place is given to another when nobody has its memory mapped any more, nor a right to map it. What a task's word says of a place is compared with the
//! number of its being given, once more with the producer held, so that what is on its way on another processor never gets into another
//! tracer's ring.
//!
//! What is sent is open in the ring until its outcome is known, as in the recorder's ([`direct`](crate::direct)). An outcome cannot go another
//! way, so that room is kept for as many as may be owed.

mod give;
mod write;

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

use spin::mutex::SpinMutex;
use trace_port::ring::{FRAME, Policy};

use crate::frames::Sink;
use crate::gnumach::{KeptPort, Kernel, Port};
use crate::writer::Writer;

pub(crate) use give::end_of;
#[cfg(any(target_os = "none", test))]
pub(crate) use give::give;
pub(crate) use write::{outcome, take, wake_for, wake_for_one};

/// How many rings there may be.
pub(crate) const PLACES: usize = 15;

/// How many of them a task may have.
const OF_TASK: usize = 4;

/// How many outcomes may be owed to one.
const OWED: u32 = 512;

/// Bytes of a ring that are kept free for outcomes, and for what other processors take room for between a look and a draft's records.
pub(crate) const KEPT: u64 = 2 * OWED as u64 * (FRAME + 8);

const _: () = assert!(PLACES < 1 << PLACE_BITS);
const _: () = assert!(KEPT <= trace_port::ring::TRACERS_CAPACITY as u64 / 4);

/// How many bits of a task's word say which ring is its.
pub(crate) const KEY_BITS: u32 = 10;

/// Of them, those that tell the place.
const PLACE_BITS: u32 = 4;

/// Which place it is that a task's word tells.
#[inline(always)]
const fn place_of(bits: u32) -> usize {
    (bits & ((1 << PLACE_BITS) - 1)) as usize
}

/// A ring, and the number of its being given.
///
/// A task's word has one where the records of its calls may go straight there, or an outcome may be owed: after a message with the right to the
/// task has been queued at the trace port since the ring was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RingKey {
    place: u32,
    given: u32,
}

impl RingKey {
    /// For a task's word: [`KEY_BITS`] bits, not 0.
    pub(crate) const fn bits(self) -> u32 {
        let given = self.given & ((1 << (KEY_BITS - PLACE_BITS)) - 1);
        (self.place + 1) | (given << PLACE_BITS)
    }

    /// The number of its being given, which no other has; never 0.
    pub(crate) const fn given(self) -> u32 {
        self.given
    }
}

/// A ring, whoever's, or a place for one. The recorder's has no port.
#[derive(Debug)]
struct Place {
    /// Who writes it; what tasks' words have of it is [`RingKey::bits`].
    writer: Writer,
    /// The trace port.
    port: KeptPort,
    /// The task that has asked for it.
    task: AtomicUsize,
    /// The number of its being given.
    given: AtomicU32,
}

impl Place {
    const fn new() -> Self {
        Self { writer: Writer::new(), port: KeptPort::new(), task: AtomicUsize::new(0), given: AtomicU32::new(0) }
    }

    /// Where records are written, if it is there, and its port still received from by who has asked for it.
    #[inline(always)]
    fn sink<'a>(&'a self, kernel: &impl Kernel, given: (&'a AtomicU32, u32)) -> Option<Sink<'a>> {
        if !self.port.is_received(kernel) {
            return None;
        }
        Some(Sink { writer: &self.writer, ring: self.writer.ring()?, policy: Policy::Full, given: Some(given) })
    }
}

/// The place that a task's word tells, whose ring may be another tracer's by now: each write looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told<'a> {
    place: &'a Place,
    index: usize,
    bits: u32,
}

impl<'a> Told<'a> {
    /// Where an outcome is written.
    #[inline(always)]
    fn sink(self, kernel: &impl Kernel) -> Option<Sink<'a>> {
        self.place.sink(kernel, (self.place.writer.bits_word(), self.bits))
    }

    /// An outcome that was owed is owed no more.
    #[inline(always)]
    pub(crate) fn owes_no_more(self) {
        let mut pen = self.place.writer.pen();
        // One that was owed to who had the ring before is not counted.
        if self.place.writer.bits() == self.bits {
            pen.owes_one_less();
        }
    }

    /// The ring, if it is still that.
    pub(crate) fn key(self) -> Option<RingKey> {
        let key = RingKey { place: self.index as u32, given: self.place.given.load(Relaxed) };
        (key.bits() == self.bits).then_some(key)
    }
}

/// What a place is to those who give and end rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// Nothing: it may be given.
    Free,
    /// Somebody is about to give it, or to end it.
    Claimed,
    /// It is a port's.
    Given,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Rings {
    /// By what a task's word says: the first one is the machine's recorder's, which is told by 0.
    places: [Place; 1 << PLACE_BITS],
    /// Taken alone.
    holds: SpinMutex<[Hold; PLACES]>,
    /// How often one was given.
    given: AtomicU32,
}

impl Rings {
    /// None was given. All zero bytes.
    pub(crate) const fn new() -> Self {
        Self {
            places: [const { Place::new() }; _],
            holds: SpinMutex::new([const { Hold::Free }; PLACES]),
            given: AtomicU32::new(0),
        }
    }

    /// Those of tracers.
    #[inline(always)]
    fn tracers(&self) -> &[Place; PLACES] {
        let [_, tracers @ ..] = &self.places;
        tracers
    }

    /// Who writes the machine's recorder's ring.
    #[inline(always)]
    pub(crate) const fn recorder(&self) -> &Writer {
        let [recorder, ..] = &self.places;
        &recorder.writer
    }

    /// Who writes the ring of which a task's word has this, if its port is still received from by who has asked for it.
    #[inline(always)]
    pub(crate) fn writer(&self, kernel: &impl Kernel, bits: u32) -> Option<&Writer> {
        let place = self.places.get(place_of(bits))?;
        (bits == 0 || place.port.is_received(kernel)).then_some(&place.writer)
    }

    /// Whether there may be one.
    #[inline(always)]
    pub(crate) fn are_there(&self) -> bool {
        self.given.load(Relaxed) != 0
    }

    /// That of a port, which the caller keeps alive.
    #[inline(always)]
    pub(crate) fn of(&self, port: Port) -> Option<RingKey> {
        if self.are_there() { self.find(port) } else { None }
    }

    #[inline(never)]
    fn find(&self, port: Port) -> Option<RingKey> {
        let (index, place) = self.tracers().iter().enumerate().find(|(_, place)| place.port.is(port))?;
        Some(RingKey { place: index as u32, given: place.given.load(Relaxed) })
    }

    /// The tracer's place that a task's word tells: [`RingKey::bits`].
    #[inline(always)]
    pub(crate) fn told(&self, bits: u32) -> Option<Told<'_>> {
        let index = place_of(bits).checked_sub(1)?;
        Some(Told { place: self.tracers().get(index)?, index, bits })
    }

    /// Whether a port is that of a ring.
    pub(crate) fn is_of(&self, key: RingKey, port: Port) -> bool {
        self.tracers().get(key.place as usize).is_some_and(|place| place.port.is(port))
    }

    /// Where a ring's records are written, if it is there, and its port still received from by who has asked for it.
    fn sink(&self, kernel: &impl Kernel, key: RingKey) -> Option<Sink<'_>> {
        let place = self.tracers().get(key.place as usize)?;
        place.sink(kernel, (&place.given, key.given))
    }

    /// How many outcomes are owed to the ring at a place.
    #[cfg(test)]
    pub(crate) fn owed(&self, place: usize) -> u32 {
        self.tracers()[place].writer.pen().owed
    }
}

#[cfg(test)]
mod tests;
