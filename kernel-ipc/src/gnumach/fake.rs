// SPDX-License-Identifier: GPL-2.0-or-later
//! A GNU Mach for host unit tests: tasks, threads, ports and messages, with books kept on every kmsg and right.
//!
//! It panics on what would corrupt the real kernel: a kmsg used after it was consumed, a right released twice, a byte written beyond
//! a kmsg's memory, anything queued or allocated while ports are locked. What the hooks call is here; how a message takes its way
//! through `mach_msg` is in `hooks::model`.

mod messages;
mod names;
mod records;
mod shared;
mod traits;
use core::sync::atomic::AtomicU64;
use std::boxed::Box;
use std::cell::{Cell, RefCell, RefMut};
use std::collections::{BTreeMap, VecDeque};
use std::vec::Vec;

use super::*;

/// A task, the current one at first.
pub(crate) const TASK: Task = Task::fake(0x1000);
/// Its thread.
pub(crate) const THREAD: Thread = Thread::fake(0x7000);
/// Another task.
pub(crate) const CHILD: Task = Task::fake(0x2000);
/// Its thread.
pub(crate) const CHILDS_THREAD: Thread = Thread::fake(0x7100);
/// A third one.
pub(crate) const THIRD: Task = Task::fake(0x3000);
/// Its thread.
pub(crate) const THIRDS_THREAD: Thread = Thread::fake(0x7200);
/// The kernel's.
pub(crate) const KERNEL_TASK: Task = Task::fake(0xf000);
/// A live trace port, of which the tracer holds one right.
pub(crate) const TRACE: Port = Port::fake(0x5000);
/// The tracer.
pub(crate) const TRACER: Task = Task::fake(0x4000);
/// Its thread.
pub(crate) const TRACERS_THREAD: Thread = Thread::fake(0x7300);
/// What `task_send_right` hands out for [`TASK`].
pub(crate) const TASK_PORT: Port = control_port(TASK);

/// What the clock shows.
pub(crate) const TIME: u64 = 1_000_000_007;

/// A task's control port.
pub(crate) const fn control_port(task: Task) -> Port {
    Port::fake(task.address() + 0x10)
}

/// What the fake does where a sender without `MACH_SEND_ALWAYS` has to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// The tracer receives all there is.
    #[default]
    TracerReceives,
    /// The port dies.
    PortDies,
    /// The thread is interrupted.
    Interrupted,
    /// What [`Fake::while_waiting`] does, once.
    SomethingElse,
}

/// What the fake is told to answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    /// Whether kalloc has no memory for records.
    pub(crate) no_memory: bool,
    /// Whether kalloc has no memory for entries.
    pub(crate) no_room: bool,
    /// Whether a thread's buffer cannot be written.
    pub(crate) bad_buffer: bool,
    /// Whether the kernel has no ports.
    pub(crate) no_ports: bool,
    /// `ipc_mqueue_send` of a record, if it fails.
    pub(crate) record_send: u32,
    /// What happens to who waits for room.
    pub(crate) waiting: Waiting,
}

/// A thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct FakeThread {
    /// Its task.
    pub(crate) task: usize,
    /// Payload's.
    pub(crate) number: ThreadNumber,
    /// Payload's.
    pub(crate) call: u32,
    /// Payload's.
    pub(crate) message: u32,
    /// Payload's.
    pub(crate) awaited: HalfCorrelation,
    /// Payload's.
    pub(crate) notify: u32,
    /// Payload's.
    pub(crate) watched: bool,
    /// Payload's: in the same word.
    pub(crate) lightly: bool,
    /// As in the pcb.
    pub(crate) arguments: Arguments,
    /// `ith_option` and `ith_rcv_size`.
    pub(crate) receives_with: (u32, u32),
    /// Whether it is being halted.
    pub(crate) halting: bool,
    /// Whether it has no port any more.
    pub(crate) dead: bool,
    /// `ith_exc`.
    pub(crate) exception_is_threads: bool,
    /// Whether it sleeps in the receive half of a `mach_msg`.
    pub(crate) receives: bool,
    /// Whether it runs on another processor.
    pub(crate) runs_elsewhere: bool,
    /// Its suspensions by the payload.
    pub(crate) held: u32,
    /// Whether it runs on though it is held.
    pub(crate) moves: bool,
    /// `TH_HALTED`.
    pub(crate) halted: bool,
}

