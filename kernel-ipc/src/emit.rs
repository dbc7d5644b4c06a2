//! From an event to a record in the trace port's queue: the only writer of trace records.
//!
//! A record lives in kalloc'ed memory from its first byte, and so does what is remembered about it until it is queued: almost
//! nothing of it is on the kernel's 4 KiB stack while the traced call goes on. Functions are kept out of line for the same
//! reason: their frames are gone by then.

use core::num::NonZeroUsize;

use trace_port::record::{self, MAX_BATCH, Part, Prefix};
use trace_port::{TRACE_RECORD_MSGH_ID, TRACE_RECORDS_MSGH_ID};

use crate::batch;
use crate::gnumach::objects::{COMPLEX, PORT_SEND};
use crate::gnumach::{Kernel, Kmsg, Note, Task, mr, option};
use crate::observe::{self, Call};
use crate::state::{State, Target};
use crate::transit;

/// `msgh_bits` of a record in transit: complex, and the destination is a send right.
pub const RECORD_BITS: u32 = COMPLEX | PORT_SEND;

/// Messages that one who must not wait may queue beyond the port's limit before records are dropped.
const QUEUE_CAP: u32 = 64;

/// Where the first record of a message stands.
const FIRST: u32 = size_of::<Prefix>() as u32;

/// What a record shows.
#[derive(Clone, Copy, Debug)]
pub enum Content {
    /// No message.
    Nothing,
    /// The first bytes of a message as the task sees it.
    Seen(Kmsg, u32),
    /// So many bytes, a multiple of 8, that the caller writes.
    Reserved(usize),
}

/// A message for the trace port that lacks only the outcome. What it shows is copied and the rights are taken when the event
/// happens, because the call may end the task.
#[derive(Clone, Copy, Debug)]
pub struct Draft(NonZeroUsize);

/// A draft that shows a message in transit, rights and memory in kernel form. It cannot be queued before it is concealed.
#[must_use]
#[derive(Debug)]
pub struct Unconcealed(Draft);

impl Draft {
    /// The message.
    pub fn kmsg(self) -> Kmsg {
        Kmsg(self.0.get())
    }

    /// Whether another record with so many message bytes fits in.
    pub fn has_room(self, kernel: &impl Kernel, captured: u32) -> bool {
        kernel.msgh_size(self.kmsg()) as usize + record::part_size(captured as usize) <= MAX_BATCH
    }
}

impl Unconcealed {
    /// Makes what it shows fit to leave the kernel. On its own, as it is deep.
    pub fn conceal(self, kernel: &impl Kernel, state: &State) -> Draft {
        let kmsg = self.0.kmsg();
        let size = kernel.record_read(kmsg, record::BODY_TYPE_OFFSET) >> 32;
        transit::conceal(kernel, state, kernel.note(kmsg).task, kmsg, size as usize);
        self.0
    }
}

/// Starts a record of the current thread's call. `None` if the task is not traced, or if there was no memory, which is counted.
#[inline(never)]
pub fn draft(kernel: &impl Kernel, state: &State, call: &Call, content: Content) -> Option<Draft> {
    let size = record::wire_size(captured(content));
    match &state.target(kernel, observe::current_task(kernel), size <= MAX_BATCH) {
        Some(target) => draft_for(kernel, state, target, call, content),
        None => None,
    }
}

/// The same of a message in transit.
#[inline(never)]
pub fn draft_transit(kernel: &impl Kernel, state: &State, call: &Call, message: Kmsg) -> Option<Unconcealed> {
    draft(kernel, state, call, Content::Seen(message, kernel.msgh_size(message))).map(Unconcealed)
}

/// The same for any traced task. Consumes the target's right.
#[inline(never)]
pub fn draft_transit_for(
    kernel: &impl Kernel,
    state: &State,
    target: &Target,
    call: &Call,
    message: Kmsg,
) -> Option<Unconcealed> {
    draft_for(kernel, state, target, call, Content::Seen(message, kernel.msgh_size(message))).map(Unconcealed)
}

