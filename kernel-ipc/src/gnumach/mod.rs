// SPDX-License-Identifier: GPL-2.0-or-later
//! GNU Mach as the hooks see it: handles to its structs and the operations the payload uses.
//!
//! The hooks are written against [`Kernel`]. The running kernel implements it, a file
//! for each trait around `mach`, and `fake` for host unit tests.

#[cfg(target_os = "none")]
mod control;
#[cfg(target_os = "none")]
mod copy;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(all(target_os = "none", feature = "faults"))]
pub(crate) mod faulty;
pub(crate) mod handles;
mod kept;
#[cfg(target_os = "none")]
mod kernel;
pub(crate) mod latch;
#[cfg(target_os = "none")]
mod lock;
#[cfg(target_os = "none")]
pub(crate) mod mach;
#[cfg(target_os = "none")]
pub(crate) mod members;
#[cfg(target_os = "none")]
mod messages;
#[cfg(target_os = "none")]
mod names;
pub(crate) mod objects;
mod once;
pub(crate) mod one;
#[cfg(target_os = "none")]
pub(crate) mod pages;
#[cfg(target_os = "none")]
mod ports;
#[cfg(target_os = "none")]
mod queue;
#[cfg(target_os = "none")]
mod recording;
#[cfg(target_os = "none")]
mod records;
#[cfg(target_os = "none")]
mod shared;
#[cfg(target_os = "none")]
pub(crate) mod slots;
#[cfg(target_os = "none")]
pub(crate) mod switches;
#[cfg(target_os = "none")]
mod tasks;
#[cfg(target_os = "none")]
mod threads;
#[cfg(target_os = "none")]
pub(crate) mod time;

use core::sync::atomic::AtomicU64;

pub(crate) use mach_abi::code::mr;
pub(crate) use mach_abi::option;
use mach_abi::port::{MACH_PORT_DEAD, MACH_PORT_NULL};
use trace_port::ring::Ring;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub(crate) use handles::{
    Blank, InTransit, Kmsg, MaybePort, OwnedKmsg, Port, Record, Reference, SendRight, Space, Task, Thread,
};
pub(crate) use kept::{CallWord, KeptPort, KmsgList};
pub(crate) use once::Once;
pub(crate) use one::{Current, ForOne};

#[cfg(target_os = "none")]
pub(crate) use handles::{MaybeRight, MessageOfKmsg};

use crate::identity::{Identity, NamedPort, Numbers};
use crate::numbers::{HalfCorrelation, TaskNumber, ThreadNumber};

/// What the payload remembers about a record until it is queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// Whose it is.
    pub(crate) key: Key,
    /// Where the last record stands in the message.
    pub(crate) part: u32,
    /// Records lost in all when the message was begun.
    pub(crate) lost: u32,
    /// Whether its task had engines when one of its records was begun: nobody else can be told of it.
    pub(crate) has_engines: bool,
    /// Whether its first record is of what the kernel has answered within the call that asked it, whose record is in another message.
    pub(crate) answers: bool,
}

/// What a trace is known by, also when its task may be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// 1 + index of the entry.
    pub(crate) entry: u32,
    /// What records call the task.
    pub(crate) number: TaskNumber,
}

/// What a thread gave `mach_msg`, as the kernel keeps it until the call is over, also while the thread sleeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// `MACH_SEND_*` and `MACH_RCV_*` bits.
    pub(crate) option: u32,
    /// Bytes to send.
    pub(crate) send_size: u32,
    /// Port or port set to receive from.
    pub(crate) rcv_name: u32,
    /// Milliseconds.
    pub(crate) time_out: u32,
}

