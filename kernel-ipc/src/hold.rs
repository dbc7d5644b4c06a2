// SPDX-License-Identifier: GPL-2.0-or-later
//! Where threads come to be held by engines: when a call of theirs has received a message, and when they are made.
//!
//! Nothing is locked at either place, no message is half copied, and all that there is to tell has been told.

use trace_port::Direction;
use trace_port::control::stop::place;

use crate::draft::Draft;
use crate::engines::Turn;
use crate::fan_out;
use crate::gnumach::{Kernel, Task, Thread};
use crate::observe;
use crate::state::State;
use crate::stops::How;

/// Asks a task's engines whether the current thread is to be held with what it has received, which its settled draft shows. Those that
/// hold it are told at once; it is held by [`stay`].
#[cold]
#[inline(never)]
pub(crate) fn received(kernel: &impl Kernel, state: &State, draft: &Draft) {
    let Some((msgh_id, part)) = fan_out::received(kernel, draft) else { return };
    let key = kernel.note(draft.record()).key;
    let thread = kernel.current_thread();
    let mut turn = Turn::first(Direction::Receive);
    while let Some((engine, _)) = state.next_action(key, &mut turn, msgh_id) {
        let number = observe::thread_number(kernel, state, thread);
        // Before it is told, so that it can resume the thread at once.
        let how = (place::BEFORE_RETURN, How::Due);
        if state.hold(kernel, (engine, key), (thread, number), how).is_ok()
            && !fan_out::tell_stopped(kernel, state, (key, engine), draft, (part, place::BEFORE_RETURN))
        {
            state.unhold(kernel, engine, thread);
        }
    }
}

/// The current thread's call is over, and those are told that had to be: it stays here as long as an engine holds it. Who ends the thread, or
/// brings it to a clean point, has it go on.
#[cold]
#[inline(never)]
pub(crate) fn stay(kernel: &impl Kernel, state: &State) {
    let thread = kernel.current_thread();
    if state.hold_due(kernel, thread) {
        kernel.stay();
    }
}

/// A new thread of a traced task, which makes no call yet, is held for each engine that wants that and is told.
#[cold]
#[inline(never)]
pub(crate) fn born(kernel: &impl Kernel, state: &State, (task, thread): (Task, Thread)) {
    let Some(key) = state.key(kernel, task) else { return };
    let mut turn = Turn::first(Direction::Receive);
    while let Some((engine, ())) = state.next_that(key, &mut turn, |engine| engine.stops_births().then_some(())) {
        let number = observe::thread_number(kernel, state, thread);
        let how = (place::AT_BIRTH, How::Held);
        if state.hold(kernel, (engine, key), (thread, number), how).is_ok()
            && !fan_out::tell_held(kernel, state, (key, engine), (task, number), place::AT_BIRTH)
        {
            state.unhold(kernel, engine, thread);
        }
    }
    if state.holds_any() && !kernel.thread_is_alive(thread) {
        // Its task has been ended on another processor meanwhile: one of both sees the other.
        state.release_thread(kernel, thread);
    }
}

#[cfg(test)]
mod tests;
