// SPDX-License-Identifier: GPL-2.0-or-later
//! Threads that are held: who holds them, whether they stand still, and whether they have moved.

use core::sync::atomic::Ordering::Relaxed;

use trace_port::control::stop::{Report, state};
use trace_port::control::what;

use super::State;
use super::stops::{answer_all, find};
use crate::engines::EngineKey;
use crate::gnumach::{Kernel, Key, Reference, Task, Thread};
use crate::numbers::ThreadNumber;
use crate::stops::{Answer, How, Stop, Unstopped};
use crate::table::Table;

/// How far the threads are that an engine has asked to stop.
#[must_use]
#[derive(Debug)]
pub(crate) enum Settled {
    /// All stand still, and it has been told of each.
    All,
    /// One does not stand still yet.
    Later,
    /// This one does, and the engine is to be told.
    One(Key, ThreadNumber, Reference<Task>),
}

impl State {
    /// Whether an engine may stop threads; `None` if it has ended.
    pub(crate) fn has_control(&self, engine: EngineKey) -> Option<bool> {
        self.table.lock().engine(engine).map(|engine| engine.has_control())
    }

    /// The first task of an engine's that has its entry at `from` or behind.
    pub(crate) fn next_task(
        &self,
        kernel: &impl Kernel,
        engine: EngineKey,
        from: &mut u32,
    ) -> Option<(Key, Reference<Task>)> {
        let mut table = self.table.lock();
        while *from <= table.last() {
            let entry = *from;
            *from += 1;
            let Some((task, number)) = table.at(entry).map(|found| (found.task(), found.number())) else { continue };
            let key = Key { entry, number };
            if table.list_of(key).is_some_and(|list| list.iter().any(|each| each.engine == engine)) {
                return Some((key, kernel.task_reference(task)));
            }
        }
        None
    }

    /// An engine holds a thread from now on, or from the end of its call on. The caller sees to it that the thread is not just ending.
    ///
    /// # Errors
    /// [`Unstopped`].
    pub(crate) fn hold(
        &self,
        kernel: &impl Kernel,
        attachment: (EngineKey, Key),
        (thread, number): (Thread, ThreadNumber),
        (place, how): (u32, How),
    ) -> Result<(), Unstopped> {
        self.add_stop(kernel, self.new_stop(attachment, (thread, number), (place, how))).map(drop)
    }

    /// The current thread's call is over: those that wanted so hold it now. `false` if there is none any more.
    pub(crate) fn hold_due(&self, kernel: &impl Kernel, thread: Thread) -> bool {
        let mut table = self.table.lock();
        let mut is_held = false;
        for place in 1..=table.stops.last() {
            if let Some(stop) = table.stops.get(place).filter(|stop| stop.thread == thread && stop.how == How::Due) {
                stop.how = How::Held;
                kernel.hold_thread(thread);
                is_held = true;
            }
        }
        is_held
    }

    /// Whether a thread is held.
    pub(crate) fn holds_any(&self) -> bool {
        self.held.load(Relaxed) != 0
    }

    /// No engine holds those any more that `is_it` says so of. Returns whether there was one.
    pub(super) fn release_all(&self, kernel: &impl Kernel, table: &mut Table, is_it: impl Fn(&Stop) -> bool) -> bool {
        let mut found = false;
        for place in 1..=table.stops.last() {
            let Some(how) = table.stops.get(place).filter(|stop| stop.holds() && is_it(stop)).map(|stop| stop.how)
            else {
                continue;
            };
            if let Some(stop) = table.stops.remove(place) {
                self.held.fetch_sub(1, Relaxed);
                if how == How::Held {
                    kernel.release_thread(stop.thread);
                }
                found = true;
            }
        }
        found
    }

    /// An engine stops a thread no more, or none: a message that waits for its answer is sent. `false` if it has stopped none.
    pub(crate) fn resume(&self, kernel: &impl Kernel, engine: EngineKey, number: Option<ThreadNumber>) -> bool {
        let is_it = |stop: &Stop| stop.engine == engine && number.is_none_or(|number| stop.number == number);
        let mut table = self.table.lock();
        let waited = answer_all(kernel, &mut table, Answer { what: what::GO, value: 0 }, is_it);
        self.release_all(kernel, &mut table, is_it) || waited
    }

    /// One engine does not hold a thread after all.
    pub(crate) fn unhold(&self, kernel: &impl Kernel, engine: EngineKey, thread: Thread) {
        self.release_all(kernel, &mut self.table.lock(), |stop| stop.engine == engine && stop.thread == thread);
    }

    /// A thread ends: nobody holds it any more.
    pub(crate) fn release_thread(&self, kernel: &impl Kernel, thread: Thread) {
        self.release_all(kernel, &mut self.table.lock(), |stop| stop.thread == thread);
    }

