// SPDX-License-Identifier: GPL-2.0-or-later
//! From a settled record to the trace port's queue: who waits, who does not, and what is lost.

use trace_port::record::{self, Part};

use crate::batch;
use crate::draft::{Draft, FIRST};
use crate::fan_out::{self, Telling, Told};
use crate::gnumach::{Kernel, Key, Note, OwnedKmsg, Record, mr, option};
use crate::hold;
use crate::lost;
use crate::observe;
use crate::quiet::{self, LOOK_AGAIN, Wait};
use crate::state::State;

/// Queues a message whose records are settled: behind others of its task, if the tracer has not received them yet, else as a
/// message of its own.
#[inline(never)]
pub(crate) fn queue(kernel: &impl Kernel, state: &State, draft: Draft, wait: Wait) {
    queue_at_exit(kernel, state, draft, wait);
}

/// Queues a message as [`queue`] does, on the path of every call.
#[inline(always)]
pub(crate) fn queue_at_exit(kernel: &impl Kernel, state: &State, draft: Draft, wait: Wait) {
    if kernel.note(draft.record()).has_engines {
        queue_for_all(kernel, state, draft, wait)
    } else {
        queue_for_own(kernel, state, draft, wait)
    }
}

/// Queues a message for the task's engines, and for its trace port if it has one.
#[cold]
#[inline(never)]
fn queue_for_all(kernel: &impl Kernel, state: &State, draft: Draft, wait: Wait) {
    let may_stop = state.has_actions() && wait.is_at_exit(kernel);
    if may_stop {
        hold::received(kernel, state, &draft);
    }
    let mut telling = Telling::of(kernel, &draft);
    loop {
        match fan_out::tell(kernel, state, &draft, &mut telling, wait) {
            Told::One => {}
            Told::Dead(engine) => fan_out::end(kernel, state, engine),
            Told::All => break,
        }
    }
    if kernel.port_is_the_kernels(kernel.record_port(draft.record())) {
        keep(kernel, state, draft);
    } else {
        queue_apart(kernel, state, draft, wait);
    }
    if telling.has_to_wait() {
        fan_out::wait(kernel, state, telling);
    }
    if may_stop && state.holds_any() {
        hold::stay(kernel, state);
    }
}

#[inline(never)]
fn queue_apart(kernel: &impl Kernel, state: &State, draft: Draft, wait: Wait) {
    queue_for_own(kernel, state, draft, wait);
}

/// The memory of a message that need not be queued serves for the next.
fn keep(kernel: &impl Kernel, state: &State, draft: Draft) {
    let key = kernel.note(draft.record()).key;
    if let Err(memory) = state.keep_spare(kernel, key, draft.into_memory()) {
        quiet::discard(kernel, memory);
    }
}

#[inline(always)]
fn queue_for_own(kernel: &impl Kernel, state: &State, draft: Draft, wait: Wait) {
    let record = draft.record();
    let Note { key, lost, .. } = kernel.note(record);
    if state.lost() != lost {
        tell_of_lost(kernel, state, record, key);
    }
    if state.rings.are_there() {
        return queue_beside_rings(kernel, state, draft, wait);
    }
    queue_in_port(kernel, state, draft, wait);
}

/// Writes a message's records into the ring of its trace port, if that has one and they may go there; else queues it, which brings the right to the
/// task.
#[inline(never)]
fn queue_beside_rings(kernel: &impl Kernel, state: &State, draft: Draft, wait: Wait) {
    let record = draft.record();
    let key = kernel.note(record).key;
    let Some(ring) = state.rings.of(kernel.record_port(record)) else {
        queue_in_port(kernel, state, draft, wait);
        return;
    };
    if fan_out::is_in_own_ring(kernel, state, ring, &draft) {
        return keep(kernel, state, draft);
    }
    if queue_in_port(kernel, state, draft, wait) {
        state.introduce(kernel, (key, None), ring);
    }
}

