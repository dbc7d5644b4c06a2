// SPDX-License-Identifier: GPL-2.0-or-later
//! What the word of a task says of who is told of it: whether it has engines, and whether its threads are looked at lightly.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use trace_port::control::event;

use super::{Released, State, take_spare};
use crate::gnumach::{Kernel, Reference, SendRight, Task};
use crate::table::Table;

/// Set in the number that a task keeps of its entry while the entry has a spare kmsg.
pub(super) const HAS_SPARE: u32 = 1 << 31;

/// Set there while the task's threads are looked at lightly: see [`crate::light`].
const IS_LIGHT: u32 = 1 << 30;

/// Set there while the task has engines.
const HAS_ENGINES: u32 = 1 << 29;

/// Set there while the task's traps that stand for requests are refused; the stubs look at it.
pub(crate) const REFUSES_TRAPS: u32 = 1 << 28;

/// Set there while nobody is told of the task but the machine's recorder, which is told of everything: see [`crate::direct`].
const IS_DIRECT: u32 = 1 << 27;

/// Where a task's entry is in the table: 1 + index of its place, or 0.
#[inline(always)]
pub(super) fn place(kernel: &impl Kernel, task: Task) -> u32 {
    kernel.task_entry(task) & !(HAS_SPARE | IS_LIGHT | HAS_ENGINES | REFUSES_TRAPS | IS_DIRECT)
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

    /// Whether nobody but the machine's recorder is told of a task with this word.
    #[inline(always)]
    pub(crate) const fn is_direct(entry: u32) -> bool {
        entry & IS_DIRECT != 0
    }

    /// Says anew of which events of the task at a place somebody is to be told, after its list or an engine of it has changed.
    pub(super) fn count_wanted(&self, kernel: &impl Kernel, table: &mut Table, place: u32) {
        let Some((task, by_ids)) = table.count_wanted(place) else { return };
        let is_direct = table.has_only(place, |engine, known| self.recorder.wants_all(engine, known));
        let Some(entry) = table.at(place) else { return };
        let before = kernel.task_entry(task);
        let mut after = before & !(IS_LIGHT | HAS_ENGINES | REFUSES_TRAPS | IS_DIRECT);
        if entry.wanted() & event::RPC_TRAP != 0 {
            after |= REFUSES_TRAPS;
        }
        if by_ids {
            after |= IS_LIGHT;
        }
        if is_direct {
            after |= IS_DIRECT;
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
