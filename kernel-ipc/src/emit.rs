//! From an event to a record in the trace port's queue: the only writer of trace records.
//!
//! A record lives in kalloc'ed memory from its first byte, so that almost nothing of it is on the kernel's 4 KiB stack while
//! the traced call goes on. Functions are kept out of line for the same reason: their frames are gone by then.

use trace_port::record::{self, Part, Prefix};
use trace_port::{TRACE_CALL_MSGH_ID, TRACE_RECORD_MSGH_ID};

use crate::gnumach::objects::{COMPLEX, PORT_SEND};
use crate::gnumach::{Kernel, Kmsg, Port, Task, mr, option};
use crate::observe::{self, Call};
use crate::state::{State, Target};
use crate::transit;

/// `msgh_bits` of a record in transit: complex, and the destination is a send right.
const RECORD_BITS: u32 = COMPLEX | PORT_SEND;

/// Records that one who must not wait may queue beyond the port's limit before they are dropped.
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
    /// A message in transit, rights and memory in kernel form, which the caller then has to [`Draft::conceal`].
    Transit(Kmsg),
    /// So many bytes, a multiple of 8, that the caller writes.
    Reserved(usize),
}

/// A message for the trace port that lacks only the outcome. What it shows is copied and the rights are taken when the event
/// happens, because the call may end the task.
#[derive(Clone, Copy, Debug)]
pub struct Draft {
    kmsg: Kmsg,
    port: Port,
    task: Task,
    /// What records call the task.
    number: u32,
    /// Records lost before this one. Taken with it, as nobody will know once the call has ended the task.
    dropped: u32,
    /// Records lost in all by then.
    lost: u32,
    /// Where the last record stands in the message, and where it ends.
    part: u32,
    end: u32,
    /// Bytes left for a second record.
    room: u32,
}

impl Draft {
    /// The message.
    pub fn kmsg(&self) -> Kmsg {
        self.kmsg
    }

    /// Whether another record with so many message bytes fits in.
    pub fn has_room(&self, captured: u32) -> bool {
        record::part_size(captured as usize) <= self.room as usize
    }

    /// Makes what the only record shows of a message in transit fit to leave the kernel. On its own, as it is deep.
    pub fn conceal(&self, kernel: &impl Kernel, state: &State) {
        let size = kernel.record_read(self.kmsg, record::BODY_TYPE_OFFSET) >> 32;
        transit::conceal(kernel, state, self.task, self.kmsg, size as usize);
    }

    fn records(&self) -> u32 {
        if self.part == FIRST { 1 } else { 2 }
    }
}

/// Room for a second record whose message has at most so many bytes.
pub fn room(message_size: u32) -> usize {
    record::part_size((message_size as usize).min(record::MAX_CALL_REPLY))
}

/// Starts a record of the current thread's call. `None` if the task is not traced, or if there was no memory, which is counted.
#[inline(never)]
pub fn draft(kernel: &impl Kernel, state: &State, call: &Call, content: Content, room: usize) -> Option<Draft> {
    match &state.target(kernel, observe::current_task(kernel)) {
        Some(target) => draft_for(kernel, state, target, call, content, room),
        None => None,
    }
}

/// The same for any traced task. Consumes the target's right.
#[inline(never)]
pub fn draft_for(
    kernel: &impl Kernel,
    state: &State,
    &Target { task, port, number, dropped }: &Target,
    call: &Call,
    content: Content,
    room: usize,
) -> Option<Draft> {
    let captured = captured(kernel, content);
    let size = record::wire_size(captured);
    // Made where the caller wants it, so that it is not on the stack twice.
    let mut made = None;
    let Some(kmsg) = kernel.record_alloc(size + room) else {
        kernel.ipc_port_release_send(port);
        drop_records(kernel, state, task, dropped, 1);
        return made;
    };
    let task_right = kernel.task_send_right(task).0 as u64;
    kernel.record_part(kmsg, 0, |prefix: &mut Prefix| {
        *prefix = Prefix {
            bits: RECORD_BITS.into(),
            size: (size as u32).into(),
            remote_port: (port.0 as u64).into(),
            local_port: 0.into(),
            seqno: 0.into(),
            id: TRACE_RECORD_MSGH_ID.into(),
            task_type: record::TASK_TYPE.into(),
            task: task_right.into(),
        };
    });
    made = Some(Draft {
        kmsg,
        port,
        task,
        number,
        dropped,
        lost: state.lost(),
        part: FIRST,
        end: size as u32,
        room: room as u32,
    });
    if let Some(draft) = &made {
        write(kernel, state, draft, call, content, captured);
    }
    made
}

