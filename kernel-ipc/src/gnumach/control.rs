// SPDX-License-Identifier: GPL-2.0-or-later
//! Control ports of tasks and threads: which are watched, and whom a request on one is for.
//!
//! A port that may be a traced task's has a mark, which is all that the stub of `ipc_kobject_server` looks at, and so has a thread for the
//! stub of `mach_msg_trap`. The mark is a hint: what it stands for is looked up behind the stub. It is set when a trace begins and when
//! a thread is made, and taken away by the first request or call that finds nothing traced.

use core::sync::atomic::{Ordering, Ordering::Relaxed, fence};

use super::lock::PORT_LOCK;
use super::mach::Mach;
use super::members::{Hole, PORT_IO_BITS, PORT_KOBJECT, PORT_WATCHED, Struct};
use super::objects::{IO_BITS_ACTIVE, IO_BITS_KOTYPE};
use super::{InTransit, Port, Ports, Reference, SendRight, Task, Tasks, Thread, Threads};

/// The port of a thread: `IKOT_THREAD`, and alive.
const THREAD: u32 = IO_BITS_ACTIVE | 1;
/// The port of a task: `IKOT_TASK`, and alive.
const TASK: u32 = IO_BITS_ACTIVE | 2;

/// Marks a control port.
pub(super) fn watch(right: SendRight) {
    right.port().shared(PORT_WATCHED).fetch_or(MARKED, Relaxed);
    Mach.ipc_port_release_send(right);
}

/// The traced task, other than the current one, and the thread that a request is addressed to by a control port. In registers.
#[inline(never)]
pub(super) fn target(request: InTransit) -> Option<(Reference<Task>, Option<Reference<Thread>>)> {
    let port = request.destination();
    match object(port)? {
        Object::Task(task) => Some((task, None)),
        Object::Thread(thread) => of_thread(port, thread),
    }
}

/// The task that a port is the control port of.
pub(super) fn task_of(port: Port) -> Option<Reference<Task>> {
    let _lock = PORT_LOCK.of(port).take();
    if port.load(PORT_IO_BITS) & (IO_BITS_ACTIVE | IO_BITS_KOTYPE) != TASK {
        return None;
    }
    // SAFETY: the task lives as long as its control port is active, which is locked.
    let task = unsafe { Task::at(port.load(PORT_KOBJECT)) };
    Some(Reference::to_task(task))
}

/// What a control port stands for.
enum Object {
    Task(Reference<Task>),
    Thread(Reference<Thread>),
}

/// The object of a control port; none for a port of another kind and for a task that is the current one or not traced.
fn object(port: Port) -> Option<Object> {
    // Elsewhere the object's thread may just be ending; the lock keeps type and object together.
    let _lock = PORT_LOCK.of(port).take();
    let kind = port.load(PORT_IO_BITS) & (IO_BITS_ACTIVE | IO_BITS_KOTYPE);
    // The object of an active control port is alive: ipc_task_disable and ipc_thread_disable clear the type first.
    let object = port.load(PORT_KOBJECT);
    match kind {
        TASK => {
            // SAFETY: the task lives as long as its control port is active, which is locked.
            let task = unsafe { Task::at(object) };
            // The kernel, too, takes a task's lock inside that of its port.
            is_wanted(port, task).then(|| Object::Task(Reference::to_task(task)))
        }
        THREAD => {
            // SAFETY: the same of a thread.
            let thread = unsafe { Thread::at(object) };
            Some(Object::Thread(Reference::to_thread(thread)))
        }
        _ => {
            if kind & IO_BITS_KOTYPE != 0 {
                // Another kind, marked by what its memory held before.
                port.shared(PORT_WATCHED).fetch_and(!MARKED, Relaxed);
            }
            None
        }
    }
}

/// Whose control port it is, of a thread. Not with its port locked: the port of a thread is locked inside its task ([`watch`], under `watch_task`).
fn of_thread(port: Port, thread: Reference<Thread>) -> Option<(Reference<Task>, Option<Reference<Thread>>)> {
    let task = Mach.thread_task(thread.get());
    if !is_wanted(port, task) {
        Mach.thread_deallocate(thread);
        return None;
    }
    Some((Reference::to_task(task), Some(thread)))
}

/// Whether a task is traced and not the current one; takes away the port's mark if it is not traced.
fn is_wanted(port: Port, task: Task) -> bool {
    let is_traced = || Mach.task_entry(task) != 0;
    (is_traced() || unmark(port, PORT_WATCHED, is_traced)) && task != Mach.thread_task(Mach.current_thread())
}

/// A mark: the lowest bit of a hole, whose other bits are not its own.
pub(super) const MARKED: u32 = 1;

/// Takes away a mark because nothing was traced, unless `is_traced` says now that something is; returns that.
#[cold]
pub(super) fn unmark<S: Struct>(of: S, mark: Hole<S>, is_traced: impl Fn() -> bool) -> bool {
    of.shared(mark).fetch_and(!MARKED, Relaxed);
    // Who begins a trace sets the task's entry before the marks: either that mark comes later than this, or the entry is seen.
    fence(Ordering::SeqCst);
    let traced = is_traced();
    if traced {
        of.shared(mark).fetch_or(MARKED, Relaxed);
    }
    traced
}
