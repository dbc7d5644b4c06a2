// SPDX-License-Identifier: GPL-2.0-or-later
//! The requests of trace_control.defs about single threads: to stop, to go on, what they do, and whether they have moved.

use trace_port::control::stop::{self, FinishRequest, ThreadRequest};

use super::{BETWEEN, LOOKS, Refusal, Results, Server, TaskOf, integer};
use crate::engines::EngineKey;
use crate::fan_out;
use crate::gnumach::{Kernel, Key, Reference, Task, Thread, mr};
use crate::numbers::ThreadNumber;
use crate::state::Settled;
use crate::stops::{How, Unstopped};

impl<K: Kernel> Server<'_, K> {
    /// Serves a request with this id; nothing if it is another's.
    pub(super) fn of_threads(&self, id: u32) -> Option<Result<Results, Refusal>> {
        Some(match id {
            stop::STOP_ID => self.stop(),
            stop::RESUME_ID => self.resume(),
            stop::INTERRUPT_ID => self.interrupt(),
            stop::REPORT_ID => self.report(),
            stop::PREPARE_ID => self.prepare(),
            stop::FINISH_ID => self.finish(),
            _ => return None,
        })
    }

    /// The engine that the request is addressed to, which may stop threads.
    fn stopping(&self) -> Result<EngineKey, Refusal> {
        let engine = self.addressed()?;
        match self.state.has_control(engine) {
            Some(true) => Ok(engine),
            Some(false) => Err(mr::KERN_NO_ACCESS),
            None => Err(mr::KERN_TERMINATED),
        }
    }

    /// The engine that the request is addressed to, which may stop threads, and the number of the thread; none where all are meant.
    fn threads(&self) -> Result<(EngineKey, Option<ThreadNumber>), Refusal> {
        let engine = self.addressed()?;
        let ThreadRequest { thread } = self.arguments(false)?;
        let thread = integer(thread)?;
        self.stopping()?;
        Ok((engine, (thread != stop::EVERY_THREAD).then(|| ThreadNumber::new(thread))))
    }

    /// The engine that the request is addressed to, which may stop threads, and the number of the one thread.
    fn one(&self) -> Result<(EngineKey, ThreadNumber), Refusal> {
        let (engine, number) = self.threads()?;
        Ok((engine, number.ok_or(mr::KERN_INVALID_ARGUMENT)?))
    }

    /// Shows `show` each task of an engine's, until it has seen enough.
    fn each_task(
        &self,
        engine: EngineKey,
        mut show: impl FnMut(Key, Task) -> Result<bool, Refusal>,
    ) -> Result<bool, Refusal> {
        let mut from = 1;
        while let Some((key, task)) = self.state.next_task(self.kernel, engine, &mut from) {
            let task = TaskOf { kernel: self.kernel, task: Some(task) };
            if show(key, task.get()?)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The first thread of a task with a number above this one.
    fn next_thread(&self, task: Task, above: u32) -> Option<(ThreadOf<'_, K>, ThreadNumber)> {
        let (thread, number) = self.kernel.next_thread(task, ThreadNumber::new(above), &self.state.numbers)?;
        Some((ThreadOf { kernel: self.kernel, thread: Some(thread) }, number))
    }

    #[inline(never)]
    fn stop(&self) -> Result<Results, Refusal> {
        let (engine, number) = self.threads()?;
        let found = self.each_task(engine, |key, task| match number {
            Some(number) => self.stop_one(engine, key, task, number),
            None => self.stop_each(engine, key, task),
        })?;
        if number.is_some() && !found {
            return Err(mr::KERN_INVALID_ARGUMENT);
        }
        self.settle(engine, number)
    }

    /// Whether the thread is the task's.
    fn stop_one(&self, engine: EngineKey, key: Key, task: Task, number: ThreadNumber) -> Result<bool, Refusal> {
        match self.next_thread(task, number.get().wrapping_sub(1)) {
            Some((thread, found)) if found == number => {
                if thread.get() == Some(self.kernel.current_thread()) {
                    return Err(mr::KERN_FAILURE);
                }
                self.hold(engine, key, &thread, number)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Goes on to the next task: `false`.
    fn stop_each(&self, engine: EngineKey, key: Key, task: Task) -> Result<bool, Refusal> {
        let mut above = 0;
        while let Some((thread, number)) = self.next_thread(task, above) {
            above = number.get();
            if thread.get() != Some(self.kernel.current_thread()) {
                self.hold(engine, key, &thread, number)?;
            }
        }
        Ok(false)
    }

    fn hold(&self, engine: EngineKey, key: Key, of: &ThreadOf<'_, K>, number: ThreadNumber) -> Result<(), Refusal> {
        let Self { kernel, state, .. } = *self;
        let Some(thread) = of.get() else { return Ok(()) };
        let how = (stop::place::ON_REQUEST, How::Held);
        match state.hold(kernel, (engine, key), (thread, number), how) {
            Ok(()) => {}
            Err(Unstopped::Full) => return Err(mr::KERN_RESOURCE_SHORTAGE),
            // The task has ended meanwhile, or has been let go of.
            Err(Unstopped::Gone) => return Ok(()),
        }
        if !kernel.thread_is_alive(thread) {
            // It ended on another processor after it was found: one of both sees the other.
            state.release_thread(kernel, thread);
        }
        Ok(())
    }

    /// Waits until the threads that the engine holds stand still, and tells it of each.
    fn settle(&self, engine: EngineKey, number: Option<ThreadNumber>) -> Result<Results, Refusal> {
        let Self { kernel, state, .. } = *self;
        let mut looks = 0;
        loop {
            match state.settled(kernel, engine, number) {
                Settled::All => return Ok(Results::NONE),
                Settled::One(key, number, task) => {
                    let task = TaskOf { kernel, task: Some(task) };
                    let about = (task.get()?, number);
                    fan_out::tell_held(kernel, state, (key, engine), about, stop::place::ON_REQUEST);
                }
                Settled::Later => {
                    if looks == LOOKS || kernel.thread_is_halting(kernel.current_thread()) {
                        return Err(mr::KERN_TIMEDOUT);
                    }
                    looks += 1;
                    kernel.sleep(BETWEEN);
                }
            }
        }
    }

    #[inline(never)]
    fn resume(&self) -> Result<Results, Refusal> {
        let (engine, number) = self.threads()?;
        if self.state.resume(self.kernel, engine, number) { Ok(Results::NONE) } else { Err(mr::KERN_INVALID_ARGUMENT) }
    }

    #[inline(never)]
    fn interrupt(&self) -> Result<Results, Refusal> {
        let (engine, number) = self.threads()?;
        let mut found = false;
        self.each_task(engine, |_, task| {
            self.kernel.interrupt_threads(task, |thread| {
                let is_it = number.is_none_or(|number| self.kernel.thread_number(thread) == number);
                found |= is_it;
                is_it
            });
            Ok(found && number.is_some())
        })?;
        if found || number.is_none() { Ok(Results::NONE) } else { Err(mr::KERN_INVALID_ARGUMENT) }
    }

    #[inline(never)]
    fn report(&self) -> Result<Results, Refusal> {
        let (engine, number) = self.one()?;
        let mut report = None;
        self.each_task(engine, |_, task| match self.next_thread(task, number.get().wrapping_sub(1)) {
            Some((thread, found)) if found == number => {
                report = thread.get().map(|thread| self.state.report(self.kernel, engine, thread));
                Ok(true)
            }
            _ => Ok(false),
        })?;
        self.result(stop::REPORT, &report.ok_or(mr::KERN_INVALID_ARGUMENT)?)
    }

    #[inline(never)]
    fn prepare(&self) -> Result<Results, Refusal> {
        let (engine, number) = self.one()?;
        let found = self.state.prepare(self.kernel, engine, number).ok_or(mr::KERN_INVALID_ARGUMENT)?;
        self.result(stop::STOP, &u64::from(found.ok_or(mr::KERN_FAILURE)?))
    }

    #[inline(never)]
    fn finish(&self) -> Result<Results, Refusal> {
        let engine = self.addressed()?;
        let FinishRequest { thread, stop } = self.arguments(false)?;
        let (thread, serial) = (ThreadNumber::new(integer(thread)?), integer(stop)?);
        self.stopping()?;
        let has_stood = self.state.has_stood_still(self.kernel, engine, (thread, serial));
        if has_stood { Ok(Results::NONE) } else { Err(mr::KERN_ABORTED) }
    }
}

/// A reference to a thread that is given back.
struct ThreadOf<'a, K: Kernel> {
    kernel: &'a K,
    thread: Option<Reference<Thread>>,
}

impl<K: Kernel> ThreadOf<'_, K> {
    fn get(&self) -> Option<Thread> {
        self.thread.as_ref().map(Reference::get)
    }
}

impl<K: Kernel> Drop for ThreadOf<'_, K> {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.kernel.thread_deallocate(thread);
        }
    }
}

#[cfg(test)]
mod tests;
