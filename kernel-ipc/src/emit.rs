// SPDX-License-Identifier: GPL-2.0-or-later
//! From an event to a record in the trace port's queue: the only writer of trace records.
//!
//! A record lives in kalloc'ed memory from its first byte, and so does what is remembered about it until it is queued: almost
//! nothing of it is on the kernel's 4 KiB stack while the traced call goes on. Functions are kept out of line for the same
//! reason: their frames are gone by then.

use trace_port::record::{self, MAX_BATCH, Part};
use trace_port::{Direction, TRACE_RECORD_MSGH_ID, TRACE_RECORDS_MSGH_ID};

use crate::batch;
use crate::conceal::{self, Author};
use crate::draft::Draft;
use crate::gnumach::{InTransit, Kernel, Key, Kmsg, Note, OwnedKmsg, Record, SendRight, Task, Thread, mr, option};
use crate::lost;
use crate::named::{self, View};
use crate::numbers::{Correlation, TaskNumber};
use crate::observe::{self, Event};
use crate::state::{State, Target, Way};

/// Messages that one who must not wait may queue beyond the port's limit before records are dropped.
const QUEUE_CAP: u32 = 64;

/// Messages that may be queued beyond it in the middle of a call, where no thread has more than one such record before it waits at its exit.
const CALLS_CAP: u32 = 4096;

/// What stands for the message that a thread has copied in while it queues a record: no kmsg has such an address.
const EMITS: u32 = 1;

/// What stands for that message while the thread waits for its tracer.
const WAITS: u32 = 2;

/// How long a thread waits before it looks whether its trace has ended, or has come to be received by its own task: the first may
/// happen on another processor after it has looked and before it sleeps, the second wakes nobody. Milliseconds.
const LOOK_AGAIN: u32 = 200;

/// Where the first record of a message stands.
const FIRST: u32 = crate::draft::FIRST as u32;

/// What a record shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content {
    /// Whose first bytes, as the task sees them; the caller writes them if it is nobody's.
    source: Option<Kmsg>,
    captured: usize,
    /// For how many ports there is to be room.
    ports: usize,
}

impl Content {
    /// No message.
    pub(crate) const NOTHING: Self = Self { source: None, captured: 0, ports: 1 };

    /// The first `size` bytes of a message as the task sees it, as far as a record goes.
    #[inline(always)]
    pub(crate) fn seen(kernel: &impl Kernel, source: Kmsg, size: u32) -> Self {
        let captured = (size as usize).min(record::MAX_BODY);
        Self { source: Some(source), captured, ports: named::room(kernel, source, captured) }
    }

    /// All of a message in transit, as far as a record goes.
    #[inline(always)]
    fn whole(kernel: &impl Kernel, source: Kmsg) -> Self {
        let captured = (kernel.msgh_size(source) as usize).min(record::MAX_BODY);
        Self { source: Some(source), captured, ports: named::room_in_transit(kernel, source, captured) }
    }

    /// So many bytes, a multiple of 8, that the caller writes, and so many ports.
    pub(crate) const fn reserved(bytes: usize, ports: usize) -> Self {
        Self { source: None, captured: bytes, ports }
    }

    /// Most bytes of its record.
    #[inline(always)]
    fn most(self) -> usize {
        record::part_size(self.captured, self.ports)
    }
}

/// Who may wait until the tracer has made room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The traced task's own live thread: its call is over.
    AtExit,
    /// Nobody: the call goes on. Its own thread waits at its exit.
    InCall,
    /// Nobody: it is not the traced thread that queues the record.
    Never,
}

/// A draft that shows a message in transit, rights and memory in kernel form. It cannot be queued before it is concealed.
#[must_use]
#[derive(Debug)]
pub(crate) struct Unconcealed {
    draft: Draft,
    /// For how many ports there is room.
    ports: usize,
}

