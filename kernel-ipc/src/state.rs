//! What the payload knows: which tasks are traced and where to, and the numbers it gives out.
//!
//! Lock order on kernels for several processors. Kernel code holds no lock when it calls a hook, but for `thread_handoff`, where only
//! memory of the payload's and the threads' own holes are written. The payload takes `table`, and inside it only a port's
//! `ip_lock` (in `ipc_port_copy_send`, which neither blocks nor calls on); `task_lock`, inside it a thread's `thread_lock` at
//! splsched, as the kernel does; a space's lock, without waiting for it, and inside it the `ip_lock` of a port of it; an `ip_lock`, and
//! inside it the `imq_lock` of the port's queue, which is its set's if it is in one, as `ipc_mqueue_send` does. No lock of the
//! payload is held across anything else of the kernel. All are taken at spl0 by code that is not preempted; no interrupt
//! handler takes them. A task's number in the table, kept in the task, changes only under `table`. Messages on their way
//! carry what is known of them ([`crate::stamp`]), so that there is no table of them.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use spin::mutex::SpinMutex;
use trace_port::record::{CHILD_NOT_TRACED, add_lost};

use crate::gnumach::{Kernel, Key, Kmsg, Port, Task};
use crate::links::Links;
use crate::pending::Pending;
use crate::table::{Entry, Table};

/// Set in the number that a task keeps of its entry while the entry has a spare kmsg.
const HAS_SPARE: u32 = 1 << 31;

/// 1 + index of a task's entry, or 0.
#[inline(always)]
fn known(kernel: &impl Kernel, task: Task) -> u32 {
    kernel.task_entry(task) & !HAS_SPARE
}

#[inline(always)]
fn take_spare(kernel: &impl Kernel, entry: &mut Entry) -> Option<Kmsg> {
    let spare = core::mem::take(entry.spare());
    if spare == 0 {
        return None;
    }
    let task = entry.task();
    kernel.set_task_entry(task, kernel.task_entry(task) & !HAS_SPARE);
    Some(Kmsg(spare))
}

fn put_spare(kernel: &impl Kernel, entry: &mut Entry, kmsg: Kmsg) {
    *entry.spare() = kmsg.0;
    let task = entry.task();
    kernel.set_task_entry(task, kernel.task_entry(task) | HAS_SPARE);
}

/// The payload's state; one static instance in the kernel, one per test on the host.
pub struct State {
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
    threads: AtomicU32,
    dropped: AtomicU32,
    untraced: AtomicU32,
    /// Numbers of ports and links between events.
    pub links: Links,
    /// Records of senders that handed the processor over.
    pub pending: Pending,
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a task cannot be given a trace port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no room for one more trace.
    Full,
    /// The trace that it has is somebody else's.
    Kept,
}

/// What the records of a traced task need.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What its trace is known by.
    pub key: Key,
    /// The task, which the caller keeps alive.
    pub task: Task,
    /// A send right to its trace port; whoever holds this owns it, unless there is a spare.
    pub port: Port,
    /// A kmsg from `record_alloc` for a message of up to `record::MAX_BATCH`, addressed to the trace port and with the right to the task; the
    /// owner's, too.
    pub spare: Option<Kmsg>,
    /// Records lost since the last one, which the next one is to tell of.
    pub dropped: u32,
}

/// What an entry leaves behind.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released {
    port: Port,
    spare: Option<Kmsg>,
}

impl Released {
    const NOTHING: Self = Self { port: Port::NULL, spare: None };

    /// Whether there was no entry.
    pub fn is_nothing(self) -> bool {
        self == Self::NOTHING
    }

    /// Gives back all but the right to the port, which stays somebody else's.
    pub fn release_all_but_port(self, kernel: &impl Kernel) {
        Self { port: Port::NULL, ..self }.release(kernel);
    }

    /// Gives it back. Nothing may be locked.
    #[inline(never)]
    pub fn release(self, kernel: &impl Kernel) {
        if let Some(spare) = self.spare {
            kernel.ipc_kmsg_destroy(spare);
        }
        if self.port.is_valid() {
            kernel.ipc_port_release_send(self.port);
        }
    }
}

