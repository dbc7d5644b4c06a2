// SPDX-License-Identifier: GPL-2.0-or-later
//! What kind of exchange a record describes: direction and type of the RFC's header.

/// Whether the traced task sent or received the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Direction {
    /// The task sent it, or tried to.
    Send = 0,
    /// The task received it, or tried to.
    Receive = 1,
}

impl Direction {
    /// The direction with this wire value, if there is one.
    pub fn from_wire(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::Send),
            1 => Some(Self::Receive),
            _ => None,
        }
    }
}

/// On which port the message was exchanged: the RFC's `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EventKind {
    /// The task itself exchanged the message through `mach_msg`.
    Normal = 0,
    /// Someone exchanged it with the kernel on the task's control port.
    Task = 1,
    /// Someone exchanged it with the kernel on the control port of one of the task's threads.
    Thread = 2,
    /// The kernel raised an exception on the task's exception port, or got its reply.
    TaskException = 3,
    /// The kernel raised an exception on a thread's exception port, or got its reply.
    ThreadException = 4,
    /// The task got a right by a trap, without a message: `mach_reply_port`, `mach_thread_self`, `mach_task_self` or `mach_host_self`.
    /// The trap's number is in [`RecordHeader::options`](crate::RecordHeader::options), the name that it returned in
    /// [`RecordHeader::rcv_name`](crate::RecordHeader::rcv_name).
    Trap = 5,
    /// No message: records were lost after the last one of a trace, which has ended, as that of a task that ends does. How many is in
    /// [`RecordHeader::dropped`](crate::RecordHeader::dropped). With it may come [`MACH_PORT_NULL`](mach_abi::port::MACH_PORT_NULL) in place of
    /// the right to the task.
    Lost = 6,
    /// No message, and for engines alone that ask for it: a task has been made, none of whose instructions has run. The right that comes with
    /// it is to the new task, [`RecordHeader::task`](crate::RecordHeader::task) its number if it is traced, else 0, and
    /// [`RecordHeader::sender`](crate::RecordHeader::sender) the number of its parent, whose engines are told.
    TaskBirth = 7,
    /// No message, and for engines alone that ask for it: the task has a new thread, none of whose instructions has run.
    ThreadBirth = 8,
    /// No message, and for engines alone that ask for it: a thread of the task has ended. Nothing of it follows.
    ThreadDeath = 9,
    /// No message, and for engines alone that ask for it: the task has ended. Nothing of it follows. With it comes
    /// [`MACH_PORT_NULL`](mach_abi::port::MACH_PORT_NULL) in place of the right to the task.
    TaskDeath = 10,
    /// No message, and for engines alone that ask for it: the engine has ended with the last right to its own port. Nothing follows.
    /// [`RecordHeader::thread`](crate::RecordHeader::thread) is the engine's number; there is no task.
    EngineEnd = 11,
    /// For the engine alone that wants it so: a thread has stopped for it, [`RecordHeader::sender`](crate::RecordHeader::sender) says where (see
    /// [`place`](crate::control::stop::place)). Before it sends a message, or when it has received one, the record shows that message, with the
    /// [`RecordHeader::sequence`](crate::RecordHeader::sequence) of its other record; elsewhere there is none. Of a message that is about to be
    /// sent nothing is sent until the engine answers, or somebody aborts the thread; what becomes of it is told as that of any other.
    Stopped = 12,
}

impl EventKind {
    /// Whether a message, or a trap in the place of one, is shown: all that a trace port receives besides [`EventKind::Lost`].
    pub const fn shows_message(self) -> bool {
        matches!(
            self,
            Self::Normal | Self::Task | Self::Thread | Self::TaskException | Self::ThreadException | Self::Trap
        )
    }

    /// The kind with this wire value, if there is one.
    pub fn from_wire(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::Normal),
            1 => Some(Self::Task),
            2 => Some(Self::Thread),
            3 => Some(Self::TaskException),
            4 => Some(Self::ThreadException),
            5 => Some(Self::Trap),
            6 => Some(Self::Lost),
            7 => Some(Self::TaskBirth),
            8 => Some(Self::ThreadBirth),
            9 => Some(Self::ThreadDeath),
            10 => Some(Self::TaskDeath),
            11 => Some(Self::EngineEnd),
            12 => Some(Self::Stopped),
            _ => None,
        }
    }
}
