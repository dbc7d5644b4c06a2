//! From kernel objects to the plain values of a record: nothing past this point sees a kernel pointer.

use trace_port::{Direction, EventKind, RecordHeader, record};

use crate::gnumach::{Kernel, Kmsg, Port, Task, Thread};
use crate::state::State;

/// What the caller of `mach_msg` asked for, which a record of a call without a message shows.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Which half of the call it is.
    pub direction: Direction,
    /// On which port.
    pub kind: EventKind,
    /// The thread it is about; 0 if it is about the whole task.
    pub thread: u32,
    /// Who sent it, in a record of another task's message.
    pub sender: u32,
    /// `option`.
    pub option: u32,
    /// `rcv_name`, or 0.
    pub rcv_name: u32,
    /// `time_out`.
    pub time_out: u32,
    /// `notify`.
    pub notify: u32,
    /// Size of the whole message, also where the task gets less of it or none; 0 if there was none.
    pub message_size: u32,
}

impl Call {
    /// An event that is no `mach_msg` of the task itself.
    pub fn other(direction: Direction, kind: EventKind, thread: u32, sender: u32, message_size: u32) -> Self {
        Self { direction, kind, thread, sender, option: 0, rcv_name: 0, time_out: 0, notify: 0, message_size }
    }
}

/// The header of a record, but for what is known only afterwards.
#[inline]
pub fn header(call: &Call, (task, dropped): (u32, u32), captured_size: u32, sequence: u64, time: u64) -> RecordHeader {
    RecordHeader {
        version: record::VERSION.into(),
        direction: call.direction as u8,
        kind: call.kind as u8,
        options: call.option.into(),
        retval: 0.into(),
        thread: call.thread.into(),
        sequence: sequence.into(),
        correlation: 0.into(),
        time: time.into(),
        message_size: call.message_size.into(),
        captured_size: captured_size.into(),
        dropped: dropped.into(),
        rcv_name: call.rcv_name.into(),
        time_out: call.time_out.into(),
        notify: call.notify.into(),
        task: task.into(),
        sender: call.sender.into(),
    }
}

/// The current task.
pub fn current_task(kernel: &impl Kernel) -> Task {
    kernel.thread_task(kernel.current_thread())
}

/// The number of the current thread.
pub fn current_thread(kernel: &impl Kernel, state: &State) -> u32 {
    thread_number(kernel, state, kernel.current_thread())
}

/// Who is sending, for a tracer that receives from `port`: a traced task's number, the tracer itself, or nobody known.
pub fn sender(kernel: &impl Kernel, state: &State, port: Port) -> u32 {
    let task = current_task(kernel);
    if kernel.port_is_received_in(port, kernel.task_space(task)) {
        return record::SENDER_IS_TRACER;
    }
    state.number(kernel.task_entry(task), task).unwrap_or(0)
}

/// The correlation number that a traced sender, or the kernel answering one, left in a message in transit.
pub fn correlation(kernel: &impl Kernel, state: &State, kmsg: Kmsg) -> u64 {
    state.correlation(kmsg, kernel.msgh_seqno(kmsg))
}

/// The number of a thread; a new one if it has none.
pub fn thread_number(kernel: &impl Kernel, state: &State, thread: Thread) -> u32 {
    let known = kernel.thread_number(thread);
    if known != 0 {
        return known;
    }
    let number = state.next_thread();
    kernel.set_thread_number(thread, number);
    number
}
