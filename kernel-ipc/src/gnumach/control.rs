//! Control ports of tasks and threads: which are watched, and whom a request on one is for.
//!
//! A port that may be a traced task's has a mark, which is all that the stub of `ipc_kobject_server` looks at, and so has a thread for the
//! stub of `mach_msg_trap`. The mark is a hint: what it stands for is looked up behind the stub. It is set when a trace begins and when
//! a thread is made, and taken away by the first request or call that finds nothing traced.

use core::sync::atomic::{Ordering, fence};

use super::lock::SimpleLock;
use super::mach::{MSGH_REMOTE_PORT, Mach, header, load, store};
use super::objects::{IKOT_TASK, IKOT_THREAD, IO_BITS_ACTIVE, IO_BITS_KOTYPE};
use super::{Kmsg, Ports, SendRight, Task, Tasks, Thread, Threads};
use crate::payload_abi::Slot;

// SAFETY (of every call below): the prototypes in the DWARF of the kernels this payload is linked against.
unsafe extern "C" {
    fn task_reference(task: usize);
    fn thread_reference(thread: usize);
}

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
    // Elsewhere the object's thread may just be ending; the lock keeps type and object together.
    let _lock = SimpleLock::take(port, Slot::port_lock);
    let bits: u32 = load(port, Slot::port_io_bits);
    // The object of an active control port is alive: ipc_task_disable and ipc_thread_disable clear the type first.
    let object = load(port, Slot::port_kobject);
    let (task, thread) = match bits & (IO_BITS_ACTIVE | IO_BITS_KOTYPE) {
        TASK => (Task(object), 0),
        THREAD => (Mach.thread_task(Thread(object)), object),
        kind => {
            if kind & IO_BITS_KOTYPE != 0 {
                // Another kind, marked by what its memory held before.
                store(port, Slot::port_watched, 0u32);
            }
            return (0, 0);
        }
    };
    let is_traced = || Mach.task_entry(task) != 0;
    if !is_traced() && !unmark(port, Slot::port_watched, is_traced) {
        return (0, 0);
    }
    if task == Mach.thread_task(Mach.current_thread()) {
        return (0, 0);
    }
    // SAFETY: the task lives as long as its control port is active, and longer than its threads.
    unsafe { task_reference(task.0) };
    if thread != 0 {
        // SAFETY: the thread lives as long as its control port is active, which is locked.
        unsafe { thread_reference(thread) };
    }
    (task.0, thread)
}

/// The port of a task.
const TASK: u32 = IO_BITS_ACTIVE | IKOT_TASK;
/// The port of a thread.
const THREAD: u32 = IO_BITS_ACTIVE | IKOT_THREAD;

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
