// SPDX-License-Identifier: GPL-2.0-or-later
//! `ipc_task_init`, `ipc_thread_enable` and `ipc_task_terminate`: children inherit the trace port, entries end with their task,
//! and what it has lost by then is told.

use trace_port::EventKind;

use super::call;
use crate::bare::News;
use crate::gnumach::{Kernel, Task, Thread};
use crate::numbers::TaskNumber;
use crate::open_call::OpenCall;
use crate::state::{State, TracePort};
use crate::{announce, fan_out, hold, light, lost, observe, rings};

/// After `ipc_task_init`: the new task, which nobody can see yet, gets its parent's trace port.
///
/// Emits nothing. A child that there is no room for runs untraced, and its parent's next record says so.
#[inline(never)]
pub(crate) fn created(kernel: &impl Kernel, state: &State, task: Task, parent: Option<Task>) {
    begun(kernel, task);
    let Some(parent) = parent else { return };
    let mut lacks_room = inherit_trace_port(kernel, state, task, parent);
    if State::has_engines(kernel, parent) {
        lacks_room |= state.inherit(kernel, parent, task);
        light::settle(kernel, state);
    }
    if lacks_room && let Some(key) = state.key(kernel, parent) {
        let total = state.child_not_traced(kernel, key);
        // At 1, 2, 4, 8, ...: enough to notice, too few to bury the console.
        if total.is_power_of_two() {
            kernel.report_untraced(total);
        }
    }
    if kernel.task_entry(task) != 0 {
        kernel.watch_task(task);
    }
    if State::has_engines(kernel, parent)
        && let Some(key) = state.key(kernel, parent)
    {
        let child = state.key(kernel, task).map_or(TaskNumber::NONE, |key| key.number);
        let news = News { task: child, sender: key.number.get(), ..News::of(EventKind::TaskBirth) };
        announce::tell(kernel, state, key, &news, Some(task));
    }
}

/// The new task has nothing of ours yet. Slab memory is not zeroed: the hole still holds whatever the last task left in it.
#[inline(always)]
pub(crate) fn begun(kernel: &impl Kernel, task: Task) {
    kernel.set_task_entry(task, 0);
    kernel.set_task_number(task, TaskNumber::NONE);
}

/// Whether there was no room for that.
fn inherit_trace_port(kernel: &impl Kernel, state: &State, task: Task, parent: Task) -> bool {
    let right = match state.send_right(kernel, parent) {
        TracePort::Live(right) => right,
        TracePort::None => return false,
        TracePort::Dead(released) => {
            released.release(kernel);
            return false;
        }
    };
    match state.set(kernel, task, right, |_| false) {
        Ok(nothing) => {
            nothing.release(kernel);
            false
        }
        Err((_, right)) => {
            kernel.ipc_port_release_send(right);
            true
        }
    }
}

/// After `ipc_thread_enable`: the new thread, on its task's list since before this, makes no call yet.
pub(crate) fn thread_created(kernel: &impl Kernel, state: &State, thread: Thread) {
    let task = kernel.thread_task(thread);
    if kernel.task_entry(task) != 0 {
        kernel.watch_thread(thread);
        tell_of_thread(kernel, state, (task, thread), EventKind::ThreadBirth);
        if State::has_engines(kernel, task) {
            hold::born(kernel, state, (task, thread));
        }
    }
}

/// Before `ipc_thread_terminate`, which may be called several times: the thread has stopped for good, or is the current one and at its end.
pub(crate) fn thread_terminates(kernel: &impl Kernel, state: &State, thread: Thread) {
    // While it ends itself it may not be stopped.
    thread_terminated(kernel, state, thread);
    let task = kernel.thread_task(thread);
    if State::has_engines(kernel, task) && kernel.thread_is_alive(thread) {
        tell_of_thread(kernel, state, (task, thread), EventKind::ThreadDeath);
    }
}

/// After `ipc_thread_terminate`: the thread has no port any more, so that nobody who looks for that afterwards keeps a stop of it. The caller
/// holds it still.
pub(crate) fn thread_terminated(kernel: &impl Kernel, state: &State, thread: Thread) {
    if state.holds_any() {
        state.release_thread(kernel, thread);
    }
}

fn tell_of_thread(kernel: &impl Kernel, state: &State, (task, thread): (Task, Thread), kind: EventKind) {
    if !State::has_engines(kernel, task) {
        return;
    }
    if let Some(key) = state.key(kernel, task) {
        let thread = observe::thread_number(kernel, state, thread);
        announce::tell(kernel, state, key, &News { task: key.number, thread, ..News::of(kind) }, Some(task));
    }
}

/// Before `ipc_task_terminate`, which tells others of the task's end: what was lost goes before that news.
pub(crate) fn terminates(kernel: &impl Kernel, state: &State, task: Task) {
    if kernel.task_entry(task) == 0 {
        return;
    }
    let is_its_own = observe::current_task(kernel) == task && OpenCall::current(kernel).1.is_open(kernel);
    if is_its_own && (State::has_engines(kernel, task) || OpenCall::current(kernel).1.is_told()) {
        // The request that ends its own task is sent: engines are told before they are told of the end, and of what is open in a ring the outcome
        // is told while it is known whose that is.
        call::sent(kernel, state);
    }
    tell_of_lost(kernel, state, task);
}

#[inline(never)]
fn tell_of_lost(kernel: &impl Kernel, state: &State, task: Task) {
    let Some(key) = state.key(kernel, task) else { return };
    let dropped = state.take_dropped(key);
    if dropped == 0 {
        return;
    }
    match state.send_right(kernel, task) {
        TracePort::Live(right) => lost::tell(kernel, state, right, (key.number, dropped)),
        TracePort::None => {}
        TracePort::Dead(released) => released.release(kernel),
    }
}

/// After `ipc_task_terminate`: the task's ports are gone, so that nobody can trace it again.
#[inline(never)]
pub(crate) fn terminated(kernel: &impl Kernel, state: &State, task: Task) {
    if state.rings.are_there() {
        rings::end_of(kernel, state, task);
    }
    if State::has_engines(kernel, task)
        && let Some(key) = state.key(kernel, task)
    {
        announce::tell(kernel, state, key, &News { task: key.number, ..News::of(EventKind::TaskDeath) }, None);
    }
    while State::has_engines(kernel, task)
        && let Some(attachment) = state.let_go_of_ended(kernel, task)
    {
        fan_out::let_go(kernel, state, attachment);
    }
    lost::release(kernel, state, state.remove(kernel, task));
}

#[cfg(test)]
mod tests;
