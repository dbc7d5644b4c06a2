// SPDX-License-Identifier: GPL-2.0-or-later
//! What engines say becomes of messages, and who waits to be told.

use core::sync::atomic::Ordering::Relaxed;

use trace_port::control::stop::place;
use trace_port::control::{Action, what};

use super::State;
use crate::engines::{Engine, EngineKey, Turn};
use crate::gnumach::{Kernel, Key, Thread};
use crate::numbers::ThreadNumber;
use crate::stops::{Answer, How, Stop, Unstopped};
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
    pub(crate) fn set_actions(
        &self,
        kernel: &impl Kernel,
        engine: EngineKey,
        actions: impl Iterator<Item = Action>,
    ) -> Option<bool> {
        let mut table = self.table.lock();
        let known = table.engine(engine)?;
        if !known.has_control() {
            return Some(false);
        }
        let before = known.has_actions();
        known.set_actions(actions);
        self.count_acting(before, known.has_actions());
        self.count_wanted_by(kernel, &mut table, engine);
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

    /// What the next engine of a task's whose turn it is says becomes of a message of this id, in the turn's direction.
    pub(crate) fn next_action(&self, key: Key, turn: &mut Turn, msgh_id: u32) -> Option<(EngineKey, Action)> {
        let direction = turn.direction();
        self.next_that(key, turn, |engine| engine.act(msgh_id, direction))
    }

    /// The next engine of a task's whose turn it is that `says` something, and what.
    pub(crate) fn next_that<T>(
        &self,
        key: Key,
        turn: &mut Turn,
        says: impl Fn(&mut Engine) -> Option<T>,
    ) -> Option<(EngineKey, T)> {
        let mut table = self.table.lock();
        let list = table.of(key)?.list();
        let Table { lists, engines, .. } = &mut *table;
        let list = lists.get(list)?;
        loop {
            let engine = turn.next(list)?.engine;
            let found = engines.get(engine.place).filter(|found| found.number() == engine.number && !found.ends);
            if let Some(said) = found.and_then(&says) {
                return Some((engine, said));
            }
        }
    }

    /// A thread is about to wait for an engine's answer: where that will stand. `None` if there is no room, or the engine has let go.
    pub(crate) fn stop(
        &self,
        kernel: &impl Kernel,
        attachment: (EngineKey, Key),
        (thread, number): (Thread, ThreadNumber),
    ) -> Option<u32> {
        let stop = self.new_stop(attachment, (thread, number), (place::BEFORE_SEND, How::Waits(None)));
        self.add_stop(kernel, stop).ok()
    }

    /// A stop with a number of its own.
    pub(super) fn new_stop(
        &self,
        (engine, key): (EngineKey, Key),
        (thread, number): (Thread, ThreadNumber),
        (place, how): (u32, How),
    ) -> Stop {
        let serial = self.stop_numbers.fetch_add(1, Relaxed).wrapping_add(1).max(1);
        let is_told = place != place::ON_REQUEST;
        Stop { engine, key, number, thread, serial, place, how, is_told, was_halted: false }
    }

    /// Puts a stop down: 1 + the index of its place. A thread that its engine holds already, or will, is not held twice.
    pub(super) fn add_stop(&self, kernel: &impl Kernel, stop: Stop) -> Result<u32, Unstopped> {
        loop {
            let mut table = self.table.lock();
            if table.stops.is_full() {
                drop(table);
                self.grow(kernel, |table| &mut table.stops).ok_or(Unstopped::Full)?;
                continue;
            }
            table.engine(stop.engine).filter(|engine| !engine.ends).ok_or(Unstopped::Gone)?;
            let is_attached = |table: &mut Table| {
                table.list_of(stop.key).is_some_and(|list| list.iter().any(|each| each.engine == stop.engine))
            };
            if !is_attached(&mut table) {
                return Err(Unstopped::Gone);
            }
            let is_same = |other: &Stop| other.holds() && other.engine == stop.engine && other.thread == stop.thread;
            if stop.holds()
                && let Some(place) = find(&mut table, is_same)
            {
                return Ok(place);
            }
            if stop.holds() {
                self.held.fetch_add(1, Relaxed);
            }
            if stop.how == How::Held {
                kernel.hold_thread(stop.thread);
            }
            // There is room, and the lock has not been given back.
            return table.stops.add(stop).map_err(|_| Unstopped::Full);
        }
    }

    /// The answer, if it is there; if not, the current thread is about to wait for it.
    pub(crate) fn answered(&self, kernel: &impl Kernel, place: u32) -> Option<Answer> {
        let mut table = self.table.lock();
        let Some(stop) = table.stops.get(place) else { return Some(GO) };
        let How::Waits(answer) = stop.how else { return Some(GO) };
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

    /// An engine lets go of a task, or of all: it stops its threads no more.
    pub(super) fn let_threads_go(&self, kernel: &impl Kernel, table: &mut Table, engine: EngineKey, key: Option<Key>) {
        let is_it = |stop: &Stop| stop.engine == engine && key.is_none_or(|key| stop.key == key);
        answer_all(kernel, table, GO, is_it);
        self.release_all(kernel, table, is_it);
    }
}

/// The place of the first stop that `is_it` says so of.
pub(super) fn find(table: &mut Table, is_it: impl Fn(&Stop) -> bool) -> Option<u32> {
    (1..=table.stops.last()).find(|&place| table.stops.get(place).is_some_and(|stop| is_it(stop)))
}

pub(super) fn answer_all(
    kernel: &impl Kernel,
    table: &mut Table,
    answer: Answer,
    is_it: impl Fn(&Stop) -> bool,
) -> bool {
    let mut found = false;
    for place in 1..=table.stops.last() {
        if let Some(stop) = table.stops.get(place).filter(|stop| stop.how == How::Waits(None) && is_it(stop)) {
            stop.how = How::Waits(Some(answer));
            kernel.wake_stopped(stop.thread);
            found = true;
        }
    }
    found
}
