//! A GNU Mach for host unit tests: one current thread, scripted outcomes, and books kept on every kmsg and right.
//!
//! It panics on what would corrupt the real kernel: a kmsg used after it was consumed, a right released twice.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::vec::Vec;

use trace_port::record::MAX_BATCH;

use super::*;
use crate::hooks::lifecycle;
use crate::state::State;

/// What the scripted kernel functions answer.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// `ipc_kmsg_get`.
    pub get: u32,
    /// `ipc_kmsg_copyin`.
    pub copyin: u32,
    /// `ipc_mqueue_send` of the user's message, call by call; empty means success.
    pub send: VecDeque<u32>,
    /// `ipc_mqueue_send` of a trace record.
    pub record_send: u32,
    /// `ipc_kmsg_copyout_pseudo`.
    pub copyout_pseudo: u32,
    /// `ipc_mqueue_copyin`.
    pub mqueue_copyin: u32,
    /// `ipc_kmsg_copyout`.
    pub copyout: u32,
    /// `ipc_kmsg_put`.
    pub put: u32,
    /// `ipc_marequest_create`.
    pub marequest: u32,
    /// Whether kalloc has memory for records.
    pub no_memory: bool,
    /// Whether the current thread is being halted.
    pub halting: bool,
}

/// One fake kernel.
#[derive(Default)]
pub struct Fake {
    /// What it answers.
    pub script: RefCell<Script>,
    /// Message bytes of every live kmsg.
    pub kmsgs: RefCell<BTreeMap<usize, Vec<u8>>>,
    /// User memory: what was last put at an address.
    pub user: RefCell<BTreeMap<u64, Vec<u8>>>,
    /// Messages waiting to be received.
    pub queue: RefCell<VecDeque<(Kmsg, u32)>>,
    /// The user's messages that were sent, as they left.
    pub sent: RefCell<Vec<Kmsg>>,
    /// Messages for the tracer that were queued.
    pub records: RefCell<Vec<Vec<u8>>>,
    /// Whether they are still in the queue.
    pub behind: Cell<bool>,
    /// Live kmsgs of `record_alloc`.
    pub batches: RefCell<BTreeSet<usize>>,
    /// Which of `records` are.
    pub queued_batches: RefCell<Vec<bool>>,
    /// Notes by kmsg.
    pub notes: RefCell<BTreeMap<usize, Note>>,
    /// Send rights by port; a port that is not here is dead.
    pub rights: RefCell<BTreeMap<usize, i64>>,
    /// Trace entry by task.
    pub entries: RefCell<BTreeMap<usize, u32>>,
    /// Thread numbers.
    pub numbers: RefCell<BTreeMap<usize, u32>>,
    /// Continuations of the current task's other threads.
    pub sleeping: RefCell<Vec<Continuation>>,
    /// The saved receive arguments.
    pub saved: Cell<Option<Receive>>,
    /// Object references held by receives.
    pub references: Cell<i64>,
    /// Port that the current task's own space receives from.
    pub own_port: Cell<usize>,
    /// How `ipc_mqueue_send` was called for the last record.
    pub last_record_option: Cell<u32>,
    /// `messages_sent` of the current task.
    pub messages_sent: Cell<i64>,
    /// Set: the user's next message is a task_terminate of the current task.
    pub dies_in_send: Cell<Option<&'static State>>,
    /// The current task, if it is not [`TASK`].
    pub current: Cell<Option<Task>>,
    /// What `control_target` answers.
    pub control_target: Cell<Option<(Task, Option<Thread>)>>,
    /// What `task_send_right` hands out, if it is not [`TASK_PORT`].
    pub task_port: Cell<Option<Port>>,
    /// References to tasks that hooks hold.
    pub task_references: Cell<i64>,
    /// Names that [`CHILD`] has for ports.
    pub own_names: RefCell<BTreeMap<usize, u32>>,
    /// Whether the trace port's queue is full.
    pub full: Cell<bool>,
    /// Set: the trace port dies while a thread waits for it.
    pub dies_while_waiting: Cell<bool>,
    /// Whether `ipc_kmsg_copyin` leaves the header as it is: the test has put kernel pointers there.
    pub keep_destination: Cell<bool>,
    /// `ith_exc`.
    pub exception_is_threads: Cell<bool>,
    /// Lines on the console.
    pub reports: RefCell<Vec<u32>>,
    /// Whether `watch` was called last with `true`.
    pub watching: Cell<bool>,
    /// Whether the user's messages go to the kernel.
    pub for_the_kernel: Cell<bool>,
    /// What `receive_at_once` answers.
    pub at_once: Cell<Option<u32>>,
    /// The kernel's reply.
    pub kernel_reply: RefCell<Option<Vec<u8>>>,
    next: Cell<usize>,
}