#[inline(never)]
fn draft_for(kernel: &impl Kernel, state: &State, target: &Target, call: &Call, content: Content) -> Option<Draft> {
    let size = record::wire_size(captured(content)) as u32;
    let kmsg = match target.spare {
        Some(spare) => spare,
        None => fresh(kernel, state, target, size as usize)?,
    };
    kernel.record_part(kmsg, 0, |prefix: &mut Prefix| {
        prefix.size = size.into();
        prefix.id = TRACE_RECORD_MSGH_ID.into();
    });
    kernel.set_note(kmsg, Note { task: target.task, part: FIRST, lost: state.lost() });
    write(kernel, state, kmsg, Numbers { part: FIRST, task: target.number, dropped: target.dropped }, call, content);
    NonZeroUsize::new(kmsg.0).map(Draft)
}

/// New memory for a record, with the rights that every message to the trace port has. Consumes the target's right.
#[inline(never)]
fn fresh(kernel: &impl Kernel, state: &State, target: &Target, size: usize) -> Option<Kmsg> {
    let Some(kmsg) = kernel.record_alloc(size) else {
        kernel.ipc_port_release_send(target.port);
        drop_records(kernel, state, target.task, target.dropped, 1);
        return None;
    };
    let task_right = kernel.task_send_right(target.task).0 as u64;
    kernel.record_part(kmsg, 0, |prefix: &mut Prefix| {
        *prefix = Prefix {
            bits: RECORD_BITS.into(),
            size: 0.into(),
            remote_port: (target.port.0 as u64).into(),
            local_port: 0.into(),
            seqno: 0.into(),
            id: TRACE_RECORD_MSGH_ID.into(),
            task_type: record::TASK_TYPE.into(),
            task: task_right.into(),
        };
    });
    Some(kmsg)
}

/// Puts a second record into the message, which must have room for it.
#[inline(never)]
pub fn add(kernel: &impl Kernel, state: &State, draft: Draft, call: &Call, content: Content) {
    let kmsg = draft.kmsg();
    let note = kernel.note(kmsg);
    let part = kernel.msgh_size(kmsg);
    let end = part + record::part_size(captured(content)) as u32;
    kernel.record_part(kmsg, 0, |prefix: &mut Prefix| {
        prefix.size = end.into();
        prefix.id = TRACE_RECORDS_MSGH_ID.into();
    });
    let mut task = 0;
    kernel.record_part(kmsg, note.part as usize, |first: &mut Part| {
        first.header_type = record::records_type(end).into();
        task = first.header.task.get();
    });
    kernel.set_note(kmsg, Note { part, ..note });
    write(kernel, state, kmsg, Numbers { part, task, dropped: 0 }, call, content);
}

/// What a record says that is neither of the call nor of the message.
struct Numbers {
    /// Where it stands.
    part: u32,
    task: u32,
    dropped: u32,
}

/// Writes all of a message's last record but its outcome.
fn write(kernel: &impl Kernel, state: &State, kmsg: Kmsg, numbers: Numbers, call: &Call, content: Content) {
    let (captured, part) = (captured(content), numbers.part as usize);
    // Before the last word is overwritten by the message's own end, it is the padding.
    if !captured.is_multiple_of(8) {
        kernel.record_write(kmsg, part + record::part_size(captured) - 8, &[0; 8]);
    }
    if let Content::Seen(source, _) = content {
        kernel.record_copy(kmsg, part + size_of::<Part>(), source, 0, captured);
    }
    let (sequence, time) = (state.next_sequence(), kernel.time());
    kernel.record_part(kmsg, part, |part: &mut Part| {
        // The first record's is overwritten where others follow.
        part.header_type = record::HEADER_TYPE.into();
        part.body_type = record::body_type(captured as u32).into();
        part.header = observe::header(call, (numbers.task, numbers.dropped), captured as u32, sequence, time);
    });
}

fn captured(content: Content) -> usize {
    let size = match content {
        Content::Nothing => 0,
        Content::Seen(_, size) => size as usize,
        Content::Reserved(size) => size,
    };
    size.min(record::MAX_BODY)
}

