// SPDX-License-Identifier: GPL-2.0-or-later
//! The entries of all traced tasks: engine 0, set by `task_set_special_port`.
//!
//! Room is taken from the kernel chunk by chunk as traces come, and kept. Looking an entry up, and finding room for one, take the
//! same time however many there are.

use crate::gnumach::{Key, OwnedKmsg, Port, SendRight, Task};
use crate::numbers::TaskNumber;

/// Entries of a chunk: 2 KiB.
const IN_CHUNK: usize = 64;

/// Most chunks.
const CHUNKS: usize = 1024;

/// Most tasks that are traced at the same time; the next one is refused with `KERN_RESOURCE_SHORTAGE`.
#[cfg(test)]
pub(crate) const CAPACITY: usize = CHUNKS * IN_CHUNK;

/// A task's trace port.
#[derive(Debug)]
pub(crate) struct Entry {
    task: Task,
    right: SendRight,
    spare: Option<OwnedKmsg>,
    number: TaskNumber,
    dropped: u32,
}

/// Where an entry may be.
#[derive(Debug)]
pub(crate) enum Place {
    /// None is; 1 + index of the next such place, or 0.
    Free(u32),
    /// One is.
    Taken(Entry),
}

impl Default for Place {
    fn default() -> Self {
        Self::Free(0)
    }
}

/// Room for entries.
pub(crate) type Chunk = [Place; IN_CHUNK];

/// All entries.
#[derive(Debug)]
pub(crate) struct Table {
    chunks: heapless::Vec<&'static mut Chunk, CHUNKS>,
    /// 1 + index of the first free place, or 0.
    free: u32,
}

impl Entry {
    /// The traced task, which outlives its entry: `ipc_task_terminate` ends it.
    #[inline(always)]
    pub(crate) fn task(&self) -> Task {
        self.task
    }

    /// The trace port: a send right of the entry's.
    #[inline(always)]
    pub(crate) fn port(&self) -> Port {
        self.right.port()
    }

    /// Replaces it and gives back what was there.
    pub(crate) fn set_port(&mut self, right: SendRight) -> SendRight {
        core::mem::replace(&mut self.right, right)
    }

    /// What records call the task; never 0.
    #[inline(always)]
    pub(crate) fn number(&self) -> TaskNumber {
        self.number
    }

    /// Whether there is a kmsg for the next record.
    #[inline(always)]
    pub(crate) fn has_spare(&self) -> bool {
        self.spare.is_some()
    }

    /// Takes it: it has rights of its own to the port and the task.
    #[inline(always)]
    pub(crate) fn take_spare(&mut self) -> Option<OwnedKmsg> {
        self.spare.take()
    }

    /// Keeps one where there is none.
    #[inline(always)]
    pub(crate) fn put_spare(&mut self, kmsg: OwnedKmsg) {
        self.spare = Some(kmsg);
    }

    /// What the next record is to say was lost: see `RecordHeader::dropped` of trace-port.
    #[inline(always)]
    pub(crate) fn dropped(&mut self) -> &mut u32 {
        &mut self.dropped
    }
}

impl Table {
    /// Without room.
    pub(crate) const fn new() -> Self {
        Self { chunks: heapless::Vec::new(), free: 0 }
    }

    /// Whether another entry needs more room.
    pub(crate) fn is_full(&self) -> bool {
        self.free == 0
    }

    /// Whether there may be more room.
    pub(crate) fn may_grow(&self) -> bool {
        !self.chunks.is_full()
    }

    /// Takes more room. `false` if there are all [`CHUNKS`].
    pub(crate) fn grow(&mut self, chunk: &'static mut Chunk) -> bool {
        let first = (self.chunks.len() * IN_CHUNK) as u32 + 1;
        for (place, next) in chunk.iter_mut().zip(first + 1..) {
            *place = Place::Free(next);
        }
        if let Some(last) = chunk.last_mut() {
            *last = Place::Free(self.free);
        }
        let grown = self.chunks.push(chunk).is_ok();
        if grown {
            self.free = first;
        }
        grown
    }

