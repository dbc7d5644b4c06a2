// SPDX-License-Identifier: GPL-2.0-or-later
//! `thread_handoff`: the sender sleeps, and the thread that received its message goes on in its place.
//!
//! The ports and queues are locked, so that nothing may be queued, allocated or waited for here: the sender's record, complete now,
//! is left for the receiver, who queues it at its exit.

use crate::deliver;
use crate::emit;
use crate::gnumach::{InTransit, Kernel, mr};
use crate::light;
use crate::open_call::OpenCall;
use crate::quiet::Wait;
use crate::received_on;
use crate::state::State;

/// Stands in for `thread_handoff`, which is `switch` and says whether it has made the receiver the current thread. One of them, or both,
/// are in an observed call. `message` is what the sender hands over, if that is known.
///
/// The sender's word is written before it sleeps: from then on it may run, and end, on another processor.
#[inline(never)]
pub(crate) fn hand_off(
    kernel: &impl Kernel,
    state: &State,
    message: Option<InTransit>,
    switch: impl FnOnce() -> bool,
) -> bool {
    let (sender, before) = OpenCall::current(kernel);
    let word = kernel.thread_message(sender);
    // Another processor may be changing the word of one that is looked at lightly.
    let has_draft = before.has_draft();
    if has_draft {
        before.without_draft(kernel).keep(kernel, sender);
    }
    kernel.set_thread_message(sender, 0);
    if !switch() {
        if has_draft {
            before.keep(kernel, sender);
        }
        kernel.set_thread_message(sender, word);
        return false;
    }
    let (receiver, call) = OpenCall::current(kernel);
    if let Some(message) = message
        && (call.is_open(kernel)
            || call.is_light()
                && light::open_if_wanted(kernel, state, (receiver, call), kernel.msgh_id(message.kmsg())).is_some())
    {
        received_on::handed_over(kernel, state, message);
    }
    let call = OpenCall::of(kernel, receiver);
    if let Some(draft) = before.into_draft() {
        emit::settle(kernel, &draft, mr::MACH_MSG_SUCCESS);
        state.pending.push(kernel, draft);
        call.flushing().keep(kernel, receiver);
    }
    true
}

/// Queues what senders have left; the current thread's word no longer says that there is something.
#[inline(never)]
pub(crate) fn flush(kernel: &impl Kernel, state: &State) {
    state.pending.take(kernel, |draft| deliver::post(kernel, state, draft, Wait::InCall));
}

#[cfg(test)]
mod tests;