/// The current thread.
pub const THREAD: Thread = Thread(0x7000);
/// Its task.
pub const TASK: Task = Task(0x1000);
/// Another task.
pub const CHILD: Task = Task(0x2000);
/// The kernel's.
pub const KERNEL_TASK: Task = Task(0xf000);
/// A live trace port.
pub const TRACE: Port = Port(0x5000);
/// What `task_send_right` hands out.
pub const TASK_PORT: Port = Port(0x6000);

impl Fake {
    /// A kernel whose tracer holds one right to [`TRACE`].
    pub fn new() -> Self {
        let fake = Self::default();
        fake.rights.borrow_mut().insert(TRACE.0, 1);
        fake.rights.borrow_mut().insert(TASK_PORT.0, 0);
        fake
    }

    /// Puts a message into user memory.
    pub fn user_message(&self, address: u64, bytes: &[u8]) {
        self.user.borrow_mut().insert(address, bytes.to_vec());
    }

    /// A message in transit with these bytes; its `msgh_size` is their number.
    pub fn kmsg(&self, bytes: &[u8]) -> Kmsg {
        let mut bytes = bytes.to_vec();
        let size = (bytes.len() as u32).to_le_bytes();
        bytes[4..8].copy_from_slice(&size);
        let number = self.next.get() + 1;
        self.next.set(number);
        self.kmsgs.borrow_mut().insert(number, bytes);
        Kmsg(number)
    }

    /// Kills a port: rights to it become dead.
    pub fn kill(&self, port: Port) {
        self.rights.borrow_mut().remove(&port.0);
    }

    fn consume(&self, kmsg: Kmsg) -> Vec<u8> {
        self.kmsgs.borrow_mut().remove(&kmsg.0).expect("a kmsg is consumed once")
    }

    fn is_record(&self, kmsg: Kmsg) -> bool {
        trace_port::is_record((self.record_read(kmsg, 24) >> 32) as u32)
    }

    fn release(&self, port: usize) {
        if let Some(count) = self.rights.borrow_mut().get_mut(&port) {
            *count -= 1;
            assert!(*count >= 0, "a right is released once");
        }
    }

    fn release_rights_of_record(&self, bytes: &[u8]) {
        for offset in [8, trace_port::record::TASK_OFFSET] {
            self.release(u64::from_le_bytes(bytes[offset..offset + 8].try_into().unwrap()) as usize);
        }
    }
}

