// SPDX-License-Identifier: GPL-2.0-or-later
//! A record whose outcome is not known yet.

use bytes::BytesMut;
use trace_port::{Direction, EventKind, Record, RecordHeader};

/// One of at most one of a thread.
#[derive(Debug)]
pub(super) struct Open {
    /// Of its frame in the ring.
    pub(super) number: u64,
    pub(super) time: u64,
    /// Place of the event in the order of all: what others tell of an event may be written later than what followed it.
    pub(super) sequence: u64,
    /// Of a message that is sent, else 0.
    correlation: u64,
    pub(super) thread: u32,
    pub(super) task: u32,
    pub(super) place: Place,
}

/// Where its bytes are.
#[derive(Debug)]
pub(super) enum Place {
    /// Among what was found last, at this place.
    Found(usize),
    /// Kept apart from it.
    Kept(BytesMut),
}

impl Open {
    pub(super) fn of(number: u64, record: &Record<'_>, place: Place) -> Self {
        let RecordHeader { time, sequence, correlation, thread, task, .. } = *record.header;
        let is_sent = record.direction == Direction::Send;
        Self {
            number,
            time: time.get(),
            sequence: sequence.get(),
            correlation: if is_sent { correlation.get() } else { 0 },
            thread: thread.get(),
            task: task.get(),
            place,
        }
    }

    /// Whether a record says that it was sent.
    pub(super) fn is_settled_by(&self, record: &Record<'_>) -> bool {
        let header = record.header;
        if self.sequence >= header.sequence.get() {
            return false;
        }
        // The others are about a thread, and not what it does.
        let is_its_threads =
            self.thread == header.thread.get() && matches!(record.kind, EventKind::Normal | EventKind::Trap);
        let is_receipt = record.kind == EventKind::Normal && record.direction == Direction::Receive;
        is_its_threads || is_receipt && self.correlation != 0 && self.correlation == header.correlation.get()
    }
}
