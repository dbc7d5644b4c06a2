// SPDX-License-Identifier: GPL-2.0-or-later
//! What is written into a tracer's ring where it would else be a message, and how the tracer is woken.

use core::sync::atomic::AtomicU64;

use mach_abi::header::LP64;
use trace_port::ring::{FRAME, Ring};

use super::{KEPT, RingKey, Told};
use crate::fan_out::{Parts, Share};
use crate::frames;
use crate::gnumach::{ForOne, Kernel, SendRight, Task, Thread, option};
use crate::observe;
use crate::quiet;
use crate::state::State;

/// Writes those records of a settled draft into a ring that somebody wants. `false` if they have no room there: nothing is written. `right` is
/// one to the trace port.
#[inline(never)]
pub(crate) fn take(
    kernel: &impl Kernel,
    state: &State,
    key: RingKey,
    (parts, share): (Parts, Share),
    right: impl FnOnce() -> Option<SendRight>,
) -> bool {
    let Some(sink) = state.rings.sink(kernel, key) else { return false };
    let size = |bit| parts.shown(kernel, state, share, bit).map_or(0, |shown| FRAME + shown.size());
    let size = size(1) + size(2) + KEPT;
    if !sink.pen().is_some_and(|pen| pen.producer.has_room(sink.ring, size)) {
        return false;
    }
    let mut share = share;
    for bit in [1, 2] {
        let Some(shown) = parts.shown(kernel, state, share, bit) else { continue };
        // Only what other processors write comes between, for which more is kept.
        if !frames::write(kernel, state, &sink, &shown) {
            return false;
        }
        share.dropped = 0;
    }
    wake(kernel, sink.ring, right);
    true
}

/// Says what has become of the message of a thread's, of which a ring has an open record.
#[inline(always)]
pub(crate) fn outcome(kernel: &impl Kernel, state: &State, told: Told<'_>, thread: Thread, retval: u32) {
    told.owes_no_more();
    let Some(sink) = told.sink(kernel) else { return };
    frames::put_outcome(state, &sink, kernel.thread_number(thread), retval);
    wake_for(kernel, state, sink.ring, || kernel.thread_task(thread));
}

/// Tells the reader of the ring that has a task's records, if it sleeps, that there is something. Nothing may be locked.
#[inline(always)]
pub(crate) fn wake_for(kernel: &impl Kernel, state: &State, ring: &Ring<'_, AtomicU64>, task: impl FnOnce() -> Task) {
    // What is rare is found out again: nothing is kept until here for it.
    wake(kernel, ring, || right_to(kernel, state, task()));
}

/// [`wake_for`] on a kernel for one processor.
#[inline(always)]
pub(crate) fn wake_for_one(
    kernel: &impl Kernel,
    state: &State,
    (_, ring): (ForOne, &Ring<'_, AtomicU64>),
    task: impl FnOnce() -> Task,
) {
    if ring.take_sleep_alone() {
        wake_with(kernel, ring, right_to(kernel, state, task()));
    }
}

/// A right to the trace port whose ring has a task's records.
#[cold]
#[inline(never)]
fn right_to(kernel: &impl Kernel, state: &State, task: Task) -> Option<SendRight> {
    let ring = state.rings.told(State::ring_bits(kernel.task_entry(task)))?.key()?;
    state.right_to_ring(kernel, task, ring)
}

/// Tells the reader of a ring, if it sleeps, that there is something. Nothing may be locked.
#[inline(always)]
fn wake(kernel: &impl Kernel, ring: &Ring<'_, AtomicU64>, right: impl FnOnce() -> Option<SendRight>) {
    if ring.take_sleep() {
        wake_with(kernel, ring, right());
    }
}

#[cold]
#[inline(never)]
fn wake_with(kernel: &impl Kernel, ring: &Ring<'_, AtomicU64>, right: Option<SendRight>) {
    let Some(right) = right else {
        // Of this task nobody is told any more; another's next record wakes.
        return ring.set_sleeps(1);
    };
    let Some(blank) = kernel.record_alloc(LP64.end, true) else {
        // With the next record there may be memory.
        ring.set_sleeps(1);
        return kernel.ipc_port_release_send(right);
    };
    let queued = kernel.port_is_active(right.port());
    let message = kernel.ring_message(blank, right);
    match quiet::emitting(kernel, || kernel.ipc_mqueue_send(message, option::MACH_SEND_ALWAYS, 0)) {
        Ok(()) if queued => kernel.uncount_sent(observe::current_task(kernel)),
        Ok(()) => {}
        Err((_, message)) => quiet::discard(kernel, message),
    }
}
