//! `ipc_kobject_server`: what others say to a traced task's control ports, and the kernel's answers.
//!
//! The kernel's reply carries the correlation number of the request it answers. A request that the traced task sends itself
//! is in its trace already, as a message of its own, and is not recorded here a second time.

use trace_port::{Direction, EventKind};

use crate::emit::{self, Unconcealed};
use crate::gnumach::{Kernel, Kmsg, Port, Task, Thread};
use crate::observe::{self, Call};
use crate::state::{State, Target};

/// What is kept while the kernel serves a request: 40 bytes of its stack.
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    /// The traced task that the request is for, with a reference.
    task: Task,
    /// A right to its trace port, taken now because the request may end the task.
    port: Port,
    /// The correlation number.
    correlation: u64,
    number: u32,
    /// The thread that the request is for, or 0.
    thread: u32,
    /// Records lost before the request's.
    dropped: u32,
}

impl Pending {
    fn kind(&self) -> EventKind {
        if self.thread == 0 { EventKind::Task } else { EventKind::Thread }
    }
}

/// Stands in for `ipc_kobject_server`. `correlation` is the request's number if a traced task sends it, else 0.
#[inline(never)]
pub fn serve(kernel: &impl Kernel, state: &State, request: Kmsg, correlation: u64) -> Option<Kmsg> {
    match kernel.control_target(request) {
        None => kernel.ipc_kobject_server(request),
        Some((task, thread)) => serve_recorded(kernel, state, request, correlation, task, thread),
    }
}

#[inline(never)]
fn serve_recorded(
    kernel: &impl Kernel,
    state: &State,
    request: Kmsg,
    correlation: u64,
    task: Task,
    thread: Option<Thread>,
) -> Option<Kmsg> {
    // One after the other and not one in the other: the frames add up to what a message to the kernel needs of its stack.
    let pending = pending(kernel, state, correlation, task, thread);
    if let Some(pending) = &pending {
        requested(kernel, state, pending, request);
    }
    let reply = kernel.ipc_kobject_server(request);
    if let Some(pending) = &pending {
        replied(kernel, state, pending, reply);
    }
    reply
}

/// What a request for a traced task or thread needs until it is answered. Consumes the reference to the task if there is
/// nothing to record.
#[inline(never)]
pub fn pending(
    kernel: &impl Kernel,
    state: &State,
    correlation: u64,
    task: Task,
    thread: Option<Thread>,
) -> Option<Pending> {
    let Some(target) = state.target(kernel, task, false) else {
        kernel.task_deallocate(task);
        return None;
    };
    let thread = thread.map_or(0, |thread| observe::thread_number(kernel, state, thread));
    let correlation = if correlation == 0 { state.next_correlation() } else { correlation };
    let Target { port, number, dropped, .. } = target;
    Some(Pending { task, port, correlation, number, thread, dropped })
}

/// Before the kernel consumes the request.
pub fn requested(kernel: &impl Kernel, state: &State, pending: &Pending, request: Kmsg) {
    let port = kernel.ipc_port_copy_send(pending.port);
    if port.is_valid() {
        record(kernel, state, pending, port, Direction::Receive, request);
    }
}

/// After the kernel has served it; `reply` is `None` if there is none.
pub fn replied(kernel: &impl Kernel, state: &State, pending: &Pending, reply: Option<Kmsg>) {
    match reply {
        Some(reply) => {
            state.restamp(reply, pending.correlation);
            kernel.set_msgh_seqno(reply, pending.correlation as u32);
            record(kernel, state, pending, pending.port, Direction::Send, reply);
        }
        None => kernel.ipc_port_release_send(pending.port),
    }
    kernel.task_deallocate(pending.task);
}

/// Consumes the right `port`.
#[inline(never)]
fn record(kernel: &impl Kernel, state: &State, pending: &Pending, port: Port, direction: Direction, message: Kmsg) {
    let Some(draft) = draft(kernel, state, pending, port, direction, message) else { return };
    let draft = draft.conceal(kernel, state);
    emit::emit(kernel, state, Some(draft), 0, pending.correlation);
}

#[inline(never)]
fn draft(
    kernel: &impl Kernel,
    state: &State,
    pending: &Pending,
    port: Port,
    direction: Direction,
    message: Kmsg,
) -> Option<Unconcealed> {
    // What was lost before the request is told with the request.
    let dropped = if direction == Direction::Receive { pending.dropped } else { 0 };
    let target = Target { task: pending.task, port, spare: None, number: pending.number, dropped };
    let sender = observe::sender(kernel, state, port);
    let call = Call::other(direction, pending.kind(), pending.thread, sender, kernel.msgh_size(message));
    emit::draft_transit_for(kernel, state, &target, &call, message)
}
