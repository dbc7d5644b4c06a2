// SPDX-License-Identifier: GPL-2.0-or-later
//! What one asks of a kernel about engines, several tracers of one task: the messages of trace_control.defs, and what their numbers mean.
//!
//! Requests and replies are laid out as MIG lays them out on a 64-bit kernel: after the header a type descriptor before each argument,
//! arguments at multiples of 8. Every number is little-endian.

pub mod owner;
pub mod stop;

use mach_abi::header::REPLY_ID_OFFSET;
use mach_abi::{Descriptor, type_name};
use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::event::{Direction, EventKind};

/// Version of the interface that this build knows: [`Limits::version`].
pub const VERSION: u32 = 3;

/// `msgh_id` of `trace_version`.
pub const VERSION_ID: u32 = 5100;
/// `msgh_id` of `trace_attach`.
pub const ATTACH_ID: u32 = 5101;
/// `msgh_id` of `trace_engines`.
pub const ENGINES_ID: u32 = 5102;
/// `msgh_id` of `trace_engine`.
pub const ENGINE_ID: u32 = 5110;
/// `msgh_id` of `trace_set_events`.
pub const SET_EVENTS_ID: u32 = 5111;
/// `msgh_id` of `trace_set_filter`.
pub const SET_FILTER_ID: u32 = 5112;
/// `msgh_id` of `trace_detach`.
pub const DETACH_ID: u32 = 5113;
/// `msgh_id` of `trace_barrier`.
pub const BARRIER_ID: u32 = 5114;
/// `msgh_id` of `trace_set_actions`.
pub const SET_ACTIONS_ID: u32 = 5115;
/// `msgh_id` of `trace_answer`.
pub const ANSWER_ID: u32 = 5116;

/// Most engines of a task, besides its trace port.
pub const MAX_ENGINES: usize = 8;
/// Most rules of an engine.
pub const MAX_RULES: usize = 16;
/// Most actions of an engine.
pub const MAX_ACTIONS: usize = 16;

/// What [`Engine::flags`] and the `flags` of `trace_attach` can hold.
pub mod flag {
    /// A new engine; without it, one that is there.
    pub const CREATE: u32 = 1;
    /// No new engine if the task has one of this name.
    pub const EXCLUSIVE: u32 = 2;
    /// Only an engine of this name.
    pub const MATCH: u32 = 4;
    /// Children of the engine's tasks are the engine's, too.
    pub const CHILDREN: u32 = 8;
    /// The engine may say what becomes of messages: [`Action`](super::Action).
    pub const CONTROL: u32 = 16;
    /// Each new thread of the engine's tasks stops before its first instruction. With [`CONTROL`] alone.
    pub const BIRTHS: u32 = 32;
    /// All of them.
    pub const ALL: u32 = CREATE | EXCLUSIVE | MATCH | CHILDREN | CONTROL | BIRTHS;
}

/// What an engine can be told of: bits of [`Engine::events`].
pub mod event {
    /// The task sends a message, or tries to.
    pub const SEND: u32 = 0x01;
    /// The task receives a message, or tries to.
    pub const RECEIVE: u32 = 0x02;
    /// Others exchange messages with the kernel on the control port of the task or of a thread of it.
    pub const CONTROL: u32 = 0x04;
    /// A thread of it raises an exception, or that is answered.
    pub const EXCEPTION: u32 = 0x08;
    /// A trap gives it a right.
    pub const TRAP: u32 = 0x10;
    /// It sends or receives, and that fails, also where [`SEND`] and [`RECEIVE`] are not asked for.
    pub const FAILED: u32 = 0x20;
    /// It makes a task.
    pub const TASK_BIRTH: u32 = 0x40;
    /// It gets a thread.
    pub const THREAD_BIRTH: u32 = 0x80;
    /// A thread of it ends.
    pub const THREAD_DEATH: u32 = 0x100;
    /// It ends.
    pub const TASK_DEATH: u32 = 0x200;
    /// The engine ends.
    pub const END: u32 = 0x400;
    /// A thread of it has stopped for the engine: see [`stop::place`](super::stop::place).
    pub const STOP: u32 = 0x800;
    /// It sends a message to a port that the kernel receives from, and receives what the kernel answers within the same `mach_msg`, also where
    /// [`SEND`] and [`RECEIVE`] are not asked for.
    pub const KERNEL_CALL: u32 = 0x1000;
    /// The traps that stand for requests to the kernel, such as `syscall_vm_allocate`, are refused, so that it sends those requests. They
    /// are told of as such where they are asked for. Of a task that no engine asks this of, and which has no trace port, nobody sees these traps.
    pub const RPC_TRAP: u32 = 0x2000;
    /// All that show messages.
    pub const MESSAGES: u32 = SEND | RECEIVE | CONTROL | EXCEPTION | TRAP | FAILED | KERNEL_CALL | RPC_TRAP;
    /// All of them.
    pub const ALL: u32 = MESSAGES | TASK_BIRTH | THREAD_BIRTH | THREAD_DEATH | TASK_DEATH | END | STOP;
}

