//! `TASK_TRACE_PORT` in `task_get_special_port` and `task_set_special_port`.

use crate::gnumach::{Continuation, Kernel, Port, Task, mr};
use crate::state::{Released, State, TracePort};

/// Answers for `TASK_TRACE_PORT`: a new send right, or `Port::NULL` if the task is not traced.
///
/// # Errors
/// `KERN_FAILURE` for a task that is dying.
pub fn get(kernel: &impl Kernel, state: &State, task: Task) -> Result<Port, u32> {
    if !kernel.task_is_alive(task) {
        return Err(mr::KERN_FAILURE);
    }
    Ok(match state.send_right(kernel, task) {
        TracePort::Live(port) => port,
        TracePort::None => Port::NULL,
        TracePort::Dead(released) => {
            released.release(kernel);
            Port::DEAD
        }
    })
}

/// Sets a task's trace port; a null or dead port ends tracing. Consumes the right when it returns `KERN_SUCCESS`.
///
/// Answers `KERN_FAILURE` for a dying task and for one that would receive its own trace, `KERN_NO_ACCESS` for the kernel
/// task, `KERN_RESOURCE_SHORTAGE` when the table is full.
pub fn set(kernel: &impl Kernel, state: &State, task: Task, port: Port) -> u32 {
    if kernel.is_kernel_task(task) {
        return mr::KERN_NO_ACCESS;
    }
    if !kernel.task_is_alive(task) {
        return mr::KERN_FAILURE;
    }
    let old = if port.is_valid() {
        if kernel.port_is_received_in(port, kernel.task_space(task)) {
            return mr::KERN_FAILURE;
        }
        let Ok(old) = state.set(kernel, task, port) else {
            return mr::KERN_RESOURCE_SHORTAGE;
        };
        if !kernel.task_is_alive(task) {
            return ended_meanwhile(kernel, state, task, old);
        }
        kernel.convert_sleeping_receivers(task, traced);
        Some(old)
    } else {
        state.remove(kernel, task)
    };
    if let Some(old) = old {
        old.release(kernel);
    }
    mr::SUCCESS
}

/// The task died on another processor after it was found alive: takes back what was set, unless `ipc_task_terminate` has done so.
#[cold]
fn ended_meanwhile(kernel: &impl Kernel, state: &State, task: Task, old: Released) -> u32 {
    old.release(kernel);
    // On failure the caller keeps its right; if the entry is gone, the right went with it.
    match state.remove(kernel, task) {
        Some(entry) => {
            entry.release_all_but_port(kernel);
            mr::KERN_FAILURE
        }
        None => mr::SUCCESS,
    }
}

/// The continuation that records what a thread receives when it wakes up. It behaves like the original once tracing ends,
/// so there is no way back.
pub fn traced(continuation: Continuation) -> Continuation {
    match continuation {
        Continuation::Plain => Continuation::TracedPlain,
        Continuation::Options => Continuation::TracedOptions,
        other => other,
    }
}
