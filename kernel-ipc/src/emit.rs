//! From an event to a record in the trace port's queue: the only writer of trace records.
//!
//! A record lives in kalloc'ed memory from its first byte, so that almost nothing of it is on the kernel's 4 KiB stack while
//! the traced call goes on. Functions are kept out of line for the same reason: their frames are gone by then.

use trace_port::{TRACE_RECORD_MSGH_ID, record};
use zerocopy::IntoBytes;

use crate::gnumach::{Kernel, Kmsg, Port, Task, mr, option};
use crate::observe::{self, Call};
use crate::state::{State, TracePort};

/// `msgh_bits` of a record in transit: complex, and the destination is a send right.
const RECORD_BITS: u32 = 0x8000_0000 | MACH_MSG_TYPE_PORT_SEND;
const MACH_MSG_TYPE_PORT_SEND: u32 = 17;

/// Records a thread that must not wait may queue beyond the port's limit before they are dropped.
const QUEUE_CAP: u32 = 64;

/// A record that lacks only the outcome. The message is copied and the rights are taken when the event happens, because
/// the call may end the task.
#[derive(Clone, Copy, Debug)]
pub struct Draft {
    kmsg: Kmsg,
    port: Port,
    /// Records lost before this one. Taken with it, as nobody will know once the call has ended the task.
    dropped: u32,
}

/// Starts a record of the current thread's call with the first `size` bytes of a message. `None` if the task is not traced, or
/// if there was no memory, which is counted.
#[inline(never)]
pub fn draft(kernel: &impl Kernel, state: &State, call: &Call, message: Option<(Kmsg, u32)>) -> Option<Draft> {
    let task = observe::current_task(kernel);
    let entry = kernel.task_entry(task);
    let number = state.number(entry, task)?;
    let port = trace_port(kernel, state, task)?;
    let captured = message.map_or(0, |(_, size)| size as usize).min(record::MAX_BODY);
    let size = record::wire_size(captured);
    let Some(kmsg) = kernel.record_alloc(size) else {
        kernel.ipc_port_release_send(port);
        drop_record(kernel, state, task, 0);
        return None;
    };
    if let Some((source, _)) = message {
        // Before the last word is overwritten by the message's own end, it is the padding.
        if !captured.is_multiple_of(8) {
            kernel.record_write(kmsg, size - 8, &[0; 8]);
        }
        kernel.record_copy(kmsg, record::BODY_OFFSET, source, captured);
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
    Some(Draft { kmsg, port, dropped })
}

/// Writes the outcome into the record and queues it. Waits for the tracer only in the traced task's own live thread.
#[inline(never)]
pub fn emit(kernel: &impl Kernel, state: &State, draft: Option<Draft>, retval: u32, correlation: u64) {
    let Some(Draft { kmsg, port, dropped }) = draft else { return };
    let task = observe::current_task(kernel);
    let dropped = dropped.saturating_add(state.take_dropped(kernel.task_entry(task), task));
    kernel.record_write(kmsg, record::RETVAL_OFFSET, &retval.to_le_bytes());
    kernel.record_write(kmsg, record::CORRELATION_OFFSET, &correlation.to_le_bytes());
    kernel.record_write(kmsg, record::DROPPED_OFFSET, &dropped.to_le_bytes());

    let how = if !kernel.thread_is_halting(kernel.current_thread()) {
        0
    } else if kernel.port_msgcount(port) < QUEUE_CAP {
        option::SEND_ALWAYS
    } else {
        option::SEND_TIMEOUT
    };
    if kernel.ipc_mqueue_send(kmsg, how, 0) == mr::SUCCESS {
        kernel.uncount_sent(task);
    } else {
        kernel.ipc_kmsg_destroy(kmsg);
        drop_record(kernel, state, task, dropped);
    }
}

/// A new right to the task's trace port. Tracing ends here once the port is dead, and a task that receives from its own
/// trace port is left alone.
fn trace_port(kernel: &impl Kernel, state: &State, task: Task) -> Option<Port> {
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
    Some(port)
}

#[cold]
fn drop_record(kernel: &impl Kernel, state: &State, task: Task, carried: u32) {
    let total = state.add_dropped(kernel.task_entry(task), task, carried.saturating_add(1));
    // 1, 2, 4, 8, ...: enough to notice, too few to bury the console.
    if total.is_power_of_two() {
        kernel.report_dropped(total);
    }
}