/// Threads, and what the payload keeps in the holes of their structs. What it keeps belongs to the thread itself while it runs.
pub(crate) trait Threads {
    /// Corresponds to `current_thread`.
    fn current_thread(&self) -> Thread;
    /// `thread->task`.
    fn thread_task(&self, thread: Thread) -> Task;
    /// The payload's number of a thread; none until one is given.
    fn thread_number(&self, thread: Thread) -> ThreadNumber;
    /// The payload's number of a thread, which gets one if it has none.
    fn give_thread_number(&self, thread: Thread, numbers: &Numbers) -> ThreadNumber;
    /// The call that the thread is in: see [`OpenCall`](crate::open_call::OpenCall).
    fn thread_call(&self, thread: Thread) -> CallWord;
    /// Sets it.
    fn set_thread_call(&self, thread: Thread, call: CallWord);
    /// What tells apart the times at which the path was led through the payload: see [`CallWord`].
    fn period(&self) -> u32;
    /// [`Kmsg::message_half`] of what the thread has copied in and not sent yet, or of what it is to receive: see
    /// [`received_on`](crate::received_on); or 0.
    fn thread_message(&self, thread: Thread) -> u32;
    /// Sets it.
    fn set_thread_message(&self, thread: Thread, message: u32);
    /// What is kept of the correlation number of the request whose reply the thread's call is to receive.
    fn thread_awaited(&self, thread: Thread) -> HalfCorrelation;
    /// Sets it.
    fn set_thread_awaited(&self, thread: Thread, awaited: HalfCorrelation);
    /// The `notify` argument of the thread's `mach_msg`, if an option asks for one.
    fn thread_notify(&self, thread: Thread) -> u32;
    /// Notes that, or another word in its place for a call without a notify port.
    fn set_thread_notify(&self, thread: Thread, notify: u32);
    /// The other arguments.
    fn arguments(&self, thread: Thread) -> Arguments;
    /// Of these the option and the name that is received from.
    fn receives(&self, thread: Thread) -> (u32, u32);
    /// The time-out that a thread's `mach_msg` was given.
    fn time_out(&self, thread: Thread) -> u32;
    /// What its receive goes by, `ith_option` and `ith_rcv_size`: unlike the registers nobody changes them while it sleeps. The option is an earlier
    /// receive's if this one has none but `MACH_SEND_MSG` and `MACH_RCV_MSG`; the size is, too, if the message is what the kernel has answered at once.
    fn receives_with(&self, thread: Thread) -> (u32, u32);
    /// Whether the thread is being terminated or halted and must not be made to wait.
    fn thread_is_halting(&self, thread: Thread) -> bool;
    /// Whether `thread->ith_self` is there, which it no longer is after `ipc_thread_terminate`.
    fn thread_is_alive(&self, thread: Thread) -> bool;
    /// Whether the thread's exception was raised on its own exception port: `ith_exc` is not 0, as long as the task's
    /// exception port is still to be tried.
    fn exception_is_threads(&self, thread: Thread) -> bool;
    /// Corresponds to `clear_wait` with `THREAD_INTERRUPTED`, of those threads of a task that `waits` says so of.
    fn interrupt_threads(&self, task: Task, waits: impl FnMut(Thread) -> bool);
    /// Lets the stubs of `arch` look closer at the thread's calls, and at requests on its control port.
    fn watch_thread(&self, thread: Thread);
    /// Ends that for the calls of the current thread, if its task is not traced.
    fn unwatch_untraced(&self, thread: Thread);
    /// A thread that may be looked at lightly ([`crate::light`]) is not from its next call on. By the thread itself, or with its task's threads.
    fn watch_closely(&self, thread: Thread);
    /// The current thread is looked at lightly from its next call on, unless `is_light` says by then that its task is not to be.
    fn watch_lightly(&self, thread: Thread, is_light: impl Fn() -> bool);
    /// Corresponds to `thread_block`, after [`Threads::prepare_to_stop`]: until it is woken, or interrupted.
    fn wait(&self);
    /// Corresponds to `assert_wait` of an interruptible wait for what only this thread waits for. The caller's next call that may sleep is
    /// [`Threads::wait`].
    fn prepare_to_stop(&self, thread: Thread);
    /// Corresponds to `thread_wakeup`, for that.
    fn wake_stopped(&self, thread: Thread);
    /// Corresponds to `thread_hold`: one suspension more, which nobody else takes away. A thread that runs, the current one too, stops when it
    /// blocks, or on its way to user mode with the next tick of the clock.
    fn hold_thread(&self, thread: Thread);
    /// Corresponds to `thread_release`: takes that away.
    fn release_thread(&self, thread: Thread);
    /// Corresponds to `thread_block` of a current thread that is held: until it is not, or has to come to a clean point.
    fn stay(&self);
    /// Whether a thread neither runs nor is about to.
    fn thread_stands(&self, thread: Thread) -> bool;
    /// `TH_HALTED`: whether the thread has been brought to a clean point and is suspended there.
    fn thread_is_halted(&self, thread: Thread) -> bool;
    /// The thread of a task that has the lowest number above this one; each gets a number.
    fn next_thread(
        &self,
        task: Task,
        above: ThreadNumber,
        numbers: &Numbers,
    ) -> Option<(Reference<Thread>, ThreadNumber)>;
    /// Corresponds to `thread_will_wait_with_timeout` and `thread_block`: so many milliseconds, unless the thread is interrupted.
    fn sleep(&self, milliseconds: u32);
    /// Writes the current thread's buffer for the message that its call is to receive. `false` if it cannot be written.
    fn write_received(&self, bytes: &[u8]) -> bool;
    /// Corresponds to `thread_deallocate`.
    fn thread_deallocate(&self, thread: Reference<Thread>);
    /// Shows `look` every thread of a task but the current one, as far as it stands still: whether it sleeps in the receive
    /// half of a `mach_msg`. Nothing wakes the thread meanwhile.
    fn look_at_threads(&self, task: Task, look: impl FnMut(Thread, bool));
}