/// A task.
#[derive(Clone, Debug, Default)]
pub(crate) struct FakeTask {
    /// Payload's.
    pub(crate) entry: u32,
    /// Payload's.
    pub(crate) number: TaskNumber,
    /// Whether it is ending.
    pub(crate) dying: bool,
    /// Whether its space is not active any more.
    pub(crate) space_has_ended: bool,
    /// `messages_sent`.
    pub(crate) messages_sent: i64,
    /// Its names for ports.
    pub(crate) names: BTreeMap<u32, usize>,
    /// Its names for port sets.
    pub(crate) sets: Vec<u32>,
    /// Whether somebody is just changing its names.
    pub(crate) changing: bool,
}

/// What a message to a port of the kernel's is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kobject {
    /// The kernel as a whole.
    Kernel,
    /// The kernel as a whole, for who is privileged.
    Privileged,
    /// A task.
    Task(Task),
    /// A thread.
    Thread(Thread),
    /// What the payload has put down there.
    Payload(u32),
}

/// A port.
#[derive(Clone, Debug)]
pub(crate) struct FakePort {
    /// Send rights that are counted.
    pub(crate) rights: i64,
    /// Whether it has died.
    pub(crate) dead: bool,
    /// `ip_qlimit`.
    pub(crate) limit: usize,
    /// The task that receives from it.
    pub(crate) receiver: usize,
    /// Payload's.
    pub(crate) awaited: HalfCorrelation,
    /// Payload's.
    pub(crate) watched: bool,
    /// Payload's: of its number.
    pub(crate) code: u32,
    /// Its protected payload, which comes in the place of its name.
    pub(crate) payload: Option<u64>,
    /// What waits to be received.
    pub(crate) queue: VecDeque<Kmsg>,
    /// What it stands for.
    pub(crate) kobject: Option<Kobject>,
}

/// A kmsg's memory.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    /// Message bytes and what is behind.
    pub(crate) bytes: Vec<u8>,
    /// Whether it is from `record_alloc`.
    pub(crate) is_record: bool,
    /// Where the kernel keeps the links of a queue.
    pub(crate) links: [u64; 2],
    note: Option<Note>,
    link: usize,
}

/// A message that was queued at a trace port.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    /// Where.
    pub(crate) port: Port,
    kmsg: Kmsg,
    /// Its bytes, once it has been received.
    received: Option<Vec<u8>>,
}

/// One fake kernel.
#[derive(Default)]
pub(crate) struct Fake {
    /// What it answers.
    pub(crate) script: RefCell<Script>,
    /// Live kmsgs.
    pub(crate) kmsgs: RefCell<BTreeMap<usize, Memory>>,
    /// Threads.
    pub(crate) threads: RefCell<BTreeMap<usize, FakeThread>>,
    /// Tasks.
    pub(crate) tasks: RefCell<BTreeMap<usize, FakeTask>>,
    /// Ports.
    pub(crate) ports: RefCell<BTreeMap<usize, FakePort>>,
    /// Messages for tracers that were queued.
    pub(crate) queued: RefCell<Vec<Queued>>,
    /// How `ipc_mqueue_send` was called for records, whatever became of it.
    pub(crate) options: RefCell<Vec<u32>>,
    /// Whether the tracer does not receive at once.
    pub(crate) behind: Cell<bool>,
    /// Whether ports and queues are locked.
    pub(crate) locked: Cell<bool>,
    /// References to tasks, threads and ports that the payload holds.
    pub(crate) references: Cell<i64>,
    /// What happens while a thread waits for its tracer.
    pub(crate) while_waiting: RefCell<Option<Box<dyn FnOnce()>>>,
    /// Threads that were interrupted in what they wait for.
    pub(crate) interrupted: RefCell<Vec<Thread>>,
    /// Lines on the console about records that were lost.
    pub(crate) reports: RefCell<Vec<u32>>,
    /// Others, about children that are not traced.
    pub(crate) untraced_reports: RefCell<Vec<u32>>,
    /// How often room for entries was taken.
    pub(crate) rooms: Cell<usize>,
    /// Arrays of rights out of line in transit, by their addresses.
    pub(crate) arrays: RefCell<BTreeMap<u64, Vec<usize>>>,
    /// The calls of `redirect`.
    pub(crate) redirected: RefCell<Vec<bool>>,
    /// How long threads have slept.
    pub(crate) slept: RefCell<Vec<u32>>,
    /// What was written to their buffers besides messages.
    pub(crate) written: RefCell<Vec<Vec<u8>>>,
    /// Threads that have stayed where they were, and how often they were held when they went on.
    pub(crate) stayed: RefCell<Vec<(Thread, u32)>>,
    /// The kernel's command line.
    pub(crate) command_line: Cell<&'static [u8]>,
    /// Names are not found quickly.
    pub(crate) names_are_slow: Cell<bool>,
    /// The clock has to be looked at.
    pub(crate) clock_is_slow: Cell<bool>,
    /// How often the time was told without.
    pub(crate) quick_times: Cell<usize>,
    /// Memory of tracers' rings, by their places.
    pub(crate) rings: RefCell<BTreeMap<usize, &'static Ring<'static, AtomicU64>>>,
    /// That of the recorder's.
    pub(crate) ring: Cell<Option<&'static Ring<'static, AtomicU64>>>,
    /// What threads have waited for, and whether they were woken by it.
    pub(crate) waits: RefCell<Vec<(Port, bool)>>,
    awaited: Cell<Option<Port>>,
    woken: RefCell<Vec<Port>>,
    next_port: Cell<usize>,
    current: Cell<usize>,
    next_kmsg: Cell<usize>,
}