/// What a task's records go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TracePort {
    /// Nothing: the task is not traced.
    None,
    /// A live port: a right of the caller's.
    Live(Port),
    /// Nothing any more: what belonged to a dead port, which the caller releases.
    Dead(Released),
}

impl State {
    /// Where the entry stubs find the number of traced tasks.
    pub const TRACED_OFFSET: usize = core::mem::offset_of!(Self, traced);

    /// No task traced. All zero bytes, so that it takes no room in the kernel's file.
    pub const fn new() -> Self {
        Self {
            traced: AtomicU32::new(0),
            table: SpinMutex::new(Table::new()),
            drafts: AtomicU32::new(0),
            correlation: AtomicU64::new(0),
            correlation_before: AtomicU64::new(0),
            secret: AtomicU64::new(0),
            sequence: AtomicU64::new(0),
            tasks: AtomicU32::new(0),
            threads: AtomicU32::new(0),
            dropped: AtomicU32::new(0),
            untraced: AtomicU32::new(0),
            links: Links::new(),
            pending: Pending::new(),
        }
    }

    /// Takes something that no program knows; once, before the first trace.
    pub fn keep_secret(&self, secret: u64) {
        self.secret.store(secret, Relaxed);
    }

    /// What seals stamps.
    #[inline(always)]
    pub fn secret(&self) -> u64 {
        self.secret.load(Relaxed)
    }

    /// Whether the next record of a task has its memory already. A hint: another processor may take it.
    #[inline(always)]
    pub fn has_spare(kernel: &impl Kernel, task: Task) -> bool {
        kernel.task_entry(task) & HAS_SPARE != 0
    }

    /// Whether any task is traced.
    #[inline(always)]
    pub fn any_traced(&self) -> bool {
        self.traced.load(Relaxed) != 0
    }

    /// Sets or replaces a task's trace port. Returns what was replaced, for the caller to release.
    ///
    /// # Errors
    /// [`Refusal::Full`] when [`CAPACITY`](crate::table::CAPACITY) tasks are traced or there is no memory, [`Refusal::Kept`] if `may_replace`
    /// says no to the port that is there; `port` is still the caller's then.
    pub fn set(
        &self,
        kernel: &impl Kernel,
        task: Task,
        port: Port,
        may_replace: impl Fn(Port) -> bool,
    ) -> Result<Released, Refusal> {
        let mut more = None;
        loop {
            let mut table = self.table.lock();
            if let Some(entry) = table.find(known(kernel, task), task) {
                if !may_replace(entry.port()) {
                    return Err(Refusal::Kept);
                }
                let old = Released { spare: take_spare(kernel, entry), port: entry.set_port(port) };
                *entry.dropped() = 0;
                return Ok(old);
            }
            if let Some(chunk) = more.take()
                && !table.grow(chunk)
            {
                return Err(Refusal::Full);
            }
            if !table.is_full() {
                self.add(kernel, &mut table, task, port);
                return Ok(Released::NOTHING);
            }
            if !table.may_grow() {
                return Err(Refusal::Full);
            }
            drop(table);
            // Not under the lock: it may sleep, and another may have made room by then.
            more = Some(kernel.room().ok_or(Refusal::Full)?);
        }
    }

    fn add(&self, kernel: &impl Kernel, table: &mut Table, task: Task, port: Port) {
        let number = self.tasks.fetch_add(1, Relaxed).wrapping_add(1);
        if let Some(known) = table.add(task, port, number) {
            kernel.set_task_entry(task, known);
            if self.traced.fetch_add(1, Relaxed) == 0 {
                self.correlation_before.store(self.correlation.load(Relaxed), Relaxed);
                kernel.watch(true);
            }
        }
    }

    /// Ends the tracing of a task; returns what its entry had, for the caller to release.
    #[inline(never)]
    pub fn remove(&self, kernel: &impl Kernel, task: Task) -> Option<Released> {
        self.take(kernel, &mut self.table.lock(), task)
    }