/// Tasks and their spaces.
pub(crate) trait Tasks {
    /// What [`Tasks::names`] gives.
    type Names<'a>: Names
    where
        Self: 'a;
    /// What [`Tasks::quick_names`] gives.
    type QuickNames<'a>: Names
    where
        Self: 'a;
    /// 1 + index of the task's trace entry, kept in a hole of struct task; 0 if it has none.
    fn task_entry(&self, task: Task) -> u32;
    /// Notes a task's trace entry.
    fn set_task_entry(&self, task: Task, entry: u32);
    /// What records call the task while it is traced.
    fn task_number(&self, task: Task) -> TaskNumber;
    /// Notes what records call the task while it is traced.
    fn set_task_number(&self, task: Task, number: TaskNumber);
    /// `task->itk_space`.
    fn task_space(&self, task: Task) -> Space;
    /// `task->itk_space->is_active`: once it is not it is never again.
    fn space_is_active(&self, task: Task) -> bool;
    /// Whether `task->itk_self` is there, which it no longer is in a dying task.
    fn task_is_alive(&self, task: Task) -> bool;
    /// Whether it is `kernel_task`.
    fn is_kernel_task(&self, task: Task) -> bool;
    /// Takes one message back out of `task->messages_sent`, which counts the payload's records too.
    fn uncount_sent(&self, task: Task);
    /// Corresponds to `task_reference` and `convert_task_to_port`: a new send right to the task, unless it is dying.
    fn task_send_right(&self, task: Task) -> Option<SendRight>;
    /// [`Threads::watch_thread`] for all threads that the task has now, and the same for requests on its own control port.
    fn watch_task(&self, task: Task);
    /// [`Threads::watch_closely`] for all threads that the task has now; the first word of a call that one has becomes the second one, wherever
    /// the thread is.
    fn watch_threads_closely(&self, task: Task, words: (CallWord, CallWord));
    /// Corresponds to `task_reference`.
    fn task_reference(&self, task: Task) -> Reference<Task>;
    /// The task that a port is the control port of.
    fn port_task(&self, port: Port) -> Option<Reference<Task>>;
    /// Corresponds to `task_deallocate`.
    fn task_deallocate(&self, task: Reference<Task>);
    /// The task's own name for a port, or 0: where the task receives from it or has send rights to it.
    fn own_name(&self, task: Task, port: Port) -> u32;
    /// A task's names, which do not change as long as this is there; none if somebody is just changing them.
    fn names<'a>(&'a self, task: Task, numbers: &'a Numbers) -> Option<Self::Names<'a>>;
    /// [`Tasks::names`] for who does not wait, and looks no further than where they are found quickly.
    fn quick_names<'a>(&'a self, one: ForOne, task: Task, numbers: &'a Numbers) -> Option<Self::QuickNames<'a>>;
    /// Lets `change` have what a port keeps for [`replies`](crate::replies): the port that a task has a right to by this name. Nothing if there
    /// is none, or if somebody is just changing the task's names.
    fn awaited_at(&self, task: Task, name: u32, change: impl FnOnce(&mut HalfCorrelation));
}

/// Corresponds to `MACH_PORT_VALID`: whether this can be the name of something.
pub(crate) const fn is_valid(name: u32) -> bool {
    !matches!(name, MACH_PORT_NULL | MACH_PORT_DEAD)
}

