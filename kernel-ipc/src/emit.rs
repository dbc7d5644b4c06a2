//! From an event to a record in the trace port's queue: the only writer of trace records.

use trace_port::{RecordHeader, TRACE_RECORD_MSGH_ID, record};
use zerocopy::IntoBytes;

use crate::gnumach::{Kernel, Kmsg, Port, mr, option};
use crate::observe::Event;
use crate::state::State;

/// `msgh_bits` of a record in transit: complex, and the destination is a send right.
const RECORD_BITS: u32 = 0x8000_0000 | MACH_MSG_TYPE_PORT_SEND;
const MACH_MSG_TYPE_PORT_SEND: u32 = 17;

/// Records a thread that must not wait may queue beyond the port's limit before they are dropped.
const QUEUE_CAP: u32 = 64;

/// A record being made: the message is copied and the rights are taken when the event happens, because the call may end the
/// task; the return value is known later.
#[derive(Debug)]
pub struct Draft {
    event: Event,
    kmsg: Kmsg,
    size: usize,
    port: Port,
    task: Port,
}

/// Copies `size` bytes of a message into a new record. `None` if nobody is to get it or there was no memory, which is counted.
pub fn draft(kernel: &impl Kernel, state: &State, mut event: Event, message: Option<(Kmsg, u32)>) -> Option<Draft> {
    let port = trace_port(kernel, state, &event)?;
    let message_size = message.map_or(0, |(_, size)| size);
    let captured = (message_size as usize).min(record::MAX_BODY);
    let size = record::wire_size(captured);
    let Some(kmsg) = kernel.record_alloc(size) else {
        kernel.ipc_port_release_send(port);
        drop_record(kernel, state, &event, 0);
        return None;
    };
    event.header.message_size = message_size.into();
    event.header.captured_size = (captured as u32).into();
    if let Some((source, _)) = message {
        // Before the last word is overwritten by the message's own end, it is the padding.
        if !captured.is_multiple_of(8) {
            kernel.record_write(kmsg, size - 8, &[0; 8]);
        }
        kernel.record_copy(kmsg, record::BODY_OFFSET, source, captured);
    }
    let task = kernel.task_send_right(event.task);
    Some(Draft { event, kmsg, size, port, task })
}

/// Writes the outcome into the record and queues it. Waits for the tracer only in the traced task's own live thread.
pub fn emit(kernel: &impl Kernel, state: &State, draft: Option<Draft>, retval: u32, correlation: u64) {
    let Some(Draft { mut event, kmsg, size, port, task }) = draft else { return };
    event.header.retval = retval.into();
    event.header.correlation = correlation.into();
    let dropped = state.take_dropped(event.entry, event.task);
    event.header.dropped = dropped.into();
    write_prefix(kernel, kmsg, size, port, task, &event.header);

    let how = if !kernel.thread_is_halting(event.thread) {
        0
    } else if kernel.port_msgcount(port) < QUEUE_CAP {
        option::SEND_ALWAYS
    } else {
        option::SEND_TIMEOUT
    };
    if kernel.ipc_mqueue_send(kmsg, how, 0) == mr::SUCCESS {
        kernel.uncount_sent(event.task);
    } else {
        kernel.ipc_kmsg_destroy(kmsg);
        drop_record(kernel, state, &event, dropped);
    }
}

/// A new right to the task's trace port. Tracing ends here once the port is dead, and a task that receives from its own
/// trace port is left alone.
fn trace_port(kernel: &impl Kernel, state: &State, event: &Event) -> Option<Port> {
    let ours = state.port(event.entry, event.task)?;
    let port = kernel.ipc_port_copy_send(ours);
    if !port.is_valid() {
        if let Some(dead) = state.remove(event.entry, event.task) {
            kernel.set_task_entry(event.task, 0);
            kernel.ipc_port_release_send(dead);
        }
        return None;
    }
    if kernel.port_is_received_in(port, kernel.task_space(event.task)) {
        kernel.ipc_port_release_send(port);
        return None;
    }
    Some(port)
}

fn drop_record(kernel: &impl Kernel, state: &State, event: &Event, carried: u32) {
    let total = state.add_dropped(event.entry, event.task, carried.saturating_add(1));
    // 1, 2, 4, 8, ...: enough to notice, too few to bury the console.
    if total.is_power_of_two() {
        kernel.report_dropped(total);
    }
}

fn write_prefix(kernel: &impl Kernel, kmsg: Kmsg, size: usize, port: Port, task: Port, header: &RecordHeader) {
    let word = |offset, value: u64| kernel.record_write(kmsg, offset, &value.to_le_bytes());
    word(0, u64::from(RECORD_BITS) | (size as u64) << 32);
    word(8, port.0 as u64);
    word(16, 0);
    word(24, u64::from(TRACE_RECORD_MSGH_ID) << 32);
    word(record::TASK_TYPE_OFFSET, record::TASK_TYPE);
    word(record::TASK_OFFSET, task.0 as u64);
    word(record::HEADER_TYPE_OFFSET, record::HEADER_TYPE);
    kernel.record_write(kmsg, record::HEADER_OFFSET, header.as_bytes());
    word(record::BODY_TYPE_OFFSET, record::body_type(header.captured_size.get()));
}
