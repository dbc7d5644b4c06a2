// SPDX-License-Identifier: GPL-2.0-or-later
//! The entries of all traced tasks: engine 0, set by `task_set_special_port`, and which other engines there are.

use crate::engines::{Engine, EngineKey, Engines, List, Lists};
use crate::gnumach::{Key, OwnedKmsg, Port, SendRight, Task};
use crate::numbers::TaskNumber;
use crate::slab::{self, Slab};
use crate::stops::Stops;

/// Entries of a chunk: 2.5 KiB.
const IN_CHUNK: usize = 64;

/// Most chunks.
const CHUNKS: usize = 1024;

/// Most tasks that are traced at the same time; the next one is refused with `KERN_RESOURCE_SHORTAGE`.
pub(crate) const CAPACITY: usize = CHUNKS * IN_CHUNK;

/// A traced task.
#[derive(Debug)]
pub(crate) struct Entry {
    task: Task,
    right: SendRight,
    spare: Option<OwnedKmsg>,
    number: TaskNumber,
    dropped: u32,
    /// 1 + index of the place of its list of engines, or 0.
    list: u32,
    /// Of which events there is somebody to be told: bits of `trace_port::control::event`.
    wanted: u32,
    /// Whether its threads are still looked at lightly, which they are no longer to be.
    stirred: bool,
    /// As of an engine ([`Attached::introduced`](crate::engines::Attached::introduced)), of the trace port.
    introduced: u32,
}

/// [`Entry::wanted`] where engine 0 is told of everything.
pub(crate) const EVERYTHING: u32 = u32::MAX;

/// What engines are asked before a record is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// Which events it may be: bits of `trace_port::control::event`.
    pub(crate) events: u32,
    /// Of which message, if that is known.
    pub(crate) msgh_id: Option<u32>,
}

impl Asked {
    /// Of anything.
    pub(crate) const ANYTHING: Self = Self { events: EVERYTHING, msgh_id: None };
}

/// The only one who is told of a task, and [`Attached::introduced`](crate::engines::Attached::introduced) of it.
#[derive(Debug)]
pub(crate) enum Only<'a> {
    /// Its trace port.
    Port(Port, u32),
    /// An engine.
    Engine(EngineKey, &'a Engine, u32),
}

/// Room for entries.
pub(crate) type Chunk = slab::Chunk<Entry, IN_CHUNK>;

/// All entries, and engines.
#[derive(Debug)]
pub(crate) struct Table {
    entries: Slab<Entry, IN_CHUNK, CHUNKS>,
    /// The engines of those that have some.
    pub(crate) lists: Lists,
    /// The engines.
    pub(crate) engines: Engines,
    /// Threads that engines stop.
    pub(crate) stops: Stops,
    /// A right to a port of the payload's that nothing is sent to: what stands for the trace port where engine 0 is not there.
    pub(crate) nowhere: Option<SendRight>,
}

impl Entry {
    /// That of a task.
    pub(crate) fn new(task: Task, right: SendRight, number: TaskNumber) -> Self {
        let number = if number.is_none() { TaskNumber::new(1) } else { number };
        Self {
            task,
            right,
            spare: None,
            number,
            dropped: 0,
            list: 0,
            wanted: EVERYTHING,
            stirred: false,
            introduced: 0,
        }
    }

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
        self.introduced = 0;
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

    /// 1 + index of the place of its list of engines, or 0.
    #[inline(always)]
    pub(crate) fn list(&self) -> u32 {
        self.list
    }

    /// Sets it.
    pub(crate) fn set_list(&mut self, list: u32) {
        self.list = list;
    }

    /// Of which events there is somebody to be told.
    #[inline(always)]
    pub(crate) fn wanted(&self) -> u32 {
        self.wanted
    }

    /// Sets it.
    pub(crate) fn set_wanted(&mut self, wanted: u32) {
        self.wanted = wanted;
    }

    /// Says whether its threads are still looked at lightly, which they are no longer to be; returns what was said before.
    pub(crate) fn set_stirred(&mut self, stirred: bool) -> bool {
        core::mem::replace(&mut self.stirred, stirred)
    }

    /// The number of the ring's being given that records for the trace port may go to; 0 if the next is to be a message.
    pub(crate) fn introduced(&self) -> u32 {
        self.introduced
    }

    /// Sets it.
    pub(crate) fn set_introduced(&mut self, given: u32) {
        self.introduced = given;
    }

    /// What is left of it: the right to the trace port, the kmsg, and what was lost.
    pub(crate) fn into_parts(self) -> (SendRight, Option<OwnedKmsg>, u32) {
        (self.right, self.spare, self.dropped)
    }
}

impl Table {
    /// Without room.
    pub(crate) const fn new() -> Self {
        Self { entries: Slab::new(), lists: Slab::new(), engines: Slab::new(), stops: Slab::new(), nowhere: None }
    }

    /// Whether another entry needs more room.
    pub(crate) fn is_full(&self) -> bool {
        self.entries.is_full()
    }

    /// Whether there may be more room.
    pub(crate) fn may_grow(&self) -> bool {
        self.entries.may_grow()
    }

    /// Takes more room. `false` if there is all that there may be.
    pub(crate) fn grow(&mut self, chunk: &'static mut Chunk) -> bool {
        self.entries.grow(chunk)
    }

    /// Puts an entry down: 1 + the index of its place.
    ///
    /// # Errors
    /// The entry, if the table is full.
    pub(crate) fn add(&mut self, entry: Entry) -> Result<u32, Entry> {
        self.entries.add(entry)
    }