/// The names of one task, which do not change meanwhile.
pub(crate) trait Names {
    /// Which port or port set the task has this name for, which is a valid one; `None` if it stands for neither.
    fn port(&self, name: u32) -> Option<NamedPort>;

    /// Which port or port set the task has a name for, which may be none.
    #[inline(always)]
    fn look_up(&self, name: u32) -> Option<Identity> {
        if is_valid(name) { self.port(name).map(NamedPort::identity) } else { None }
    }
}

/// Ports and rights to them.
pub(crate) trait Ports {
    /// Corresponds to `ipc_port_copy_send`: a new right, unless the port is dead. The caller knows that a right to it is there.
    fn ipc_port_copy_send(&self, port: Port) -> Option<SendRight>;
    /// Corresponds to `ipc_port_release_send`.
    fn ipc_port_release_send(&self, right: SendRight);
    /// Corresponds to `ipc_port_alloc_special` and `ipc_port_make_send`: a port that the kernel receives from, with one right.
    fn kernel_port(&self) -> Option<SendRight>;
    /// Corresponds to `ipc_port_make_send`, of a port of [`Ports::kernel_port`].
    fn make_send(&self, port: Port) -> SendRight;
    /// Puts a number down in a port of [`Ports::kernel_port`], which comes to be asked for when it has no senders: `ipc_port_nsrequest`.
    fn watch_senders(&self, port: Port, object: u32);
    /// What [`Ports::watch_senders`] has put down there, or anything of a port of another kind.
    fn kernel_port_object(&self, port: Port) -> u32;
    /// Corresponds to `ipc_port_dealloc_special`: a port of [`Ports::kernel_port`] dies.
    fn end_kernel_port(&self, port: Port);
    /// Whether it is the host's privileged port, and alive.
    fn port_is_host_privileged(&self, port: Port) -> bool;
    /// Whether the kernel itself receives from it.
    fn port_is_the_kernels(&self, port: Port) -> bool;
    /// Which port it is, and what it stands for; `None` if it is dead. The caller has a right to it, and has not locked it.
    fn identity(&self, port: Port, numbers: &Numbers) -> Option<Identity>;
    /// Whether messages that come to it show a protected payload instead of its receiver's name.
    fn port_has_payload(&self, port: Port) -> bool;
    /// The task's name for a port that it receives from, and which port that is. `is_locked`: by the caller.
    fn receivers_name(&self, port: Port, task: Task, numbers: &Numbers, is_locked: bool) -> Option<NamedPort>;
    /// Whether the receive right is in this space.
    #[inline(always)]
    fn port_is_received_in(&self, port: Port, space: Space) -> bool {
        self.port_is_received_at(port, space.address())
    }
    /// Whether the receive right is in the space at this address, which need not be there any more.
    fn port_is_received_at(&self, port: Port, space: usize) -> bool;
    /// `port->ip_msgcount`.
    fn port_msgcount(&self, port: Port) -> u32;
    /// Corresponds to `ip_active`. The caller holds a right or a reference.
    fn port_is_active(&self, port: Port) -> bool;
    /// Whether a sender without `MACH_SEND_ALWAYS` would have to wait.
    fn port_is_full(&self, port: Port) -> bool;
}

