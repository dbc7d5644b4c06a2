// SPDX-License-Identifier: GPL-2.0-or-later
//! `TASK_TRACE_PORT` in `task_get_special_port` and `task_set_special_port`, and who may use it.
//!
//! A trace belongs to the task that receives from its port. Nobody else gets a right to the port, so that nobody else can send
//! there, and nobody else replaces or ends the trace while the port lives: not the traced task either.

use super::call;
use crate::gnumach::{Kernel, MaybePort, Port, SendRight, Task, mr};
use crate::light;
use crate::lost;
use crate::observe;
use crate::quiet;
use crate::state::{Refusal, Released, State, TracePort};

/// Answers for `TASK_TRACE_PORT`: a new send right, or `IP_NULL` if the task is not traced.
///
/// # Errors
/// `KERN_FAILURE` for a task that is dying, `KERN_NO_ACCESS` for a trace that is somebody else's.
pub(crate) fn get(kernel: &impl Kernel, state: &State, task: Task) -> Result<MaybePort, u32> {
    if !kernel.task_is_alive(task) {
        return Err(mr::KERN_FAILURE);
    }
    if !state.look_at_port(kernel, task, |port| port.is_none_or(|port| is_callers(kernel, port))) {
        return Err(mr::KERN_NO_ACCESS);
    }
    Ok(match state.send_right(kernel, task) {
        TracePort::Live(right) => right.into_port().into(),
        TracePort::None => MaybePort::NULL,
        TracePort::Dead(released) => {
            released.release(kernel);
            MaybePort::DEAD
        }
    })
}

/// Whether the caller may see, replace and end the trace that goes to this port: it receives from the port, or nobody does any more.
/// Whoever else is to be let in, such as the holder of the host's privileged port, is let in here.
fn is_callers(kernel: &impl Kernel, port: Port) -> bool {
    let space = kernel.task_space(observe::current_task(kernel));
    kernel.port_is_received_in(port, space) || !kernel.port_is_active(port)
}

/// Sets a task's trace port; no right, to no port or a dead one, ends tracing. Consumes the right when it returns `KERN_SUCCESS`.
///
/// Answers `KERN_FAILURE` for a dying task and for one that would receive its own trace, `KERN_NO_ACCESS` for the kernel
/// task and for a trace that is somebody else's, `KERN_INVALID_ARGUMENT` for a port of the kernel's, where each record would be a
/// request, `KERN_RESOURCE_SHORTAGE` when there is no room for one more traced task.
pub(crate) fn set(kernel: &impl Kernel, state: &State, task: Task, right: Option<SendRight>) -> u32 {
    if kernel.is_kernel_task(task) {
        return mr::KERN_NO_ACCESS;
    }
    if !kernel.task_is_alive(task) {
        return mr::KERN_FAILURE;
    }
    let Some(right) = right else {
        return match state.remove_if(kernel, task, |old| is_callers(kernel, old)) {
            Ok(old) => replaced(kernel, state, task, old),
            Err(refusal) => code(refusal),
        };
    };
    // Where this fails the right is the kernel's again.
    let port = right.port();
    if kernel.port_is_the_kernels(port) {
        return mr::KERN_INVALID_ARGUMENT;
    }
    if kernel.port_is_received_in(port, kernel.task_space(task)) {
        return mr::KERN_FAILURE;
    }
    let old = match state.set(kernel, task, right, |old| is_callers(kernel, old)) {
        Ok(old) => old,
        Err((refusal, _)) => return code(refusal),
    };
    if !kernel.task_is_alive(task) {
        return ended_meanwhile(kernel, state, task, old);
    }
    // The calls of a task that was traced already are seen.
    if old.is_nothing() {
        kernel.watch_task(task);
        call::join(kernel, task);
    }
    light::settle(kernel, state);
    replaced(kernel, state, task, old)
}

/// A trace has ended, or goes to another port: who waits for the tracer that was goes on.
#[inline(never)]
fn replaced(kernel: &impl Kernel, state: &State, task: Task, old: Released) -> u32 {
    if !old.is_nothing() {
        kernel.interrupt_threads(task, |thread| quiet::is_waiting(kernel, thread));
        lost::release(kernel, state, old);
    }
    mr::MACH_MSG_SUCCESS
}

fn code(refusal: Refusal) -> u32 {
    match refusal {
        Refusal::Full => mr::KERN_RESOURCE_SHORTAGE,
        Refusal::Kept => mr::KERN_NO_ACCESS,
    }
}

/// The task died on another processor after it was found alive: takes back what was set, unless `ipc_task_terminate` has done so.
#[cold]
fn ended_meanwhile(kernel: &impl Kernel, state: &State, task: Task, old: Released) -> u32 {
    old.release(kernel);
    // On failure the caller keeps its right; if the entry is gone, the right went with it.
    let entry = state.remove(kernel, task);
    if entry.is_nothing() {
        return mr::MACH_MSG_SUCCESS;
    }
    entry.release_all_but_port(kernel);
    mr::KERN_FAILURE
}

#[cfg(test)]
mod tests;
