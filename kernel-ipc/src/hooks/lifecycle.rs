// SPDX-License-Identifier: GPL-2.0-or-later
//! `ipc_task_init`, `ipc_thread_enable` and `ipc_task_terminate`: children inherit the trace port, entries end with their task,
//! and what it has lost by then is told.

use crate::gnumach::{Kernel, Task, Thread};
use crate::lost;
use crate::numbers::TaskNumber;
use crate::state::{State, TracePort};

/// After `ipc_task_init`: the new task, which nobody can see yet, gets its parent's trace port.
///
/// Emits nothing. A child that there is no room for runs untraced, and its parent's next record says so.
#[inline(never)]
pub(crate) fn created(kernel: &impl Kernel, state: &State, task: Task, parent: Option<Task>) {
    // Slab memory is not zeroed: the hole still holds whatever the last task left in it.
    kernel.set_task_entry(task, 0);
    kernel.set_task_number(task, TaskNumber::NONE);
    let Some(parent) = parent else { return };
    let right = match state.send_right(kernel, parent) {
        TracePort::Live(right) => right,
        TracePort::None => return,
        TracePort::Dead(released) => return released.release(kernel),
    };
    if let Err((_, right)) = state.set(kernel, task, right, |_| false) {
        kernel.ipc_port_release_send(right);
        if let Some(key) = state.key(kernel, parent) {
            let total = state.child_not_traced(key);
            // At 1, 2, 4, 8, ...: enough to notice, too few to bury the console.
            if total.is_power_of_two() {
                kernel.report_untraced(total);
            }
        }
        return;
    }
    kernel.watch_task(task);
}

/// After `ipc_thread_enable`: the new thread, on its task's list since before this, makes no call yet.
pub(crate) fn thread_created(kernel: &impl Kernel, thread: Thread) {
    if kernel.task_entry(kernel.thread_task(thread)) != 0 {
        kernel.watch_thread(thread);
    }
}

/// Before `ipc_task_terminate`, which tells others of the task's end: what was lost goes before that news.
pub(crate) fn terminates(kernel: &impl Kernel, state: &State, task: Task) {
    if kernel.task_entry(task) != 0 {
        tell_of_lost(kernel, state, task);
    }
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
    lost::release(kernel, state, state.remove(kernel, task));
}

#[cfg(test)]
mod tests;
