//! `thread_handoff`: the sender sleeps, and the thread that received its message goes on in its place.
//!
//! The ports and queues are locked, so that nothing may be queued, allocated or waited for here: the sender's record, complete now,
//! is left for the receiver, who queues it at its exit.

use super::call;
use crate::emit::{self, Wait};
use crate::gnumach::{Kernel, mr};
use crate::state::State;

/// Stands in for `thread_handoff`, which is `switch` and says whether it has made the receiver the current thread.
///
/// The sender's word is written before it sleeps: from then on it may run, and end, on another processor.
#[inline(never)]
pub fn hand_off(kernel: &impl Kernel, state: &State, switch: impl FnOnce() -> bool) -> bool {
    let (sender, before) = call::current(kernel);
    let message = kernel.thread_message(sender);
    call::set(kernel, sender, before.with_draft(None));
    kernel.set_thread_message(sender, 0);
    if !switch() {
        call::set(kernel, sender, before);
        kernel.set_thread_message(sender, message);
        return false;
    }
    if let Some(draft) = before.draft() {
        emit::settle(kernel, draft, mr::SUCCESS);
        state.pending.push(kernel, draft);
        let (receiver, call) = call::current(kernel);
        call::set(kernel, receiver, call.flushing());
    }
    true
}

/// Queues what senders have left.
#[inline(never)]
pub fn flush(kernel: &impl Kernel, state: &State) {
    let (thread, call) = call::current(kernel);
    call::set(kernel, thread, call.without_flush());
    state.pending.take(kernel, |draft| call::post(kernel, state, draft, Wait::InCall));
}

#[cfg(test)]
mod tests;