impl Unconcealed {
    /// Makes what it shows fit to leave the kernel. On its own, as it is deep.
    pub(crate) fn conceal(self, kernel: &impl Kernel, state: &State, task: Task, author: Author) -> Draft {
        let shown = self.draft.record();
        let size = (kernel.record_read(shown, record::BODY_TYPE_OFFSET) >> 32) as usize;
        let ports = conceal::conceal(kernel, state, task, (shown, size, self.ports), author);
        with_ports(kernel, shown, size, ports);
        self.draft
    }
}

/// Writes down how many ports the only record of a message has, whose message bytes are so many.
pub(crate) fn with_ports(kernel: &impl Kernel, record: Record, captured: usize, ports: usize) {
    named::settle(kernel, record, FIRST as usize, captured, ports);
    kernel.set_message(record, record::wire_size(captured, ports) as u32, TRACE_RECORD_MSGH_ID);
}

/// Starts a record of the current task. `None` if the task is not traced, or if there was no memory, which is counted.
pub(crate) fn draft(kernel: &impl Kernel, state: &State, event: &Event, content: Content) -> Option<Draft> {
    draft_of(kernel, state, observe::current_task(kernel), event, content)
}

/// A draft of any task, which the caller keeps alive.
#[inline(never)]
pub(crate) fn draft_of(
    kernel: &impl Kernel,
    state: &State,
    task: Task,
    event: &Event,
    content: Content,
) -> Option<Draft> {
    let size = FIRST as usize + content.most();
    let target = state.target(kernel, task, size <= MAX_BATCH)?;
    draft_for(kernel, state, target, event, content)
}

/// A draft of a message in transit.
#[inline(never)]
pub(crate) fn draft_transit(
    kernel: &impl Kernel,
    state: &State,
    event: &Event,
    message: InTransit,
) -> Option<Unconcealed> {
    let content = Content::whole(kernel, message.kmsg());
    draft(kernel, state, event, content).map(|draft| Unconcealed { draft, ports: content.ports })
}

/// A draft of a message in transit, for any traced task.
#[inline(never)]
pub(crate) fn draft_transit_for(
    kernel: &impl Kernel,
    state: &State,
    target: Target<Way>,
    event: &Event,
    message: InTransit,
) -> Option<Unconcealed> {
    let content = Content::whole(kernel, message.kmsg());
    draft_for(kernel, state, target, event, content).map(|draft| Unconcealed { draft, ports: content.ports })
}

#[inline(always)]
fn draft_for(
    kernel: &impl Kernel,
    state: &State,
    target: Target<Way>,
    event: &Event,
    content: Content,
) -> Option<Draft> {
    let size = FIRST as usize + content.most();
    let memory = match target.way {
        Way::Memory(memory) => memory,
        Way::Right(right) => match fresh(kernel, target.task, right, size, false) {
            Ok(memory) => memory,
            Err(right) => {
                lost::no_memory(kernel, state, target.key, right, target.dropped);
                return None;
            }
        },
    };
    let record = memory.record();
    kernel.set_note(record, Note { key: target.key, part: FIRST, lost: state.lost() });
    write(kernel, record, (FIRST, target.key.number), event, content);
    kernel.set_message(record, record::wire_size(content.captured, 0) as u32, TRACE_RECORD_MSGH_ID);
    kernel.record_part(record, FIRST as usize, |first: &mut Part| first.header.dropped = target.dropped.into());
    Some(Draft::of(memory))
}

/// Makes sure that the next record of the current task finds its memory: where little of the stack is in use, because `kalloc` needs much.
#[inline(always)]
pub(crate) fn prepare(kernel: &impl Kernel, state: &State) {
    let task = observe::current_task(kernel);
    if !State::has_spare(kernel, task) {
        prepare_spare(kernel, state, task);
    }
}

#[inline(never)]
fn prepare_spare(kernel: &impl Kernel, state: &State, task: Task) {
    let Some(target) = state.target_apart(kernel, task) else { return };
    if target.dropped != 0 {
        // The record that comes tells of it.
        state.add_dropped(target.key, target.dropped, 0);
    }
    match fresh(kernel, target.task, target.way, MAX_BATCH, true) {
        Ok(memory) => {
            if let Err(memory) = state.keep_spare(kernel, target.key, memory) {
                kernel.ipc_kmsg_destroy(memory);
            }
        }
        // Nothing is lost yet.
        Err(right) => kernel.ipc_port_release_send(right),
    }
}

