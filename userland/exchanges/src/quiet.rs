// SPDX-License-Identifier: GPL-2.0-or-later
//! Records of which nothing is made: of a message that tells nothing about tasks and ports, and that is not selected, or only to be counted.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use mach_abi::header::{LP64, REPLY_ID_OFFSET, word};
use mach_abi::{Disposition, Format, Header};
use mig_defs::table::Tables;
use trace_port::{Direction, EventKind, Record, RecordHeader};
use zerocopy::FromBytes;
use zerocopy::byteorder::little_endian::U64;

use crate::event::Event;
use crate::exchange::Tally;
use crate::lessons::Lessons;
use crate::names::Names;
use crate::ours::{self, Interface};
use crate::pair::{Asked, Pairs, Sureness, has_succeeded, is_name};
use crate::select::{Selection, Subject};

/// Ids up to here have a bit; all others are looked at.
const IDS: u32 = 1 << 16;
/// Threads, and reply ports, that are kept in mind.
const KNOWN: usize = 32;
/// Requests without an answer that are.
const ASKED: usize = 4096;

/// What is passed over.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    /// What may be said of each `msgh_id`; empty if none may be passed over.
    ids: Vec<Id>,
    /// The kernel's numbers of tasks and threads that have been met.
    threads: Vec<(u32, u32)>,
    /// The kernel's numbers of ports that are known as reply ports.
    reply_ports: Vec<u32>,
    /// Requests that were passed over and are not answered, and when each was sent.
    asked: VecDeque<(Asked, u64)>,
}

/// A `msgh_id`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Id {
    what: What,
    /// Its exchange is counted.
    is_counted: bool,
    /// It is of this interface of ours where it goes to a port of that.
    ours: Option<Interface>,
    /// The answer brings the console.
    brings: bool,
}

/// What a `msgh_id` is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum What {
    /// A message that is looked at.
    #[default]
    Other,
    /// A request that is answered.
    Request,
    /// A message that is not answered.
    OneWay,
    /// An answer.
    Reply,
}

/// What is looked at of the header of a message in the 64-bit format.
#[derive(Clone, Copy, Debug)]
struct Head {
    remote_port: u32,
    local_port: u32,
    id: u32,
}

impl Head {
    #[inline]
    fn of(message: &[u8]) -> Option<Self> {
        let words: &[U64; LP64.end / size_of::<U64>()] = FromBytes::ref_from_bytes(message.get(..LP64.end)?).ok()?;
        let port = |place: usize| words[place].get() as u32;
        let id = (words[word::ID].get() >> 32) as u32;
        Some(Self { remote_port: port(word::REMOTE_PORT), local_port: port(word::LOCAL_PORT), id })
    }
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    /// It has to be looked at.
    No,
    /// Nothing is to be told.
    Silent,
    /// Something is.
    Counted(Tally),
}

impl Quiet {
    /// All of the known routines that tell nothing and are not selected, or, where exchanges are only counted, all that tell nothing.
    pub(crate) fn new(tables: Tables<'_>, selection: &Selection, lessons: &Lessons, counts_only: bool) -> Self {
        let mut quiet = Self::default();
        for routine in tables.routines() {
            let asked = routine.request_id();
            let (brings, is_of_rights) = (lessons.has_in_answer(asked), lessons.is_of_rights(asked));
            if lessons.has(asked) && !brings && !is_of_rights {
                continue;
            }
            let mut set = |id, routine, what| {
                let subject = Subject { msgh_id: Some(asked), routine: Some(routine), failed: false };
                let is_counted = selection.has(subject);
                if id < IDS && (counts_only || !is_counted) {
                    let room = quiet.ids.len().max(id as usize + 1);
                    quiet.ids.resize(room, Id::default());
                    quiet.ids[id as usize] = Id { what, is_counted, ours: ours::interface(routine), brings };
                }
            };
            // An id may have several names, of which messages are called by the first.
            if let Some(routine) = tables.request(asked) {
                set(asked, routine, if routine.reply_id().is_some() { What::Request } else { What::OneWay });
            }
            if let Some(answer) = routine.reply_id().filter(|answer| tables.request(*answer).is_none())
                && let Some(routine) = tables.reply(answer)
            {
                set(answer, routine, What::Reply);
            }
        }
        quiet
    }

    /// Passes over a record, before which nothing else is open, if it can. One of a thread that has not been met, or with another reply port,
    /// tells at least that.
    #[inline]
    pub(crate) fn pass(&mut self, names: &mut Names, record: &Record<'_>) -> Passed {
        let header = &record.header;
        if record.kind != EventKind::Normal
            || record.format != Format::Lp64
            || (header.retval.get(), header.dropped.get(), header.sender.get()) != (0, 0, 0)
        {
            return Passed::No;
        }
        let Some(message) = Head::of(record.message) else { return Passed::No };
        let task = header.task.get();
        let id = self.ids.get(message.id as usize).copied().unwrap_or_default();
        if id.what == What::Other || !self.threads.contains(&(task, header.thread.get())) {
            return Passed::No;
        }
        let expects_reply = is_name(message.local_port);
        if let Some(interface) = id.ours.filter(|_| id.what != What::Reply) {
            // Somebody else's may have the same id.
            let target = record.ports.iter().find(|port| port.name.get() == message.remote_port);
            let is_ours = target.is_some_and(|port| names.is_spoken(port, interface));
            if !is_ours || record.direction != Direction::Send {
                return Passed::No;
            }
        }
        match (record.direction, id.what) {
            (Direction::Send, What::Request) if expects_reply => self.ask(record, message, id),
            (Direction::Send, What::Request | What::OneWay) if !expects_reply => Self::tell_of_request(message, id),
            (Direction::Receive, What::Reply) => self.answer(names, record, message, id),
            // What a server receives, or an answer with another id than usual; what a server answers.
            (Direction::Receive, _) if !id.is_counted && self.asked.is_empty() => Passed::Silent,
            (Direction::Send, What::Reply) if !id.is_counted && id.ours.is_none() => Passed::Silent,
            _ => Passed::No,
        }
    }

