// SPDX-License-Identifier: GPL-2.0-or-later
//! What engines say becomes of messages, and who waits to be told.

use core::sync::atomic::Ordering::Relaxed;

use trace_port::control::{Action, what};

use super::State;
use crate::engines::{EngineKey, Turn};
use crate::gnumach::{Kernel, Key, Thread};
use crate::numbers::ThreadNumber;
use crate::stops::{Answer, Stop};
use crate::table::Table;

/// It is sent: where there is nobody to answer.
const GO: Answer = Answer { what: what::GO, value: 0 };

impl State {
    /// Whether an engine says what becomes of messages.
    #[inline(always)]
    pub(crate) fn has_actions(&self) -> bool {
        self.acting.load(Relaxed) != 0
    }

    /// An engine says this alone from now on. `None` if it has ended, `Some(false)` if it may not.
    pub(crate) fn set_actions(&self, engine: EngineKey, actions: impl Iterator<Item = Action>) -> Option<bool> {
        let mut table = self.table.lock();
        let known = table.engine(engine)?;
        if !known.has_control() {
            return Some(false);
        }
        let before = known.has_actions();
        known.set_actions(actions);
        self.count_acting(before, known.has_actions());
        self.count_wanted_by(&mut table, engine);
        Some(true)
    }

    /// An engine that said what becomes of messages does so no more, or the other way round.
    pub(super) fn count_acting(&self, before: bool, after: bool) {
        match (before, after) {
            (false, true) => drop(self.acting.fetch_add(1, Relaxed)),
            (true, false) => drop(self.acting.fetch_sub(1, Relaxed)),
            _ => {}
        }
    }

    /// What the next engine of a task's whose turn it is says becomes of a message of this id.
    pub(crate) fn next_action(&self, key: Key, turn: &mut Turn, msgh_id: u32) -> Option<(EngineKey, Action)> {
        let mut table = self.table.lock();
        let list = table.of(key)?.list();
        let Table { lists, engines, .. } = &mut *table;
        let list = lists.get(list)?;
        loop {
            let engine = turn.next(list)?.engine;
            let found = engines.get(engine.place).filter(|found| found.number() == engine.number && !found.ends);
            if let Some(action) = found.and_then(|found| found.act(msgh_id)) {
                return Some((engine, action));
            }
        }
    }

    /// A thread is about to wait for an engine's answer: where that will stand. `None` if there is no room, or the engine has let go.
    pub(crate) fn stop(
        &self,
        kernel: &impl Kernel,
        (engine, key): (EngineKey, Key),
        (thread, number): (Thread, ThreadNumber),
    ) -> Option<u32> {
        loop {
            let mut table = self.table.lock();
            if table.stops.is_full() {
                drop(table);
                self.grow(kernel, |table| &mut table.stops)?;
                continue;
            }
            table.engine(engine).filter(|engine| !engine.ends)?;
            let is_attached = table.list_of(key)?.iter().any(|each| each.engine == engine);
            let stop = Stop { engine, key, number, thread, answer: None };
            return if is_attached { table.stops.add(stop).ok() } else { None };
        }
    }

    /// The answer, if it is there; if not, the current thread is about to wait for it.
    pub(crate) fn answered(&self, kernel: &impl Kernel, place: u32) -> Option<Answer> {
        let mut table = self.table.lock();
        let Some(stop) = table.stops.get(place) else { return Some(GO) };
        let answer = stop.answer;
        match answer {
            Some(_) => drop(table.stops.remove(place)),
            None => kernel.prepare_to_stop(stop.thread),
        }
        answer
    }

    /// A thread waits no more.
    pub(crate) fn unstop(&self, place: u32) {
        self.table.lock().stops.remove(place);
    }

    /// An engine answers a thread that waits for it. `false` if there is none.
    pub(crate) fn answer(&self, kernel: &impl Kernel, engine: EngineKey, number: ThreadNumber, answer: Answer) -> bool {
        let mut table = self.table.lock();
        answer_all(kernel, &mut table, answer, |stop| stop.engine == engine && stop.number == number)
    }

    /// An engine lets go of a task, or of all: its threads do not wait for it any more.
    pub(super) fn let_threads_go(&self, kernel: &impl Kernel, table: &mut Table, engine: EngineKey, key: Option<Key>) {
        answer_all(kernel, table, GO, |stop| stop.engine == engine && key.is_none_or(|key| stop.key == key));
    }
}

fn answer_all(kernel: &impl Kernel, table: &mut Table, answer: Answer, is_it: impl Fn(&Stop) -> bool) -> bool {
    let mut found = false;
    for place in 1..=table.stops.last() {
        if let Some(stop) = table.stops.get(place).filter(|stop| stop.answer.is_none() && is_it(stop)) {
            stop.answer = Some(answer);
            kernel.wake_stopped(stop.thread);
            found = true;
        }
    }
    found
}