    /// How far the threads are that an engine holds, or one of them.
    pub(crate) fn settled(&self, kernel: &impl Kernel, engine: EngineKey, number: Option<ThreadNumber>) -> Settled {
        let mut table = self.table.lock();
        let mut settled = Settled::All;
        for place in 1..=table.stops.last() {
            let is_it = |stop: &&mut Stop| {
                stop.holds() && stop.engine == engine && number.is_none_or(|number| stop.number == number)
            };
            let Some(stop) = table.stops.get(place).filter(is_it) else { continue };
            if stop.how == How::Due || !kernel.thread_stands(stop.thread) {
                settled = Settled::Later;
            } else if !core::mem::replace(&mut stop.is_told, true) {
                let (key, number) = (stop.key, stop.number);
                if let Some(entry) = table.of(key) {
                    return Settled::One(key, number, kernel.task_reference(entry.task()));
                }
            }
        }
        settled
    }

    /// What a thread of a task of an engine's does.
    pub(crate) fn report(&self, kernel: &impl Kernel, engine: EngineKey, thread: Thread) -> Report {
        let mut table = self.table.lock();
        let mut flags = if kernel.thread_stands(thread) { state::STANDS } else { 0 };
        flags |= if kernel.thread_is_halting(thread) { state::HALTING } else { 0 };
        flags |= if kernel.thread_is_halted(thread) { state::HALTED } else { 0 };
        let is_of = |stop: &Stop| stop.thread == thread && (stop.how == How::Held || stop.how == How::Waits(None));
        let mut stops = 0;
        let mut waits_for = None;
        for place in 1..=table.stops.last() {
            if let Some(stop) = table.stops.get(place).filter(|stop| is_of(stop)) {
                stops += 1;
                if stop.how != How::Held {
                    waits_for = Some(stop.engine);
                }
            }
        }
        // An engine that it waits for may hold it, too.
        let is_twice = |stop: &Stop| is_of(stop) && stop.how == How::Held && Some(stop.engine) == waits_for;
        if waits_for.is_some() && find(&mut table, is_twice).is_some() {
            stops -= 1;
        }
        let mut report = Report { flags: flags.into(), stops: u32::into(stops), ..Report::default() };
        if let Some(stop) = own(&mut table, engine, |stop| stop.thread == thread) {
            (report.place, report.stop) = (stop.place.into(), stop.serial.into());
            report.flags = (flags | state::STOPPED).into();
        }
        report
    }

    /// An engine begins to examine a thread that it stops: the number of the stop, nothing if the thread does not stand still; `None` if it
    /// does not stop such a thread.
    pub(crate) fn prepare(&self, kernel: &impl Kernel, engine: EngineKey, number: ThreadNumber) -> Option<Option<u32>> {
        let mut table = self.table.lock();
        let Some(stop) = own(&mut table, engine, |stop| stop.number == number) else {
            // The engine has been told, and on another processor the thread is still on its way to the end of its call.
            let is_due = |stop: &Stop| stop.how == How::Due && stop.engine == engine && stop.number == number;
            return find(&mut table, is_due).map(|_| None);
        };
        if !kernel.thread_stands(stop.thread) || kernel.thread_is_halting(stop.thread) {
            return Some(None);
        }
        stop.was_halted = kernel.thread_is_halted(stop.thread);
        Some(Some(stop.serial))
    }

    /// Whether a thread has stood still since [`State::prepare`] has given the number of this stop.
    ///
    /// While the stop is there the thread runs only where somebody brings its call to an end, for which the kernel passes over what suspends
    /// it: afterwards it is halted, and does not move once it is.
    pub(crate) fn has_stood_still(
        &self,
        kernel: &impl Kernel,
        engine: EngineKey,
        (number, serial): (ThreadNumber, u32),
    ) -> bool {
        let mut table = self.table.lock();
        let is_it = |stop: &Stop| stop.engine == engine && stop.number == number && stop.serial == serial;
        let Some(stop) = find(&mut table, is_it).and_then(|place| table.stops.get(place)) else { return false };
        matches!(stop.how, How::Held | How::Waits(None))
            && kernel.thread_stands(stop.thread)
            && !kernel.thread_is_halting(stop.thread)
            && kernel.thread_is_halted(stop.thread) == stop.was_halted
    }
}

/// An engine's stop of a thread: that which holds it, else that where it waits.
fn own(table: &mut Table, engine: EngineKey, is_it: impl Fn(&Stop) -> bool) -> Option<&mut Stop> {
    let is_own = |stop: &Stop| stop.engine == engine && is_it(stop);
    let held = find(table, |stop| stop.how == How::Held && is_own(stop));
    let place = held.or_else(|| find(table, |stop| stop.how == How::Waits(None) && is_own(stop)))?;
    table.stops.get(place)
}
