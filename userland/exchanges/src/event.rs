// SPDX-License-Identifier: GPL-2.0-or-later
//! One record in plain values: what the stages pass on. The message is a slice of the buffer that it was received in.

use alloc::boxed::Box;

use bytes::Bytes;
use mach_abi::notify::{MACH_NOTIFY_DEAD_NAME, MACH_NOTIFY_FIRST};
use mach_abi::option::{MACH_RCV_MSG, MACH_RCV_TIMEOUT, MACH_SEND_TIMEOUT};
use mach_abi::{Format, Header, type_name};
use mig_defs::decode::Message;
use mig_defs::raw::Items;
use mig_defs::table::{Routine, Tables};
use mig_defs::value::View;
use trace_port::record::carried;
use trace_port::{Direction, EventKind, Port, Record};
use zerocopy::FromBytes;

use crate::memory::Memory;

/// What a record's message is padded to a multiple of.
const WORD: usize = Format::Lp64.word();

/// What a tracer has made of a message that was about to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injected {
    /// It was not sent, and `mach_msg` returned this code.
    Failure(u32),
    /// It was not sent, and its sender received a reply with this return code.
    Reply(i32),
    /// It was sent later.
    Delay,
}

/// One message that a task sent or received, or tried to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The kernel's number of the task.
    pub task: u32,
    /// The kernel's number of the thread.
    pub thread: u32,
    /// Sent or received.
    pub direction: Direction,
    /// On which port.
    pub kind: EventKind,
    /// `option` of `mach_msg`.
    pub options: u32,
    /// What this half of `mach_msg` returned.
    pub retval: u32,
    /// Place in the order of all events.
    pub sequence: u64,
    /// Links the copies of one message, and a request with the kernel's reply; 0 if unknown.
    pub correlation: u64,
    /// Nanoseconds since the epoch.
    pub time: u64,
    /// Size of the whole message.
    pub message_size: u32,
    /// Records lost since the one before.
    pub dropped: u32,
    /// A child of the task is not traced.
    pub child_not_traced: bool,
    /// The port or port set that was received from.
    pub rcv_name: u32,
    /// Milliseconds.
    pub time_out: u32,
    /// The notify port.
    pub notify: u32,
    /// The number of the task that sent the message, where that is not the task's own doing.
    pub sender: u32,
    /// The format of the message.
    pub format: Format,
    /// Its header, if there is a whole one.
    pub mach_header: Option<Header>,
    /// It has an id of an interface of ours, and is not known to be of it.
    pub(crate) is_foreign: bool,
    /// What a tracer has made of it, if that is certain.
    pub injected: Option<Injected>,
    /// What its memory out of line held, as far as that was read.
    pub(crate) memory: Option<Box<[Memory]>>,
    /// The message and, after what pads it to whole words, [`Event::ports`].
    bytes: Bytes,
    /// Bytes of the message.
    captured: usize,
}

impl Event {
    /// The record, which is a part of this buffer.
    pub fn new(record: &Record<'_>, buffer: &Bytes) -> Self {
        let header = &record.header;
        Self {
            task: header.task.get(),
            thread: header.thread.get(),
            direction: record.direction,
            kind: record.kind,
            options: header.options.get(),
            retval: header.retval.get(),
            sequence: header.sequence.get(),
            correlation: header.correlation.get(),
            time: header.time.get(),
            message_size: header.message_size.get(),
            dropped: header.lost(),
            child_not_traced: header.child_not_traced(),
            rcv_name: header.rcv_name.get(),
            time_out: header.time_out.get(),
            notify: header.notify.get(),
            sender: header.sender.get(),
            format: record.format,
            is_foreign: false,
            injected: None,
            memory: None,
            mach_header: Header::read(record.format, record.message),
            bytes: Self::part(record, buffer),
            captured: record.message.len(),
        }
    }

    /// One slice of the buffer for the message and what stands behind it: a second one would cost as much again.
    fn part(record: &Record<'_>, buffer: &Bytes) -> Bytes {
        let start = (record.message.as_ptr() as usize).wrapping_sub(buffer.as_ptr() as usize);
        let end = start.checked_add(carried(record.message.len(), record.ports.len()));
        match end.filter(|end| *end <= buffer.len()) {
            Some(end) => buffer.slice(start..end),
            // Of another buffer, or none.
            None => Bytes::new(),
        }
    }