/// Messages: kmsgs, in the form they are sent in, in transit, or as they are received.
pub(crate) trait Messages {
    /// `msgh_bits`.
    fn msgh_bits(&self, kmsg: Kmsg) -> u32;
    /// `msgh_size`.
    fn msgh_size(&self, kmsg: Kmsg) -> u32;
    /// `msgh_id`.
    fn msgh_id(&self, kmsg: Kmsg) -> u32;
    /// Eight message bytes of a kmsg, within its message.
    fn message_word(&self, kmsg: Kmsg, offset: usize) -> u64;
    /// Four of them.
    fn message_dword(&self, kmsg: Kmsg, offset: usize) -> u32;
    /// Copies the first words of a kmsg's message, which has as many, into these places.
    fn copy_message(&self, kmsg: Kmsg, places: &[AtomicU64]);
    /// `msgh_remote_port` of a message before copyin or after copyout.
    fn remote_name(&self, kmsg: Kmsg) -> u32;
    /// `msgh_local_port` of a message before copyin or after copyout.
    fn local_name(&self, kmsg: Kmsg) -> u32;
    /// The port that a message in transit goes to, which may be dead.
    fn destination(&self, message: InTransit) -> Port;
    /// Two words of a kmsg that is in no queue, where the kernel keeps the links of one.
    fn link_words(&self, kmsg: Kmsg) -> [u64; 2];
    /// Sets them.
    fn set_link_words(&self, kmsg: Kmsg, words: [u64; 2]);
    /// The last two words of a kmsg's memory, unless the message itself may reach there.
    fn tail(&self, kmsg: Kmsg) -> Option<[u64; 2]>;
    /// Sets them, if [`Messages::tail`] has an answer.
    fn set_tail(&self, kmsg: Kmsg, tail: [u64; 2]);
    /// What stands in a request at an offset, within its message.
    fn request_part<T: FromBytes>(&self, request: InTransit, offset: usize) -> T;
    /// Takes a right out of a request, whose word at an offset its descriptor says to be a send right: no right if it is to no port or a
    /// dead one.
    fn take_right(&self, request: InTransit, offset: usize) -> Option<SendRight>;
    /// How many bytes a reply may have.
    fn reply_room(&self, reply: InTransit) -> usize;
    /// Writes a part of a reply, within its room.
    fn reply_part<T: IntoBytes + Immutable>(&self, reply: InTransit, offset: usize, part: &T);
    /// Puts a right into a reply, within its room.
    fn reply_right(&self, reply: InTransit, offset: usize, right: SendRight);
    /// Sets a reply's `msgh_size`, and whether it is complex.
    fn end_reply(&self, reply: InTransit, size: u32, is_complex: bool);
    /// The traced task, other than the current one, that a request is addressed to by its control port or by that of a thread of it, if
    /// that is watched.
    fn control_target(&self, request: InTransit) -> Option<(Reference<Task>, Option<Reference<Thread>>)>;
    /// Corresponds to `ipc_kmsg_destroy`: releases the rights of a message in transit and frees it.
    fn ipc_kmsg_destroy(&self, kmsg: OwnedKmsg);
    /// Corresponds to `ipc_mqueue_send`.
    ///
    /// # Errors
    /// What it returned, and the kmsg, which is not sent.
    fn ipc_mqueue_send(&self, kmsg: OwnedKmsg, option: u32, time_out: u32) -> Result<(), (u32, OwnedKmsg)>;
}

/// Messages to a trace port, before they are sent.
pub(crate) trait Records {
    /// Memory for a record with a message of `size` bytes, from kalloc; its bytes are not initialized. It has room for at least
    /// [`MAX_BATCH`](trace_port::record::MAX_BATCH), and the lower half of its address tells it, of which the lowest three bits are 0.
    /// `ahead`: nothing is lost yet if there is none.
    fn record_alloc(&self, size: usize, ahead: bool) -> Option<Blank>;
    /// Begins a record: addressed to a trace port, with the right to the task, if there is one. Its message is as long as its rights go.
    fn record_begin(&self, blank: Blank, right: SendRight, task: Option<SendRight>) -> OwnedKmsg;
    /// How many message bytes a kmsg has room for if it is a record's; nothing for any other, whatever it holds.
    fn record_room(&self, kmsg: Kmsg) -> Option<usize>;
    /// The trace port that a record is addressed to.
    fn record_port(&self, record: Record) -> Port;
    /// Shows `look` the records, each with its room, among the last few messages in the queue that a record is addressed to, the last
    /// one first, until it has an answer; `false` without one. Nobody can receive or destroy them meanwhile, and `look` may change their
    /// bytes.
    fn look_at_queue(&self, record: Record, look: impl FnMut(Record, usize) -> Option<bool>) -> bool;
    /// What [`Records::set_note`] left in a record that is not queued.
    fn note(&self, record: Record) -> Note;
    /// Leaves a note in a record that is not queued, where the kernel keeps the links of a queue.
    fn set_note(&self, record: Record, note: Note);
    /// Leads a record that is not queued on to another, in a list of the payload's. When it is queued it must lead to none.
    fn set_link(&self, record: Record, link: Option<OwnedKmsg>);
    /// Leads a record on to another, and gives back where it has led.
    fn swap_link(&self, record: Record, link: Option<OwnedKmsg>) -> Option<OwnedKmsg>;
    /// Sets a record's `msgh_size` and `msgh_id`.
    fn set_message(&self, record: Record, size: u32, id: u32);
    /// Eight message bytes of a record.
    fn record_read(&self, record: Record, offset: usize) -> u64;
    /// A right in the message in transit that a record shows, which its descriptors tell, before it is concealed:
    /// [`conceal`](crate::conceal) alone looks.
    fn shown_right(&self, record: Record, offset: usize) -> MaybePort;
    /// A right in an array out of line of the message in transit that a record shows, whose address stands at this offset, before
    /// it is concealed, and which has more than `index` of them.
    fn shown_right_in_array(&self, record: Record, offset: usize, index: usize) -> MaybePort;
    /// Writes message bytes of a record.
    fn record_write(&self, record: Record, offset: usize, bytes: &[u8]);
    /// Lets `fill` write a part of a record.
    fn record_part<T: FromBytes + IntoBytes + KnownLayout + Unaligned>(
        &self,
        record: Record,
        offset: usize,
        fill: impl FnOnce(&mut T),
    );
    /// Copies `size` message bytes of another kmsg, from `start` on, into a record.
    fn record_copy(&self, record: Record, offset: usize, source: Kmsg, start: usize, size: usize);
}