/// Writes the outcome of a draft's last record.
#[inline]
pub fn settle(kernel: &impl Kernel, draft: Draft, retval: u32, correlation: u64) {
    let kmsg = draft.kmsg();
    kernel.record_part(kmsg, kernel.note(kmsg).part as usize, |part: &mut Part| {
        part.header.retval = retval.into();
        part.header.correlation = correlation.into();
    });
}

/// Writes the outcome and queues the message.
#[inline(never)]
pub fn emit(kernel: &impl Kernel, state: &State, draft: Option<Draft>, retval: u32, correlation: u64) {
    let Some(draft) = draft else { return };
    settle(kernel, draft, retval, correlation);
    queue(kernel, state, draft.kmsg());
}

/// Queues a message whose records are settled: behind others of its task, if the tracer has not received them yet, else as a
/// message of its own. Waits for the tracer only in the traced task's own live thread.
#[inline(never)]
fn queue(kernel: &impl Kernel, state: &State, kmsg: Kmsg) {
    let Note { task, lost, .. } = kernel.note(kmsg);
    if state.lost() != lost {
        let more = state.take_dropped(kernel.task_entry(task), task);
        kernel.record_part(kmsg, FIRST as usize, |first: &mut Part| {
            first.header.dropped = first.header.dropped.get().saturating_add(more).into();
        });
    }
    if batch::append(kernel, kmsg) {
        if !state.keep_spare(kernel, task, kmsg) {
            kernel.ipc_kmsg_destroy(kmsg);
        }
        return;
    }
    let port = kernel.remote_port(kmsg);
    let (queued, how) = if task == observe::current_task(kernel) && !kernel.thread_is_halting(kernel.current_thread()) {
        if kernel.port_is_full(port) {
            return wait(kernel, state, kmsg, task);
        }
        (kernel.port_is_active(port), 0)
    } else if kernel.port_msgcount(port) < QUEUE_CAP {
        (kernel.port_is_active(port), option::SEND_ALWAYS)
    } else {
        (false, option::SEND_TIMEOUT)
    };
    let result = kernel.ipc_mqueue_send(kmsg, how, 0);
    sent(kernel, state, kmsg, task, (result, queued));
}

/// Queues a message once the tracer has made room. A right of its own tells afterwards whether the port has died meanwhile,
/// in which case the kernel has destroyed the message without counting it.
#[cold]
#[inline(never)]
fn wait(kernel: &impl Kernel, state: &State, kmsg: Kmsg, task: Task) {
    let port = kernel.ipc_port_copy_send(kernel.remote_port(kmsg));
    let result = kernel.ipc_mqueue_send(kmsg, 0, 0);
    let queued = port.is_valid() && kernel.port_is_active(port);
    if port.is_valid() {
        kernel.ipc_port_release_send(port);
    }
    sent(kernel, state, kmsg, task, (result, queued));
}

fn sent(kernel: &impl Kernel, state: &State, kmsg: Kmsg, task: Task, (result, queued): (u32, bool)) {
    if result != mr::SUCCESS {
        lose(kernel, state, kmsg, task);
    } else if queued {
        kernel.uncount_sent(observe::current_task(kernel));
    }
}

/// Counts the records of a message that could not be queued, and those they were to tell of.
#[cold]
#[inline(never)]
fn lose(kernel: &impl Kernel, state: &State, kmsg: Kmsg, task: Task) {
    let records = if kernel.note(kmsg).part == FIRST { 1 } else { 2 };
    let mut carried = 0;
    kernel.record_part(kmsg, FIRST as usize, |first: &mut Part| carried = first.header.dropped.get());
    kernel.ipc_kmsg_destroy(kmsg);
    drop_records(kernel, state, task, carried, records);
}

#[cold]
#[inline(never)]
fn drop_records(kernel: &impl Kernel, state: &State, task: Task, carried: u32, records: u32) {
    let total = state.add_dropped(kernel.task_entry(task), task, carried, records);
    // At 1, 2, 4, 8, ...: enough to notice, too few to bury the console.
    if total.leading_zeros() != total.wrapping_sub(records).leading_zeros() {
        kernel.report_dropped(total);
    }
}
