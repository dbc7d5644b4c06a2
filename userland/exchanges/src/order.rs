// SPDX-License-Identifier: GPL-2.0-or-later
//! Records into the order of their events: a record is sent after its event, so another thread's can arrive before it.

use alloc::collections::BTreeMap;

use trace_port::record::part_size;
use trace_port::ring::TRACERS_CAPACITY;

use crate::event::Event;

/// Most records that wait for an earlier one: more than a full queue of messages can hold, or a tracer's ring, past which one may come that
/// is in neither.
const WINDOW: usize = TRACERS_CAPACITY / part_size(0, 0);

/// Holds records back until those before them have come, are known to be lost, or do not come.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// The next sequence number; `None` before the first record, whose number is arbitrary.
    next: Option<u64>,
    held: BTreeMap<u64, Event>,
    /// Sequence numbers of lost records that have not been skipped yet.
    lost: u64,
}

impl Order {
    /// Takes a record; returns one that is next in order. [`Order::following`] has those after it.
    pub(crate) fn push(&mut self, event: Event) -> Option<Event> {
        self.lost = self.lost.saturating_add(event.dropped.into());
        let next = *self.next.get_or_insert(event.sequence);
        // One that was given up on before: late is better than never.
        let late = event.sequence < next;
        if late || event.sequence == next && self.held.is_empty() {
            self.next = if late { Some(next) } else { event.sequence.checked_add(1) };
            return Some(event);
        }
        self.held.insert(event.sequence, event);
        self.following()
    }

    /// Whether a record with this sequence number, and without news of lost ones, would be returned by [`Order::push`] and no other after it.
    pub(crate) fn is_next(&self, sequence: u64) -> bool {
        self.next == Some(sequence) && self.held.is_empty()
    }

    /// The record that is next has been passed over.
    pub(crate) fn pass(&mut self) {
        self.next = self.next.and_then(|next| next.checked_add(1));
    }

    /// The next record in order, if it is there or is not waited for any longer.
    pub(crate) fn following(&mut self) -> Option<Event> {
        if self.held.is_empty() {
            return None;
        }
        if self.held.len() > WINDOW || self.gaps_are_lost() {
            return self.give_up();
        }
        self.take()
    }

    /// Whether records are held back.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.held.is_empty()
    }

    /// The next record that is held back: what is missing before it does not come any more.
    pub(crate) fn give_up(&mut self) -> Option<Event> {
        if let (Some(next), Some((first, _))) = (self.next, self.held.first_key_value()) {
            self.lost = self.lost.saturating_sub(first.saturating_sub(next));
            self.next = Some(*first);
        }
        self.take()
    }

    fn take(&mut self) -> Option<Event> {
        let event = self.held.remove(&self.next?)?;
        self.next = event.sequence.checked_add(1);
        Some(event)
    }

    /// Whether as many records were lost as are missing before the last one held.
    fn gaps_are_lost(&self) -> bool {
        match (self.next, self.held.last_key_value()) {
            (Some(next), Some((last, _))) => {
                let missing = last.saturating_sub(next).saturating_add(1).saturating_sub(self.held.len() as u64);
                missing <= self.lost
            }
            _ => false,
        }
    }
}