    fn tell_of_request(message: Head, id: Id) -> Passed {
        if id.is_counted { Passed::Counted(Tally::Asked { msgh_id: message.id }) } else { Passed::Silent }
    }

    fn ask(&mut self, record: &Record<'_>, message: Head, id: Id) -> Passed {
        if reply_port(record, message).is_some_and(|port| !self.reply_ports.contains(&port)) {
            return Passed::No;
        }
        if self.asked.len() == ASKED {
            self.asked.pop_front();
        }
        let RecordHeader { task, correlation, time, sequence, .. } = record.header;
        let (reply_port, msgh_id) = (message.local_port, message.id);
        let (task, correlation, sequence) = (task.get(), correlation.get(), sequence.get());
        let to_itself = if message.remote_port == reply_port { right_to(record.message) } else { None };
        let asked = Asked { task, to_itself, reply_port, msgh_id, correlation, sequence };
        self.asked.push_back((asked, time.get()));
        Self::tell_of_request(message, id)
    }

    /// The answer to the only request that waits for one.
    fn answer(&mut self, names: &mut Names, record: &Record<'_>, message: Head, id: Id) -> Passed {
        let Some((asked, time)) = self.asked.front().filter(|_| self.asked.len() == 1) else { return Passed::No };
        if asked.task != record.header.task.get()
            || asked.reply_port != message.local_port
            || asked.msgh_id.wrapping_add(REPLY_ID_OFFSET) != message.id
        {
            return Passed::No;
        }
        let has_failed = || !has_succeeded(record.format, record.message);
        if id.brings && !has_failed() {
            names.brought(record.ports);
        }
        let tally = || Tally::Answered {
            msgh_id: asked.msgh_id,
            failed: has_failed(),
            nanoseconds: record.header.time.get().saturating_sub(*time),
        };
        let passed = if id.is_counted { Passed::Counted(tally()) } else { Passed::Silent };
        self.asked.clear();
        passed
    }

    /// A task has ended: nothing answers it.
    pub(crate) fn end_of(&mut self, task: u32) {
        self.asked.retain(|(asked, _)| asked.task != task);
    }

    /// A record that was not passed over.
    pub(crate) fn note(&mut self, record: &Record<'_>) {
        if self.ids.is_empty() || record.kind != EventKind::Normal {
            return;
        }
        keep(&mut self.threads, (record.header.task.get(), record.header.thread.get()));
        if let Some(port) = Head::of(record.message).and_then(|message| reply_port(record, message)) {
            keep(&mut self.reply_ports, port);
        }
    }

    /// Takes an event that answers a request that was passed over.
    pub(crate) fn take_answer(&mut self, pairs: &Pairs<'_>, names: &mut Names, event: &Event) -> Passed {
        if self.asked.is_empty() || event.direction != Direction::Receive || event.retval != 0 {
            return Passed::No;
        }
        let Some(header) = event.mach_header.filter(|_| event.kind == EventKind::Normal) else { return Passed::No };
        // The oldest that is surely answered, else the oldest that likely is, of all that are open.
        let found = [Sureness::Sure, Sureness::Likely].into_iter().find_map(|sureness| {
            let place = self.asked.iter().position(|(asked, _)| asked.is_answered(header, event, sureness))?;
            Some((sureness, self.asked[place].0.sequence, place))
        });
        let Some((sureness, sequence, place)) = found else { return Passed::No };
        if pairs.answer(header, event).is_some_and(|other| other < (sureness, sequence)) {
            return Passed::No;
        }
        let Some((asked, time)) = self.asked.remove(place) else { return Passed::No };
        let id = self.ids.get(asked.msgh_id as usize).copied().unwrap_or_default();
        let failed = !has_succeeded(event.format, event.message());
        if id.brings && !failed {
            names.brought(event.ports());
        }
        if !id.is_counted {
            return Passed::Silent;
        }
        Passed::Counted(Tally::Answered {
            msgh_id: asked.msgh_id,
            failed,
            nanoseconds: event.time.saturating_sub(time),
        })
    }
}

/// The right by which a message is sent.
#[cold]
fn right_to(message: &[u8]) -> Option<Disposition> {
    Header::read(Format::Lp64, message).map(|header| Disposition(header.remote_disposition()))
}

/// The kernel's number of the port where the answer to a request is expected.
fn reply_port(record: &Record<'_>, message: Head) -> Option<u32> {
    let name = message.local_port;
    let ports = if record.direction == Direction::Send { record.ports } else { &[] };
    ports.iter().find(|port| port.name.get() == name).map(|port| port.number.get())
}

fn keep<T: PartialEq>(known: &mut Vec<T>, new: T) {
    if !known.contains(&new) {
        known.truncate(KNOWN - 1);
        known.insert(0, new);
    }
}
