// SPDX-License-Identifier: GPL-2.0-or-later
//! Which request a reply answers.
//!
//! The correlation number of a request goes with its reply right. Where the request and the receipt of its reply are one `mach_msg`,
//! the number stays with the thread. Elsewhere it stays with the reply port, in a hole of its struct: put there by the client that
//! receives later, and by a traced server when it gets the right. Who replies by the right, or passes it on, takes it.
//! It is the port that keeps it, not a table: nothing is forgotten, and of several requests with one reply port the last counts.

use crate::gnumach::objects::{MAKE_SEND_ONCE, MOVE_SEND_ONCE, PORT_SEND_ONCE, local_type, remote_type};
use crate::gnumach::{Kernel, Kmsg, Task, Thread, option};
use crate::numbers::{Correlation, HalfCorrelation};
use crate::stamp;
use crate::state::State;

/// The number of a message that a traced thread sends, in the form it gives it. Whoever answers the message will be known by it.
#[inline(always)]
pub(crate) fn sent(kernel: &impl Kernel, state: &State, thread: Thread, kmsg: Kmsg) -> Correlation {
    let bits = kernel.msgh_bits(kmsg);
    let correlation = number(kernel, state, kernel.thread_task(thread), (kmsg, bits));
    if local_type(bits) == MAKE_SEND_ONCE {
        expect(kernel, thread, kernel.local_name(kmsg), correlation);
    }
    correlation
}

/// That of the request which a message of a task's, with these bits, answers or passes on, or a new one.
#[inline(always)]
pub(crate) fn number(kernel: &impl Kernel, state: &State, task: Task, (kmsg, bits): (Kmsg, u32)) -> Correlation {
    let answered = match (remote_type(bits), local_type(bits)) {
        (MOVE_SEND_ONCE, _) => take(kernel, state, task, kernel.remote_name(kmsg)),
        (_, MOVE_SEND_ONCE) => take(kernel, state, task, kernel.local_name(kmsg)),
        _ => Correlation::NONE,
    };
    if answered.is_none() { state.next_correlation() } else { answered }
}

/// A reply to what `thread` sends is expected at its port `name`.
#[inline(always)]
fn expect(kernel: &impl Kernel, thread: Thread, name: u32, correlation: Correlation) {
    let (asked, rcv_name) = kernel.receives(thread);
    if asked & option::MACH_RCV_MSG != 0 && rcv_name == name {
        kernel.set_thread_awaited(thread, correlation.half());
    } else {
        put(kernel, kernel.thread_task(thread), name, correlation.half());
    }
}

#[inline(never)]
fn put(kernel: &impl Kernel, task: Task, name: u32, request: HalfCorrelation) {
    kernel.awaited_at(task, name, |awaited| *awaited = request);
}

/// The request was not sent after all; its message is the first in `shown`, in the form it was given.
#[cold]
#[inline(never)]
pub(crate) fn cancel(kernel: &impl Kernel, thread: Thread, correlation: Correlation, bits: u32, local_name: u32) {
    kernel.set_thread_awaited(thread, HalfCorrelation::NONE);
    if local_type(bits) == MAKE_SEND_ONCE {
        kernel.awaited_at(kernel.thread_task(thread), local_name, |awaited| {
            if *awaited == correlation.half() {
                *awaited = HalfCorrelation::NONE;
            }
        });
    }
}

/// The call that was to receive the reply is over without it: another will.
#[cold]
#[inline(never)]
pub(crate) fn put_off(kernel: &impl Kernel, thread: Thread) {
    let request = kernel.thread_awaited(thread);
    kernel.set_thread_awaited(thread, HalfCorrelation::NONE);
    let name = kernel.arguments(thread).rcv_name;
    put(kernel, kernel.thread_task(thread), name, request);
}

/// The number of a message that a traced thread has received, in the form it gets it.
#[inline(always)]
pub(crate) fn received(kernel: &impl Kernel, state: &State, thread: Thread, kmsg: Kmsg) -> Correlation {
    let bits = kernel.msgh_bits(kmsg);
    let is_reply = local_type(bits) == PORT_SEND_ONCE;
    let awaited = kernel.thread_awaited(thread);
    if is_reply && !awaited.is_none() && kernel.local_name(kmsg) == kernel.receives(thread).1 {
        kernel.set_thread_awaited(thread, HalfCorrelation::NONE);
        return state.whole_correlation(awaited);
    }
    let stamp = stamp::take(kernel, state, kmsg);
    let task = kernel.thread_task(thread);
    if is_reply {
        let request = take(kernel, state, task, kernel.local_name(kmsg));
        return stamp.or(request);
    }
    if remote_type(bits) == PORT_SEND_ONCE {
        put(kernel, task, kernel.remote_name(kmsg), stamp.half());
    }
    stamp
}

#[inline(never)]
fn take(kernel: &impl Kernel, state: &State, task: Task, name: u32) -> Correlation {
    let mut taken = HalfCorrelation::NONE;
    kernel.awaited_at(task, name, |awaited| taken = core::mem::take(awaited));
    state.kept_correlation(taken)
}

#[cfg(test)]
mod tests;
