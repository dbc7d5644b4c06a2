// SPDX-License-Identifier: GPL-2.0-or-later
//! An exchange in plain values that own what they say: what every form is made of.

use exchanges::Event;

/// What a name of a port in a message stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// As lines have it: ASCII.
    pub label: String,
    /// The task's name for it, where that is known.
    pub name: Option<u32>,
    /// The kernel's number of the port, the same in all tasks; `None` if the record does not say it.
    pub number: Option<u32>,
    /// What it is: `port`, `task`, `thread`, `device` and so on; `None` if the record does not say it.
    pub kind: Option<&'static str>,
    /// Which right the message carries, such as `MAKE_SEND`; `None` if it carries only the name.
    pub right: Option<&'static str>,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// A signed integer, and what it means if it has a name.
    Signed(i64, Option<String>),
    /// An unsigned integer, likewise.
    Unsigned(u64, Option<String>),
    /// A return code, and its name.
    Code(i32, String),
    /// Characters, in any encoding.
    Text(Vec<u8>),
    /// Data of no particular kind.
    Bytes(Vec<u8>),
    /// A port.
    Port(Port),
    /// Values of one type.
    List(Vec<Value>),
    /// Named values.
    Struct(Vec<Field>),
    /// Memory outside the message.
    Memory {
        /// Where, in the task that sees it; `None` of memory on its way.
        address: Option<u64>,
        /// Bytes.
        size: u64,
        /// What they were, where that was asked for.
        contents: Contents,
    },
    /// Rights outside the message.
    Rights {
        /// How many there are.
        count: u32,
        /// The first of them, of which the record says what they are.
        ports: Vec<Port>,
    },
    /// Something is wrong with the message from here on.
    Wrong(String),
}

/// What memory outside a message held, which is in no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Nobody asked for it.
    Unknown,
    /// As it was read while the thread had stopped with the message.
    Read {
        /// When, as lines have it.
        when: &'static str,
        /// The first bytes, or all.
        bytes: Vec<u8>,
    },
    /// Why it was not read, as lines have it.
    NotRead(String),
}

/// An argument, or a member of a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name; empty if it has none.
    pub name: String,
    /// Its type's name in the .defs; empty if it is not known.
    pub ty: String,
    /// Its value.
    pub value: Value,
}

/// The number of a return code, and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// The number.
    pub number: i32,
    /// Its name, or the number as text if it has none.
    pub name: String,
}

/// One message of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Half {
    /// Nanoseconds since the epoch.
    pub time: u64,
    /// Place in the order of all records.
    pub sequence: u64,
    /// Links the copies of one message, and a request with the kernel's reply; 0 if unknown.
    pub correlation: u64,
    /// Whether the task sent it; else it received it.
    pub is_sent: bool,
    /// The kernel's number of the thread.
    pub thread: u32,
    /// Bytes of the message.
    pub size: u32,
    /// Bytes of it that the record does not have.
    pub missing: u64,
    /// Whether the same call of `mach_msg` then receives.
    pub then_receives: bool,
    /// Of a request: the port that it goes to, or came in on.
    pub port: Option<Port>,
    /// The return code that it begins with.
    pub code: Option<Code>,
    /// What it carries besides.
    pub arguments: Vec<Field>,
    /// The record that it was decoded from, if it was from one.
    pub record: Option<Event>,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its number in the trace, from 1.
    pub index: usize,
    /// The kernel's number; 0 if no record had it.
    pub number: u32,
    /// Its name, escaped: ASCII. Empty if it is not known.
    pub name: String,
}

/// How long the parts of a call took of which both ends are in the trace, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// From when the request was sent to when the server received it.
    pub queue: u64,
    /// From then to when the server sent the reply.
    pub server: u64,
    /// From then to when the client received it.
    pub reply: u64,
}

/// An exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Counts the exchanges of the trace.
    pub id: u64,
    /// Whose it is.
    pub task: Task,
    /// The kernel's number of the thread that began it; 0 for the task as a whole.
    pub thread: u32,
    /// As lines begin: `hello[1/2]`.
    pub label: String,
    /// The part that the task has in it: `client`, `server`, `control`, `exception`, `failed`.
    pub role: &'static str,
    /// The task that waits for the answer, of what a server is asked. Its kernel's number is not said.
    pub asker: Option<Task>,
    /// What it is called: the routine, `msgh_id 2999` or `mach_msg`.
    pub name: String,
    /// The routine, if it is known.
    pub routine: Option<String>,
    /// Its subsystem.
    pub subsystem: Option<String>,
    /// Of the request.
    pub msgh_id: Option<u32>,
    /// The request.
    pub request: Option<Half>,
    /// The answer.
    pub reply: Option<Half>,
    /// How it ended: `open`, `answered`, `one-way`, `unanswered`, `failed`.
    pub outcome: &'static str,
    /// Whether it ended with an error.
    pub has_failed: bool,
    /// What it was answered with, or what `mach_msg` returned.
    pub result: Option<Code>,
    /// Where its time went, if both ends are in the trace.
    pub split: Option<Split>,
    /// The time of the last record when it was closed.
    pub closed_at: u64,
}

impl Call {
    /// When it began: the first record of it.
    pub fn start(&self) -> u64 {
        self.request.as_ref().or(self.reply.as_ref()).map_or(0, |half| half.time)
    }

    /// When it was answered, if it was.
    pub fn end(&self) -> Option<u64> {
        self.reply.as_ref().map(|half| half.time)
    }

    /// Nanoseconds from the request to the answer, if both were seen.
    pub fn duration(&self) -> Option<u64> {
        Some(self.reply.as_ref()?.time.saturating_sub(self.request.as_ref()?.time))
    }
}

/// Something about the trace itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// Nanoseconds since the epoch.
    pub time: u64,
    /// As its line has it: ASCII.
    pub text: String,
    /// Records that were lost, if it is about that.
    pub lost: Option<u32>,
    /// The number in the trace of the task that has ended, if it is about that.
    pub ended: Option<usize>,
}

/// What is said before the first exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Pairs of a name and a text: what a capture says of itself.
    pub facts: Vec<(&'static str, String)>,
    /// What has written it: program and version.
    pub writer: String,
}

/// What is said after the last exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Exchanges that were written.
    pub exchanges: u64,
    /// Records that were lost.
    pub lost: u64,
    /// The time of the last record, in nanoseconds since the epoch; 0 if there was none.
    pub time: u64,
}