/// Memory for a record of a message in transit, unless there is none, which is counted.
#[inline(never)]
pub(crate) fn memory(
    kernel: &impl Kernel,
    state: &State,
    (task, key): (Task, Key),
    right: SendRight,
    message: InTransit,
) -> Option<OwnedKmsg> {
    let size = FIRST as usize + Content::whole(kernel, message.kmsg()).most();
    let memory = fresh(kernel, task, right, size, false);
    memory.map_err(|right| lost::no_memory(kernel, state, key, right, 0)).ok()
}

/// New memory for a record, with the rights that every message to the trace port has; the right to the port again if there is none.
#[inline(never)]
pub(crate) fn fresh(
    kernel: &impl Kernel,
    task: Task,
    right: SendRight,
    size: usize,
    ahead: bool,
) -> Result<OwnedKmsg, SendRight> {
    match kernel.record_alloc(size, ahead) {
        Some(blank) => Ok(kernel.record_begin(blank, right, kernel.task_send_right(task))),
        None => Err(right),
    }
}

/// Whether another record fits into the message.
#[inline(always)]
pub(crate) fn has_room(kernel: &impl Kernel, draft: &Draft, content: Content) -> bool {
    kernel.msgh_size(draft.record().kmsg()) as usize + content.most() <= MAX_BATCH
}

/// Puts a second record into the message, which must have room for it.
#[inline(never)]
pub(crate) fn add(kernel: &impl Kernel, draft: &Draft, event: &Event, content: Content) {
    let record = draft.record();
    let note = kernel.note(record);
    let part = kernel.msgh_size(record.kmsg());
    kernel.set_note(record, Note { part, ..note });
    write(kernel, record, (part, note.key.number), event, content);
    end_at(kernel, record, part, record::part_size(content.captured, 0));
}

/// The last record of a message, which stands at `part`, has so many bytes.
#[inline(always)]
fn end_at(kernel: &impl Kernel, record: Record, part: u32, size: usize) {
    let end = part + size as u32;
    if part == FIRST {
        return kernel.set_message(record, end, TRACE_RECORD_MSGH_ID);
    }
    kernel.set_message(record, end, TRACE_RECORDS_MSGH_ID);
    kernel.record_part(record, FIRST as usize, |first: &mut Part| {
        first.header_type = record::records_type(end).into();
    });
}

/// Says in a draft's last record, which shows a message as its task sees it, what the names stand for. On its own, as it is deep.
#[inline(never)]
pub(crate) fn say_names(
    kernel: &impl Kernel,
    state: &State,
    draft: &Draft,
    (task, direction): (Task, Direction),
    content: Content,
) {
    let record = draft.record();
    let part = kernel.note(record).part;
    let mut rcv_name = 0;
    kernel.record_part(record, part as usize, |part: &mut Part| rcv_name = part.header.rcv_name.get());
    let Content { captured, ports: room, source } = content;
    let view = View { task, direction, rcv_name, message: source };
    let ports = named::write(kernel, state, view, (record, part as usize, captured), room);
    set_ports(kernel, record, (part as usize, captured), ports);
}

/// The last record of a message, which stands at `part` and has so many message bytes, has so many ports.
#[inline(always)]
pub(crate) fn set_ports(kernel: &impl Kernel, record: Record, (part, captured): (usize, usize), ports: usize) {
    named::settle(kernel, record, part, captured, ports);
    end_at(kernel, record, part as u32, record::part_size(captured, ports));
}

