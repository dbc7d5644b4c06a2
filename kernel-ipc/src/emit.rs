// SPDX-License-Identifier: GPL-2.0-or-later
//! From an event to a record in the trace port's queue: the only writer of trace records.
//!
//! A record lives in kalloc'ed memory from its first byte, and so does what is remembered about it until it is queued: almost
//! nothing of it is on the kernel's 4 KiB stack while the traced call goes on. Functions are kept out of line for the same
//! reason: their frames are gone by then.

use mach_abi::header::LP64;
use trace_port::record::{self, MAX_BATCH, Part};
use trace_port::{Direction, TRACE_RECORD_MSGH_ID, TRACE_RECORDS_MSGH_ID};

use crate::conceal::{self, Author};
use crate::draft::Draft;
use crate::gnumach::{InTransit, Kernel, Key, Kmsg, Note, OwnedKmsg, Record, SendRight, Task};
use crate::lost;
use crate::named::{self, View};
use crate::numbers::{Correlation, TaskNumber};
use crate::observe::{self, Event};
use crate::state::{State, Target, Way};
use crate::table::{Asked, EVERYTHING};

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
    let target = state.target(kernel, task, size <= MAX_BATCH, || asked(kernel, event, content))?;
    draft_for(kernel, state, target, event, content)
}

/// What engines are asked before there is a record of an event.
fn asked(kernel: &impl Kernel, event: &Event, content: Content) -> Asked {
    Asked { events: event.wants(), msgh_id: content.source.map(|source| kernel.msgh_id(source)) }
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
    let Target { key, has_engines, .. } = target;
    kernel.set_note(record, Note { key, part: FIRST, lost: state.lost(), has_engines, answers: false });
    write(kernel, record, (FIRST, target.key.number), event, content);
    kernel.set_message(record, record::wire_size(content.captured, 0) as u32, TRACE_RECORD_MSGH_ID);
    kernel.record_part(record, FIRST as usize, |first: &mut Part| first.header.dropped = target.dropped.into());
    Some(Draft::of(memory))
}

/// Makes sure that the next record of the current task finds its memory: where little of the stack is in use, because `kalloc` needs much.
#[inline(always)]
pub(crate) fn prepare(kernel: &impl Kernel, state: &State) {
    let task = observe::current_task(kernel);
    if !State::has_spare(kernel.task_entry(task)) {
        prepare_spare(kernel, state, task);
    }
}

#[inline(never)]
fn prepare_spare(kernel: &impl Kernel, state: &State, task: Task) {
    let Some(target) = state.target_apart(kernel, task, EVERYTHING) else { return };
    if target.dropped != 0 {
        // The record that comes tells of it.
        state.add_dropped(kernel, target.key, target.dropped, 0);
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

/// Puts a second record of the current task into the message, which must have room for it.
#[inline(never)]
pub(crate) fn add(kernel: &impl Kernel, draft: &Draft, event: &Event, content: Content) {
    let record = draft.record();
    let note = kernel.note(record);
    let part = kernel.msgh_size(record.kmsg());
    let has_engines = note.has_engines || State::has_engines(kernel, observe::current_task(kernel));
    kernel.set_note(record, Note { part, has_engines, answers: false, ..note });
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

/// Lets `change` have a draft's last record.
#[inline]
pub(crate) fn last_part(kernel: &impl Kernel, draft: &Draft, change: impl FnOnce(&mut Part)) {
    let record = draft.record();
    kernel.record_part(record, kernel.note(record).part as usize, change);
}

/// Writes the outcome of a draft's last record.
#[inline]
pub(crate) fn settle(kernel: &impl Kernel, draft: &Draft, retval: u32) {
    last_part(kernel, draft, |part| part.header.retval = retval.into());
}

/// Writes the message bytes of a draft's last record, which are as many as its content was reserved for.
pub(crate) fn write_message(kernel: &impl Kernel, draft: &Draft, bytes: &[u8]) {
    let record = draft.record();
    kernel.record_write(record, kernel.note(record).part as usize + size_of::<Part>(), bytes);
}

/// The name of the reply port in the message that a draft's last record shows, and its `msgh_id`.
pub(crate) fn reply_of(kernel: &impl Kernel, draft: &Draft) -> (u32, u32) {
    let record = draft.record();
    let message = kernel.note(record).part as usize + size_of::<Part>();
    let word = |offset| kernel.record_read(record, message + offset);
    (word(LP64.local_port) as u32, (word(LP64.seqno) >> 32) as u32)
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