    /// Makes an entry's place free and gives it back.
    pub(crate) fn remove(&mut self, place: u32) -> Option<Entry> {
        self.entries.remove(place)
    }

    /// The entry that a task keeps the place of, if it is the task's.
    #[inline(always)]
    pub(crate) fn find(&mut self, place: u32, task: Task) -> Option<&mut Entry> {
        self.entries.get(place).filter(|entry| entry.task == task)
    }

    /// The entry that a key was made of, if it is still there.
    #[inline(always)]
    pub(crate) fn of(&mut self, key: Key) -> Option<&mut Entry> {
        self.entries.get(key.entry).filter(|entry| entry.number == key.number)
    }

    /// The entry at a place.
    pub(crate) fn at(&mut self, place: u32) -> Option<&mut Entry> {
        self.entries.get(place)
    }

    /// The last place that an entry may have.
    pub(crate) fn last(&self) -> u32 {
        self.entries.last()
    }

    /// Whether engine 0 is not there, and this port stands for its own.
    #[inline(always)]
    pub(crate) fn is_nowhere(&self, port: Port) -> bool {
        self.nowhere.as_ref().is_some_and(|nowhere| nowhere.port() == port)
    }

    /// An engine that has not ended.
    pub(crate) fn engine(&mut self, key: EngineKey) -> Option<&mut Engine> {
        self.engines.get(key.place).filter(|engine| engine.number() == key.number)
    }

    /// The engines of an entry.
    pub(crate) fn list_of(&mut self, key: Key) -> Option<&mut List> {
        let list = self.of(key)?.list();
        self.lists.get(list)
    }

    /// Whether an engine of an entry's may want to be told.
    #[inline(never)]
    pub(crate) fn wants(&mut self, place: u32, asked: Asked) -> bool {
        let Self { entries, lists, engines, .. } = self;
        let list = entries.get(place).map_or(0, |entry| entry.list);
        let Some(list) = lists.get(list) else { return false };
        list.iter().any(|each| engines.get(each.engine.place).is_some_and(|engine| engine.may_want(asked)))
    }

    /// The only one who is told of an entry's task, if there is but one.
    pub(crate) fn only(&mut self, place: u32) -> Option<Only<'_>> {
        let Self { entries, lists, engines, nowhere, .. } = self;
        let entry = entries.get(place)?;
        let has_port = nowhere.as_ref().is_none_or(|nowhere| nowhere.port() != entry.port());
        if has_port {
            return (entry.list == 0).then(|| Only::Port(entry.port(), entry.introduced));
        }
        let [only] = lists.get(entry.list)?.as_slice() else { return None };
        let engine = engines.get(only.engine.place).filter(|engine| engine.number() == only.engine.number)?;
        Some(Only::Engine(only.engine, engine, only.introduced))
    }

    /// The trace ports of an entry: its own, and its engines'.
    pub(crate) fn ports(&mut self, place: u32, mut is_it: impl FnMut(Port) -> bool) -> Option<Port> {
        let Self { entries, lists, engines, nowhere, .. } = self;
        let entry = entries.get(place)?;
        let is_nowhere = |port| nowhere.as_ref().is_some_and(|nowhere| nowhere.port() == port);
        if !is_nowhere(entry.port()) && is_it(entry.port()) {
            return Some(entry.port());
        }
        lists.get(entry.list)?.iter().find_map(|attached| {
            let engine = engines.get(attached.engine.place)?;
            (engine.number() == attached.engine.number && is_it(engine.port())).then(|| engine.port())
        })
    }

    /// Says anew of which events there is somebody to be told, after a list or an engine has changed. Returns whose entry it is, and whether
    /// of messages only those of some ids may be told.
    pub(crate) fn count_wanted(&mut self, place: u32) -> Option<(Task, bool)> {
        let Self { entries, lists, engines, nowhere, .. } = self;
        let entry = entries.get(place)?;
        let (mut wanted, mut by_ids) = (0, false);
        if nowhere.as_ref().is_none_or(|nowhere| nowhere.port() != entry.port()) {
            wanted = EVERYTHING;
        } else if let Some(list) = lists.get(entry.list) {
            by_ids = true;
            for attached in list {
                let engine = engines.get(attached.engine.place);
                by_ids &= engine.as_ref().is_some_and(|engine| engine.goes_by_ids());
                wanted |= engine.map_or(0, |engine| engine.needs());
            }
        }
        entry.set_wanted(wanted);
        Some((entry.task, by_ids))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_found_by_its_task_and_by_its_key() {
        let right = || SendRight::fake(Port::fake(8));
        let entry = |number: u32| Entry::new(Task::fake(number as usize * 0x1000), right(), TaskNumber::new(number));
        let mut table = Table::new();
        assert!(
            table.grow(std::boxed::Box::leak(std::boxed::Box::new(std::array::from_fn(|_| slab::Place::default()))))
        );
        let place = table.add(entry(5)).unwrap();
        let number = TaskNumber::new(5);
        assert_eq!(table.find(place, Task::fake(0x5000)).unwrap().number(), number);
        assert!(table.find(place, Task::fake(0x6000)).is_none(), "of another task");
        let key = Key { entry: place, number };
        assert_eq!(table.remove(place).unwrap().into_parts(), (right(), None, 0));
        assert!(table.of(key).is_none());
        assert_eq!(table.add(entry(6)).unwrap(), place);
        assert!(table.of(key).is_none(), "the place is another trace's now");
    }
}