/// What becomes of a record for which an engine's trace port has no room: [`Engine::policy`].
pub mod policy {
    /// The traced thread waits at the end of its call until there is.
    pub const BLOCK: u32 = 0;
    /// The record is lost, and counted.
    pub const DROP: u32 = 1;
    /// The last of them.
    pub const LAST: u32 = DROP;
}

/// What a [`Rule`] is for: bits of [`Rule::flags`].
pub mod rule {
    /// For what the task sends.
    pub const SEND: u32 = 1;
    /// For what the task receives.
    pub const RECEIVE: u32 = 2;
    /// For what fails alone.
    pub const FAILED: u32 = 4;
    /// For a `mach_msg` that fails before there is a message, and for no message: its ids say nothing.
    pub const NO_MESSAGE: u32 = 8;
    /// For what answers them, too: messages whose ids are 100 higher.
    pub const ANSWERS: u32 = 16;
    /// All of them.
    pub const ALL: u32 = SEND | RECEIVE | FAILED | NO_MESSAGE | ANSWERS;
}

/// What becomes of a message that a thread is about to send, or has received: [`Action::what`].
pub mod what {
    /// It is sent.
    pub const GO: u32 = 0;
    /// The engine is told, and the thread waits for its answer.
    pub const STOP: u32 = 1;
    /// It is not sent, and `mach_msg` returns the value.
    pub const FAIL: u32 = 2;
    /// It is not sent, and its sender receives a reply at once, with the value as its return code and nothing else.
    pub const REPLY: u32 = 3;
    /// It is sent so many milliseconds later.
    pub const DELAY: u32 = 4;
    /// Of one that it receives: the engine is told, and the thread stops before `mach_msg` returns, until it is resumed.
    pub const HOLD: u32 = 5;
    /// The last of them.
    pub const LAST: u32 = HOLD;
    /// Most milliseconds.
    pub const LONGEST_DELAY: u32 = 60_000;
}

/// An engine's name: text, and zeros behind it. 32 bytes.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct Name(pub [u8; 32]);

impl Name {
    /// The name that this text is, or its first 32 bytes.
    pub const fn of(text: &str) -> Self {
        let mut name = [0; 32];
        let length = if text.len() < name.len() { text.len() } else { name.len() };
        name.split_at_mut(length).0.copy_from_slice(text.as_bytes().split_at(length).0);
        Self(name)
    }
}

/// What a kernel can do, and how much of it: `trace_limits_t`, 32 bytes.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct Limits {
    /// [`VERSION`].
    pub version: U32,
    /// Version of its records: [`record::VERSION`](crate::record::VERSION).
    pub record: U32,
    /// Most engines of a task.
    pub engines: U32,
    /// Most rules of an engine.
    pub rules: U32,
    /// Most tasks that are traced at the same time.
    pub tasks: U32,
    /// Bits of [`flag`] that it knows.
    pub flags: U32,
    /// Bits of [`event`] that it knows.
    pub events: U32,
    /// How many policies it knows, from 0.
    pub policies: U32,
}

/// What an engine is: `trace_engine_t`, 64 bytes.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct Engine {
    /// Its name.
    pub name: Name,
    /// Its number, which no other engine gets until the next boot; never 0.
    pub number: U32,
    /// The number of the control port of the task that made it, as in [`Port::number`](crate::Port::number), or 0.
    pub owner: U32,
    /// [`flag::CHILDREN`], [`flag::CONTROL`] and [`flag::BIRTHS`].
    pub flags: U32,
    /// What it is told of: bits of [`event`].
    pub events: U32,
    /// One of [`policy`].
    pub policy: U32,
    /// How many rules it has.
    pub rules: U32,
    /// How many tasks it has.
    pub tasks: U32,
    /// Records that it has lost in all.
    pub lost: U32,
}

/// What an engine is told of: `trace_rule_t`, 16 bytes. A message is told of if one of the engine's rules allows it, and so is a `mach_msg` that
/// fails without one. Other events have no message, as births do and traps that give rights: of them the engine's mask alone says.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct Rule {
    /// Bits of [`rule`]; neither [`rule::SEND`] nor [`rule::RECEIVE`] is both.
    pub flags: U32,
    /// The first `msgh_id`.
    pub first: U32,
    /// The last one.
    pub last: U32,
    /// A number that one of the message's ports must have, as in [`Port::number`](crate::Port::number); 0 for any message.
    pub port: U32,
}

