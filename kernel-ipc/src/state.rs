//! What the payload knows: which tasks are traced and where to, and the numbers it gives out.
//!
//! Lock order on kernels for several processors: kernel code holds no lock when it calls a hook. The payload takes `table`,
//! and inside it only a port's `ip_lock` (in `ipc_port_copy_send`, which neither blocks nor calls on); `transit` alone;
//! `task_lock`, inside it a thread's `thread_lock` at splsched, as the kernel does; an `ip_lock`, and inside it the `imq_lock` of
//! the port's queue, which is its set's if it is in one, as `ipc_mqueue_send` does. No lock of the
//! payload is held across anything else of the kernel. All are taken at spl0 by code that is not preempted; no interrupt
//! handler takes them. A task's number in the table, kept in the task, changes only under `table`.

use core::num::{NonZeroU32, NonZeroUsize};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use spin::mutex::SpinMutex;

use crate::gnumach::{Kernel, Kmsg, Port, Task};
use crate::links::Links;

/// Most tasks that are traced at the same time; the next one is refused with `KERN_RESOURCE_SHORTAGE`.
pub const CAPACITY: usize = 256;

/// How many messages of traced senders can be on their way and still be recognised by a traced receiver.
const IN_TRANSIT: usize = 1024;

/// A task's trace port: engine 0, set by `task_set_special_port`.
#[derive(Clone, Copy, Debug)]
struct Entry {
    task: Task,
    /// What records call the task. Not 0, so that an entry takes no more room where there may be none.
    number: NonZeroU32,
    /// A send right of ours.
    port: Port,
    /// Records lost since the last one that reached the port.
    dropped: u32,
    /// A kmsg for the next record, which has rights of its own to the port and the task.
    spare: Option<NonZeroUsize>,
}

impl Entry {
    fn take_spare(&mut self) -> Option<Kmsg> {
        self.spare.take().map(|spare| Kmsg(spare.get()))
    }
}

/// All traced tasks.
struct Table {
    entries: heapless::Vec<Option<Entry>, CAPACITY>,
}