impl Fake {
    /// Four tasks with a thread each, the first of them current, and a trace port.
    pub(crate) fn new() -> Self {
        let fake = Self::default();
        let threads = [(TASK, THREAD), (CHILD, CHILDS_THREAD), (THIRD, THIRDS_THREAD), (TRACER, TRACERS_THREAD)];
        for (task, thread) in threads {
            fake.add_thread(task, thread);
        }
        fake.add_task(KERNEL_TASK);
        fake.run(THREAD);
        fake.add_port(TRACE, TRACER);
        fake.port(TRACE).rights = 1;
        fake
    }

    /// A new task and its control port.
    pub(crate) fn add_task(&self, task: Task) {
        self.tasks.borrow_mut().entry(task.address()).or_default();
        self.add_port(control_port(task), KERNEL_TASK);
        self.port(control_port(task)).kobject = Some(Kobject::Task(task));
    }

    /// A new thread, of a task that may be new.
    pub(crate) fn add_thread(&self, task: Task, thread: Thread) {
        if !self.tasks.borrow().contains_key(&task.address()) {
            self.add_task(task);
        }
        self.threads
            .borrow_mut()
            .insert(thread.address(), FakeThread { task: task.address(), ..FakeThread::default() });
    }

    /// A new port.
    pub(crate) fn add_port(&self, port: Port, receiver: Task) {
        let new = FakePort {
            rights: 0,
            dead: false,
            limit: 5,
            receiver: receiver.address(),
            awaited: HalfCorrelation::NONE,
            watched: false,
            code: 0,
            payload: None,
            queue: VecDeque::new(),
            kobject: None,
        };
        self.ports.borrow_mut().insert(port.address(), new);
    }

    /// Makes a thread the current one.
    pub(crate) fn run(&self, thread: Thread) {
        self.current.set(thread.address());
    }

