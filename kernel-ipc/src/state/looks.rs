// SPDX-License-Identifier: GPL-2.0-or-later
//! What the word of a task says of who is told of it: whether it has engines, and whether its threads are looked at lightly.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use trace_port::control::event;

use super::{Released, State, take_spare};
use crate::gnumach::{Kernel, Port, Reference, SendRight, Task};
use crate::rings::{KEY_BITS, Told};
use crate::table::{CAPACITY, Only, Table};

/// Set in the number that a task keeps of its entry while the entry has a spare kmsg.
pub(super) const HAS_SPARE: u32 = 1 << 31;

/// Set there while the task's threads are looked at lightly: see [`crate::light`].
const IS_LIGHT: u32 = 1 << 30;

/// Set there while the task has engines.
const HAS_ENGINES: u32 = 1 << 29;

/// Set there while the task's traps that stand for requests are refused; the stubs look at it.
pub(crate) const REFUSES_TRAPS: u32 = 1 << 28;

/// Set there while nobody is told of the task but the machine's recorder, or one tracer that has a ring, who is told of everything: see
/// [`crate::direct`]; the stubs look at it.
pub(crate) const IS_DIRECT: u32 = 1 << 27;

/// Where the bits begin that say which tracer's ring has records of the task's calls that were written directly: [`RingKey::bits`](crate::rings::RingKey::bits), or 0.
const RING: u32 = 17;

/// Those bits.
const RING_BITS: u32 = ((1 << KEY_BITS) - 1) << RING;

/// What is left.
const PLACE: u32 = (1 << RING) - 1;

const _: () = {
    assert!(RING_BITS & (HAS_SPARE | IS_LIGHT | HAS_ENGINES | REFUSES_TRAPS | IS_DIRECT) == 0);
    assert!(CAPACITY <= PLACE as usize);
};

/// Where a task's entry is in the table: 1 + index of its place, or 0.
#[inline(always)]
pub(super) fn place(kernel: &impl Kernel, task: Task) -> u32 {
    kernel.task_entry(task) & PLACE
}

impl State {
    /// Gives an entry another trace port.
    pub(super) fn replace(&self, kernel: &impl Kernel, table: &mut Table, place: u32, right: SendRight) -> Released {
        let Some(entry) = table.at(place) else { return Released { right: Some(right), ..Released::NOTHING } };
        let (spare, number) = (take_spare(kernel, entry), entry.number());
        let dropped = core::mem::take(entry.dropped());
        let released = Released { spare, right: Some(entry.set_port(right)), number, dropped };
        self.count_wanted(kernel, table, place);
        released
    }

    /// Whether a task has engines.
    #[inline(always)]
    pub(crate) fn has_engines(kernel: &impl Kernel, task: Task) -> bool {
        kernel.task_entry(task) & HAS_ENGINES != 0
    }

    /// Whether its threads may be looked at lightly.
    #[inline(always)]
    pub(crate) fn is_light(kernel: &impl Kernel, task: Task) -> bool {
        kernel.task_entry(task) & IS_LIGHT != 0
    }

    /// Which ring's the records of a task with this word are that are written directly: [`RingKey::bits`](crate::rings::RingKey::bits), or 0 of the recorder's.
    #[inline(always)]
    pub(crate) const fn ring_bits(entry: u32) -> u32 {
        (entry & RING_BITS) >> RING
    }

    /// Who is to be told directly of all that a task at a place does, as bits of its word.
    fn direct_bits(&self, table: &mut Table, place: u32) -> u32 {
        let is_introduced = |port: Port, introduced| self.rings.of(port).filter(|ring| ring.given() == introduced);
        let ring = match table.only(place) {
            Some(Only::Engine(engine, known, _)) if self.recorder.wants_all(engine, known) => return IS_DIRECT,
            Some(Only::Engine(_, known, introduced)) if known.wants_all_messages() && known.bytes() == u32::MAX => {
                is_introduced(known.port(), introduced)
            }
            Some(Only::Port(port, introduced)) => is_introduced(port, introduced),
            _ => None,
        };
        ring.map_or(0, |ring| IS_DIRECT | ring.bits() << RING)
    }

    /// The bits of the ring that a word has, if outcomes may still be owed to it: its trace port is still one of the entry's.
    fn owed_bits(&self, table: &mut Table, place: u32, word: u32) -> u32 {
        let Some(ring) = self.rings.told(Self::ring_bits(word)).and_then(Told::key) else { return 0 };
        table.ports(place, |port| self.rings.is_of(ring, port)).map_or(0, |_| word & RING_BITS)
    }

    /// Whether nobody is told of a task with this word but who has a ring: see [`State::ring_bits`].
    #[inline(always)]
    pub(crate) const fn is_direct(entry: u32) -> bool {
        entry & IS_DIRECT != 0
    }

    /// Says anew of which events of the task at a place somebody is to be told, after its list or an engine of it has changed.
    pub(super) fn count_wanted(&self, kernel: &impl Kernel, table: &mut Table, place: u32) {
        let Some((task, by_ids)) = table.count_wanted(place) else { return };
        let before = kernel.task_entry(task);
        let direct = match self.direct_bits(table, place) {
            0 => self.owed_bits(table, place, before),
            bits => bits,
        };
        let Some(entry) = table.at(place) else { return };
        let mut after = before & !(IS_LIGHT | HAS_ENGINES | REFUSES_TRAPS | IS_DIRECT | RING_BITS) | direct;
        if entry.wanted() & event::RPC_TRAP != 0 {
            after |= REFUSES_TRAPS;
        }
        if by_ids {
            after |= IS_LIGHT;
        }
        if entry.list() != 0 {
            after |= HAS_ENGINES;
        }
        kernel.set_task_entry(task, after);
        if before & !after & IS_LIGHT != 0 && !entry.set_stirred(true) {
            self.stirred.fetch_add(1, Relaxed);
        }
    }

    /// Whether there is a task of which more is wanted than its threads are looked at for.
    #[inline(always)]
    pub(crate) fn has_stirred(&self) -> bool {
        self.stirred.load(Acquire) != 0
    }

    /// What [`State::next_stirred`] has found is done.
    pub(crate) fn has_settled(&self) {
        self.stirred.fetch_sub(1, Release);
    }

    /// The first of those whose entry is at `from` or behind. The caller looks to its threads, and says so.
    pub(crate) fn next_stirred(&self, kernel: &impl Kernel, from: &mut u32) -> Option<Reference<Task>> {
        let mut table = self.table.lock();
        while *from <= table.last() {
            if let Some(entry) = table.at(*from)
                && entry.set_stirred(false)
            {
                return Some(kernel.task_reference(entry.task()));
            }
            *from += 1;
        }
        None
    }
}
