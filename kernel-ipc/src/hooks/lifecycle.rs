//! `ipc_task_init` and `ipc_task_terminate`: children inherit the trace port, entries end with their task.

use crate::gnumach::{Kernel, Task};
use crate::state::State;

/// After `ipc_task_init`: the new task, which nobody can see yet, gets its parent's trace port.
///
/// Neither blocks nor emits. A child that finds the table full runs untraced, and the loss is reported on the console and in
/// the parent's next record.
pub fn created(kernel: &impl Kernel, state: &State, task: Task, parent: Option<Task>) {
    // Slab memory is not zeroed: the hole still holds whatever the last task left in it.
    kernel.set_task_entry(task, 0);
    let Some(parent) = parent else { return };
    let parents = kernel.task_entry(parent);
    let Some(port) = state.port(parents, parent) else { return };
    let port = kernel.ipc_port_copy_send(port);
    if !port.is_valid() {
        return;
    }
    match state.set(0, task, port) {
        Ok((entry, _)) => kernel.set_task_entry(task, entry),
        Err(_) => {
            kernel.ipc_port_release_send(port);
            kernel.report_dropped(state.add_dropped(parents, parent, 1));
        }
    }
}

/// After `ipc_task_terminate`: the task's ports are gone, so that nobody can trace it again.
pub fn terminated(kernel: &impl Kernel, state: &State, task: Task) {
    let entry = kernel.task_entry(task);
    if entry == 0 {
        return;
    }
    kernel.set_task_entry(task, 0);
    if let Some(port) = state.remove(entry, task) {
        kernel.ipc_port_release_send(port);
    }
}