    /// A thread's struct.
    pub(crate) fn thread(&self, thread: Thread) -> RefMut<'_, FakeThread> {
        RefMut::map(self.threads.borrow_mut(), |threads| threads.get_mut(&thread.address()).expect("a thread"))
    }

    /// A task's struct.
    pub(crate) fn task(&self, task: Task) -> RefMut<'_, FakeTask> {
        RefMut::map(self.tasks.borrow_mut(), |tasks| tasks.entry(task.address()).or_default())
    }

    /// A port's struct.
    pub(crate) fn port(&self, port: Port) -> RefMut<'_, FakePort> {
        RefMut::map(self.ports.borrow_mut(), |ports| ports.get_mut(&port.address()).expect("a port"))
    }

    /// A live kmsg.
    pub(crate) fn memory(&self, kmsg: Kmsg) -> RefMut<'_, Memory> {
        RefMut::map(self.kmsgs.borrow_mut(), |kmsgs| kmsgs.get_mut(&kmsg.address()).expect("a live kmsg"))
    }

    /// A new kmsg with this memory: a kernel address that its lower half tells.
    pub(crate) fn new_kmsg(&self, bytes: Vec<u8>, is_record: bool) -> Kmsg {
        let number = self.next_kmsg.get() + 1;
        self.next_kmsg.set(number);
        let kmsg = Kmsg::fake(0xffff_ffff_9000_0000 + 8 * number);
        self.kmsgs
            .borrow_mut()
            .insert(kmsg.address(), Memory { bytes, is_record, links: [0xbb; 2], note: None, link: 0 });
        kmsg
    }

    /// A message in transit with these bytes, without room behind them; its `msgh_size` is their number.
    pub(crate) fn kmsg(&self, bytes: &[u8]) -> Kmsg {
        let mut bytes = bytes.to_vec();
        let size = (bytes.len() as u32).to_le_bytes();
        bytes[4..8].copy_from_slice(&size);
        self.new_kmsg(bytes, false)
    }

    /// Frees a kmsg without looking at its rights.
    pub(crate) fn free(&self, kmsg: Kmsg) -> Memory {
        self.kmsgs.borrow_mut().remove(&kmsg.address()).expect("a kmsg is consumed once")
    }

    /// Gives a freed kmsg its memory back.
    pub(crate) fn revive(&self, kmsg: Kmsg, memory: Memory) {
        assert!(self.kmsgs.borrow_mut().insert(kmsg.address(), memory).is_none(), "a kmsg was free");
    }

    /// Kills a port: rights to it become dead, and what is in its queue is destroyed.
    pub(crate) fn kill(&self, port: Port) {
        self.port(port).dead = true;
        let queue = core::mem::take(&mut self.port(port).queue);
        for kmsg in queue {
            self.queued.borrow_mut().retain(|queued| queued.kmsg != kmsg || queued.received.is_some());
            self.destroy(kmsg);
        }
    }

    /// The rights to a port that somebody holds.
    pub(crate) fn rights(&self, port: Port) -> i64 {
        self.port(port).rights
    }

    /// Whether `redirect` was called last with `true`.
    pub(crate) fn is_redirected(&self) -> bool {
        self.redirected.borrow().last().copied().unwrap_or(false)
    }

    /// The bytes of all messages to tracers, in the order in which they were queued.
    pub(crate) fn records(&self) -> Vec<Vec<u8>> {
        let bytes = |queued: &Queued| match &queued.received {
            Some(bytes) => bytes.clone(),
            None => self.message(queued.kmsg),
        };
        self.queued.borrow().iter().map(bytes).collect()
    }

    /// The bytes of a message.
    pub(crate) fn message(&self, kmsg: Kmsg) -> Vec<u8> {
        let size = self.msgh_size(kmsg) as usize;
        self.memory(kmsg).bytes[..size].to_vec()
    }

    /// The tracer receives all there is at its ports.
    pub(crate) fn receive_records(&self) {
        for queued in self.queued.borrow_mut().iter_mut().filter(|queued| queued.received.is_none()) {
            let front = self.port(queued.port).queue.pop_front();
            assert_eq!(front, Some(queued.kmsg), "messages are received in their order");
            let bytes = self.message(queued.kmsg);
            self.destroy(queued.kmsg);
            queued.received = Some(bytes);
        }
    }

    /// Whether nothing is locked, as most of the kernel demands.
    fn unlocked(&self) {
        assert!(!self.locked.get(), "ports and queues are locked");
    }

    fn release(&self, port: usize) {
        let mut port = self.port(Port::fake(port));
        port.rights -= 1;
        assert!(port.rights >= 0, "a right is released once");
    }

    fn destroy(&self, kmsg: Kmsg) {
        let memory = self.free(kmsg);
        if memory.is_record {
            self.release_rights_of_record(&memory.bytes);
        }
    }

    /// Eight bytes of a message.
    pub(crate) fn read(&self, kmsg: Kmsg, offset: usize) -> u64 {
        u64::from_le_bytes(self.memory(kmsg).bytes[offset..offset + 8].try_into().unwrap())
    }

    /// Writes bytes of a message.
    pub(crate) fn write(&self, kmsg: Kmsg, offset: usize, bytes: &[u8]) {
        self.memory(kmsg).bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// The port that a message in transit goes to.
    pub(crate) fn destination(&self, kmsg: Kmsg) -> Port {
        Port::fake(self.read(kmsg, 8) as usize)
    }

    fn half(&self, kmsg: Kmsg, offset: usize) -> u32 {
        u32::from_le_bytes(self.memory(kmsg).bytes[offset..offset + 4].try_into().unwrap())
    }

    /// Where a kmsg's tail stands, if the message does not reach there.
    fn tail_at(&self, kmsg: Kmsg) -> Option<usize> {
        let tail = self.memory(kmsg).bytes.len() - 16;
        (self.msgh_size(kmsg) as usize <= tail).then_some(tail)
    }

    /// What happens while the current thread waits for its tracer; whether it is interrupted.
    fn wait(&self, port: Port) -> bool {
        let waiting = self.script.borrow().waiting;
        match waiting {
            Waiting::TracerReceives => self.receive_records(),
            Waiting::PortDies => self.kill(port),
            Waiting::Interrupted => return true,
            Waiting::SomethingElse => {
                let thread = self.current_thread();
                let action = self.while_waiting.borrow_mut().take();
                action.expect("it happens once")();
                self.run(thread);
                return self.interrupted.borrow().contains(&thread);
            }
        }
        false
    }

    /// A message of the payload's is queued.
    fn enqueue(&self, kmsg: Kmsg) {
        let port = self.destination(kmsg);
        let task = self.thread_task(self.current_thread());
        self.task(task).messages_sent += 1;
        self.port(port).queue.push_back(kmsg);
        self.queued.borrow_mut().push(Queued { port, kmsg, received: None });
        if !self.behind.get() {
            self.receive_records();
        }
    }
}