/// What becomes of messages that a task is about to send, or receives: `trace_action_t`, 24 bytes.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct Action {
    /// The first `msgh_id`.
    pub first: U32,
    /// The last one.
    pub last: U32,
    /// One of [`what`].
    pub what: U32,
    /// Of [`what::FAIL`] a `mach_msg_return_t`, of [`what::REPLY`] a `kern_return_t`, of [`what::DELAY`] milliseconds.
    pub value: U32,
    /// Which of the messages is the first, from 1.
    pub nth: U32,
    /// Each how manieth after it, or 0: none after it.
    pub step: U32,
}

impl Action {
    /// Whether it means something.
    pub fn is_known(&self) -> bool {
        let (what, value) = (self.what.get(), self.value.get());
        self.nth.get() != 0 && (matches!(what, self::what::STOP | self::what::HOLD) || is_answer(what, value))
    }

    /// Whether it is for messages that are sent, or for those that are received.
    pub fn direction(&self) -> Direction {
        if self.what.get() == self::what::HOLD { Direction::Receive } else { Direction::Send }
    }

    /// Whether it is for a message.
    pub fn is_for(&self, msgh_id: u32) -> bool {
        self.first.get() <= msgh_id && msgh_id <= self.last.get()
    }

    /// Whether it takes hold of the message that is the `count`th it is for, from 1.
    pub fn takes_hold(&self, count: u32) -> bool {
        let (nth, step) = (self.nth.get(), self.step.get());
        match count.checked_sub(nth) {
            Some(0) => true,
            Some(after) => step != 0 && after.is_multiple_of(step),
            None => false,
        }
    }
}

/// Whether a tracer may answer this where a thread waits: [`what::STOP`] is no answer, and a failure has a code.
pub const fn is_answer(what: u32, value: u32) -> bool {
    match what {
        what::GO | what::REPLY => true,
        what::FAIL => value != 0,
        what::DELAY => value <= what::LONGEST_DELAY,
        _ => false,
    }
}

/// What a filter looks at in an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Sent or received.
    pub direction: Direction,
    /// On which port.
    pub kind: EventKind,
    /// Whether `mach_msg` did not return success.
    pub failed: bool,
    /// Whether the kernel is asked, or answers within the same call: [`event::KERNEL_CALL`].
    pub kernel_call: bool,
    /// `msgh_id` of the message, if there is one.
    pub msgh_id: Option<u32>,
}

impl Seen {
    /// The bit of [`event`] that asks for it; [`EventKind::Lost`] is told without being asked for.
    pub const fn event(&self) -> u32 {
        event_of(self.kind, self.direction)
    }

    /// Whether an engine that asks for these events wants it.
    pub const fn is_among(&self, events: u32) -> bool {
        let is_normal = matches!(self.kind, EventKind::Normal);
        events & self.event() != 0
            || is_normal && self.failed && events & event::FAILED != 0
            || is_normal && self.kernel_call && events & event::KERNEL_CALL != 0
            || matches!(self.kind, EventKind::Lost)
    }

    /// Whether it is told only if a rule allows it, where there are rules.
    pub const fn needs_rule(&self) -> bool {
        self.kind.shows_message() && !matches!(self.kind, EventKind::Trap)
    }

    /// Whether a rule allows it, but for the rule's port.
    pub const fn is_allowed(&self, flags: u32, first: u32, last: u32) -> bool {
        let directions = flags & (rule::SEND | rule::RECEIVE);
        let direction = match self.direction {
            Direction::Send => rule::SEND,
            Direction::Receive => rule::RECEIVE,
        };
        let is_among = match self.msgh_id {
            Some(id) => is_for(flags, first, last, id),
            None => flags & rule::NO_MESSAGE != 0,
        };
        (directions == 0 || directions & direction != 0) && (flags & rule::FAILED == 0 || self.failed) && is_among
    }
}

impl Rule {
    /// Whether it is for messages of this id.
    pub const fn is_for(&self, msgh_id: u32) -> bool {
        is_for(self.flags.get(), self.first.get(), self.last.get(), msgh_id)
    }
}

/// Whether a rule of these flags and ids is for messages of this one.
const fn is_for(flags: u32, first: u32, last: u32, msgh_id: u32) -> bool {
    let is_answer = match msgh_id.checked_sub(REPLY_ID_OFFSET) {
        Some(request) => flags & rule::ANSWERS != 0 && first <= request && request <= last,
        None => false,
    };
    flags & rule::NO_MESSAGE == 0 && (first <= msgh_id && msgh_id <= last || is_answer)
}

