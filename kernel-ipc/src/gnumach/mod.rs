//! GNU Mach as the hooks see it: handles to its structs and the operations the payload uses.
//!
//! The hooks are written against [`Kernel`]. `mach` implements it on the running kernel, `fake` in host unit tests.

#[cfg(target_os = "none")]
mod continuation;
#[cfg(target_os = "none")]
mod copy;
#[cfg(test)]
pub mod fake;
#[cfg(all(target_os = "none", feature = "faults"))]
pub mod faulty;
#[cfg(target_os = "none")]
mod lock;
#[cfg(target_os = "none")]
pub mod mach;
pub mod objects;
#[cfg(target_os = "none")]
mod queue;
#[cfg(target_os = "none")]
pub mod slots;
#[cfg(target_os = "none")]
pub mod time;

use zerocopy::{FromBytes, IntoBytes, KnownLayout, Unaligned};

use crate::payload_abi::{ABSENT, KERNEL_BASE, Need};

pub use objects::Objects;

macro_rules! handle {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub(crate) usize);
    )*};
}

handle! {
    /// Corresponds to `thread_t`.
    Thread;
    /// Corresponds to `task_t`.
    Task;
    /// Corresponds to `ipc_space_t`.
    Space;
    /// Corresponds to `ipc_kmsg_t`.
    Kmsg;
    /// Corresponds to `ipc_object_t`: a port or a port set.
    Object;
    /// Corresponds to `ipc_mqueue_t`.
    Mqueue;
}

/// Corresponds to `ipc_port_t`; may be `IP_NULL` or `IP_DEAD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port(pub(crate) usize);

impl Port {
    /// `IP_NULL`.
    pub const NULL: Self = Self(0);
    /// `IP_DEAD`.
    pub const DEAD: Self = Self(usize::MAX);

    /// Corresponds to `IP_VALID`.
    pub fn is_valid(self) -> bool {
        self != Self::NULL && self != Self::DEAD
    }
}

/// An address in the current task's map, as the user gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserAddress(pub u64);

/// `mach_msg_return_t` and the `kern_return_t` values the payload uses.
pub mod mr {
    /// `MACH_MSG_SUCCESS`.
    pub const SUCCESS: u32 = 0;
    /// `MACH_SEND_TIMED_OUT`.
    pub const SEND_TIMED_OUT: u32 = 0x1000_0004;
    /// `MACH_SEND_WILL_NOTIFY`.
    pub const SEND_WILL_NOTIFY: u32 = 0x1000_0005;
    /// `MACH_SEND_INVALID_NOTIFY`.
    pub const SEND_INVALID_NOTIFY: u32 = 0x1000_000b;
    /// `MACH_SEND_NO_BUFFER`.
    pub const SEND_NO_BUFFER: u32 = 0x1000_000d;
    /// `MACH_RCV_TOO_LARGE`.
    pub const RCV_TOO_LARGE: u32 = 0x1000_4004;
    /// `MACH_RCV_INVALID_NOTIFY`.
    pub const RCV_INVALID_NOTIFY: u32 = 0x1000_4007;
    /// `MACH_RCV_BODY_ERROR`.
    pub const RCV_BODY_ERROR: u32 = 0x1000_400c;
    /// `MACH_MSG_MASK`: the bits that say what a header or body error was short of.
    pub const MASK: u32 = 0x3c00;
    /// `KERN_INVALID_ARGUMENT`.
    pub const KERN_INVALID_ARGUMENT: u32 = 4;
    /// `KERN_FAILURE`.
    pub const KERN_FAILURE: u32 = 5;
    /// `KERN_RESOURCE_SHORTAGE`.
    pub const KERN_RESOURCE_SHORTAGE: u32 = 6;
    /// `KERN_NO_ACCESS`.
    pub const KERN_NO_ACCESS: u32 = 8;
}