/// Rings of tracers: memory that tasks may map, by its places in a pool, and what else they need.
pub(crate) trait Shared {
    /// Corresponds to `ip_reference`. The caller knows that a right to it is there.
    fn port_reference(&self, port: Port) -> Reference<Port>;
    /// Corresponds to `ip_release`.
    fn port_release(&self, port: Reference<Port>);
    /// In the place of [`Records::record_begin`]: the whole of a `trace_ring`.
    fn ring_message(&self, blank: Blank, right: SendRight) -> OwnedKmsg;
    /// The ring at a place, once it has been made.
    fn tracers_ring(&self, place: usize) -> Option<&'static Ring<'static, AtomicU64>>;
    /// Makes it: memory, and an object of the kernel's that stands for it, for ever. `false` if there is no memory. Nobody else makes that one.
    fn make_ring(&self, place: usize) -> bool;
    /// Whether no task has one mapped, or a right to map it. Of one that was never made there is nothing.
    fn ring_is_unused(&self, place: usize) -> bool;
    /// Corresponds to `memory_object_create_proxy`: a right to map all of it, to be read, or the reader's page, to be written, too.
    ///
    /// # Errors
    /// What it returned.
    fn ring_object(&self, place: usize, is_readers_page: bool) -> Result<SendRight, u32>;
}

/// The operations of GNU Mach that the payload uses, under the kernel's own names.
///
/// Nothing may be locked by the caller, unless a hook says so. What a handle is to is only looked at; what is owned is an [`OwnedKmsg`],
/// a [`SendRight`] or a [`Reference`], which cannot be copied.
pub(crate) trait Kernel: Threads + Tasks + Ports + Messages + Records + Shared {
    /// Leads the kernel's message path through the payload, or past it.
    fn redirect(&self, is_traced: bool);
    /// What `number` gives for what happens now, and its time, in nanoseconds of the kernel's clock. A later number never has an earlier
    /// time.
    fn now(&self, number: impl FnOnce() -> u64) -> (u64, u64);
    /// [`Kernel::now`] where the kernel has counted no tick since the last look at its clock; else none, and `number` has not been asked.
    fn now_quickly(&self, one: ForOne, number: impl FnOnce() -> u64) -> Option<(u64, u64)>;
    /// Nobody is traced any more.
    fn rest(&self);
    /// The kernel's command line, before anything else runs.
    fn command_line(&self) -> &'static [u8];
    /// That it is a kernel for one processor, on which nothing else runs until its current thread waits; none if it is not.
    fn for_one(&self) -> Option<ForOne>;
    /// The memory of the machine's recorder, if the instrumenter has given it enough.
    fn ring(&self) -> Option<&'static Ring<'static, AtomicU64>>;
    /// Memory from kalloc, with so many defaults, that is never given back.
    fn room<T: Default, const N: usize>(&self) -> Option<&'static mut [T; N]>;
    /// Says on the console that children of traced tasks are not traced.
    fn report_untraced(&self, total: u32);
    /// Says on the console that records were dropped.
    fn report_dropped(&self, total: u32);
}
