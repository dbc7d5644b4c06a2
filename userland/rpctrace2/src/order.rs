//! Records into the order of their events: a record is sent after its event, so another thread's can arrive before it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::event::Event;

/// Most records that wait for an earlier one: as many as a full queue of messages can hold, of which each has records of one task.
const WINDOW: usize = 256;

/// Holds records back until those before them have come, are known to be lost, or do not come.
#[derive(Debug, Default)]
pub struct Order {
    /// The next sequence number; `None` before the first record, whose number is arbitrary.
    next: Option<u64>,
    held: BTreeMap<u64, Event>,
    /// Sequence numbers of lost records that have not been skipped yet.
    lost: u64,
}

impl Order {
    /// Takes a record; returns those that are next in order.
    pub fn push(&mut self, event: Event) -> Vec<Event> {
        self.lost = self.lost.saturating_add(event.dropped.into());
        let next = *self.next.get_or_insert(event.sequence);
        if event.sequence < next {
            // Given up on before: late is better than never.
            return Vec::from([event]);
        }
        self.held.insert(event.sequence, event);
        let mut ready = self.take_contiguous();
        while self.held.len() > WINDOW || self.gaps_are_lost() {
            self.skip_to_first();
            ready.extend(self.take_contiguous());
        }
        ready
    }

    /// Whether records are held back.
    pub fn is_waiting(&self) -> bool {
        !self.held.is_empty()
    }

    /// All that is held back, in order: what is missing does not come any more.
    pub fn flush(&mut self) -> Vec<Event> {
        let mut ready = Vec::new();
        while !self.held.is_empty() {
            self.skip_to_first();
            ready.extend(self.take_contiguous());
        }
        ready
    }

    fn take_contiguous(&mut self) -> Vec<Event> {
        let mut ready = Vec::new();
        while let Some(event) = self.next.and_then(|next| self.held.remove(&next)) {
            self.next = event.sequence.checked_add(1);
            ready.push(event);
        }
        ready
    }

    /// Whether as many records were lost as are missing before the last one held.
    fn gaps_are_lost(&self) -> bool {
        match (self.next, self.held.last_key_value()) {
            (Some(next), Some((last, _))) => {
                let missing = (last - next).saturating_add(1).saturating_sub(self.held.len() as u64);
                missing <= self.lost
            }
            _ => false,
        }
    }

    fn skip_to_first(&mut self) {
        if let (Some(next), Some((first, _))) = (self.next, self.held.first_key_value()) {
            self.lost = self.lost.saturating_sub(first.saturating_sub(next));
            self.next = Some(*first);
        }
    }
}