/// Bits of the `option` argument of `mach_msg` and `ipc_mqueue_send`.
pub mod option {
    /// `MACH_SEND_MSG`.
    pub const SEND_MSG: u32 = 0x1;
    /// `MACH_RCV_MSG`.
    pub const RCV_MSG: u32 = 0x2;
    /// `MACH_SEND_TIMEOUT`.
    pub const SEND_TIMEOUT: u32 = 0x10;
    /// `MACH_SEND_NOTIFY`.
    pub const SEND_NOTIFY: u32 = 0x20;
    /// `MACH_SEND_CANCEL`.
    pub const SEND_CANCEL: u32 = 0x80;
    /// `MACH_RCV_TIMEOUT`.
    pub const RCV_TIMEOUT: u32 = 0x100;
    /// `MACH_RCV_NOTIFY`.
    pub const RCV_NOTIFY: u32 = 0x200;
    /// `MACH_RCV_LARGE`.
    pub const RCV_LARGE: u32 = 0x800;
    /// `MACH_SEND_ALWAYS`, for callers in the kernel only.
    pub const SEND_ALWAYS: u32 = 0x1_0000;
}

/// Arguments of the receive half of `mach_msg`, which the kernel saves in the thread while it sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receive {
    /// `ith_msg`.
    pub msg: UserAddress,
    /// `ith_option`.
    pub option: u32,
    /// `ith_rcv_size`.
    pub rcv_size: u32,
    /// `ith_timeout`.
    pub time_out: u32,
    /// `ith_notify`.
    pub notify: u32,
    /// `ith_object`, of which the receive holds a reference.
    pub object: Object,
    /// `ith_mqueue`.
    pub mqueue: Mqueue,
}

/// What `ipc_mqueue_receive` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A message, and its sequence number in the queue.
    Message(Kmsg, u32),
    /// Nothing, for this `mach_msg_return_t`; with `MACH_RCV_TOO_LARGE` the size of the message that stays queued.
    Failed(u32, u32),
}

/// What the payload remembers about a record until it is queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// The traced task, which the caller keeps alive.
    pub task: Task,
    /// Where the last record stands in the message.
    pub part: u32,
    /// Records lost in all when the message was begun.
    pub lost: u32,
}

/// How a sleeping receiver goes on when it is woken: corresponds to `thread->swap_func`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuation {
    /// `mach_msg_continue`.
    Plain,
    /// `mach_msg_receive_continue`.
    Options,
    /// The payload's stand-in for `mach_msg_continue`.
    TracedPlain,
    /// The payload's stand-in for `mach_msg_receive_continue`.
    TracedOptions,
    /// Anything else.
    Other,
}

/// The operations of GNU Mach that the payload uses, under the kernel's own names.
///
/// Nothing may be locked by the caller. Whatever takes a right or a kmsg by value and is said to consume it must be given
/// one that the caller owns.
pub trait Kernel: Objects {
    /// Corresponds to `current_thread`.
    fn current_thread(&self) -> Thread;
    /// `thread->task`.
    fn thread_task(&self, thread: Thread) -> Task;
    /// The payload's number of a thread, kept in a hole of struct thread; 0 until one is given.
    fn thread_number(&self, thread: Thread) -> u32;
    /// Gives a thread its number.
    fn set_thread_number(&self, thread: Thread, number: u32);
    /// Whether the thread is being terminated or halted and must not be made to wait.
    fn thread_is_halting(&self, thread: Thread) -> bool;
    /// The saved receive arguments: corresponds to `thread->ith_msg` and its neighbours.
    fn saved_receive(&self, thread: Thread) -> Receive;
    /// Saves them.
    fn save_receive(&self, thread: Thread, receive: &Receive);