impl Kernel for Fake {
    fn current_thread(&self) -> Thread {
        THREAD
    }
    fn thread_task(&self, _: Thread) -> Task {
        self.current.get().unwrap_or(TASK)
    }
    fn thread_number(&self, thread: Thread) -> u32 {
        self.numbers.borrow().get(&thread.0).copied().unwrap_or(0)
    }
    fn set_thread_number(&self, thread: Thread, number: u32) {
        self.numbers.borrow_mut().insert(thread.0, number);
    }
    fn thread_is_halting(&self, _: Thread) -> bool {
        self.script.borrow().halting
    }
    fn saved_receive(&self, _: Thread) -> Receive {
        self.saved.get().expect("a receive was saved")
    }
    fn save_receive(&self, _: Thread, receive: &Receive) {
        self.saved.set(Some(*receive));
    }
    fn task_entry(&self, task: Task) -> u32 {
        self.entries.borrow().get(&task.0).copied().unwrap_or(0)
    }
    fn set_task_entry(&self, task: Task, entry: u32) {
        self.entries.borrow_mut().insert(task.0, entry);
    }
    fn task_space(&self, task: Task) -> Space {
        Space(task.0 + 1)
    }
    fn task_is_alive(&self, task: Task) -> bool {
        task.0 != 0xdead
    }
    fn watch(&self, watching: bool) {
        self.watching.set(watching);
    }
    fn is_kernel_task(&self, task: Task) -> bool {
        task == KERNEL_TASK
    }
    fn uncount_sent(&self, _: Task) {
        self.messages_sent.set(self.messages_sent.get() - 1);
    }
    fn convert_sleeping_receivers(&self, _: Task, replace: fn(Continuation) -> Continuation) {
        for continuation in self.sleeping.borrow_mut().iter_mut() {
            *continuation = replace(*continuation);
        }
    }
    fn task_send_right(&self, _: Task) -> Port {
        let port = self.task_port.get().unwrap_or(TASK_PORT);
        *self.rights.borrow_mut().entry(port.0).or_default() += 1;
        port
    }
    fn ipc_port_copy_send(&self, port: Port) -> Port {
        match self.rights.borrow_mut().get_mut(&port.0) {
            Some(count) => {
                *count += 1;
                port
            }
            None => Port::DEAD,
        }
    }
    fn ipc_port_release_send(&self, port: Port) {
        self.release(port.0);
    }
    fn port_is_received_in(&self, port: Port, _: Space) -> bool {
        self.own_port.get() == port.0
    }
    fn port_msgcount(&self, _: Port) -> u32 {
        self.records.borrow().len() as u32
    }
    fn ipc_kmsg_get(&self, msg: UserAddress, size: u32) -> Result<Kmsg, u32> {
        match self.script.borrow().get {
            0 => Ok(self.kmsg(&self.user.borrow()[&msg.0][..size as usize])),
            result => Err(result),
        }
    }
    fn ipc_kmsg_copyin(&self, kmsg: Kmsg, _: u32) -> u32 {
        let result = self.script.borrow().copyin;
        if result == 0 && !self.keep_destination.get() {
            // The destination becomes a kernel pointer: a record must not show this.
            self.kmsgs.borrow_mut().get_mut(&kmsg.0).unwrap()[8..16].fill(0xee);
        }
        result
    }
    fn ipc_kmsg_copyout(&self, kmsg: Kmsg, _: u32) -> u32 {
        self.kmsgs.borrow_mut().get_mut(&kmsg.0).unwrap()[16] = 0x42;
        self.script.borrow().copyout
    }
    fn ipc_kmsg_copyout_pseudo(&self, _: Kmsg) -> u32 {
        self.script.borrow().copyout_pseudo
    }
    fn ipc_kmsg_copyout_dest(&self, _: Kmsg) {}
    fn ipc_kmsg_put(&self, msg: UserAddress, kmsg: Kmsg, size: u32) -> u32 {
        let bytes = self.consume(kmsg);
        self.user.borrow_mut().insert(msg.0, bytes[..size as usize].to_vec());
        self.script.borrow().put
    }
    fn ipc_kmsg_free(&self, kmsg: Kmsg) {
        self.consume(kmsg);
    }
    fn ipc_kmsg_destroy(&self, kmsg: Kmsg) {
        let is_record = self.is_record(kmsg);
        let bytes = self.consume(kmsg);
        if is_record {
            self.release_rights_of_record(&bytes);
        }
    }
    fn msgh_size(&self, kmsg: Kmsg) -> u32 {
        u32::from_le_bytes(self.kmsgs.borrow()[&kmsg.0][4..8].try_into().unwrap())
    }
    fn msgh_seqno(&self, kmsg: Kmsg) -> u32 {
        u32::from_le_bytes(self.kmsgs.borrow()[&kmsg.0][24..28].try_into().unwrap())
    }
    fn set_msgh_seqno(&self, kmsg: Kmsg, seqno: u32) {
        self.kmsgs.borrow_mut().get_mut(&kmsg.0).unwrap()[24..28].copy_from_slice(&seqno.to_le_bytes());
    }
    fn ipc_marequest_create(&self, _: Kmsg, _: u32) -> u32 {
        self.script.borrow().marequest
    }
    fn ipc_mqueue_send(&self, kmsg: Kmsg, option: u32, _: u32) -> u32 {
        if self.is_record(kmsg) {
            self.last_record_option.set(option);
            let result = self.script.borrow().record_send;
            if self.full.get() && self.dies_while_waiting.take() {
                self.kill(TRACE);
            }
            if result == 0 {
                let size = self.msgh_size(kmsg) as usize;
                let mut bytes = self.consume(kmsg);
                let batch = self.batches.borrow_mut().remove(&kmsg.0);
                assert!(size <= bytes.len(), "a message is no larger than its memory");
                bytes.truncate(size);
                let destination = u64::from_le_bytes(bytes[8..16].try_into().unwrap()) as usize;
                self.release_rights_of_record(&bytes);
                if !self.rights.borrow().contains_key(&destination) {
                    // Pretended to be sent: a port that died destroys the message, and nobody counts it.
                    return 0;
                }
                self.records.borrow_mut().push(bytes);
                self.queued_batches.borrow_mut().push(batch);
                self.messages_sent.set(self.messages_sent.get() + 1);
            }
            return result;
        }
        let result = self.script.borrow_mut().send.pop_front().unwrap_or(0);
        if result == 0 {
            assert!(self.kmsgs.borrow().contains_key(&kmsg.0), "a live kmsg is sent");
            self.sent.borrow_mut().push(kmsg);
            if let Some(state) = self.dies_in_send.take() {
                self.script.borrow_mut().halting = true;
                lifecycle::terminated(self, state, TASK);
            }
            self.messages_sent.set(self.messages_sent.get() + 1);
        }
        result
    }
    fn ipc_kobject_server(&self, request: Kmsg) -> Option<Kmsg> {
        self.consume(request);
        self.kernel_reply.borrow().as_ref().map(|bytes| self.kmsg(bytes))
    }
    fn ipc_mqueue_copyin(&self, _: u32) -> Result<(Mqueue, Object), u32> {
        match self.script.borrow().mqueue_copyin {
            0 => {
                self.references.set(self.references.get() + 1);
                Ok((Mqueue(1), Object(7)))
            }
            result => Err(result),
        }
    }
    fn ipc_mqueue_receive(&self, receive: &Receive, max_size: u32, _: bool, _: Continuation) -> Received {
        let Some(&(kmsg, seqno)) = self.queue.borrow().front() else {
            return Received::Failed(0x1000_4003, 0);
        };
        let size = self.msgh_size(kmsg);
        if size > max_size {
            return Received::Failed(mr::RCV_TOO_LARGE, size);
        }
        assert_eq!(self.saved.get().as_ref(), Some(receive), "what a continuation needs is saved first");
        self.queue.borrow_mut().pop_front();
        Received::Message(kmsg, seqno)
    }
    fn receive_at_once(&self, _: Kmsg, _: u32) -> Option<u32> {
        self.at_once.get()
    }
    fn ipc_object_release(&self, _: Object) {
        self.references.set(self.references.get() - 1);
    }
    fn object_name(&self, object: Object) -> u32 {
        object.0 as u32
    }
    fn copyout_msgh_size(&self, msg: UserAddress, size: u32) {
        self.user.borrow_mut().insert(msg.0 + 4, size.to_le_bytes().to_vec());
    }
    fn record_alloc(&self, size: usize) -> Option<Kmsg> {
        if self.script.borrow().no_memory {
            return None;
        }
        let kmsg = self.kmsg(&std::vec![0xaa; size.max(MAX_BATCH)]);
        self.batches.borrow_mut().insert(kmsg.0);
        Some(kmsg)
    }
    fn record_room(&self, kmsg: Kmsg) -> Option<usize> {
        self.batches.borrow().contains(&kmsg.0).then(|| self.kmsgs.borrow()[&kmsg.0].len())
    }
    fn look_at_queue(&self, _: Kmsg, mut look: impl FnMut(Kmsg) -> Option<bool>) -> bool {
        let count = if self.behind.get() { self.records.borrow().len() } else { 0 };
        let found = (0..count).rev().take(4).find_map(|index| {
            let mut bytes = self.records.borrow()[index].clone();
            let (used, is_batch) = (bytes.len(), self.queued_batches.borrow()[index]);
            bytes.resize(if is_batch { MAX_BATCH.max(used) } else { used }, 0xbb);
            let kmsg = Kmsg(usize::MAX - index);
            self.kmsgs.borrow_mut().insert(kmsg.0, bytes);
            if is_batch {
                self.batches.borrow_mut().insert(kmsg.0);
            }
            let taken = look(kmsg);
            self.batches.borrow_mut().remove(&kmsg.0);
            let size = self.msgh_size(kmsg) as usize;
            let mut bytes = self.consume(kmsg);
            if taken == Some(true) {
                bytes.truncate(size);
                self.records.borrow_mut()[index] = bytes;
            }
            taken
        });
        found.unwrap_or(false)
    }
    fn note(&self, record: Kmsg) -> Note {
        self.notes.borrow()[&record.0]
    }
    fn set_note(&self, record: Kmsg, note: Note) {
        self.notes.borrow_mut().insert(record.0, note);
    }
    fn record_write(&self, record: Kmsg, offset: usize, bytes: &[u8]) {
        self.kmsgs.borrow_mut().get_mut(&record.0).unwrap()[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
    fn record_part<T: FromBytes + IntoBytes + KnownLayout + Unaligned>(
        &self,
        record: Kmsg,
        offset: usize,
        fill: impl FnOnce(&mut T),
    ) {
        let mut kmsgs = self.kmsgs.borrow_mut();
        let bytes = &mut kmsgs.get_mut(&record.0).unwrap()[offset..offset + size_of::<T>()];
        fill(T::mut_from_bytes(bytes).unwrap());
    }
    fn record_copy(&self, record: Kmsg, offset: usize, source: Kmsg, start: usize, size: usize) {
        let bytes = self.kmsgs.borrow()[&source.0][start..start + size].to_vec();
        self.record_write(record, offset, &bytes);
    }
    fn time(&self) -> u64 {
        1_000_000_007
    }
    fn report_dropped(&self, total: u32) {
        self.reports.borrow_mut().push(total);
    }
}

impl Objects for Fake {
    fn control_target(&self, _: Kmsg) -> Option<(Task, Option<Thread>)> {
        let (task, thread) = self.control_target.get()?;
        if self.task_entry(task) == 0 || task == self.thread_task(THREAD) {
            return None;
        }
        self.task_references.set(self.task_references.get() + 1);
        Some((task, thread))
    }
    fn is_for_the_kernel(&self, _: Kmsg) -> bool {
        self.for_the_kernel.get()
    }
    fn task_deallocate(&self, _: Task) {
        self.task_references.set(self.task_references.get() - 1);
    }
    fn own_name(&self, task: Task, port: Port) -> u32 {
        if task == CHILD { self.own_names.borrow().get(&port.0).copied().unwrap_or(0) } else { 0 }
    }
    fn port_is_active(&self, port: Port) -> bool {
        self.rights.borrow().contains_key(&port.0)
    }
    fn port_is_full(&self, _: Port) -> bool {
        self.full.get()
    }
    fn exception_is_threads(&self, _: Thread) -> bool {
        self.exception_is_threads.get()
    }
    fn msgh_bits(&self, kmsg: Kmsg) -> u32 {
        self.record_read(kmsg, 0) as u32
    }
    fn remote_port(&self, kmsg: Kmsg) -> Port {
        Port(self.record_read(kmsg, 8) as usize)
    }
    fn local_port(&self, kmsg: Kmsg) -> Port {
        Port(self.record_read(kmsg, 16) as usize)
    }
    fn record_read(&self, record: Kmsg, offset: usize) -> u64 {
        u64::from_le_bytes(self.kmsgs.borrow()[&record.0][offset..offset + 8].try_into().unwrap())
    }
}
