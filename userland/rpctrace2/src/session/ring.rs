// SPDX-License-Identifier: GPL-2.0-or-later
//! The ring of the trace port, where the kernel has one: memory in which it writes records that need no message (trace-port/src/ring.rs).
//!
//! Records are in the ring and in messages, in no order but that of their sequence numbers, which `exchanges` makes again. What a thread had written
//! when it queued a message is in the ring when that comes. So the ring is read after each message, before that is taken, and whatever is told of an end,
//! or of silence, is told once both are empty. Reading begins with the first message: no record is earlier than that one's.

use alloc::format;
use alloc::string::{String, ToString};
use core::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use hurd::errno::Answer;
use mach::error::KernReturn;
use mach::memory::{Mapped, PAGE_SIZE, VM_PROT_READ, VM_PROT_WRITE};
use mach::port::PortName;
use mach::stubs;
use mach_abi::port::MACH_PORT_QLIMIT_MAX;
use mach_abi::special_port::{TASK_TRACE_READER, TASK_TRACE_RING};
use trace_port::Records;
use trace_port::ring::{self, CLOSED, FRAMES_WORD, QUEUE, Reader, RingError, TRACERS_CAPACITY, TRACERS_SIZE, wishes};

use super::received::Message;
use super::{BATCH, Session};
use crate::Trace;
use crate::ring::Inbox;
use crate::world::{Failure, doing};

/// Bytes that are worth being read at once: a quarter of the ring, so that there is room while the reader is on its way.
const MUCH: u64 = TRACERS_CAPACITY as u64 / 4;
/// Milliseconds for which less is left unread where it may be.
const LINGER: u32 = 10;

/// The ring, mapped.
pub(super) struct Ring {
    /// All of it, to be read.
    kernels: Mapped,
    /// The page that is its reader's.
    readers: Mapped,
    reader: Reader,
    inbox: Inbox,
    /// A record has come in a message: what is in the ring is not the first.
    has_begun: bool,
    damage: Option<Damage>,
}

/// Why a ring cannot be read on.
enum Damage {
    Error(RingError),
    /// What stands there is no frame.
    NoFrame,
}

/// The ring in its two mappings.
fn mapped<'a>(kernels: &'a Mapped, readers: &'a Mapped) -> Option<ring::Ring<'a, AtomicU64>> {
    let words = kernels.words();
    ring::Ring::in_parts(words, readers.words(), words.get(FRAMES_WORD..)?)
}

impl Ring {
    /// The ring of the trace port that one of these tasks is traced to; `None` if the kernel has none for it, or why it is not read.
    ///
    /// # Errors
    /// The kernel would write records into a ring that nobody reads.
    fn of(tasks: impl Iterator<Item = PortName>) -> Result<Option<Result<Self, String>>, Failure> {
        for task in tasks {
            // First: by its page the kernel can be told to write nothing.
            match stubs::mach::task_get_special_port(task, TASK_TRACE_READER) {
                Ok(readers) => {
                    let readers = doing("vm_map", Mapped::map(&readers, PAGE_SIZE, VM_PROT_READ | VM_PROT_WRITE))?;
                    return Ok(Some(Self::open(task, readers)));
                }
                // The kernel knows of no ring, or has no more.
                Err(KernReturn::KERN_INVALID_ARGUMENT | KernReturn::KERN_RESOURCE_SHORTAGE) => return Ok(None),
                // This one has ended, or is not traced to our port.
                Err(_) => {}
            }
        }
        Ok(None)
    }

    /// The ring of the trace port of a task, with the page that is its reader's. Where it cannot be read, the kernel is told to write nothing there,
    /// and why is answered.
    fn open(task: PortName, readers: Mapped) -> Result<Self, String> {
        let refused = |what| move |error| format!("{what}: {}", Answer(error));
        let object =
            stubs::mach::task_get_special_port(task, TASK_TRACE_RING).map_err(refused("task_get_special_port"));
        let map = |object| Mapped::map(&object, TRACERS_SIZE as u64, VM_PROT_READ).map_err(refused("vm_map"));
        let opened = object.and_then(map).and_then(|kernels| {
            let ring = mapped(&kernels, &readers).ok_or(RingError::NoRing);
            let reader = ring.and_then(|ring| Reader::open(&ring)).map_err(|error| error.to_string())?;
            Ok((kernels, reader))
        });
        if opened.is_err()
            && let Some(tail) = readers.words().get(wishes::TAIL)
        {
            tail.store(CLOSED, Ordering::Release);
        }
        let (kernels, reader) = opened?;
        let inbox = Inbox::new(TRACERS_CAPACITY);
        Ok(Self { kernels, readers, reader, inbox, has_begun: false, damage: None })
    }

    /// How many bytes are to be read.
    fn unread(&self) -> u64 {
        let head = mapped(&self.kernels, &self.readers).map_or(0, |ring| ring.head());
        if self.has_begun && self.damage.is_none() { head.wrapping_sub(self.reader.position()) } else { 0 }
    }

    /// Says at how many unread bytes the kernel is to wake who waits for a message; 0 for never.
    fn set_sleeps(&self, until: u64) {
        if let Some(ring) = mapped(&self.kernels, &self.readers) {
            ring.set_sleeps(until);
        }
    }

