// SPDX-License-Identifier: GPL-2.0-or-later
//! Tasks of whose messages no engine wants more than some ids: their threads are looked at *lightly*.
//!
//! A task whose engines all go by ids ([`Engine::goes_by_ids`](crate::engines::Engine::goes_by_ids)), and which has no trace port, has a bit in
//! the word that leads to its entry. Its threads, each at the end of a call of which nobody is told, then take a mark and a word
//! ([`OpenCall::LIGHT`]) that say to the stubs: let a message through whose id is not [`wanted`](crate::wanted), without a call that is open,
//! a number, a stamp or a look at the table. To others such a message is an untraced sender's. One that is wanted opens the call where it is
//! copied in, or out, and so does a call's end that has failed before there was a message; the thread is looked at closely until its next call
//! of which nobody is told.
//!
//! # Nothing that is wanted is missed
//!
//! - The summary has every id that a rule of any engine allows, by its lower half, before that rule's request is answered, and before a task's word says
//!   that its threads may be looked at lightly. It is the engines of all tasks that it is of, so that neither attaching an engine to a further
//!   task nor a child's birth, which both may make a task's word say so, changes it. A bit that is set before and after is set meanwhile.
//! - What makes more wanted than ids (an engine without rules, actions, the trace port) takes the bit out of the task's word under the table's lock,
//!   and *stirs* its threads before its request is answered, whoever has asked, on whatever processor: each gets the mark of one that is looked at closely,
//!   and the word of a present call that is looked at lightly becomes one with which all sites lead to the payload. There the task's word is looked at.
//!   So a thread that sleeps in a receive, or is in the middle of a call elsewhere, is told of with what comes to it next.
//! - A thread that is just taking the light mark writes word and mark, and then looks at its task's word again: either it finds the bit gone, or who took
//!   it away comes after it and stirs it. It overlooks a change of its call's word only where it is writing an open call, or none, itself;
//!   with none its mark is one that is looked at closely.
//! - A message that is being copied at that moment is one of before, as it is to an engine that is attached at that moment.

use mach_abi::KernReturn;
use mach_abi::code::MACH_MSG_MASK;

use crate::gnumach::{Kernel, Task, Thread, mr};
use crate::numbers::HalfCorrelation;
use crate::open_call::OpenCall;
use crate::state::State;

/// The call of a thread, which is not open, if it is one of a thread that is looked at lightly and a message of this id is wanted: open now.
#[inline(never)]
pub(crate) fn open_if_wanted(
    kernel: &impl Kernel,
    state: &State,
    (thread, call): (Thread, OpenCall),
    msgh_id: u32,
) -> Option<OpenCall> {
    let is_wanted = || state.wanted.may_be(msgh_id) || !State::is_light(kernel, kernel.thread_task(thread));
    if !call.is_light() || !is_wanted() {
        return None;
    }
    if kernel.task_entry(kernel.thread_task(thread)) == 0 {
        kernel.watch_closely(thread);
        call.forgotten().keep(kernel, thread);
        return None;
    }
    open(kernel, thread, &call).keep(kernel, thread);
    Some(OpenCall::of(kernel, thread))
}

/// What a call that was looked at lightly becomes: until now the thread's words meant what they mean of an untraced one.
pub(crate) fn open(kernel: &impl Kernel, thread: Thread, call: &OpenCall) -> OpenCall {
    kernel.watch_closely(thread);
    kernel.set_thread_message(thread, 0);
    kernel.set_thread_awaited(thread, HalfCorrelation::NONE);
    let open = OpenCall::open(kernel);
    if call.has_to_flush() { open.flushing() } else { open }
}

/// The call of a thread, whose word is empty by now, if it was looked at lightly and has failed before there was a message: open. Otherwise
/// nobody wants its message, or it is of an earlier period.
#[cold]
#[inline(never)]
pub(crate) fn failed(kernel: &impl Kernel, thread: Thread, call: &OpenCall, result: u32) -> Option<OpenCall> {
    if !call.is_light() {
        return None;
    }
    // Its next call finds the thread's word empty.
    kernel.watch_closely(thread);
    let had_message = match KernReturn::from_mach_msg(result).is_of_receive() {
        true => matches!(
            result & !MACH_MSG_MASK,
            mr::MACH_RCV_HEADER_ERROR | mr::MACH_RCV_BODY_ERROR | mr::MACH_RCV_INVALID_DATA | mr::MACH_RCV_TOO_LARGE
        ),
        // That which it has copied in, unless just that has failed: the stub of `mach_msg_trap` has taken away what was before.
        false => kernel.thread_message(thread) != 0 && result != mr::MACH_SEND_INVALID_DATA,
    };
    if result == mr::MACH_MSG_SUCCESS || had_message || kernel.task_entry(kernel.thread_task(thread)) == 0 {
        return None;
    }
    Some(open(kernel, thread, call))
}

/// The current thread's call, of which nobody was told, is over: its next ones are looked at lightly if its task's are, or not at all if
/// that is not traced.
#[inline(never)]
pub(crate) fn rest(kernel: &impl Kernel, thread: Thread) {
    let task = kernel.thread_task(thread);
    if State::is_light(kernel, task) {
        OpenCall::LIGHT.keep(kernel, thread);
        kernel.watch_lightly(thread, || State::is_light(kernel, task));
    } else {
        kernel.unwatch_untraced(thread);
    }
}

/// Threads of tasks that have been stirred are looked at closely again. Nothing may be locked.
#[inline(always)]
pub(crate) fn settle(kernel: &impl Kernel, state: &State) {
    if state.has_stirred() {
        look_closely(kernel, state);
    }
}

#[cold]
#[inline(never)]
fn look_closely(kernel: &impl Kernel, state: &State) {
    while state.has_stirred() {
        let mut from = 1;
        while let Some(task) = state.next_stirred(kernel, &mut from) {
            closely(kernel, task.get());
            state.has_settled();
            kernel.task_deallocate(task);
        }
        // What another processor has begun is over before this one's request is answered.
        core::hint::spin_loop();
    }
}

/// All threads of a task are looked at closely from their next call on; what they do in the present one leads to the payload, too.
#[inline(never)]
pub(crate) fn closely(kernel: &impl Kernel, task: Task) {
    OpenCall::stir(kernel, task);
}

#[cfg(test)]
mod tests;