/// Writes all of a message's last record, which stands at `part`, but its ports and its outcome.
#[inline(always)]
fn write(kernel: &impl Kernel, record: Record, (part, number): (u32, TaskNumber), event: &Event, content: Content) {
    let (captured, part) = (content.captured, part as usize);
    // Before the last word is overwritten by the message's own end, it is the padding.
    if !captured.is_multiple_of(8) {
        kernel.record_write(record, part + record::part_size(captured, 0) - 8, &[0; 8]);
    }
    if let Some(source) = content.source {
        kernel.record_copy(record, part + size_of::<Part>(), source, 0, captured);
    }
    kernel.record_part(record, part, |part: &mut Part| {
        // The first record's is overwritten where others follow.
        part.header_type = record::HEADER_TYPE.into();
        part.body_type = record::body_type(captured as u32).into();
        part.header = observe::header(kernel, event, number, captured as u32);
    });
}

/// Writes the outcome of a draft's last record.
#[inline]
pub(crate) fn settle(kernel: &impl Kernel, draft: &Draft, retval: u32) {
    let record = draft.record();
    kernel.record_part(record, kernel.note(record).part as usize, |part: &mut Part| part.header.retval = retval.into());
}

/// Says in a draft's only record which trap it is of, and what that returned.
pub(crate) fn set_trap(kernel: &impl Kernel, draft: &Draft, trap: u32, name: u32) {
    kernel.record_part(draft.record(), FIRST as usize, |part: &mut Part| {
        part.header.options = trap.into();
        part.header.rcv_name = name.into();
    });
}

/// The correlation number of a draft's last record, and `msgh_bits` and the lower half of `msgh_local_port` of the message it shows;
/// zeros if there is none.
pub(crate) fn shown(kernel: &impl Kernel, draft: &Draft) -> (Correlation, u32, u32) {
    let record = draft.record();
    let (mut correlation, mut captured) = (0, 0);
    let part = kernel.note(record).part as usize;
    kernel.record_part(record, part, |part: &mut Part| {
        correlation = part.header.correlation.get();
        captured = part.header.captured_size.get();
    });
    let message = part + size_of::<Part>();
    let word = |offset| if captured < 32 { 0 } else { kernel.record_read(record, message + offset) as u32 };
    (Correlation::new(correlation), word(0), word(16))
}

/// Queues a message whose records are settled: behind others of its task, if the tracer has not received them yet, else as a
/// message of its own.
#[inline(never)]
pub(crate) fn queue(kernel: &impl Kernel, state: &State, draft: Draft, wait: Wait) {
    queue_at_exit(kernel, state, draft, wait);
}

/// Queues a message as [`queue`] does, on the path of every call.
#[inline(always)]
pub(crate) fn queue_at_exit(kernel: &impl Kernel, state: &State, draft: Draft, wait: Wait) {
    let record = draft.record();
    let Note { key, lost, .. } = kernel.note(record);
    if state.lost() != lost {
        tell_of_lost(kernel, state, record, key);
    }
    if !batch::append(kernel, record) {
        send(kernel, state, draft, wait);
    } else if let Err(memory) = state.keep_spare(kernel, key, draft.into_memory()) {
        discard(kernel, memory);
    }
}

/// Destroys a message whose records are in another, or that has none.
#[inline(never)]
pub(crate) fn discard(kernel: &impl Kernel, memory: OwnedKmsg) {
    quietly(kernel, EMITS, || kernel.ipc_kmsg_destroy(memory));
}

/// Records were lost while this one was made.
#[cold]
#[inline(never)]
fn tell_of_lost(kernel: &impl Kernel, state: &State, record: Record, key: Key) {
    let more = state.take_dropped(key);
    kernel.record_part(record, FIRST as usize, |first: &mut Part| {
        first.header.dropped = record::add_lost(first.header.dropped.get(), more).into();
    });
}

/// Queues a draft that an open call has given up.
#[inline(always)]
pub(crate) fn post(kernel: &impl Kernel, state: &State, draft: Draft, wait: Wait) {
    queue(kernel, state, draft, wait);
    state.draft_closed(kernel);
}

/// Whether the current thread is queueing a record.
pub(crate) fn is_emitting(kernel: &impl Kernel) -> bool {
    matches!(kernel.thread_message(kernel.current_thread()), EMITS | WAITS)
}

