// SPDX-License-Identifier: GPL-2.0-or-later
//! `ipc_kobject_server`: what others say to a traced task's control ports, and the kernel's answers.
//!
//! The kernel's reply carries the correlation number of the request it answers. A request that the traced task sends itself
//! is in its trace already, as a message of its own, and is not recorded here a second time.

use trace_port::{Direction, EventKind, control};

use crate::conceal::Author;
use crate::deliver;
use crate::emit;
use crate::gnumach::{InTransit, Kernel, Key, OwnedKmsg, Reference, SendRight, Task, Thread};
use crate::numbers::{Correlation, ThreadNumber};
use crate::observe::{self, Event, Moment};
use crate::quiet::{self, Wait};
use crate::stamp;
use crate::state::{State, Target, Way};

/// Whom a request is for.
#[derive(Debug)]
pub(crate) struct Addressee {
    /// The traced task.
    task: Reference<Task>,
    /// What its trace is known by.
    key: Key,
    /// The thread, or none.
    thread: ThreadNumber,
    /// The correlation number.
    correlation: Correlation,
    /// Records lost before the request's.
    dropped: u32,
}

/// What is kept while the kernel serves a request: 48 bytes of its stack.
#[derive(Debug)]
pub(crate) struct Pending {
    addressee: Addressee,
    /// A right to the trace port, taken now because the request may end the task.
    right: SendRight,
}

/// Stands in for `ipc_kobject_server`, which is `server`.
#[inline(always)]
pub(crate) fn serve(
    kernel: &impl Kernel,
    state: &State,
    request: InTransit,
    server: impl FnOnce(InTransit) -> Option<InTransit>,
) -> Option<InTransit> {
    // What the kernel does to deliver a record is no event.
    if quiet::is_emitting(kernel) {
        return server(request);
    }
    match kernel.control_target(request) {
        None => server(request),
        Some((task, thread)) => serve_recorded(kernel, state, request, (task, thread), server),
    }
}

#[inline(never)]
fn serve_recorded(
    kernel: &impl Kernel,
    state: &State,
    request: InTransit,
    (task, thread): (Reference<Task>, Option<Reference<Thread>>),
    server: impl FnOnce(InTransit) -> Option<InTransit>,
) -> Option<InTransit> {
    // One after the other and not one in the other: the frames add up to what a message to the kernel needs of its stack.
    let pending = pending(kernel, state, stamp::read(kernel, state, request.kmsg()), task, thread);
    if let Some(pending) = &pending {
        requested(kernel, state, pending, request);
    }
    let reply = server(request);
    if let Some(pending) = pending {
        replied(kernel, state, pending, reply);
    }
    reply
}

/// What a request for a traced task or thread needs until it is answered, if there is something to record.
#[inline(never)]
pub(crate) fn pending(
    kernel: &impl Kernel,
    state: &State,
    correlation: Correlation,
    task: Reference<Task>,
    thread: Option<Reference<Thread>>,
) -> Option<Pending> {
    let number = thread.map_or(ThreadNumber::NONE, |thread| {
        let number = observe::thread_number(kernel, state, thread.get());
        kernel.thread_deallocate(thread);
        number
    });
    let Some(target) = state.target_apart(kernel, task.get(), control::event::CONTROL) else {
        kernel.task_deallocate(task);
        return None;
    };
    let correlation = if correlation.is_none() { state.next_correlation() } else { correlation };
    let Target { way: right, key, dropped, .. } = target;
    Some(Pending { addressee: Addressee { task, key, thread: number, correlation, dropped }, right })
}

/// Before the kernel consumes the request.
pub(crate) fn requested(kernel: &impl Kernel, state: &State, pending: &Pending, request: InTransit) {
    if let Some(right) = kernel.ipc_port_copy_send(pending.right.port()) {
        record(kernel, state, &pending.addressee, right, Direction::Receive, request);
    }
}

/// After the kernel has served it; `reply` is `None` if there is none.
pub(crate) fn replied(kernel: &impl Kernel, state: &State, pending: Pending, reply: Option<InTransit>) {
    let Pending { addressee, right } = pending;
    match reply {
        Some(reply) => {
            stamp::put(kernel, state, reply.kmsg(), addressee.correlation);
            record(kernel, state, &addressee, right, Direction::Send, reply);
        }
        None => kernel.ipc_port_release_send(right),
    }
    kernel.task_deallocate(addressee.task);
}

#[inline(never)]
fn record(
    kernel: &impl Kernel,
    state: &State,
    to: &Addressee,
    right: SendRight,
    direction: Direction,
    message: InTransit,
) {
    // Before the record is made in a frame of its own: both need much of the stack. A record without memory has its number, too.
    let moment = Moment::now_apart(kernel, state);
    if let Some(memory) = emit::memory(kernel, state, (to.task.get(), to.key), right, message) {
        make(kernel, state, to, memory, direction, moment, message);
    } else if direction == Direction::Receive {
        state.add_dropped(kernel, to.key, to.dropped, 0);
    }
}

#[inline(never)]
fn make(
    kernel: &impl Kernel,
    state: &State,
    to: &Addressee,
    memory: OwnedKmsg,
    direction: Direction,
    moment: Moment,
    message: InTransit,
) {
    let sender = observe::sender(kernel, state, kernel.record_port(memory.record()));
    // What was lost before the request is told with the request.
    let dropped = if direction == Direction::Receive { to.dropped } else { 0 };
    let (task, way) = (to.task.get(), Way::Memory(memory));
    let target = Target { key: to.key, task, way, dropped, has_engines: State::has_engines(kernel, task) };
    let (message_size, correlation) = (kernel.msgh_size(message.kmsg()), to.correlation);
    let kind = if to.thread.is_none() { EventKind::Task } else { EventKind::Thread };
    let event = Event::other(direction, kind, to.thread, moment);
    let event = Event { sender, message_size, correlation, ..event };
    if let Some(draft) = emit::draft_transit_for(kernel, state, target, &event, message) {
        let author = if direction == Direction::Send { Author::Kernel } else { Author::User };
        deliver::queue(kernel, state, draft.conceal(kernel, state, to.task.get(), author), Wait::Never);
    }
}

#[cfg(test)]
mod tests;