/// The bit of [`event`] that asks for events of this kind and direction; 0 of [`EventKind::Lost`].
pub const fn event_of(kind: EventKind, direction: Direction) -> u32 {
    match (kind, direction) {
        (EventKind::Normal, Direction::Send) => event::SEND,
        (EventKind::Normal, Direction::Receive) => event::RECEIVE,
        (EventKind::Task | EventKind::Thread, _) => event::CONTROL,
        (EventKind::TaskException | EventKind::ThreadException, _) => event::EXCEPTION,
        (EventKind::Trap, _) => event::TRAP,
        (EventKind::TaskBirth, _) => event::TASK_BIRTH,
        (EventKind::ThreadBirth, _) => event::THREAD_BIRTH,
        (EventKind::ThreadDeath, _) => event::THREAD_DEATH,
        (EventKind::TaskDeath, _) => event::TASK_DEATH,
        (EventKind::EngineEnd, _) => event::END,
        (EventKind::Stopped, _) => event::STOP,
        (EventKind::Lost, _) => 0,
    }
}

/// The type descriptor of so many integers of 32 bits.
const fn integers(count: u32) -> u64 {
    Descriptor::inline(type_name::INTEGER_32, 32, count).to_word()
}

/// Type descriptor of one integer of 32 bits.
pub const INTEGER: u64 = integers(1);
/// Type descriptor of a [`Name`].
pub const NAME: u64 = Descriptor::inline(type_name::CHAR, 8, size_of::<Name>() as u32).to_word();
/// Type descriptor of a send right in transit.
pub const SEND_RIGHT: u64 = Descriptor::inline(type_name::PORT_SEND, 64, 1).to_word();
/// Type descriptor of [`Limits`].
pub const LIMITS: u64 = integers((size_of::<Limits>() / 4) as u32);
/// Type descriptor of an [`Engine`].
pub const ENGINE: u64 = integers((size_of::<Engine>() / 4) as u32);

/// Type descriptor of so many [`Engine`]s, or of so many [`Rule`]s.
pub const fn array_of<T>(count: usize) -> u64 {
    integers((count * (size_of::<T>() / 4)) as u32)
}

/// How many [`Action`]s the array has that this descriptor is of; `None` if it is of none.
pub const fn actions_in(descriptor: u64) -> Option<usize> {
    let count = (descriptor >> 32) as usize / (size_of::<Action>() / 4);
    if count <= MAX_ACTIONS && array_of::<Action>(count) == descriptor { Some(count) } else { None }
}

/// How many [`Rule`]s the array has that this descriptor is of; `None` if it is of none.
pub const fn rules_in(descriptor: u64) -> Option<usize> {
    let count = (descriptor >> 32) as usize / (size_of::<Rule>() / 4);
    if count <= MAX_RULES && array_of::<Rule>(count) == descriptor { Some(count) } else { None }
}

/// An argument of 32 bits, with its descriptor.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Integer {
    /// [`INTEGER`].
    pub descriptor: U64,
    /// The number.
    pub value: U32,
    /// Any value.
    pub padding: U32,
}

/// What `trace_attach` has after its header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct AttachRequest {
    /// [`SEND_RIGHT`].
    pub trace_port_type: U64,
    /// The right, in transit.
    pub trace_port: U64,
    /// [`NAME`].
    pub name_type: U64,
    /// The engine's name.
    pub name: Name,
    /// Bits of [`flag`].
    pub flags: Integer,
    /// Bits of [`event`].
    pub events: Integer,
    /// One of [`policy`].
    pub policy: Integer,
}

/// What `trace_set_events` has after its header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct SetEventsRequest {
    /// Bits of [`event`].
    pub events: Integer,
    /// One of [`policy`].
    pub policy: Integer,
}

/// What `trace_set_filter` has after its header, before the rules.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct SetFilterRequest {
    /// Most bytes of a message.
    pub bytes: Integer,
    /// See [`rules_in`].
    pub rules_type: U64,
}

/// What `trace_answer` has after its header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct AnswerRequest {
    /// The thread's number, as in [`RecordHeader::thread`](crate::RecordHeader::thread).
    pub thread: Integer,
    /// One of [`what`].
    pub what: Integer,
    /// As in [`Action::value`].
    pub value: Integer,
}

/// What `trace_detach` has after its header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct DetachRequest {
    /// [`SEND_RIGHT`].
    pub task_type: U64,
    /// The right, in transit, or 0.
    pub task: U64,
}

#[cfg(test)]
mod tests;
