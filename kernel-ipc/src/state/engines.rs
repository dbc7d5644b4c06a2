// SPDX-License-Identifier: GPL-2.0-or-later
//! Which engines there are, whose they are, and whose turn it is to be told.

use core::sync::atomic::Ordering::Relaxed;

use spin::mutex::SpinMutexGuard;
use trace_port::control::{self, MAX_ENGINES, Name, Rule};

use super::{Released, State, place};
use crate::engines::{Attached, Engine, EngineEnd, EngineKey, List, Turn, Wish};
use crate::gnumach::{Kernel, Key, Port, Reference, SendRight, Task};
use crate::numbers::TaskNumber;
use crate::slab::Slab;
use crate::table::Table;

/// A task that an engine has let go of, or that has ended.
#[must_use]
#[derive(Debug)]
pub(crate) struct Attachment {
    /// The task, unless it has ended and the caller has it.
    pub(crate) task: Option<Reference<Task>>,
    /// A right to the engine's trace port, to tell it what was lost.
    pub(crate) untold: Option<(SendRight, TaskNumber, u32)>,
    /// What the task's entry had, if nobody traces the task any more.
    pub(crate) released: Released,
}

/// Why a task does not become an engine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unjoined {
    /// There is no memory, or as many as there may be.
    Full,
    /// The engine has ended.
    Ended,
    /// The task would receive its own trace.
    Own,
    /// The task has an engine of this name.
    Exists,
}

impl State {
    /// Makes sure that the payload has its port that stands for a missing trace port. `false` if there is no memory for one.
    #[inline(always)]
    pub(crate) fn make_nowhere(&self, kernel: &impl Kernel) -> bool {
        if self.table.lock().nowhere.is_none() {
            let Some(port) = kernel.kernel_port() else { return false };
            if let Some(another) = self.keep_nowhere(port) {
                kernel.end_kernel_port(another.port());
                kernel.ipc_port_release_send(another);
            }
        }
        true
    }

    /// A new engine, and a right to its own port; nothing, and the right to its trace port is given back, if there is no room.
    #[inline(always)]
    pub(crate) fn make_engine(
        &self,
        kernel: &impl Kernel,
        trace_port: SendRight,
        wish: Wish,
    ) -> Option<(EngineKey, SendRight)> {
        let Some(own) = kernel.kernel_port() else {
            kernel.ipc_port_release_send(trace_port);
            return None;
        };
        match self.add_engine(kernel, (own.port(), trace_port), wish) {
            Ok(engine) => Some((engine, own)),
            Err(trace_port) => {
                kernel.end_kernel_port(own.port());
                kernel.ipc_port_release_send(own);
                kernel.ipc_port_release_send(trace_port);
                None
            }
        }
    }

    /// A right to that port.
    pub(crate) fn nowhere_right(&self, kernel: &impl Kernel) -> Option<SendRight> {
        let table = self.table.lock();
        table.nowhere.as_ref().and_then(|nowhere| kernel.ipc_port_copy_send(nowhere.port()))
    }

    /// That port.
    #[cfg(test)]
    pub(crate) fn nowhere(&self) -> Option<Port> {
        self.table.lock().nowhere.as_ref().map(SendRight::port)
    }

    /// Takes a right to one; gives it back if there is one.
    fn keep_nowhere(&self, right: SendRight) -> Option<SendRight> {
        let mut table = self.table.lock();
        if table.nowhere.is_some() { Some(right) } else { table.nowhere.replace(right) }
    }

    /// The number of a new engine.
    fn new_engine_number(&self) -> u32 {
        self.engine_numbers.fetch_add(1, Relaxed).wrapping_add(1)
    }

