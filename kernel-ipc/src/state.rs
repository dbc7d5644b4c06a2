// SPDX-License-Identifier: GPL-2.0-or-later
//! What the payload knows: which tasks are traced and where to, and the numbers it gives out.
//!
//! Lock order on kernels for several processors. Kernel code holds no lock when it calls a hook, but for `thread_handoff`, where only
//! memory of the payload's and the threads' own holes are written. The payload takes `table`, and inside it only a port's
//! `ip_lock` (in `ipc_port_copy_send`, which neither blocks nor calls on); `task_lock`, inside it a thread's `thread_lock` at
//! splsched, as the kernel does, and a thread's `ith_lock` and inside that the `ip_lock` of its control port, so that nothing may take a
//! `task_lock` with a thread's port locked; the `ip_lock` of a task's control port, and inside it the `task_lock`, as the kernel does;
//! a space's lock, without waiting for it, and inside it the `ip_lock` of a port of it; an `ip_lock`, and inside it the `imq_lock` of the
//! port's queue, which is its set's if it is in one, as `ipc_mqueue_send` does. No lock of the payload is held across anything else of the
//! kernel. The locks of [`State::aside`] and of [`State::rings`] are taken alone, but for a port's inside the latter, that of [`State::owner`] with nothing but an `ip_lock` inside, those of [`State::recorder`] with
//! nothing. All are taken at spl0 by
//! code that is not preempted; no interrupt handler takes them. A task's number in the table, kept in the task, changes only
//! under `table`. Messages on their way carry what is known of them ([`crate::stamp`]), so that there is no table of them.

mod dropped;
mod engines;
mod handed;
mod holds;
mod looks;
mod owner;
mod rings;
mod stops;
mod turns;

pub(crate) use engines::{Attachment, Unjoined};
pub(crate) use handed::{Refusal, Released, Target, TracePort, Way};
pub(crate) use holds::Settled;
#[cfg(target_os = "none")]
pub(crate) use looks::IS_DIRECT;
pub(crate) use looks::REFUSES_TRAPS;
use looks::{HAS_SPARE, place};
pub(crate) use owner::{Done, SystemEngine};
pub(crate) use turns::{Next, Sending};

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use spin::mutex::SpinMutex;

use crate::aside::Aside;
use crate::gnumach::{ForOne, Kernel, Key, OwnedKmsg, Port, SendRight, Task};
use crate::identity::Numbers;
use crate::links::Links;
use crate::numbers::{Correlation, HalfCorrelation, TaskNumber};
use crate::pending::Pending;
use crate::recorder::Recorder;
use crate::rings::Rings;
use crate::table::{Asked, EVERYTHING, Entry, Table};
use crate::wanted::Wanted;

#[inline(always)]
fn take_spare(kernel: &impl Kernel, entry: &mut Entry) -> Option<OwnedKmsg> {
    let spare = entry.take_spare()?;
    let task = entry.task();
    kernel.set_task_entry(task, kernel.task_entry(task) & !HAS_SPARE);
    Some(spare)
}

fn put_spare(kernel: &impl Kernel, entry: &mut Entry, kmsg: OwnedKmsg) {
    entry.put_spare(kmsg);
    let task = entry.task();
    kernel.set_task_entry(task, kernel.task_entry(task) | HAS_SPARE);
}

/// The payload's state; one static instance in the kernel, one per test on the host.
pub(crate) struct State {
    /// How many tasks are traced. The entry stubs read it too.
    traced: AtomicU32,
    table: SpinMutex<Table>,
    /// Drafts of open calls, and pending ones.
    drafts: AtomicU32,
    correlation: AtomicU64,
    /// The correlation number that was the last when the first of the present traces began: what is kept with ports from before may be
    /// other ports' by now, as nobody saw them end.
    correlation_before: AtomicU64,
    secret: AtomicU64,
    sequence: AtomicU64,
    tasks: AtomicU32,
    dropped: AtomicU32,
    untraced: AtomicU32,
    /// How many engines there have been.
    engine_numbers: AtomicU32,
    /// How many entries are [`Entry::set_stirred`].
    stirred: AtomicU32,
    /// How many engines say what becomes of messages.
    acting: AtomicU32,
    /// How many stops hold a thread, or will.
    held: AtomicU32,
    /// How many stops there have been.
    stop_numbers: AtomicU32,
    /// Numbers of ports and threads.
    pub(crate) numbers: Numbers,
    /// Links between events.
    pub(crate) links: Links,
    /// Records of senders that handed the processor over.
    pub(crate) pending: Pending,
    /// What is known of messages that have no record yet.
    pub(crate) aside: Aside,
    /// Of which messages the rules of engines may allow a record.
    pub(crate) wanted: Wanted,
    /// Whose the system trace is.
    pub(crate) owner: owner::Owner,
    /// The machine's recorder.
    pub(crate) recorder: Recorder,
    /// The rings of tracers.
    pub(crate) rings: Rings,
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// No task traced. All zero bytes, so that it takes no room in the kernel's file.
    pub(crate) const fn new() -> Self {
        Self {
            traced: AtomicU32::new(0),
            table: SpinMutex::new(Table::new()),
            drafts: AtomicU32::new(0),
            correlation: AtomicU64::new(0),
            correlation_before: AtomicU64::new(0),
            secret: AtomicU64::new(0),
            sequence: AtomicU64::new(0),
            tasks: AtomicU32::new(0),
            dropped: AtomicU32::new(0),
            untraced: AtomicU32::new(0),
            engine_numbers: AtomicU32::new(0),
            stirred: AtomicU32::new(0),
            acting: AtomicU32::new(0),
            held: AtomicU32::new(0),
            stop_numbers: AtomicU32::new(0),
            numbers: Numbers::new(),
            links: Links::new(),
            pending: Pending::new(),
            aside: Aside::new(),
            wanted: Wanted::new(),
            owner: owner::Owner::new(),
            recorder: Recorder::new(),
            rings: Rings::new(),
        }
    }