    /// A new entry: 1 + the index of its place.
    ///
    /// # Errors
    /// The right, if the table is full.
    pub(crate) fn add(&mut self, task: Task, right: SendRight, number: TaskNumber) -> Result<u32, SendRight> {
        let place = self.free;
        let number = if number.is_none() { TaskNumber::new(1) } else { number };
        let Some(found) = self.at(place) else { return Err(right) };
        let Place::Free(next) = *found else { return Err(right) };
        *found = Place::Taken(Entry { task, right, spare: None, number, dropped: 0 });
        self.free = next;
        Ok(place)
    }

    /// Makes an entry's place free; gives back what was there, and what was lost.
    pub(crate) fn remove(&mut self, place: u32) -> Option<(SendRight, Option<OwnedKmsg>, u32)> {
        let free = self.free;
        let found = self.at(place).filter(|found| matches!(found, Place::Taken(_)))?;
        let Place::Taken(entry) = core::mem::replace(found, Place::Free(free)) else { return None };
        self.free = place;
        Some((entry.right, entry.spare, entry.dropped))
    }

    /// The entry that a task keeps the place of, if it is the task's.
    #[inline(always)]
    pub(crate) fn find(&mut self, place: u32, task: Task) -> Option<&mut Entry> {
        self.entry(place).filter(|entry| entry.task == task)
    }

    /// The entry that a key was made of, if it is still there.
    #[inline(always)]
    pub(crate) fn of(&mut self, key: Key) -> Option<&mut Entry> {
        self.entry(key.entry).filter(|entry| entry.number == key.number)
    }

    #[inline(always)]
    fn entry(&mut self, place: u32) -> Option<&mut Entry> {
        match self.at(place)? {
            Place::Taken(entry) => Some(entry),
            Place::Free(_) => None,
        }
    }

    #[inline(always)]
    fn at(&mut self, place: u32) -> Option<&mut Place> {
        let index = place.checked_sub(1)? as usize;
        self.chunks.get_mut(index / IN_CHUNK)?.get_mut(index % IN_CHUNK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: u32) -> TaskNumber {
        TaskNumber::new(number)
    }

    fn chunk() -> &'static mut Chunk {
        std::boxed::Box::leak(std::boxed::Box::new(std::array::from_fn(|_| Place::default())))
    }

    fn right() -> SendRight {
        SendRight::fake(Port::fake(8))
    }

    #[test]
    fn entries_are_found_by_task_and_by_key_and_their_places_are_used_again() {
        let mut table = Table::new();
        assert!(table.is_full() && table.add(Task::fake(0x1000), right(), number(1)).is_err());
        assert!(table.grow(chunk()));
        let places: std::vec::Vec<u32> = (1..=64)
            .map(|index| table.add(Task::fake(index as usize * 0x1000), right(), number(index)).unwrap())
            .collect();
        assert!(table.is_full() && table.add(Task::fake(8), right(), number(65)).is_err());
        assert_eq!(table.find(places[4], Task::fake(0x5000)).unwrap().number(), number(5));
        assert!(table.find(places[4], Task::fake(0x6000)).is_none(), "of another task");
        let key = Key { entry: places[4], number: number(5) };
        assert_eq!(table.remove(places[4]), Some((right(), None, 0)));
        assert!(table.of(key).is_none() && !table.is_full());
        assert_eq!(table.add(Task::fake(0x5000), right(), number(66)), Ok(places[4]));
        assert!(table.of(key).is_none(), "the place is another trace's now");
    }

    #[test]
    fn it_grows_to_its_capacity() {
        let mut table = Table::new();
        for index in 1..=CAPACITY as u32 {
            assert_eq!(table.is_full(), (index - 1).is_multiple_of(64));
            assert!(!table.is_full() || table.grow(chunk()));
            table.add(Task::fake(8), right(), number(index)).unwrap();
        }
        assert!(table.is_full() && !table.may_grow() && !table.grow(chunk()), "no more than that");
        assert_eq!(
            table.of(Key { entry: CAPACITY as u32, number: number(CAPACITY as u32) }).unwrap().number(),
            number(CAPACITY as u32)
        );
    }
}
