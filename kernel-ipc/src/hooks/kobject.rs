//! `ipc_kobject_server`: what others say to a traced task's control ports, and the kernel's answers.
//!
//! The kernel's reply carries the correlation number of the request it answers. A request that the traced task sends itself
//! is in its trace already, as a message of its own, and is not recorded here a second time.

use trace_port::{Direction, EventKind};

use crate::emit::{self, Content, Target};
use crate::gnumach::{Kernel, Kmsg, Port, Task};
use crate::observe::{self, Call};
use crate::state::State;

/// What is kept while the kernel serves a request: 32 bytes of its stack.
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    /// The traced task that the request is for, with a reference; meaningless without a port.
    task: Task,
    /// A right to its trace port, taken now because the request may end the task; null if there is nothing to record.
    port: Port,
    /// The correlation number, or 0.
    correlation: u64,
    number: u32,
    /// The thread that the request is for, or 0.
    thread: u32,
}

impl Pending {
    fn kind(&self) -> EventKind {
        if self.thread == 0 { EventKind::Task } else { EventKind::Thread }
    }
}

/// Stands in for `ipc_kobject_server`. `correlation` is the request's number if a traced task sends it, else 0.
#[inline(never)]
pub fn serve(kernel: &impl Kernel, state: &State, request: Kmsg, correlation: u64) -> Option<Kmsg> {
    let pending = requested(kernel, state, request, correlation);
    let reply = kernel.ipc_kobject_server(request);
    replied(kernel, state, &pending, reply);
    reply
}

/// Before the kernel consumes a request.
#[inline(never)]
pub fn requested(kernel: &impl Kernel, state: &State, request: Kmsg, correlation: u64) -> Pending {
    let nothing = Pending { task: Task(0), port: Port::NULL, correlation, number: 0, thread: 0 };
    let Some((task, thread)) = kernel.control_target(request) else { return nothing };
    let Some(target) = emit::target(kernel, state, task) else {
        kernel.task_deallocate(task);
        return nothing;
    };
    let thread = thread.map_or(0, |thread| observe::thread_number(kernel, state, thread));
    let correlation = if correlation == 0 { state.next_correlation() } else { correlation };
    let pending = Pending { task, port: target.port, correlation, number: target.number, thread };
    let port = kernel.ipc_port_copy_send(target.port);
    if port.is_valid() {
        record(kernel, state, &pending, Target { port, ..target }, Direction::Receive, request);
    }
    pending
}

/// After the kernel has served it; `reply` is `None` if there is none.
#[inline(never)]
pub fn replied(kernel: &impl Kernel, state: &State, pending: &Pending, reply: Option<Kmsg>) {
    if let Some(reply) = reply.filter(|_| pending.correlation != 0) {
        state.restamp(reply, pending.correlation);
        kernel.set_msgh_seqno(reply, pending.correlation as u32);
    }
    if pending.port == Port::NULL {
        return;
    }
    match reply {
        Some(reply) => {
            let target = Target { task: pending.task, port: pending.port, number: pending.number };
            record(kernel, state, pending, target, Direction::Send, reply);
        }
        None => kernel.ipc_port_release_send(pending.port),
    }
    kernel.task_deallocate(pending.task);
}

/// Consumes the target's right.
#[inline(never)]
fn record(kernel: &impl Kernel, state: &State, pending: &Pending, target: Target, direction: Direction, message: Kmsg) {
    let sender = observe::sender(kernel, state, target.port);
    let call = Call::other(direction, pending.kind(), pending.thread, sender, kernel.msgh_size(message));
    let draft = emit::draft_for(kernel, state, &target, &call, Content::Transit(message));
    emit::emit(kernel, state, draft, 0, pending.correlation);
}