    /// Takes something that no program knows; once, before the first trace.
    pub(crate) fn keep_secret(&self, secret: u64) {
        self.secret.store(secret, Relaxed);
        self.numbers.keep_secret(secret.rotate_left(23));
    }

    /// What seals stamps.
    #[inline(always)]
    pub(crate) fn secret(&self) -> u64 {
        self.secret.load(Relaxed)
    }

    /// Whether the next record of a task with this word has its memory already. A hint: another processor may take it.
    #[inline(always)]
    pub(crate) const fn has_spare(entry: u32) -> bool {
        entry & HAS_SPARE != 0
    }

    /// Whether any task is traced.
    #[inline(always)]
    pub(crate) fn any_traced(&self) -> bool {
        self.traced.load(Relaxed) != 0
    }

    /// Sets or replaces a task's trace port. Returns what was replaced, for the caller to release.
    ///
    /// # Errors
    /// [`Refusal::Full`] when as many tasks as there may be are traced or there is no memory, [`Refusal::Kept`] if `may_replace`
    /// says no to the port that is there; and the right.
    pub(crate) fn set(
        &self,
        kernel: &impl Kernel,
        task: Task,
        right: SendRight,
        may_replace: impl Fn(Port) -> bool,
    ) -> Result<Released, (Refusal, SendRight)> {
        let mut more = None;
        loop {
            let mut table = self.table.lock();
            let place = place(kernel, task);
            if let Some(old) = table.find(place, task).map(|entry| entry.port()) {
                if !table.is_nowhere(old) && !may_replace(old) {
                    return Err((Refusal::Kept, right));
                }
                return Ok(self.replace(kernel, &mut table, place, right));
            }
            if let Some(chunk) = more.take()
                && !table.grow(chunk)
            {
                return Err((Refusal::Full, right));
            }
            if !table.is_full() {
                return self.add(kernel, &mut table, task, right).map(|()| Released::NOTHING);
            }
            if !table.may_grow() {
                return Err((Refusal::Full, right));
            }
            drop(table);
            // Not under the lock: it may sleep, and another may have made room by then.
            more = kernel.room();
            if more.is_none() {
                return Err((Refusal::Full, right));
            }
        }
    }

    fn add(
        &self,
        kernel: &impl Kernel,
        table: &mut Table,
        task: Task,
        right: SendRight,
    ) -> Result<(), (Refusal, SendRight)> {
        let number = TaskNumber::new(self.tasks.fetch_add(1, Relaxed).wrapping_add(1));
        let entry = Entry::new(task, right, number);
        let place = table.add(entry).map_err(|entry| (Refusal::Full, entry.into_parts().0))?;
        kernel.set_task_entry(task, place | REFUSES_TRAPS);
        kernel.set_task_number(task, number);
        if self.traced.fetch_add(1, Relaxed) == 0 {
            self.numbers.begin();
            self.correlation_before.store(self.correlation.load(Relaxed), Relaxed);
            kernel.redirect(true);
        }
        Ok(())
    }

    /// Ends the tracing of a task; returns what its entry had, if there was one, for the caller to release.
    #[inline(never)]
    pub(crate) fn remove(&self, kernel: &impl Kernel, task: Task) -> Released {
        self.take(kernel, &mut self.table.lock(), task)
    }