/// Returns whether it is queued for certain.
#[inline(always)]
fn queue_in_port(kernel: &impl Kernel, state: &State, draft: Draft, wait: Wait) -> bool {
    if !batch::append(kernel, draft.record()) {
        return send(kernel, state, draft, wait);
    }
    keep(kernel, state, draft);
    true
}

/// Records were lost while this one was made.
#[cold]
#[inline(never)]
fn tell_of_lost(kernel: &impl Kernel, state: &State, record: Record, key: Key) {
    let more = state.take_dropped(key);
    kernel.record_part(record, FIRST, |first: &mut Part| {
        first.header.dropped = record::add_lost(first.header.dropped.get(), more).into();
    });
}

/// Queues a draft that an open call has given up.
#[inline(always)]
pub(crate) fn post(kernel: &impl Kernel, state: &State, draft: Draft, wait: Wait) {
    queue(kernel, state, draft, wait);
    state.draft_closed(kernel);
}

/// Queues a message as one of its own. Returns whether it is queued for certain.
#[inline(never)]
fn send(kernel: &impl Kernel, state: &State, draft: Draft, wait: Wait) -> bool {
    let port = kernel.record_port(draft.record());
    if wait.is_at_exit(kernel) {
        if kernel.port_is_full(port) {
            wait_for_room(kernel, state, draft);
            return false;
        }
        let queued = kernel.port_is_active(port);
        let result = quiet::emitting(kernel, || kernel.ipc_mqueue_send(draft.into_memory(), 0, 0));
        return sent(kernel, state, result, queued);
    }
    force(kernel, state, draft, wait.cap())
}

/// Queues a message beyond the port's limit, unless there are too many.
#[inline(never)]
fn force(kernel: &impl Kernel, state: &State, draft: Draft, cap: u32) -> bool {
    let port = kernel.record_port(draft.record());
    let (queued, how) = match kernel.port_msgcount(port) < cap {
        true => (kernel.port_is_active(port), option::MACH_SEND_ALWAYS),
        false => (false, option::MACH_SEND_TIMEOUT),
    };
    let result = quiet::emitting(kernel, || kernel.ipc_mqueue_send(draft.into_memory(), how, 0));
    sent(kernel, state, result, queued)
}

/// Queues a message once the tracer has made room, or at once if the thread is interrupted or the trace ends. A right of its own tells
/// afterwards whether the port has died meanwhile, in which case the kernel has destroyed the message without counting it.
#[cold]
#[inline(never)]
fn wait_for_room(kernel: &impl Kernel, state: &State, draft: Draft) {
    let Some(right) = kernel.ipc_port_copy_send(kernel.record_port(draft.record())) else {
        force(kernel, state, draft, Wait::Never.cap());
        return;
    };
    let port = right.port();
    let key = kernel.note(draft.record()).key;
    let task = observe::current_task(kernel);
    let result = quiet::waiting(kernel, || {
        let mut memory = draft.into_memory();
        loop {
            if !state.goes_to(key, port) || kernel.port_is_received_in(port, kernel.task_space(task)) {
                break Err((mr::MACH_SEND_INTERRUPTED, memory));
            }
            memory = match kernel.ipc_mqueue_send(memory, option::MACH_SEND_TIMEOUT, LOOK_AGAIN) {
                Err((mr::MACH_SEND_TIMED_OUT, memory)) => memory,
                result => break result,
            };
        }
    });
    let queued = kernel.port_is_active(port);
    kernel.ipc_port_release_send(right);
    match result {
        Err((mr::MACH_SEND_INTERRUPTED, memory)) => force(kernel, state, Draft::of(memory), Wait::Never.cap()),
        result => sent(kernel, state, result, queued),
    };
}

/// Returns whether a message is queued.
fn sent(kernel: &impl Kernel, state: &State, result: Result<(), (u32, OwnedKmsg)>, queued: bool) -> bool {
    let is_sent = result.is_ok() && queued;
    match result {
        Err((_, memory)) => lost::lose(kernel, state, Draft::of(memory)),
        Ok(()) if queued => kernel.uncount_sent(observe::current_task(kernel)),
        Ok(()) => {}
    }
    is_sent
}

#[cfg(test)]
mod tests;