    /// 1 + index of the task's trace entry, kept in a hole of struct task; 0 if it has none.
    fn task_entry(&self, task: Task) -> u32;
    /// Notes a task's trace entry.
    fn set_task_entry(&self, task: Task, entry: u32);
    /// `task->itk_space`.
    fn task_space(&self, task: Task) -> Space;
    /// Whether `task->itk_self` is there, which it no longer is in a dying task.
    fn task_is_alive(&self, task: Task) -> bool;
    /// Leads the path of every message through the payload's tests, or past them.
    fn watch(&self, watching: bool);
    /// Whether it is `kernel_task`.
    fn is_kernel_task(&self, task: Task) -> bool;
    /// Takes one message back out of `task->messages_sent`, which counts the payload's records too.
    fn uncount_sent(&self, task: Task);
    /// Replaces the continuations of a task's sleeping receivers, except the current thread's.
    fn convert_sleeping_receivers(&self, task: Task, replace: fn(Continuation) -> Continuation);
    /// Corresponds to `task_reference` and `convert_task_to_port`: a new send right to the task.
    fn task_send_right(&self, task: Task) -> Port;

    /// Corresponds to `ipc_port_copy_send`: a new right, or `Port::DEAD` once the port is.
    fn ipc_port_copy_send(&self, port: Port) -> Port;
    /// Corresponds to `ipc_port_release_send`: consumes a right.
    fn ipc_port_release_send(&self, port: Port);
    /// Whether the receive right is in this space.
    fn port_is_received_in(&self, port: Port, space: Space) -> bool;
    /// `port->ip_msgcount`.
    fn port_msgcount(&self, port: Port) -> u32;

    /// Corresponds to `ipc_kmsg_get`: copies a user message in.
    fn ipc_kmsg_get(&self, msg: UserAddress, size: u32) -> Result<Kmsg, u32>;
    /// Corresponds to `ipc_kmsg_copyin` in the current space. On failure the caller frees the kmsg.
    fn ipc_kmsg_copyin(&self, kmsg: Kmsg, notify: u32) -> u32;
    /// Corresponds to `ipc_kmsg_copyout` in the current space.
    fn ipc_kmsg_copyout(&self, kmsg: Kmsg, notify: u32) -> u32;
    /// Corresponds to `ipc_kmsg_copyout_pseudo` in the current space.
    fn ipc_kmsg_copyout_pseudo(&self, kmsg: Kmsg) -> u32;
    /// Corresponds to `ipc_kmsg_copyout_dest` in the current space.
    fn ipc_kmsg_copyout_dest(&self, kmsg: Kmsg);
    /// Corresponds to `ipc_kmsg_put`: copies a message out and frees the kmsg.
    fn ipc_kmsg_put(&self, msg: UserAddress, kmsg: Kmsg, size: u32) -> u32;
    /// Corresponds to `ikm_free`.
    fn ipc_kmsg_free(&self, kmsg: Kmsg);
    /// Corresponds to `ipc_kmsg_destroy`: releases the rights of a message in transit and frees it.
    fn ipc_kmsg_destroy(&self, kmsg: Kmsg);
    /// `msgh_size`.
    fn msgh_size(&self, kmsg: Kmsg) -> u32;
    /// `msgh_seqno`.
    fn msgh_seqno(&self, kmsg: Kmsg) -> u32;
    /// Sets `msgh_seqno`.
    fn set_msgh_seqno(&self, kmsg: Kmsg, seqno: u32);
    /// Corresponds to `ipc_marequest_create` for the kmsg's destination, stored in `ikm_marequest`.
    fn ipc_marequest_create(&self, kmsg: Kmsg, notify: u32) -> u32;
    /// Corresponds to `ipc_mqueue_send`: consumes the kmsg if it returns `mr::SUCCESS`.
    fn ipc_mqueue_send(&self, kmsg: Kmsg, option: u32, time_out: u32) -> u32;
    /// Corresponds to `ipc_kobject_server`: consumes a request, answers with the reply in transit if there is one.
    fn ipc_kobject_server(&self, request: Kmsg) -> Option<Kmsg>;
    /// Corresponds to `ipc_mqueue_copyin` in the current space.
    fn ipc_mqueue_copyin(&self, name: u32) -> Result<(Mqueue, Object), u32>;
    /// Corresponds to `ipc_mqueue_receive`; with `resume` unset it may not return, but go on in the traced continuation.
    fn ipc_mqueue_receive(&self, receive: &Receive, max_size: u32, resume: bool, then: Continuation) -> Received;
    /// Takes a reply of the kernel's from its hands, past the queue, as `mach_msg_trap` does where the current task receives from
    /// the port by this name and nothing else is going on there: the sequence number in the queue, or nothing.
    fn receive_at_once(&self, reply: Kmsg, rcv_name: u32) -> Option<u32>;
    /// Corresponds to `ipc_object_release`.
    fn ipc_object_release(&self, object: Object);
    /// The receiver's name for a port or port set.
    fn object_name(&self, object: Object) -> u32;
    /// Corresponds to `copyout` of one `msgh_size` into a user message.
    fn copyout_msgh_size(&self, msg: UserAddress, size: u32);