/// Puts a second record into the message, which must have room for it.
#[inline(never)]
pub fn add(kernel: &impl Kernel, state: &State, draft: &mut Draft, call: &Call, content: Content) {
    let captured = captured(kernel, content);
    draft.part = draft.end;
    draft.end += record::part_size(captured) as u32;
    draft.room = 0;
    let end = draft.end;
    kernel.record_part(draft.kmsg, 0, |prefix: &mut Prefix| {
        prefix.size = end.into();
        prefix.id = TRACE_CALL_MSGH_ID.into();
    });
    write(kernel, state, draft, call, content, captured);
}

/// Writes all of a draft's last record but its outcome.
fn write(kernel: &impl Kernel, state: &State, draft: &Draft, call: &Call, content: Content, captured: usize) {
    let (kmsg, part) = (draft.kmsg, draft.part as usize);
    let body = part + size_of::<Part>();
    // Before the last word is overwritten by the message's own end, it is the padding.
    if !captured.is_multiple_of(8) {
        kernel.record_write(kmsg, draft.end as usize - 8, &[0; 8]);
    }
    match content {
        Content::Nothing | Content::Reserved(_) => {}
        Content::Seen(source, _) | Content::Transit(source) => kernel.record_copy(kmsg, body, source, captured),
    }
    let (sequence, time) = (state.next_sequence(), kernel.time());
    kernel.record_part(kmsg, part, |part: &mut Part| {
        part.header_type = record::HEADER_TYPE.into();
        part.body_type = record::body_type(captured as u32).into();
        part.header = observe::header(call, draft.number, captured as u32, sequence, time);
    });
}

fn captured(kernel: &impl Kernel, content: Content) -> usize {
    let size = match content {
        Content::Nothing => 0,
        Content::Seen(_, size) => size as usize,
        Content::Transit(kmsg) => kernel.msgh_size(kmsg) as usize,
        Content::Reserved(size) => size,
    };
    size.min(record::MAX_BODY)
}

/// Writes the outcome of a draft's last record.
#[inline]
pub fn settle(kernel: &impl Kernel, draft: &Draft, retval: u32, correlation: u64) {
    kernel.record_part(draft.kmsg, draft.part as usize, |part: &mut Part| {
        part.header.retval = retval.into();
        part.header.correlation = correlation.into();
    });
}

/// Writes the outcome and queues the message.
#[inline(never)]
pub fn emit(kernel: &impl Kernel, state: &State, draft: Option<&Draft>, retval: u32, correlation: u64) {
    let Some(draft) = draft else { return };
    settle(kernel, draft, retval, correlation);
    queue(kernel, state, draft);
}

/// Queues a message whose records are settled. Waits for the tracer only in the traced task's own live thread.
#[inline(never)]
pub fn queue(kernel: &impl Kernel, state: &State, draft: &Draft) {
    let mut dropped = draft.dropped;
    if state.lost() != draft.lost {
        dropped = dropped.saturating_add(state.take_dropped(kernel.task_entry(draft.task), draft.task));
    }
    if dropped != 0 {
        kernel.record_part(draft.kmsg, FIRST as usize, |part: &mut Part| part.header.dropped = dropped.into());
    }
    let sender = observe::current_task(kernel);
    let (queued, how) = if draft.task == sender && !kernel.thread_is_halting(kernel.current_thread()) {
        if kernel.port_is_full(draft.port) {
            return wait(kernel, state, draft, dropped);
        }
        (kernel.port_is_active(draft.port), 0)
    } else if kernel.port_msgcount(draft.port) < QUEUE_CAP {
        (kernel.port_is_active(draft.port), option::SEND_ALWAYS)
    } else {
        (false, option::SEND_TIMEOUT)
    };
    let result = kernel.ipc_mqueue_send(draft.kmsg, how, 0);
    sent(kernel, state, draft, dropped, (result, queued));
}

/// Queues a message once the tracer has made room. A right of its own tells afterwards whether the port has died meanwhile,
/// in which case the kernel has destroyed the message without counting it.
#[cold]
#[inline(never)]
fn wait(kernel: &impl Kernel, state: &State, draft: &Draft, dropped: u32) {
    let port = kernel.ipc_port_copy_send(draft.port);
    let result = kernel.ipc_mqueue_send(draft.kmsg, 0, 0);
    let queued = port.is_valid() && kernel.port_is_active(port);
    if port.is_valid() {
        kernel.ipc_port_release_send(port);
    }
    sent(kernel, state, draft, dropped, (result, queued));
}

fn sent(kernel: &impl Kernel, state: &State, draft: &Draft, dropped: u32, (result, queued): (u32, bool)) {
    if result != mr::SUCCESS {
        kernel.ipc_kmsg_destroy(draft.kmsg);
        drop_records(kernel, state, draft.task, dropped, draft.records());
    } else if queued {
        kernel.uncount_sent(observe::current_task(kernel));
    }
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
