//! From kernel objects to the plain values of a record: nothing past this point sees a kernel pointer.

use trace_port::{Direction, EventKind, RecordHeader, record};

use crate::gnumach::{Kernel, Kmsg, Task, Thread};
use crate::state::State;

/// One event of a traced task's thread, with everything that must be noted when it happens.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// The traced task.
    pub task: Task,
    /// Its trace entry.
    pub entry: u32,
    /// The thread that acts.
    pub thread: Thread,
    /// What the record will say.
    pub header: RecordHeader,
}

/// What the caller asked for, for records of calls that have no message to show it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Call {
    /// `option`.
    pub option: u32,
    /// `rcv_name`, or 0.
    pub rcv_name: u32,
    /// `time_out`.
    pub time_out: u32,
    /// `notify`.
    pub notify: u32,
}

/// Notes an event of the current thread, or nothing if its task is not traced.
pub fn event(kernel: &impl Kernel, state: &State, direction: Direction, call: &Call) -> Option<Event> {
    let thread = kernel.current_thread();
    let task = kernel.thread_task(thread);
    let entry = kernel.task_entry(task);
    let number = state.number(entry, task)?;
    let header = RecordHeader {
        version: record::VERSION.into(),
        direction: direction as u8,
        kind: EventKind::Normal as u8,
        options: call.option.into(),
        task: number.into(),
        thread: thread_number(kernel, state, thread).into(),
        sequence: state.next_sequence().into(),
        time: kernel.time().into(),
        rcv_name: call.rcv_name.into(),
        time_out: call.time_out.into(),
        notify: call.notify.into(),
        ..RecordHeader::default()
    };
    Some(Event { task, entry, thread, header })
}

/// The correlation number that a traced sender, or the kernel answering one, left in a message in transit.
pub fn correlation(kernel: &impl Kernel, state: &State, kmsg: Kmsg) -> u64 {
    state.correlation(kmsg, kernel.msgh_seqno(kmsg))
}

fn thread_number(kernel: &impl Kernel, state: &State, thread: Thread) -> u32 {
    let known = kernel.thread_number(thread);
    if known != 0 {
        return known;
    }
    let number = state.next_thread();
    kernel.set_thread_number(thread, number);
    number
}