    /// The message as the task sees it.
    pub fn message(&self) -> &[u8] {
        self.bytes.get(..self.captured).unwrap_or(&self.bytes)
    }

    /// What the names in the message stand for.
    pub fn ports(&self) -> &[Port] {
        let ports = self.bytes.get(self.captured.next_multiple_of(WORD)..).unwrap_or(&[]);
        <[Port]>::ref_from_bytes(ports).unwrap_or(&[])
    }

    /// What a name in the message stands for.
    pub fn port(&self, name: u32) -> Option<&Port> {
        self.ports().iter().find(|port| port.name.get() == name && port.is_known())
    }

    /// The rights in its arrays out of line: of all arrays the first so many, in their order.
    pub fn elements(&self) -> impl Iterator<Item = &Port> {
        self.ports().iter().filter(|port| port.is_out_of_line())
    }

    /// What its memory out of line held, as far as that was to be read.
    pub fn all_memory(&self) -> &[Memory] {
        self.memory.as_deref().unwrap_or_default()
    }

    /// What this memory out of line held, if that was to be read.
    pub fn memory(&self, address: u64, size: u64) -> Option<&Memory> {
        self.all_memory().iter().find(|memory| (memory.address, memory.size) == (address, size))
    }

    /// The port that the message was sent to, in the sender's record of it.
    pub fn remote_port(&self) -> Option<&Port> {
        self.port(self.mach_header?.remote_port)
    }

    /// The port where an answer is expected, in the sender's record of a request.
    pub fn reply_port(&self) -> Option<&Port> {
        let header = self.mach_header?;
        let makes_one = u32::from(header.local_disposition()) == type_name::MAKE_SEND_ONCE;
        self.port(header.local_port as u32).filter(|_| makes_one)
    }

    /// The port that the message was received on, in the receiver's record of it.
    pub fn received_on(&self) -> Option<&Port> {
        self.ports().iter().find(|port| port.is_received_on())
    }

    /// Whether it has the id of what the kernel tells of a name or a port.
    pub(crate) fn is_notification(&self) -> bool {
        self.mach_header.is_some_and(|header| (MACH_NOTIFY_FIRST..=MACH_NOTIFY_DEAD_NAME).contains(&header.id))
    }

    /// Whose port names the message has.
    pub fn view(&self) -> View {
        match (self.kind, self.direction) {
            (EventKind::Normal, Direction::Receive) => View::Received,
            // In transit the header is still that of the sender.
            _ => View::Sent,
        }
    }

    /// The time-out in milliseconds that this half of the call has, if its options ask for one.
    pub fn time_out_given(&self) -> Option<u32> {
        let waits = match self.direction {
            Direction::Send => {
                let receives = self.options & MACH_RCV_MSG != 0;
                MACH_SEND_TIMEOUT | if receives { MACH_RCV_TIMEOUT } else { 0 }
            }
            Direction::Receive => MACH_RCV_TIMEOUT,
        };
        (self.kind == EventKind::Normal && self.options & waits != 0).then_some(self.time_out)
    }

    /// Bytes of the message that the record does not hold.
    pub fn not_captured(&self) -> usize {
        (self.message_size as usize).saturating_sub(self.captured)
    }

    /// The items of the message by their descriptors.
    pub fn items(&self) -> Items<'_> {
        Items::new(self.format, self.message()).cut_from(self.message_size as usize)
    }

    /// The message decoded as a request or, if no request has its id, as a reply.
    pub fn decode<'a>(&'a self, tables: Tables<'a>) -> Option<Message<'a>> {
        self.known(Message::new(tables, self.format, self.message(), self.view()).ok())
    }

    /// The message decoded as a reply.
    pub fn decode_reply<'a>(&'a self, tables: Tables<'a>) -> Option<Message<'a>> {
        self.known(Message::reply(tables, self.format, self.message(), self.view()).ok())
    }

    /// The message decoded as the request or the reply of a routine.
    pub(crate) fn decode_as<'a>(&'a self, routine: Routine<'a>, is_reply: bool) -> Option<Message<'a>> {
        self.known(Message::of((routine, is_reply), self.format, self.message(), self.view()))
    }

    /// As one of which the record may hold the beginning only, if it is of the interface that has its id.
    fn known<'a>(&self, message: Option<Message<'a>>) -> Option<Message<'a>> {
        message.filter(|_| !self.is_foreign).map(|message| message.cut_from(self.message_size as usize))
    }
}