    /// Ends the trace of a task if `may_end` agrees.
    ///
    /// # Errors
    /// [`Refusal::Kept`].
    pub(crate) fn remove_if(
        &self,
        kernel: &impl Kernel,
        task: Task,
        may_end: impl Fn(Port) -> bool,
    ) -> Result<Released, Refusal> {
        let mut table = self.table.lock();
        match table.find(place(kernel, task), task).map(|entry| entry.port()) {
            Some(port) if table.is_nowhere(port) => Ok(Released::NOTHING),
            Some(port) if !may_end(port) => Err(Refusal::Kept),
            _ => Ok(self.take(kernel, &mut table, task)),
        }
    }

    #[inline(never)]
    fn take(&self, kernel: &impl Kernel, table: &mut Table, task: Task) -> Released {
        let place = place(kernel, task);
        let Some((number, list)) = table.find(place, task).map(|entry| (entry.number(), entry.list())) else {
            return Released::NOTHING;
        };
        if list != 0
            && let Some(nowhere) = table.nowhere.as_ref().and_then(|nowhere| kernel.ipc_port_copy_send(nowhere.port()))
        {
            // Other engines go on.
            return self.replace(kernel, table, place, nowhere);
        }
        let Some(mut entry) = table.remove(place) else { return Released::NOTHING };
        if entry.set_stirred(false) {
            self.stirred.fetch_sub(1, Relaxed);
        }
        let (right, spare, dropped) = entry.into_parts();
        let released = Released { right: Some(right), spare, number, dropped };
        kernel.set_task_entry(task, 0);
        kernel.set_task_number(task, TaskNumber::NONE);
        self.traced.fetch_sub(1, Relaxed);
        self.stop_redirecting(kernel, table);
        released
    }

    /// Leaves the kernel alone again if nobody is traced and no open call has something to say. Under the lock, because with the
    /// first entry the payload is on the path again.
    fn stop_redirecting(&self, kernel: &impl Kernel, _: &mut Table) {
        if self.traced.load(Relaxed) == 0 && self.drafts.load(Relaxed) == 0 {
            kernel.redirect(false);
            kernel.rest();
        }
    }

    /// A thread's open call has a draft.
    #[inline(always)]
    pub(crate) fn draft_opened(&self) {
        self.drafts.fetch_add(1, Relaxed);
    }

    /// It has none any more: the draft has been queued.
    #[inline(always)]
    pub(crate) fn draft_closed(&self, kernel: &impl Kernel) {
        if self.drafts.fetch_sub(1, Relaxed) == 1 && !self.any_traced() {
            self.last_draft_closed(kernel);
        }
    }

    #[cold]
    #[inline(never)]
    fn last_draft_closed(&self, kernel: &impl Kernel) {
        self.stop_redirecting(kernel, &mut self.table.lock());
    }

    /// What a task's trace is known by, or nothing if it is not traced.
    pub(crate) fn key(&self, kernel: &impl Kernel, task: Task) -> Option<Key> {
        let entry = place(kernel, task);
        self.table.lock().find(entry, task).map(|found| Key { entry, number: found.number() })
    }

    /// What an event of a traced task goes to, with the spare kmsg, if the caller can use it, or a new right. Tracing ends here once
    /// the port is dead, and a task that receives from its own trace port is left alone. `asks` says what it is: nothing if nobody is to be
    /// told of such.
    #[inline(always)]
    pub(crate) fn target(
        &self,
        kernel: &impl Kernel,
        task: Task,
        with_spare: bool,
        asks: impl Fn() -> Asked,
    ) -> Option<Target<Way>> {
        self.find(kernel, task, asks, |entry| {
            if with_spare
                && kernel.port_is_active(entry.port())
                && let Some(spare) = take_spare(kernel, entry)
            {
                return Some(Way::Memory(spare));
            }
            kernel.ipc_port_copy_send(entry.port()).map(Way::Right)
        })
    }

    /// Where records of a task go, with a right, where it need not be quick.
    #[inline(never)]
    pub(crate) fn target_apart(&self, kernel: &impl Kernel, task: Task, wants: u32) -> Option<Target<SendRight>> {
        self.find(
            kernel,
            task,
            || Asked { events: wants, msgh_id: None },
            |entry| kernel.ipc_port_copy_send(entry.port()),
        )
    }

