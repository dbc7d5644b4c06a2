//! Control ports of tasks and threads: which are watched, and whom a request on one is for.
//!
//! A port that may be a traced task's has a mark, which is all that the stub of `ipc_kobject_server` looks at, and so has a thread for the
//! stub of `mach_msg_trap`. The mark is a hint: what it stands for is looked up behind the stub. It is set when a trace begins and when
//! a thread is made, and taken away by the first request or call that finds nothing traced.

use core::sync::atomic::{Ordering, fence};

use super::lock::SimpleLock;
use super::mach::{MSGH_REMOTE_PORT, Mach, header, load, store};
use super::objects::IO_BITS_ACTIVE;
use super::{Kmsg, Ports, SendRight, Task, Tasks, Thread, Threads};
use crate::payload_abi::Slot;

// SAFETY (of every call below): the prototypes in the DWARF of the kernels this payload is linked against.
unsafe extern "C" {
    fn task_reference(task: usize);
    fn thread_reference(thread: usize);
}

/// `IO_BITS_KOTYPE`.
const IO_BITS_KOTYPE: u32 = 0xffff;
/// The port of a thread: `IKOT_THREAD`, and alive.
const THREAD: u32 = IO_BITS_ACTIVE | 1;
/// The port of a task: `IKOT_TASK`, and alive.
const TASK: u32 = IO_BITS_ACTIVE | 2;

/// Marks a control port.
pub(super) fn watch(right: SendRight) {
    store(right.port().0, Slot::port_watched, MARKED);
    Mach.ipc_port_release_send(right);
}

/// The traced task, other than the current one, and the thread, each with a reference, that a message in transit is addressed to by a
/// control port; 0 if there is none. In registers.
#[inline(never)]
pub(super) fn target(kmsg: Kmsg) -> (usize, usize) {
    let port: usize = header(kmsg, MSGH_REMOTE_PORT);
    match object(port) {
        (0, _) => (0, 0),
        (thread, THREAD) => of_thread(port, Thread(thread)),
        (task, _) => (task, 0),
    }
}

/// The object of a control port, with a reference, and its kind; 0 for a port of another kind and for a task that is the current one or not
/// traced.
fn object(port: usize) -> (usize, u32) {
    // Elsewhere the object's thread may just be ending; the lock keeps type and object together.
    let _lock = SimpleLock::take(port, Slot::port_lock);
    let bits: u32 = load(port, Slot::port_io_bits);
    let kind = bits & (IO_BITS_ACTIVE | IO_BITS_KOTYPE);
    // The object of an active control port is alive: ipc_task_disable and ipc_thread_disable clear the type first.
    let object = load(port, Slot::port_kobject);
    match kind {
        TASK if is_wanted(port, Task(object)) => {
            // SAFETY: the task lives as long as its control port is active, which is locked. The kernel, too, takes a task's lock inside
            // that of its port.
            unsafe { task_reference(object) };
        }
        THREAD => {
            // SAFETY: the thread lives as long as its control port is active, which is locked.
            unsafe { thread_reference(object) };
        }
        TASK => return (0, kind),
        _ => {
            if kind & IO_BITS_KOTYPE != 0 {
                // Another kind, marked by what its memory held before.
                store(port, Slot::port_watched, 0u32);
            }
            return (0, kind);
        }
    }
    (object, kind)
}

/// The same of a thread, whose reference is the caller's. Not with its port locked: the port of a thread is locked inside its task
/// ([`watch`], under `watch_task`).
fn of_thread(port: usize, thread: Thread) -> (usize, usize) {
    let task = Mach.thread_task(thread);
    if !is_wanted(port, task) {
        Mach.thread_deallocate(thread);
        return (0, 0);
    }
    // SAFETY: the task lives longer than its threads.
    unsafe { task_reference(task.0) };
    (task.0, thread.0)
}

/// Whether a task is traced and not the current one; takes away the port's mark if it is not traced.
fn is_wanted(port: usize, task: Task) -> bool {
    let is_traced = || Mach.task_entry(task) != 0;
    (is_traced() || unmark(port, Slot::port_watched, is_traced)) && task != Mach.thread_task(Mach.current_thread())
}

/// What a mark holds.
pub(super) const MARKED: u32 = 1;

/// Takes away a mark because nothing was traced, unless `is_traced` says now that something is; returns that.
#[cold]
pub(super) fn unmark(place: usize, mark: Slot, is_traced: impl Fn() -> bool) -> bool {
    store(place, mark, 0u32);
    // Who begins a trace sets the task's entry before the marks: either that mark comes later than this, or the entry is seen.
    fence(Ordering::SeqCst);
    let traced = is_traced();
    if traced {
        store(place, mark, MARKED);
    }
    traced
}