/// Whether a thread waits for its tracer.
pub(crate) fn is_waiting(kernel: &impl Kernel, thread: Thread) -> bool {
    kernel.thread_message(thread) == WAITS
}

/// Does something that may make the kernel send messages of its own, marked as no event.
pub(crate) fn silently<T>(kernel: &impl Kernel, work: impl FnOnce() -> T) -> T {
    quietly(kernel, EMITS, work)
}

fn quietly<T>(kernel: &impl Kernel, mark: u32, work: impl FnOnce() -> T) -> T {
    let thread = kernel.current_thread();
    let before = kernel.thread_message(thread);
    kernel.set_thread_message(thread, mark);
    let done = work();
    kernel.set_thread_message(thread, before);
    done
}

/// Queues a message as one of its own.
#[inline(never)]
fn send(kernel: &impl Kernel, state: &State, draft: Draft, wait: Wait) {
    let port = kernel.record_port(draft.record());
    if wait == Wait::AtExit && !kernel.thread_is_halting(kernel.current_thread()) {
        if kernel.port_is_full(port) {
            return wait_for_room(kernel, state, draft);
        }
        let queued = kernel.port_is_active(port);
        let result = quietly(kernel, EMITS, || kernel.ipc_mqueue_send(draft.into_memory(), 0, 0));
        return sent(kernel, state, result, queued);
    }
    let cap = if wait == Wait::InCall { CALLS_CAP } else { QUEUE_CAP };
    force(kernel, state, draft, cap);
}

/// Queues a message beyond the port's limit, unless there are too many.
#[inline(never)]
fn force(kernel: &impl Kernel, state: &State, draft: Draft, cap: u32) {
    let port = kernel.record_port(draft.record());
    let (queued, how) = match kernel.port_msgcount(port) < cap {
        true => (kernel.port_is_active(port), option::MACH_SEND_ALWAYS),
        false => (false, option::MACH_SEND_TIMEOUT),
    };
    let result = quietly(kernel, EMITS, || kernel.ipc_mqueue_send(draft.into_memory(), how, 0));
    sent(kernel, state, result, queued);
}

/// Queues a message once the tracer has made room, or at once if the thread is interrupted or the trace ends. A right of its own tells
/// afterwards whether the port has died meanwhile, in which case the kernel has destroyed the message without counting it.
#[cold]
#[inline(never)]
fn wait_for_room(kernel: &impl Kernel, state: &State, draft: Draft) {
    let Some(right) = kernel.ipc_port_copy_send(kernel.record_port(draft.record())) else {
        return force(kernel, state, draft, QUEUE_CAP);
    };
    let port = right.port();
    let key = kernel.note(draft.record()).key;
    let task = observe::current_task(kernel);
    let result = quietly(kernel, WAITS, || {
        let mut memory = draft.into_memory();
        loop {
            if !state.goes_to(key, port) || kernel.port_is_received_in(port, kernel.task_space(task)) {
                break Err((mr::MACH_SEND_INTERRUPTED, memory));
            }
            memory = match kernel.ipc_mqueue_send(memory, option::MACH_SEND_TIMEOUT, LOOK_AGAIN) {
                Err((mr::MACH_SEND_TIMED_OUT, memory)) => memory,
                result => break result,
            };
        }
    });
    let queued = kernel.port_is_active(port);
    kernel.ipc_port_release_send(right);
    match result {
        Err((mr::MACH_SEND_INTERRUPTED, memory)) => force(kernel, state, Draft::of(memory), QUEUE_CAP),
        result => sent(kernel, state, result, queued),
    }
}

fn sent(kernel: &impl Kernel, state: &State, result: Result<(), (u32, OwnedKmsg)>, queued: bool) {
    match result {
        Err((_, memory)) => lost::lose(kernel, state, Draft::of(memory)),
        Ok(()) if queued => kernel.uncount_sent(observe::current_task(kernel)),
        Ok(()) => {}
    }
}

#[cfg(test)]
mod tests;
