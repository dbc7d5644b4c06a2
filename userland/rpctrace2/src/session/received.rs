// SPDX-License-Identifier: GPL-2.0-or-later
//! Receiving: what comes, and by the port that it comes to, what it is.

use exchanges::fate::Told;
use mach::error::KernReturn;
use mach::port::PortName;
use mach::sys::msg::mach_msg;
use mach_abi::code::MACH_MSG_MASK;
use mach_abi::header::LP64;
use mach_abi::option::{MACH_RCV_LARGE, MACH_RCV_MSG, MACH_RCV_TIMEOUT};
use mach_abi::{Format, Header};
use trace_port::TRACE_RING_MSGH_ID;
use trace_port::record::LARGEST;
use zerocopy::IntoBytes;

use super::Session;
use super::prompt::Prompt;
use crate::world::{Failure, Heard};

/// What came.
pub(super) enum Message {
    /// For the trace: a message to the trace port.
    Trace,
    /// Records have come into the ring, of which so many bytes were read.
    Ring(usize),
    /// A message to the trace port that is larger than any record; its `msgh_id` and `msgh_size`.
    TooLarge(u32, u32),
    /// A message to the trace port of which nothing but the header has come.
    Header,
    /// No traced task is left, and no record of one.
    NoSenders,
    /// The task with this number of the kernel's is gone.
    Ended(u32),
    /// The command has ended: how, and what a shell would have in `$?`.
    EndedSo(Told, i32),
    /// Nobody says how it ended; this was answered instead.
    EndUnknown(KernReturn),
    /// The user wants the trace to end.
    Interrupted,
    Other,
    /// The user has answered.
    Typed,
    /// Something else, and what it brought has been taken.
    Taken,
}

impl Session<'_> {
    /// Receives one message into the buffer; `None` if none came in time.
    pub(super) fn receive(&mut self, timeout: Option<u32>) -> Result<Option<Message>, Failure> {
        let option = MACH_RCV_MSG | timeout.map_or(0, |_| MACH_RCV_TIMEOUT);
        let mut large = MACH_RCV_LARGE;
        loop {
            let ports = self.ports.name();
            let buffer = self.buffer.words();
            let room = size_of_val(buffer) as u32;
            let answer = mach_msg(buffer, option | large, 0, room, ports, timeout.unwrap_or(0), PortName::NULL);
            match KernReturn::from_mach_msg(answer) {
                KernReturn::KERN_SUCCESS => return Ok(Some(self.what_came())),
                KernReturn::MACH_RCV_TIMED_OUT => return Ok(None),
                KernReturn::MACH_RCV_TOO_LARGE if large == 0 => return Ok(Some(self.too_large())),
                // It stays in the queue, and the kernel has left its size in the buffer.
                KernReturn::MACH_RCV_TOO_LARGE => match self.message_size() {
                    size if size > LARGEST => large = 0,
                    size => self.buffer.grow(size.max(2 * room as usize)),
                },
                KernReturn::MACH_RCV_INTERRUPTED => {}
                error => match KernReturn::from_mach_msg(answer & !MACH_MSG_MASK) {
                    // There was no room in this task for what it brought: the rest has come.
                    KernReturn::MACH_RCV_BODY_ERROR => return Ok(Some(self.what_came())),
                    KernReturn::MACH_RCV_HEADER_ERROR => return Ok(Some(Message::Header)),
                    _ => return Err(Failure::Kernel { what: "receiving from the trace port", error }),
                },
            }
        }
    }

    /// The message in the buffer.
    pub(super) fn message(&self) -> &[u64] {
        self.buffer.whole().get(..self.message_size().div_ceil(8)).unwrap_or(self.buffer.whole())
    }

    fn header(&self) -> Header {
        Header::read(Format::Lp64, self.buffer.whole().as_bytes()).unwrap_or_default()
    }

    /// `msgh_size` of the message in the buffer.
    pub(super) fn message_size(&self) -> usize {
        self.header().size as usize
    }

    /// `msgh_id` and `msgh_size`: the kernel leaves the header of a message that it destroys because it is too large.
    fn too_large(&self) -> Message {
        let header = self.header();
        Message::TooLarge(header.id, header.size)
    }

    /// What the message in the buffer is, by the port that it came to.
    fn what_came(&mut self) -> Message {
        let header = self.header();
        let port = PortName(header.local_port as u32);
        let tells_of_ring = header.id == TRACE_RING_MSGH_ID && header.size as usize == LP64.end && self.ring.is_some();
        if port == self.trace.name() && tells_of_ring {
            // Whoever else sends one may have put a right into its header.
            mach::msg::destroy(self.message());
            Message::Ring(0)
        } else if port == self.trace.name() {
            Message::Trace
        } else if port == self.no_senders.name() {
            Message::NoSenders
        } else if port == self.tasks.news.name() {
            let message = self.buffer.whole();
            let ended = self.tasks.ended(message.get(..self.message_size().div_ceil(8)).unwrap_or(message));
            ended.map_or(Message::Taken, Message::Ended)
        } else if self.prompt.as_ref().is_some_and(|prompt| port == prompt.port().name()) {
            Message::Typed
        } else {
            let words = self.message_size().div_ceil(8);
            let whole = self.buffer.whole();
            match self.world.heard(port, whole.get(..words).unwrap_or(whole)) {
                Heard::Ended(told, status) => Message::EndedSo(told, status),
                Heard::EndUnknown(error) => Message::EndUnknown(error),
                Heard::Interrupted => Message::Interrupted,
                // Who is being asked is to get an answer; else it is the command's.
                Heard::CommandInterrupted if self.prompt.as_ref().is_some_and(Prompt::is_asking) => {
                    Message::Interrupted
                }
                Heard::CommandInterrupted => Message::Taken,
                Heard::Nothing => Message::Taken,
                Heard::NotOurs => Message::Other,
            }
        }
    }
}
