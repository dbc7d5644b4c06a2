// SPDX-License-Identifier: GPL-2.0-or-later
//! What a tracer sees.

use std::vec::Vec;

use trace_port::{Direction, EventKind, Port, RecordHeader, Records};

use super::Model;

/// A record.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Sent or received.
    pub(crate) direction: Direction,
    /// On which port.
    pub(crate) kind: EventKind,
    /// What the kernel says.
    pub(crate) header: RecordHeader,
    /// The message.
    pub(crate) message: Vec<u8>,
    /// What the names in it stand for.
    pub(crate) ports: Vec<Port>,
    /// In which message of the tracer's it came.
    pub(crate) came_in: usize,
}

impl Seen {
    /// `mach_msg`'s result.
    pub(crate) fn retval(&self) -> u32 {
        self.header.retval.get()
    }

    /// What it shares with others.
    pub(crate) fn correlation(&self) -> u64 {
        self.header.correlation.get()
    }

    /// Task and thread.
    pub(crate) fn who(&self) -> (u32, u32) {
        (self.header.task.get(), self.header.thread.get())
    }

    /// Eight bytes of the message.
    pub(crate) fn word(&self, offset: usize) -> u64 {
        u64::from_le_bytes(self.message[offset..offset + 8].try_into().unwrap())
    }
}

impl Model {
    /// All records, in the order in which they were queued.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let mut seen = Vec::new();
        for (came_in, message) in self.fake.records().iter().enumerate() {
            for record in Records::parse(message).unwrap() {
                let record = record.unwrap();
                let (direction, kind, header) = (record.direction, record.kind, record.header);
                seen.push(Seen {
                    direction,
                    kind,
                    header: *header,
                    message: record.message.to_vec(),
                    ports: record.ports.to_vec(),
                    came_in,
                });
            }
        }
        seen
    }

    /// The only record.
    pub(crate) fn only(&self) -> Seen {
        let [record] = self.seen_exactly();
        record
    }

    /// So many records.
    pub(crate) fn seen_exactly<const N: usize>(&self) -> [Seen; N] {
        let seen = self.seen();
        let count = seen.len();
        seen.try_into().unwrap_or_else(|_| panic!("{N} records, found {count}"))
    }

    /// Direction and result of all records.
    pub(crate) fn outcomes(&self) -> Vec<(Direction, u32)> {
        self.seen().iter().map(|seen| (seen.direction, seen.retval())).collect()
    }

    /// How the last message to a tracer was queued.
    pub(crate) fn last_option(&self) -> Option<u32> {
        self.fake.options.borrow().last().copied()
    }
}
