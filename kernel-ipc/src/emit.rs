//! From an event to a record in the trace port's queue: the only writer of trace records.
//!
//! A record lives in kalloc'ed memory from its first byte, so that almost nothing of it is on the kernel's 4 KiB stack while
//! the traced call goes on. Functions are kept out of line for the same reason: their frames are gone by then.

use trace_port::{TRACE_RECORD_MSGH_ID, record};
use zerocopy::IntoBytes;

use crate::gnumach::objects::{COMPLEX, PORT_SEND};
use crate::gnumach::{Kernel, Kmsg, Port, Task, mr, option};
use crate::observe::{self, Call};
use crate::state::{State, TracePort};
use crate::transit;

/// `msgh_bits` of a record in transit: complex, and the destination is a send right.
const RECORD_BITS: u32 = COMPLEX | PORT_SEND;

/// Records that one who must not wait may queue beyond the port's limit before they are dropped.
const QUEUE_CAP: u32 = 64;

/// A traced task, and a right to its trace port.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The task, which the caller keeps alive.
    pub task: Task,
    /// A send right; whoever holds this owns it.
    pub port: Port,
    /// What records call the task.
    pub number: u32,
}

/// What a record shows.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// No message.
    Nothing,
    /// The first bytes of a message as the task sees it.
    Seen(Kmsg, u32),
    /// A message in transit, rights and memory in kernel form.
    Transit(Kmsg),
    /// Words that are ready to be shown.
    Words(&'a [u64]),
}

/// A record that lacks only the outcome. The message is copied and the rights are taken when the event happens, because
/// the call may end the task.
#[derive(Clone, Copy, Debug)]
pub struct Draft {
    kmsg: Kmsg,
    port: Port,
    /// Records lost before this one. Taken with it, as nobody will know once the call has ended the task.
    dropped: u32,
    task: Task,
}

/// Starts a record of the current thread's call with the first `size` bytes of a message. `None` if the task is not traced, or
/// if there was no memory, which is counted.
#[inline(never)]
pub fn draft(kernel: &impl Kernel, state: &State, call: &Call, content: Content<'_>) -> Option<Draft> {
    let target = target(kernel, state, observe::current_task(kernel))?;
    draft_for(kernel, state, &target, call, content)
}

/// The same for any traced task. Consumes the target's right.
#[inline(never)]
pub fn draft_for(
    kernel: &impl Kernel,
    state: &State,
    &Target { task, port, number }: &Target,
    call: &Call,
    content: Content<'_>,
) -> Option<Draft> {
    let captured = captured(kernel, content);
    let size = record::wire_size(captured);
    let Some(kmsg) = kernel.record_alloc(size) else {
        kernel.ipc_port_release_send(port);
        drop_record(kernel, state, task, 0);
        return None;
    };
    // Before the last word is overwritten by the message's own end, it is the padding.
    if !captured.is_multiple_of(8) {
        kernel.record_write(kmsg, size - 8, &[0; 8]);
    }
    match content {
        Content::Nothing => {}
        Content::Seen(source, _) => kernel.record_copy(kmsg, record::BODY_OFFSET, source, captured),
        Content::Transit(source) => {
            kernel.record_copy(kmsg, record::BODY_OFFSET, source, captured);
            transit::conceal(kernel, state, task, kmsg, captured);
        }
        Content::Words(words) => kernel.record_write(kmsg, record::BODY_OFFSET, words.as_bytes()),
    }
    let word = |offset, value: u64| kernel.record_write(kmsg, offset, &value.to_le_bytes());
    word(0, u64::from(RECORD_BITS) | (size as u64) << 32);
    word(8, port.0 as u64);
    word(16, 0);
    word(24, u64::from(TRACE_RECORD_MSGH_ID) << 32);
    word(record::TASK_TYPE_OFFSET, record::TASK_TYPE);
    word(record::TASK_OFFSET, kernel.task_send_right(task).0 as u64);
    word(record::HEADER_TYPE_OFFSET, record::HEADER_TYPE);
    word(record::BODY_TYPE_OFFSET, record::body_type(captured as u32));
    let header = observe::header(kernel, state, call, number, captured as u32);
    kernel.record_write(kmsg, record::HEADER_OFFSET, header.as_bytes());
    let dropped = state.take_dropped(kernel.task_entry(task), task);
    Some(Draft { kmsg, port, task, dropped })
}