    /// Reads what there is; returns how many bytes.
    fn read(&mut self) -> usize {
        if self.unread() == 0 || !self.inbox.is_empty() {
            return 0;
        }
        let Some(ring) = mapped(&self.kernels, &self.readers) else { return 0 };
        let before = self.reader.position();
        let read = self.inbox.read(&mut self.reader, &ring);
        // Who waits for room goes on while this is printed.
        ring.set_tail(self.reader.position());
        self.damage = match read {
            Err(error) => Some(Damage::Error(error)),
            // The kernel says that there is something, and overwrites nothing.
            Ok(()) if self.reader.position() == before || self.inbox.has_lost() => Some(Damage::NoFrame),
            Ok(()) => None,
        };
        usize::try_from(self.reader.position().saturating_sub(before)).unwrap_or(0)
    }
}

impl Session<'_> {
    /// Looks for a ring, once somebody is traced.
    pub(super) fn find_ring(&mut self) -> Result<(), Failure> {
        match Ring::of(self.subject.tasks())? {
            Some(Ok(ring)) => {
                doing("mach_port_set_qlimit", self.trace.set_queue_limit(QUEUE))?;
                self.ring = Some(ring);
            }
            Some(Err(why)) => self.say(format!("the kernel's ring is not read: {why}; records may be missing"))?,
            None => {}
        }
        Ok(())
    }

    /// Receives a message as [`Session::receive`] does, and reads the ring after it; `None` if neither has anything in time.
    pub(super) fn receive_both(&mut self, timeout: Option<u32>) -> Result<Option<Message>, Failure> {
        if self.ring.is_none() {
            return self.receive(timeout);
        }
        // Where no line is to stand among the command's own output, what is traced may write more before it is read.
        let lingers = self.pace.is_some() && timeout != Some(0);
        let mut message = match self.unread() {
            0 => self.receive_unless(1, timeout)?,
            _ if lingers => None,
            _ => self.receive(Some(0))?,
        };
        if lingers && matches!(message, Some(Message::Ring(_)) | None) && self.unread() > 0 {
            message = self.receive_unless(MUCH, timeout.into_iter().chain([LINGER]).min())?;
        }
        let Some(ring) = &mut self.ring else { return Ok(message) };
        ring.has_begun |= matches!(message, Some(Message::Trace)) && Records::parse(self.buffer.bytes()).is_ok();
        let bytes = ring.read();
        Ok(match message {
            Some(Message::Ring(_)) | None if bytes > 0 => Some(Message::Ring(bytes)),
            Some(Message::Ring(_)) => Some(Message::Taken),
            other => other,
        })
    }

    /// How many bytes are to be read of the ring.
    fn unread(&self) -> u64 {
        self.ring.as_ref().map_or(0, Ring::unread)
    }

    /// Receives a message; waits for none if the ring has so many bytes, of which the kernel tells otherwise.
    fn receive_unless(&mut self, bytes: u64, timeout: Option<u32>) -> Result<Option<Message>, Failure> {
        if timeout == Some(0) {
            return self.receive(timeout);
        }
        let sleeps = |session: &Self, until| session.ring.iter().for_each(|ring| ring.set_sleeps(until));
        sleeps(self, bytes);
        // Of what was written before that nobody tells.
        let timeout = if self.unread() < bytes { timeout } else { Some(0) };
        let message = self.receive(timeout);
        sleeps(self, 0);
        message
    }

    /// Gives the trace what was read of the ring, but records whose sequence numbers are not below this one.
    pub(super) fn give(&mut self, before: u64, trace: &mut Trace<'_>, text: &mut String) -> Result<(), Failure> {
        while self.ring.as_mut().is_some_and(|ring| ring.inbox.give(before, BATCH, trace, text)) {
            if !self.keeps_back(text) {
                self.write(text)?;
            }
        }
        match self.ring.take_if(|ring| ring.damage.is_some() && ring.inbox.is_empty()) {
            Some(ring) => self.leave_ring(&ring, trace, text),
            None => Ok(()),
        }
    }

    /// Gives the trace what was read of the ring before a message's records, of which it is told what they say of it.
    pub(super) fn give_before(
        &mut self,
        message: &Bytes,
        trace: &mut Trace<'_>,
        text: &mut String,
    ) -> Result<(), Failure> {
        let Some(ring) = &mut self.ring else { return Ok(()) };
        let first = ring.inbox.heed(message);
        self.give(first, trace, text)
    }

    /// Nothing more comes of a task with this number.
    pub(super) fn forget_open(&mut self, task: u32, trace: &mut Trace<'_>, text: &mut String) -> Result<(), Failure> {
        if let Some(ring) = &mut self.ring {
            ring.inbox.ended(task);
        }
        self.give(u64::MAX, trace, text)
    }

    /// Goes on with messages alone.
    fn leave_ring(&mut self, ring: &Ring, trace: &mut Trace<'_>, text: &mut String) -> Result<(), Failure> {
        if let Some(ring) = mapped(&ring.kernels, &ring.readers) {
            ring.close();
        }
        let at = ring.reader.position();
        let why = match &ring.damage {
            Some(Damage::Error(error)) => error.to_string(),
            _ => format!("no frame at position {at}"),
        };
        trace.mark(&format!("the kernel's ring is damaged: {why}; records may be missing here"), text);
        doing("mach_port_set_qlimit", self.trace.set_queue_limit(MACH_PORT_QLIMIT_MAX))
    }
}