/// The payload's state; one static instance in the kernel, one per test on the host.
pub struct State {
    /// How many tasks are traced. The entry stubs read it too.
    traced: AtomicU32,
    table: SpinMutex<Table>,
    transit: SpinMutex<[(usize, u64); IN_TRANSIT]>,
    correlation: AtomicU64,
    sequence: AtomicU64,
    tasks: AtomicU32,
    threads: AtomicU32,
    dropped: AtomicU32,
    /// Numbers of ports and links between events.
    pub links: Links,
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a task cannot be given a trace port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// What the records of a traced task need.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The task, which the caller keeps alive.
    pub task: Task,
    /// A send right to its trace port; whoever holds this owns it, unless there is a spare.
    pub port: Port,
    /// A kmsg from `record_alloc` for a message of up to `record::MAX_BATCH`, addressed to the trace port and with the right to the task; the
    /// owner's, too.
    pub spare: Option<Kmsg>,
    /// What records call the task.
    pub number: u32,
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
            table: SpinMutex::new(Table { entries: heapless::Vec::new() }),
            transit: SpinMutex::new([(0, 0); IN_TRANSIT]),
            correlation: AtomicU64::new(0),
            sequence: AtomicU64::new(0),
            tasks: AtomicU32::new(0),
            threads: AtomicU32::new(0),
            dropped: AtomicU32::new(0),
            links: Links::new(),
        }
    }

    /// Whether any task is traced.
    pub fn any_traced(&self) -> bool {
        self.traced.load(Relaxed) != 0
    }

    /// Sets or replaces a task's trace port. Returns what was replaced, for the caller to release.
    ///
    /// # Errors
    /// [`Full`] when [`CAPACITY`] tasks are traced; `port` is still the caller's then.
    pub fn set(&self, kernel: &impl Kernel, task: Task, port: Port) -> Result<Released, Full> {
        let mut table = self.table.lock();
        if let Some(entry) = table.find(kernel.task_entry(task), task) {
            let old = Released { spare: entry.take_spare(), port: core::mem::replace(&mut entry.port, port) };
            entry.dropped = 0;
            return Ok(old);
        }
        let number = self.tasks.fetch_add(1, Relaxed).wrapping_add(1);
        let number = NonZeroU32::new(number).unwrap_or(NonZeroU32::MAX);
        let entry = Some(Entry { task, number, port, dropped: 0, spare: None });
        let index = match table.entries.iter().position(Option::is_none) {
            Some(free) => {
                if let Some(slot) = table.entries.get_mut(free) {
                    *slot = entry;
                }
                free
            }
            None => {
                let end = table.entries.len();
                table.entries.push(entry).map_err(|_| Full)?;
                end
            }
        };
        kernel.set_task_entry(task, index as u32 + 1);
        if self.traced.fetch_add(1, Relaxed) == 0 {
            kernel.watch(true);
        }
        Ok(Released::NOTHING)
    }

    /// Ends the tracing of a task; returns what its entry had, for the caller to release.
    #[inline(never)]
    pub fn remove(&self, kernel: &impl Kernel, task: Task) -> Option<Released> {
        self.take(kernel, &mut self.table.lock(), task)
    }

    #[inline(never)]
    fn take(&self, kernel: &impl Kernel, table: &mut Table, task: Task) -> Option<Released> {
        let known = kernel.task_entry(task);
        let entry = table.find(known, task)?;
        let released = Released { spare: entry.take_spare(), port: entry.port };
        if let Some(slot) = table.entries.get_mut((known - 1) as usize) {
            *slot = None;
        }
        kernel.set_task_entry(task, 0);
        if self.traced.fetch_sub(1, Relaxed) == 1 {
            kernel.watch(false);
        }
        Some(released)
    }

    /// Whether this is the trace port of any task.
    pub fn is_trace_port(&self, port: Port) -> bool {
        self.table.lock().entries.iter().flatten().any(|entry| entry.port == port)
    }

    /// What records call a task, or nothing if it is not traced.
    pub fn number(&self, known: u32, task: Task) -> Option<u32> {
        self.table.lock().find(known, task).map(|entry| entry.number.get())
    }

    /// What an event of a traced task goes to, with a new right or the spare kmsg, if the caller can use it. Tracing ends here once
    /// the port is dead, and a task that receives from its own trace port is left alone.
    #[inline(never)]
    pub fn target(&self, kernel: &impl Kernel, task: Task, with_spare: bool) -> Option<Target> {
        let known = kernel.task_entry(task);
        if known == 0 {
            return None;
        }
        let mut table = self.table.lock();
        let entry = table.find(known, task)?;
        if kernel.port_is_received_in(entry.port, kernel.task_space(task)) {
            return None;
        }
        let spare = if with_spare && kernel.port_is_active(entry.port) { entry.take_spare() } else { None };
        // Under the lock, because whoever replaces the port releases our right to it.
        let port = if spare.is_some() { entry.port } else { kernel.ipc_port_copy_send(entry.port) };
        if port.is_valid() {
            let (number, dropped) = (entry.number.get(), core::mem::take(&mut entry.dropped));
            return Some(Target { task, port, spare, number, dropped });
        }
        let dead = self.take(kernel, &mut table, task);
        drop(table);
        dead?.release(kernel);
        None
    }

    /// Keeps a kmsg of `record_alloc` for the task's next record if it goes to the task's trace port and there is none yet.
    #[inline(never)]
    pub fn keep_spare(&self, kernel: &impl Kernel, task: Task, kmsg: Kmsg) -> bool {
        let mut table = self.table.lock();
        let Some(entry) = table.find(kernel.task_entry(task), task) else { return false };
        // One that was put behind another is small, so that all of them serve for small ones.
        let keep = entry.spare.is_none() && entry.port == kernel.remote_port(kmsg);
        if keep {
            entry.spare = NonZeroUsize::new(kmsg.0);
        }
        keep
    }

    /// A new right to a task's trace port. Tracing ends here once the port is dead.
    pub fn send_right(&self, kernel: &impl Kernel, task: Task) -> TracePort {
        let mut table = self.table.lock();
        let Some(entry) = table.find(kernel.task_entry(task), task) else { return TracePort::None };
        // Under the lock, because whoever replaces the port releases our right to it.
        let port = kernel.ipc_port_copy_send(entry.port);
        if port.is_valid() {
            return TracePort::Live(port);
        }
        self.take(kernel, &mut table, task).map_or(TracePort::None, TracePort::Dead)
    }

    /// Takes the number of records lost since the last delivered one.
    pub fn take_dropped(&self, known: u32, task: Task) -> u32 {
        self.table.lock().find(known, task).map_or(0, |entry| core::mem::take(&mut entry.dropped))
    }

    /// Counts lost records of a task, and `carried` ones that another record was to tell of; returns how many were lost in all
    /// since boot.
    pub fn add_dropped(&self, known: u32, task: Task, carried: u32, lost: u32) -> u32 {
        if let Some(entry) = self.table.lock().find(known, task) {
            entry.dropped = entry.dropped.saturating_add(carried).saturating_add(lost);
        }
        self.dropped.fetch_add(lost, Relaxed).wrapping_add(lost)
    }

    /// How many records were lost in all since boot.
    pub fn lost(&self) -> u32 {
        self.dropped.load(Relaxed)
    }

    /// The next place in the order of events, from 1.
    pub fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Relaxed) + 1
    }

    /// The next thread number, from 1.
    pub fn next_thread(&self) -> u32 {
        self.threads.fetch_add(1, Relaxed).wrapping_add(1)
    }

    /// A correlation number that nothing has yet.
    pub fn next_correlation(&self) -> u64 {
        self.correlation.fetch_add(1, Relaxed) + 1
    }

    /// Remembers a message's correlation number. Its lower half, the stamp, is put in the message's `msgh_seqno`, which
    /// nobody reads before the kernel overwrites it on receipt.
    pub fn restamp(&self, kmsg: Kmsg, correlation: u64) {
        if let Some(slot) = self.transit.lock().get_mut(correlation as usize % IN_TRANSIT) {
            *slot = (kmsg.0, correlation);
        }
    }

    /// The correlation number of a message that carries this stamp, or 0 if it was not stamped by a traced sender.
    pub fn correlation(&self, kmsg: Kmsg, stamp: u32) -> u64 {
        match self.transit.lock().get(stamp as usize % IN_TRANSIT) {
            Some(&(holder, correlation)) if holder == kmsg.0 && correlation as u32 == stamp => correlation,
            _ => 0,
        }
    }
}

impl Table {
    fn find(&mut self, known: u32, task: Task) -> Option<&mut Entry> {
        let index = known.checked_sub(1)? as usize;
        self.entries.get_mut(index)?.as_mut().filter(|entry| entry.task == task)
    }
}
