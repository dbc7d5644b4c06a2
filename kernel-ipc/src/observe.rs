// SPDX-License-Identifier: GPL-2.0-or-later
//! From kernel objects to the plain values of a record: nothing past this point sees a kernel pointer.

use mach_abi::Format;
use trace_port::{Direction, EventKind, RecordHeader, control, record};

use crate::gnumach::{Arguments, Kernel, Port, Task, Thread, option};
use crate::numbers::{Correlation, TaskNumber, ThreadNumber};
use crate::state::State;

/// What a record says of an event, but for its outcome.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    /// Which half of the call it is.
    pub(crate) direction: Direction,
    /// On which port.
    pub(crate) kind: EventKind,
    /// The thread it is about; none if it is about the whole task.
    pub(crate) thread: ThreadNumber,
    /// Who sent it, in a record of another task's message.
    pub(crate) sender: u32,
    /// Whose `mach_msg` it is a half of.
    pub(crate) caller: Option<Thread>,
    /// Size of the whole message, also where the task gets less of it or none; 0 if there was none.
    pub(crate) message_size: u32,
    /// What connects it with other events.
    pub(crate) correlation: Correlation,
    /// When.
    pub(crate) moment: Moment,
}

/// An event's place in the order of all and its time, taken together and before the record is made: asking the clock may go deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// From 1.
    pub(crate) sequence: u64,
    /// Nanoseconds of the kernel's clock.
    pub(crate) time: u64,
}

impl Moment {
    /// Now.
    #[inline(always)]
    fn now(kernel: &impl Kernel, state: &State) -> Self {
        let (sequence, time) = kernel.now(|| state.next_sequence());
        Self { sequence, time }
    }

    /// The moment, where it need not be quick.
    #[inline(never)]
    pub(crate) fn now_apart(kernel: &impl Kernel, state: &State) -> Self {
        Self::now(kernel, state)
    }
}

impl Event {
    /// One half of a thread's `mach_msg`.
    #[inline(always)]
    pub(crate) fn of_call(kernel: &impl Kernel, state: &State, thread: Thread, direction: Direction) -> Self {
        let number = thread_number(kernel, state, thread);
        Self { caller: Some(thread), ..Self::other(direction, EventKind::Normal, number, Moment::now(kernel, state)) }
    }

    /// The event of a call, where it need not be quick.
    #[inline(never)]
    pub(crate) fn of_call_apart(kernel: &impl Kernel, state: &State, thread: Thread, direction: Direction) -> Self {
        Self::of_call(kernel, state, thread, direction)
    }

    /// An event that is no `mach_msg` of the task itself.
    #[inline(always)]
    pub(crate) fn other(direction: Direction, kind: EventKind, thread: ThreadNumber, moment: Moment) -> Self {
        Self {
            direction,
            kind,
            thread,
            sender: 0,
            caller: None,
            message_size: 0,
            correlation: Correlation::NONE,
            moment,
        }
    }

    /// As which events engines ask for it: bits of [`control::event`]. Its outcome is not known yet.
    #[inline(always)]
    pub(crate) const fn wants(&self) -> u32 {
        use control::event::{FAILED, KERNEL_CALL};
        let event = control::event_of(self.kind, self.direction);
        if matches!(self.kind, EventKind::Normal) { event | FAILED | KERNEL_CALL } else { event }
    }

    /// What the call was asked for, as far as this half of it uses it, and the notify port's name.
    #[inline(always)]
    pub(crate) fn asked(&self, kernel: &impl Kernel) -> (Arguments, u32) {
        let Some(thread) = self.caller else { return (Arguments::default(), 0) };
        let asked = kernel.arguments(thread);
        let rcv_name = if self.direction == Direction::Receive { asked.rcv_name } else { 0 };
        let notify = if asked.option & option::WITH_NOTIFY == 0 { 0 } else { kernel.thread_notify(thread) };
        (Arguments { rcv_name, ..asked }, notify)
    }
}

/// The header of a record of a traced task, but for what is known only afterwards.
#[inline(always)]
pub(crate) fn header(kernel: &impl Kernel, event: &Event, task: TaskNumber, captured_size: u32) -> RecordHeader {
    let (asked, notify) = event.asked(kernel);
    RecordHeader {
        version: record::VERSION.into(),
        direction: record::direction_of(event.direction, Format::Lp64),
        kind: event.kind as u8,
        options: asked.option.into(),
        retval: 0.into(),
        thread: event.thread.get().into(),
        sequence: event.moment.sequence.into(),
        correlation: event.correlation.get().into(),
        time: event.moment.time.into(),
        message_size: event.message_size.into(),
        captured_size: captured_size.into(),
        dropped: 0.into(),
        rcv_name: asked.rcv_name.into(),
        time_out: asked.time_out.into(),
        notify: notify.into(),
        task: task.get().into(),
        sender: event.sender.into(),
        ports: 0.into(),
        reserved: 0.into(),
    }
}

/// The current task.
#[inline(always)]
pub(crate) fn current_task(kernel: &impl Kernel) -> Task {
    kernel.thread_task(kernel.current_thread())
}

/// The number of the current thread.
pub(crate) fn current_thread(kernel: &impl Kernel, state: &State) -> ThreadNumber {
    thread_number(kernel, state, kernel.current_thread())
}

/// Who is sending, for a tracer that receives from `port`: a traced task's number, the tracer itself, or nobody known.
pub(crate) fn sender(kernel: &impl Kernel, state: &State, port: Port) -> u32 {
    let task = current_task(kernel);
    if kernel.port_is_received_in(port, kernel.task_space(task)) {
        return record::SENDER_IS_TRACER;
    }
    state.key(kernel, task).map_or(TaskNumber::NONE, |key| key.number).get()
}

/// The number of a thread; a new one if it has none.
#[inline(always)]
pub(crate) fn thread_number(kernel: &impl Kernel, state: &State, thread: Thread) -> ThreadNumber {
    let known = kernel.thread_number(thread);
    if !known.is_none() {
        return known;
    }
    kernel.give_thread_number(thread, &state.numbers)
}