    /// The same if `may_end` agrees.
    ///
    /// # Errors
    /// [`Refusal::Kept`].
    pub fn remove_if(
        &self,
        kernel: &impl Kernel,
        task: Task,
        may_end: impl Fn(Port) -> bool,
    ) -> Result<Option<Released>, Refusal> {
        let mut table = self.table.lock();
        match table.find(known(kernel, task), task) {
            Some(entry) if !may_end(entry.port()) => Err(Refusal::Kept),
            _ => Ok(self.take(kernel, &mut table, task)),
        }
    }

    #[inline(never)]
    fn take(&self, kernel: &impl Kernel, table: &mut Table, task: Task) -> Option<Released> {
        let known = known(kernel, task);
        let entry = table.find(known, task)?;
        let released = Released { spare: take_spare(kernel, entry), port: entry.port() };
        table.remove(known);
        kernel.set_task_entry(task, 0);
        self.traced.fetch_sub(1, Relaxed);
        self.stop_watching(kernel, table);
        Some(released)
    }

    /// Leaves the kernel alone again if nobody is traced and no open call has something to say. Under the lock, because with the
    /// first entry the payload watches again.
    fn stop_watching(&self, kernel: &impl Kernel, _: &mut Table) {
        if self.traced.load(Relaxed) == 0 && self.drafts.load(Relaxed) == 0 {
            kernel.watch(false);
            kernel.rest();
        }
    }

    /// A thread's open call has a draft.
    #[inline(always)]
    pub fn draft_opened(&self) {
        self.drafts.fetch_add(1, Relaxed);
    }

    /// It has none any more: the draft has been queued.
    #[inline(always)]
    pub fn draft_closed(&self, kernel: &impl Kernel) {
        if self.drafts.fetch_sub(1, Relaxed) == 1 && !self.any_traced() {
            self.last_draft_closed(kernel);
        }
    }

    #[cold]
    #[inline(never)]
    fn last_draft_closed(&self, kernel: &impl Kernel) {
        self.stop_watching(kernel, &mut self.table.lock());
    }

    /// What a task's trace is known by, or nothing if it is not traced.
    pub fn key(&self, kernel: &impl Kernel, task: Task) -> Option<Key> {
        let entry = known(kernel, task);
        self.table.lock().find(entry, task).map(|found| Key { entry, number: found.number() })
    }

    /// What an event of a traced task goes to, with a new right or the spare kmsg, if the caller can use it. Tracing ends here once
    /// the port is dead, and a task that receives from its own trace port is left alone.
    #[inline(always)]
    pub fn target(&self, kernel: &impl Kernel, task: Task, with_spare: bool) -> Option<Target> {
        let known = known(kernel, task);
        if known == 0 {
            return None;
        }
        let mut table = self.table.lock();
        let entry = table.find(known, task)?;
        if kernel.port_is_received_in(entry.port(), kernel.task_space(task)) {
            return None;
        }
        let spare = if with_spare && kernel.port_is_active(entry.port()) { take_spare(kernel, entry) } else { None };
        // Under the lock, because whoever replaces the port releases our right to it.
        let port = if spare.is_some() { entry.port() } else { kernel.ipc_port_copy_send(entry.port()) };
        if port.is_valid() {
            let key = Key { entry: known, number: entry.number() };
            let dropped = core::mem::take(entry.dropped());
            return Some(Target { key, task, port, spare, dropped });
        }
        self.end_of_dead(kernel, table, task);
        None
    }

    /// The same where it need not be quick.
    #[inline(never)]
    pub fn target_apart(&self, kernel: &impl Kernel, task: Task) -> Option<Target> {
        self.target(kernel, task, false)
    }

    #[cold]
    #[inline(never)]
    fn end_of_dead(&self, kernel: &impl Kernel, mut table: spin::mutex::SpinMutexGuard<'_, Table>, task: Task) {
        let dead = self.take(kernel, &mut table, task);
        drop(table);
        if let Some(dead) = dead {
            dead.release(kernel);
        }
    }