fn captured(kernel: &impl Kernel, content: Content<'_>) -> usize {
    let size = match content {
        Content::Nothing => 0,
        Content::Seen(_, size) => size as usize,
        Content::Transit(kmsg) => kernel.msgh_size(kmsg) as usize,
        Content::Words(words) => size_of_val(words),
    };
    size.min(record::MAX_BODY)
}

/// Writes the outcome into the record and queues it. Waits for the tracer only in the traced task's own live thread.
#[inline(never)]
pub fn emit(kernel: &impl Kernel, state: &State, draft: Option<Draft>, retval: u32, correlation: u64) {
    let Some(Draft { kmsg, port, task, dropped }) = draft else { return };
    let dropped = dropped.saturating_add(state.take_dropped(kernel.task_entry(task), task));
    kernel.record_write(kmsg, record::RETVAL_OFFSET, &retval.to_le_bytes());
    kernel.record_write(kmsg, record::CORRELATION_OFFSET, &correlation.to_le_bytes());
    kernel.record_write(kmsg, record::DROPPED_OFFSET, &dropped.to_le_bytes());

    let sender = observe::current_task(kernel);
    let (queued, how) = if task == sender && !kernel.thread_is_halting(kernel.current_thread()) {
        if kernel.port_is_full(port) {
            return wait(kernel, state, Draft { kmsg, port, task, dropped }, dropped);
        }
        (kernel.port_is_active(port), 0)
    } else if kernel.port_msgcount(port) < QUEUE_CAP {
        (kernel.port_is_active(port), option::SEND_ALWAYS)
    } else {
        (false, option::SEND_TIMEOUT)
    };
    let result = kernel.ipc_mqueue_send(kmsg, how, 0);
    sent(kernel, state, Draft { kmsg, port, task, dropped }, dropped, (result, queued));
}

/// Queues a record once the tracer has made room. A right of its own tells afterwards whether the port has died meanwhile,
/// in which case the kernel has destroyed the record without counting it.
#[cold]
#[inline(never)]
fn wait(kernel: &impl Kernel, state: &State, draft: Draft, dropped: u32) {
    let port = kernel.ipc_port_copy_send(draft.port);
    let result = kernel.ipc_mqueue_send(draft.kmsg, 0, 0);
    let queued = port.is_valid() && kernel.port_is_active(port);
    if port.is_valid() {
        kernel.ipc_port_release_send(port);
    }
    sent(kernel, state, draft, dropped, (result, queued));
}

fn sent(kernel: &impl Kernel, state: &State, draft: Draft, dropped: u32, (result, queued): (u32, bool)) {
    if result != mr::SUCCESS {
        kernel.ipc_kmsg_destroy(draft.kmsg);
        drop_record(kernel, state, draft.task, dropped);
    } else if queued {
        kernel.uncount_sent(observe::current_task(kernel));
    }
}

/// A traced task with a new right to its trace port. Tracing ends here once the port is dead, and a task that receives from
/// its own trace port is left alone.
#[inline(never)]
pub fn target(kernel: &impl Kernel, state: &State, task: Task) -> Option<Target> {
    let number = state.number(kernel.task_entry(task), task)?;
    let port = match state.send_right(kernel, task) {
        TracePort::Live(port) => port,
        TracePort::None => return None,
        TracePort::Dead(port) => {
            kernel.ipc_port_release_send(port);
            return None;
        }
    };
    if kernel.port_is_received_in(port, kernel.task_space(task)) {
        kernel.ipc_port_release_send(port);
        return None;
    }
    Some(Target { task, port, number })
}

#[cold]
fn drop_record(kernel: &impl Kernel, state: &State, task: Task, carried: u32) {
    let total = state.add_dropped(kernel.task_entry(task), task, carried.saturating_add(1));
    // 1, 2, 4, 8, ...: enough to notice, too few to bury the console.
    if total.is_power_of_two() {
        kernel.report_dropped(total);
    }
}