    /// `way` runs under the lock, because whoever replaces the port releases our right to it.
    #[inline(always)]
    fn find<W>(
        &self,
        kernel: &impl Kernel,
        task: Task,
        asks: impl Fn() -> Asked,
        mut way: impl FnMut(&mut Entry) -> Option<W>,
    ) -> Option<Target<W>> {
        let place = place(kernel, task);
        if place == 0 {
            return None;
        }
        loop {
            let mut table = self.table.lock();
            let entry = table.find(place, task)?;
            if entry.wanted() != EVERYTHING {
                let asked = asks();
                if entry.wanted() & asked.events == 0 || !table.wants(place, asked) {
                    return None;
                }
            }
            let entry = table.find(place, task)?;
            if !kernel.port_is_received_in(entry.port(), kernel.task_space(task)) {
                if let Some(way) = way(entry) {
                    let key = Key { entry: place, number: entry.number() };
                    let (dropped, has_engines) = (core::mem::take(entry.dropped()), entry.list() != 0);
                    return Some(Target { key, task, way, dropped, has_engines });
                }
            } else if entry.list() == 0 {
                return None;
            }
            // Engine 0 is told no more; others are.
            self.end_of_dead(kernel, table, task);
        }
    }

    #[cold]
    #[inline(never)]
    fn end_of_dead(&self, kernel: &impl Kernel, mut table: spin::mutex::SpinMutexGuard<'_, Table>, task: Task) {
        let dead = self.take(kernel, &mut table, task);
        drop(table);
        dead.release(kernel);
    }

    /// Keeps a kmsg of `record_alloc` for the next record of a trace if it goes to the same port and there is none yet.
    ///
    /// # Errors
    /// The kmsg, if it is not kept.
    #[inline(never)]
    pub(crate) fn keep_spare(&self, kernel: &impl Kernel, key: Key, kmsg: OwnedKmsg) -> Result<(), OwnedKmsg> {
        let mut table = self.table.lock();
        // One that was put behind another is small, so that all of them serve for small ones.
        match table.of(key) {
            Some(entry) if !entry.has_spare() && entry.port() == kernel.record_port(kmsg.record()) => {
                put_spare(kernel, entry, kmsg);
                Ok(())
            }
            _ => Err(kmsg),
        }
    }

    /// A new right to a task's trace port. Tracing ends here once the port is dead.
    pub(crate) fn send_right(&self, kernel: &impl Kernel, task: Task) -> TracePort {
        let mut table = self.table.lock();
        let Some(port) = table.find(place(kernel, task), task).map(|entry| entry.port()) else {
            return TracePort::None;
        };
        if table.is_nowhere(port) {
            return TracePort::None;
        }
        // Under the lock, because whoever replaces the port releases our right to it.
        if let Some(right) = kernel.ipc_port_copy_send(port) {
            return TracePort::Live(right);
        }
        TracePort::Dead(self.take(kernel, &mut table, task))
    }

    /// Whether a trace goes on and goes to this port.
    pub(crate) fn goes_to(&self, key: Key, port: Port) -> bool {
        self.table.lock().of(key).is_some_and(|entry| entry.port() == port)
    }

    /// A task's trace port, which is not the caller's, if it is traced. `look` may not block.
    pub(crate) fn look_at_port<T>(&self, kernel: &impl Kernel, task: Task, look: impl FnOnce(Option<Port>) -> T) -> T {
        let mut table = self.table.lock();
        let port = table.find(place(kernel, task), task).map(|entry| entry.port());
        look(port.filter(|&port| !table.is_nowhere(port)))
    }

    /// The next place in the order of events, from 1.
    #[inline(always)]
    pub(crate) fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Relaxed) + 1
    }

    /// [`State::next_sequence`] on a kernel for one processor.
    #[inline(always)]
    pub(crate) fn next_sequence_of(&self, one: ForOne) -> u64 {
        one.count_up(&self.sequence)
    }

    /// [`State::next_correlation`] on a kernel for one processor.
    #[inline(always)]
    pub(crate) fn next_correlation_of(&self, one: ForOne) -> Correlation {
        Correlation::new(one.count_up(&self.correlation))
    }

    /// A correlation number that nothing has yet.
    #[inline(always)]
    pub(crate) fn next_correlation(&self) -> Correlation {
        Correlation::new(self.correlation.fetch_add(1, Relaxed) + 1)
    }

    /// The correlation number of which a port has kept this, or none if it is from before the present traces, or there is none.
    pub(crate) fn kept_correlation(&self, half: HalfCorrelation) -> Correlation {
        let whole = self.whole_correlation(half);
        if half.is_none() || whole.get() <= self.correlation_before.load(Relaxed) { Correlation::NONE } else { whole }
    }

    /// The correlation number with this lower half that was given out last.
    #[inline(always)]
    pub(crate) fn whole_correlation(&self, half: HalfCorrelation) -> Correlation {
        let last = self.correlation.load(Relaxed);
        Correlation::new(last - u64::from((last as u32).wrapping_sub(half.get())))
    }
}

#[cfg(test)]
mod tests;