    /// Keeps a kmsg of `record_alloc` for the next record of a trace if it goes to the same port and there is none yet.
    #[inline(never)]
    pub fn keep_spare(&self, kernel: &impl Kernel, key: Key, kmsg: Kmsg) -> bool {
        let mut table = self.table.lock();
        let Some(entry) = table.of(key) else { return false };
        // One that was put behind another is small, so that all of them serve for small ones.
        let keep = *entry.spare() == 0 && entry.port() == kernel.remote_port(kmsg);
        if keep {
            put_spare(kernel, entry, kmsg);
        }
        keep
    }

    /// A new right to a task's trace port. Tracing ends here once the port is dead.
    pub fn send_right(&self, kernel: &impl Kernel, task: Task) -> TracePort {
        let mut table = self.table.lock();
        let Some(entry) = table.find(known(kernel, task), task) else { return TracePort::None };
        // Under the lock, because whoever replaces the port releases our right to it.
        let port = kernel.ipc_port_copy_send(entry.port());
        if port.is_valid() {
            return TracePort::Live(port);
        }
        self.take(kernel, &mut table, task).map_or(TracePort::None, TracePort::Dead)
    }

    /// Whether a trace goes on and goes to this port.
    pub fn goes_to(&self, key: Key, port: Port) -> bool {
        self.table.lock().of(key).is_some_and(|entry| entry.port() == port)
    }

    /// A task's trace port, which is not the caller's; `Port::NULL` if it is not traced. `look` may not block.
    pub fn look_at_port<T>(&self, kernel: &impl Kernel, task: Task, look: impl FnOnce(Port) -> T) -> T {
        let mut table = self.table.lock();
        let port = table.find(known(kernel, task), task).map_or(Port::NULL, |entry| entry.port());
        look(port)
    }

    /// Takes the number of records lost since the last delivered one.
    pub fn take_dropped(&self, key: Key) -> u32 {
        self.table.lock().of(key).map_or(0, |entry| core::mem::take(entry.dropped()))
    }

    /// Counts lost records of a trace, and `carried` ones that another record was to tell of; returns how many were lost in all
    /// since boot.
    pub fn add_dropped(&self, key: Key, carried: u32, lost: u32) -> u32 {
        if let Some(entry) = self.table.lock().of(key) {
            let dropped = entry.dropped();
            *dropped = add_lost(add_lost(*dropped, carried), lost);
        }
        self.dropped.fetch_add(lost, Relaxed).wrapping_add(lost)
    }

    /// A child of a traced task is not traced: its parent's next record says so. Returns how many there were since boot.
    pub fn child_not_traced(&self, key: Key) -> u32 {
        if let Some(entry) = self.table.lock().of(key) {
            *entry.dropped() |= CHILD_NOT_TRACED;
        }
        self.untraced.fetch_add(1, Relaxed).wrapping_add(1)
    }

    /// How many records were lost in all since boot.
    #[inline(always)]
    pub fn lost(&self) -> u32 {
        self.dropped.load(Relaxed)
    }

    /// The next place in the order of events, from 1.
    #[inline(always)]
    pub fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Relaxed) + 1
    }

    /// The next thread number, from 1.
    pub fn next_thread(&self) -> u32 {
        self.threads.fetch_add(1, Relaxed).wrapping_add(1)
    }

    /// A correlation number that nothing has yet.
    #[inline(always)]
    pub fn next_correlation(&self) -> u64 {
        self.correlation.fetch_add(1, Relaxed) + 1
    }

    /// The correlation number whose lower half a port has kept, or 0 if it is from before the present traces, or none.
    pub fn kept_correlation(&self, lower_half: u32) -> u64 {
        let whole = self.whole_correlation(lower_half);
        if lower_half == 0 || whole <= self.correlation_before.load(Relaxed) { 0 } else { whole }
    }

    /// The correlation number with this lower half that was given out last.
    #[inline(always)]
    pub fn whole_correlation(&self, lower_half: u32) -> u64 {
        let last = self.correlation.load(Relaxed);
        last - u64::from((last as u32).wrapping_sub(lower_half))
    }
}

#[cfg(test)]
mod tests;