    /// A kmsg for a message of `size` bytes from kalloc; its bytes are not initialized. It has room for at least
    /// [`MAX_BATCH`](trace_port::record::MAX_BATCH).
    fn record_alloc(&self, size: usize) -> Option<Kmsg>;
    /// How many message bytes a kmsg has room for if it is from [`Kernel::record_alloc`]; nothing for any other, whatever it holds.
    fn record_room(&self, kmsg: Kmsg) -> Option<usize>;
    /// Shows `look` the last few messages in the queue that a message is addressed to, the last one first, until it has an answer;
    /// `false` without one. Nobody can receive or destroy them meanwhile, and `look` may change their bytes.
    fn look_at_queue(&self, message: Kmsg, look: impl FnMut(Kmsg) -> Option<bool>) -> bool;
    /// What [`Kernel::set_note`] left in a kmsg that is not queued.
    fn note(&self, record: Kmsg) -> Note;
    /// Leaves a note in a kmsg from [`Kernel::record_alloc`], where the kernel keeps the links of a queue.
    fn set_note(&self, record: Kmsg, note: Note);
    /// Writes message bytes of a kmsg from [`Kernel::record_alloc`], within the size that was asked for.
    fn record_write(&self, record: Kmsg, offset: usize, bytes: &[u8]);
    /// Lets `fill` write a part of a record, which lies within the size that was asked for.
    fn record_part<T: FromBytes + IntoBytes + KnownLayout + Unaligned>(
        &self,
        record: Kmsg,
        offset: usize,
        fill: impl FnOnce(&mut T),
    );
    /// Copies `size` message bytes of another kmsg, from `start` on, into a record.
    fn record_copy(&self, record: Kmsg, offset: usize, source: Kmsg, start: usize, size: usize);
    /// Nanoseconds of the kernel's clock.
    fn time(&self) -> u64;
    /// Says on the console that records were dropped.
    fn report_dropped(&self, total: u32);
}

/// What a slot's value can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plausible {
    /// An address in the kernel, or an offset from `%gs`.
    Place,
    /// An offset into a struct, or no lock.
    OffsetOrAbsent,
    /// An offset into a struct.
    Offset,
}

impl Plausible {
    /// What the values for a need can be.
    pub const fn of(need: &Need) -> Self {
        match need {
            Need::PerCpu { .. } => Self::Place,
            Need::Lock { .. } => Self::OffsetOrAbsent,
            _ => Self::Offset,
        }
    }

    /// Whether a value is one of them.
    pub fn allows(self, value: u64) -> bool {
        const MAX_OFFSET: u64 = 0x10_0000;
        match self {
            Self::Place => !(MAX_OFFSET..KERNEL_BASE).contains(&value),
            Self::OffsetOrAbsent => value == ABSENT || value < MAX_OFFSET,
            Self::Offset => value < MAX_OFFSET,
        }
    }
}
