// SPDX-License-Identifier: GPL-2.0-or-later
//! What the kernel does to deliver a record is no event; and who waits while it does.

use crate::gnumach::{Kernel, OwnedKmsg, Thread};

/// Messages that one who must not wait may queue beyond the port's limit before records are dropped.
const QUEUE_CAP: u32 = 64;

/// Messages that may be queued beyond it in the middle of a call, where no thread has more than one such record before it waits at its exit.
const CALLS_CAP: u32 = 4096;

/// What stands for the message that a thread has copied in while it queues a record: no kmsg has such an address.
const EMITS: u32 = 1;

/// What stands for that message while the thread waits for its tracer.
const WAITS: u32 = 2;

/// How long a thread waits before it looks whether its trace has ended, or has come to be received by its own task: the first may
/// happen on another processor after it has looked and before it sleeps, the second wakes nobody. Milliseconds.
pub(crate) const LOOK_AGAIN: u32 = 200;

/// Who may wait until the tracer has made room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The traced task's own live thread: its call is over.
    AtExit,
    /// Nobody: the call goes on. Its own thread waits at its exit.
    InCall,
    /// Nobody: it is not the traced thread that queues the record.
    Never,
}

impl Wait {
    /// Whether the current thread may wait now.
    pub(crate) fn is_at_exit(self, kernel: &impl Kernel) -> bool {
        self == Self::AtExit && !kernel.thread_is_halting(kernel.current_thread())
    }

    /// Messages that who may not wait may queue, beyond the port's limit too.
    pub(crate) const fn cap(self) -> u32 {
        if matches!(self, Self::InCall) { CALLS_CAP } else { QUEUE_CAP }
    }
}

/// Destroys a message whose records are in another, or that has none.
#[inline(never)]
pub(crate) fn discard(kernel: &impl Kernel, memory: OwnedKmsg) {
    emitting(kernel, || kernel.ipc_kmsg_destroy(memory));
}

/// Whether the current thread is queueing a record.
pub(crate) fn is_emitting(kernel: &impl Kernel) -> bool {
    matches!(kernel.thread_message(kernel.current_thread()), EMITS | WAITS)
}

/// Whether a thread waits for its tracer.
pub(crate) fn is_waiting(kernel: &impl Kernel, thread: Thread) -> bool {
    kernel.thread_message(thread) == WAITS
}

/// Does something that may make the kernel send messages of its own, marked as no event.
pub(crate) fn emitting<T>(kernel: &impl Kernel, work: impl FnOnce() -> T) -> T {
    quietly(kernel, EMITS, work)
}

/// Does something that waits for a tracer, likewise.
pub(crate) fn waiting<T>(kernel: &impl Kernel, work: impl FnOnce() -> T) -> T {
    quietly(kernel, WAITS, work)
}

fn quietly<T>(kernel: &impl Kernel, mark: u32, work: impl FnOnce() -> T) -> T {
    let thread = kernel.current_thread();
    let before = kernel.thread_message(thread);
    kernel.set_thread_message(thread, mark);
    let done = work();
    kernel.set_thread_message(thread, before);
    done
}

#[cfg(test)]
mod tests;