    /// The table, with room for one more engine in a task's list, and for the task.
    fn with_room(&self, kernel: &impl Kernel, task: Task) -> Option<SpinMutexGuard<'_, Table>> {
        loop {
            let mut table = self.table.lock();
            let has_entry = table.find(place(kernel, task), task).is_some();
            // Not under the lock: it may sleep, and another may have made room by then.
            if !has_entry && table.is_full() {
                drop(table);
                let chunk = kernel.room()?;
                self.table.lock().grow(chunk).then_some(())?;
            } else if table.lists.is_full() {
                drop(table);
                self.grow(kernel, |table| &mut table.lists)?;
            } else {
                return Some(table);
            }
        }
    }

    pub(super) fn grow<T: 'static, const N: usize, const CHUNKS: usize>(
        &self,
        kernel: &impl Kernel,
        slab: impl Fn(&mut Table) -> &mut Slab<T, N, CHUNKS>,
    ) -> Option<()> {
        if !slab(&mut self.table.lock()).may_grow() {
            return None;
        }
        let chunk = kernel.room()?;
        slab(&mut self.table.lock()).grow(chunk).then_some(())
    }

    /// The place of a task's entry, which has a list with room for one more, and whether it had no entry before.
    fn listed(&self, kernel: &impl Kernel, table: &mut Table, task: Task) -> Option<(u32, bool)> {
        let mut at = place(kernel, task);
        let is_new = table.find(at, task).is_none();
        if is_new {
            let nowhere = table.nowhere.as_ref().and_then(|nowhere| kernel.ipc_port_copy_send(nowhere.port()))?;
            if let Err((_, right)) = self.add(kernel, table, task, nowhere) {
                kernel.ipc_port_release_send(right);
                return None;
            }
            at = place(kernel, task);
        }
        let list = table.find(at, task)?.list();
        if list == 0 {
            let list = table.lists.add(List::new()).ok()?;
            table.find(at, task)?.set_list(list);
            return Some((at, is_new));
        }
        table.lists.get(list).is_some_and(|list| !list.is_full()).then_some((at, is_new))
    }

    /// Puts an engine last in an entry's list, which has room.
    fn add_to_list(&self, kernel: &impl Kernel, table: &mut Table, place: u32, engine: EngineKey) {
        let list = table.at(place).map_or(0, |entry| entry.list());
        let attached = Attached { engine, since: self.next_sequence(), dropped: 0, introduced: 0 };
        if let Some(list) = table.lists.get(list)
            && list.push(attached).is_ok()
            && let Some(engine) = table.engine(engine)
        {
            engine.tasks += 1;
            engine.had_tasks = true;
        }
        self.count_wanted(kernel, table, place);
    }

    /// An engine that has no task yet.
    ///
    /// # Errors
    /// The right to the trace port, if there is no room.
    pub(crate) fn add_engine(
        &self,
        kernel: &impl Kernel,
        (control, right): (Port, SendRight),
        wish: Wish,
    ) -> Result<EngineKey, SendRight> {
        loop {
            let mut table = self.table.lock();
            if !table.engines.is_full() {
                let number = self.new_engine_number();
                return match table.engines.add(Engine::new(number, control, right, wish)) {
                    Ok(place) => Ok(EngineKey { place, number }),
                    Err(engine) => Err(engine.end().right),
                };
            }
            drop(table);
            if self.grow(kernel, |table| &mut table.engines).is_none() {
                return Err(right);
            }
        }
    }

    /// A task becomes an engine's, unless it is already, and the engine is told of what happens from now on. Returns whether the task was not
    /// traced before. With a name, the engine must be the task's only one of that name.
    pub(crate) fn join(
        &self,
        kernel: &impl Kernel,
        engine: EngineKey,
        task: Task,
        only: Option<&Name>,
    ) -> Result<bool, Unjoined> {
        let mut table = self.with_room(kernel, task).ok_or(Unjoined::Full)?;
        let port = table.engine(engine).filter(|engine| !engine.ends).ok_or(Unjoined::Ended)?.port();
        if kernel.port_is_received_in(port, kernel.task_space(task)) {
            return Err(Unjoined::Own);
        }
        let at = place(kernel, task);
        if table.find(at, task).is_some() && attached_at(&mut table, at, engine).is_some() {
            return Ok(false);
        }
        let is_only = |name| find(&mut table, (at, task), |other| other.is_called(name)).is_none();
        if !only.is_none_or(is_only) {
            return Err(Unjoined::Exists);
        }
        let (at, is_new) = self.listed(kernel, &mut table, task).ok_or(Unjoined::Full)?;
        self.add_to_list(kernel, &mut table, at, engine);
        Ok(is_new)
    }

    /// A new task gets those engines of its parent's that have children. Returns whether there was no room for one.
    pub(crate) fn inherit(&self, kernel: &impl Kernel, parent: Task, child: Task) -> bool {
        let mut turn = Turn::first(trace_port::Direction::Receive);
        let mut lacks_room = false;
        loop {
            let inherited = {
                let mut table = self.table.lock();
                next_with_children(&mut table, place(kernel, parent), parent, &mut turn)
            };
            let Some(engine) = inherited else { return lacks_room };
            lacks_room |= self.join(kernel, engine, child, None) == Err(Unjoined::Full);
        }
    }

    /// The engine of a task's that `is_it` says so of, the first one attached.
    pub(crate) fn find_engine(
        &self,
        kernel: &impl Kernel,
        task: Task,
        is_it: impl Fn(&Engine) -> bool,
    ) -> Option<(EngineKey, Port)> {
        let mut table = self.table.lock();
        find(&mut table, (place(kernel, task), task), is_it)
    }

    /// The engine whose own port this is, which says that it is at this place.
    pub(crate) fn engine_of(&self, control: Port, place: u32) -> Option<EngineKey> {
        let mut table = self.table.lock();
        let engine = table.engines.get(place).filter(|engine| engine.control() == control)?;
        Some(EngineKey { place, number: engine.number() })
    }

    /// What the engines of a task are, in the order of their attaching.
    pub(crate) fn engines(&self, kernel: &impl Kernel, task: Task) -> heapless::Vec<EngineKey, MAX_ENGINES> {
        let mut table = self.table.lock();
        let list = table.find(place(kernel, task), task).map_or(0, |entry| entry.list());
        let mut engines = heapless::Vec::new();
        for attached in table.lists.get(list).into_iter().flatten() {
            // As many as a list has.
            let _ = engines.push(attached.engine);
        }
        engines
    }

    /// What an engine is.
    pub(crate) fn engine_state(&self, engine: EngineKey) -> Option<control::Engine> {
        self.table.lock().engine(engine).map(|engine| engine.state())
    }

    /// Notes whose an engine is.
    pub(crate) fn set_owner(&self, engine: EngineKey, owner: u32) {
        if let Some(engine) = self.table.lock().engine(engine) {
            engine.set_owner(owner);
        }
    }

    /// Tells an engine of this from now on.
    pub(crate) fn set_events(
        &self,
        kernel: &impl Kernel,
        engine: EngineKey,
        (events, policy): (u32, u32),
    ) -> Option<()> {
        let mut table = self.table.lock();
        table.engine(engine)?.set_events(events, policy);
        self.count_wanted_by(kernel, &mut table, engine);
        Some(())
    }

    /// An engine wants to be told of other events than before.
    pub(super) fn count_wanted_by(&self, kernel: &impl Kernel, table: &mut Table, engine: EngineKey) {
        // First: a thread may be looked at lightly as soon as its task's word says so.
        self.wanted.count(&mut table.engines);
        for place in 1..=table.last() {
            if attached_at(table, place, engine).is_some() {
                self.count_wanted(kernel, table, place);
            }
        }
    }

    /// Tells an engine of this alone from now on.
    pub(crate) fn set_filter(
        &self,
        kernel: &impl Kernel,
        engine: EngineKey,
        rules: impl Iterator<Item = Rule>,
        bytes: u32,
    ) -> Option<()> {
        let mut table = self.table.lock();
        table.engine(engine)?.set_filter(rules, bytes);
        self.count_wanted_by(kernel, &mut table, engine);
        Some(())
    }

    /// An engine lets go of a task; nothing if it is not the engine's.
    pub(crate) fn let_go(&self, kernel: &impl Kernel, engine: EngineKey, task: Task) -> Option<Attachment> {
        let mut table = self.table.lock();
        let place = place(kernel, task);
        table.find(place, task)?;
        attached_at(&mut table, place, engine)?;
        let task = Some(kernel.task_reference(task));
        Some(Attachment { task, ..self.detach(kernel, &mut table, place, engine) })
    }

    /// An engine lets go of the first of its tasks that has its entry at `from` or behind; nothing without one.
    pub(crate) fn let_go_of_next(&self, kernel: &impl Kernel, engine: EngineKey, from: &mut u32) -> Option<Attachment> {
        let mut table = self.table.lock();
        while *from <= table.last() {
            if attached_at(&mut table, *from, engine).is_some() {
                let task = table.at(*from).map(|entry| kernel.task_reference(entry.task()));
                return Some(Attachment { task, ..self.detach(kernel, &mut table, *from, engine) });
            }
            *from += 1;
        }
        None
    }

    /// The last engine of a task, which ends, lets go of it; nothing without one.
    pub(crate) fn let_go_of_ended(&self, kernel: &impl Kernel, task: Task) -> Option<Attachment> {
        let mut table = self.table.lock();
        let place = place(kernel, task);
        let list = table.find(place, task)?.list();
        let engine = table.lists.get(list)?.last()?.engine;
        Some(self.detach(kernel, &mut table, place, engine))
    }

    fn detach(&self, kernel: &impl Kernel, table: &mut Table, place: u32, key: EngineKey) -> Attachment {
        let nothing = Attachment { task: None, untold: None, released: Released::NOTHING };
        let Some((task, number, list)) = table.at(place).map(|entry| (entry.task(), entry.number(), entry.list()))
        else {
            return nothing;
        };
        self.let_threads_go(kernel, table, key, Some(Key { entry: place, number }));
        let mut dropped = 0;
        let mut is_last = false;
        if let Some(list) = table.lists.get(list) {
            if let Some(index) = list.iter().position(|attached| attached.engine == key) {
                dropped = list.remove(index).dropped;
            }
            is_last = list.is_empty();
        }
        let mut untold = None;
        if let Some(engine) = table.engine(key) {
            engine.tasks = engine.tasks.saturating_sub(1);
            if dropped != 0 {
                untold = kernel.ipc_port_copy_send(engine.port()).map(|right| (right, number, dropped));
            }
        }
        if is_last {
            table.lists.remove(list);
            if let Some(entry) = table.at(place) {
                entry.set_list(0);
            }
        }
        let port = table.at(place).map(|entry| entry.port());
        let is_untraced = is_last && port.is_some_and(|port| table.is_nowhere(port));
        let released = if is_untraced { self.take(kernel, table, task) } else { Released::NOTHING };
        self.count_wanted(kernel, table, place);
        Attachment { untold, released, ..nothing }
    }

    /// An engine is about to end and gets no task any more. `false` if it has ended, or somebody else ends it.
    pub(crate) fn begin_end(&self, engine: EngineKey) -> bool {
        self.table.lock().engine(engine).is_some_and(|engine| !core::mem::replace(&mut engine.ends, true))
    }

    /// A right to the trace port of an engine that asks to be told of its own end.
    pub(crate) fn right_for_end(&self, kernel: &impl Kernel, engine: EngineKey) -> Option<SendRight> {
        let mut table = self.table.lock();
        let engine =
            table.engine(engine).filter(|engine| engine.had_tasks && engine.events() & control::event::END != 0)?;
        kernel.ipc_port_copy_send(engine.port())
    }

    /// Ends an engine that has let go of all its tasks; nothing if it has ended already.
    pub(crate) fn end_engine(&self, kernel: &impl Kernel, engine: EngineKey) -> Option<EngineEnd> {
        let mut table = self.table.lock();
        let known = table.engine(engine)?;
        // Before it is removed: it is large.
        let (acts, has_ids) = (known.has_actions(), known.ids().next().is_some());
        self.let_threads_go(kernel, &mut table, engine, None);
        let end = table.engines.remove(engine.place)?.end();
        self.count_acting(acts, false);
        if has_ids {
            self.wanted.count(&mut table.engines);
        }
        Some(end)
    }

    /// A new right to an engine's own port, unless it has ended.
    pub(crate) fn engine_right(&self, kernel: &impl Kernel, engine: EngineKey, control: Port) -> Option<SendRight> {
        let mut table = self.table.lock();
        // Under the lock: the port lives as long as the engine.
        table.engine(engine).filter(|engine| !engine.ends)?;
        Some(kernel.make_send(control))
    }
}

fn find(table: &mut Table, (place, task): (u32, Task), is_it: impl Fn(&Engine) -> bool) -> Option<(EngineKey, Port)> {
    let list = table.find(place, task)?.list();
    let Table { lists, engines, .. } = table;
    let found = |attached: &Attached| {
        let engine = engines.get(attached.engine.place).filter(|engine| engine.number() == attached.engine.number)?;
        is_it(engine).then_some((attached.engine, engine.control()))
    };
    lists.get(list)?.iter().find_map(found)
}

/// The next engine of a task's that has its children.
fn next_with_children(table: &mut Table, place: u32, task: Task, turn: &mut Turn) -> Option<EngineKey> {
    let list = table.find(place, task)?.list();
    let Table { lists, engines, .. } = table;
    let list = lists.get(list)?;
    loop {
        let engine = turn.next(list)?.engine;
        let found = engines.get(engine.place).filter(|found| found.number() == engine.number);
        if found.is_some_and(|found| found.has_children() && !found.ends) {
            return Some(engine);
        }
    }
}

/// Whether the entry at a place is of a task of an engine's.
fn attached_at(table: &mut Table, place: u32, engine: EngineKey) -> Option<()> {
    let list = table.at(place).map(|entry| entry.list())?;
    table.lists.get(list)?.iter().any(|each| each.engine == engine).then_some(())
}
