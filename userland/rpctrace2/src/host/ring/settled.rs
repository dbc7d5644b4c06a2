// SPDX-License-Identifier: GPL-2.0-or-later
//! From what stands in a ring to records with their outcomes: a message that was about to be sent is one that was sent, or not, by what follows. A
//! receipt that is open has its outcome next.
//!
//! | what follows | what it says of a thread's open record |
//! |---|---|
//! | the thread's outcome | what that says |
//! | a record of what the thread does later | it was sent |
//! | a receipt with the same correlation number, by whomever | it was sent |
//! | news of lost records | nothing, for good: it is as lost as they are |
//! | the end | nothing: it had not been written to its end |

use std::collections::{BTreeMap, btree_map};
use std::vec::Vec;

use bytes::{Bytes, BytesMut};
use trace_port::ring::{Item, Lost, Outcome, UNKNOWN, Why};
use trace_port::{Direction, EventKind, Record, RecordHeader};

/// Where a record's outcome stands in it.
const RETVAL: usize = size_of::<u64>() + core::mem::offset_of!(RecordHeader, retval);

/// What has all that it is to have.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// A record, as it stands in a ring.
    Record(Bytes),
    /// Records that are not there.
    Lost(Lost),
}

/// One whose outcome is not known yet.
#[derive(Debug)]
struct Waiting {
    /// In the ring.
    number: u64,
    time: u64,
    /// Place of the event in the order of all: what others tell of an event may be written later than what followed it.
    sequence: u64,
    /// Of a message that is sent, else 0.
    correlation: u64,
    contents: BytesMut,
}

impl Waiting {
    fn settle(mut self, retval: u32) -> Settled {
        if let Some(place) = self.contents.get_mut(RETVAL..RETVAL + size_of::<u32>()) {
            place.copy_from_slice(&retval.to_le_bytes());
        }
        Settled::Record(self.contents.freeze())
    }

    fn lose(&self, why: Why) -> Settled {
        let Self { number, time, ref contents, .. } = *self;
        Settled::Lost(Lost { first: number, last: number, from: time, to: time, bytes: contents.len() as u64, why })
    }
}

/// The records whose outcomes are not known yet: at most one of a thread.
#[derive(Debug, Default)]
pub(super) struct Open {
    waiting: BTreeMap<u32, Waiting>,
}

impl Open {
    /// Takes what a reader has found. Returns what is settled by it, and itself, in their order.
    pub(super) fn take(&mut self, item: Item<'_>) -> Vec<Settled> {
        let mut settled = Vec::new();
        match item {
            Item::Record(record, contents) => {
                self.settle_by(&record, &mut settled);
                settled.push(Settled::Record(Bytes::copy_from_slice(contents)));
            }
            Item::Open(number, record, contents) => {
                self.settle_by(&record, &mut settled);
                let RecordHeader { time, sequence, correlation, .. } = *record.header;
                let is_sent = record.direction == Direction::Send;
                let waiting = Waiting {
                    number,
                    time: time.get(),
                    sequence: sequence.get(),
                    correlation: if is_sent { correlation.get() } else { 0 },
                    contents: BytesMut::from(contents),
                };
                self.waiting.insert(record.header.thread.get(), waiting);
            }
            Item::Outcome(Outcome { thread, retval }) => {
                // Whose record is not there was told of, or is settled.
                let known = self.waiting.remove(&thread);
                settled.extend(known.map(|waiting| match retval {
                    UNKNOWN => waiting.lose(Why::Unsaid),
                    retval => waiting.settle(retval),
                }));
            }
            Item::Lost(lost) => {
                settled.extend(core::mem::take(&mut self.waiting).values().map(|waiting| waiting.lose(lost.why)));
                settled.push(Settled::Lost(lost));
            }
        }
        settled
    }

    /// What a record says of others.
    fn settle_by(&mut self, record: &Record<'_>, settled: &mut Vec<Settled>) {
        if self.waiting.is_empty() {
            return;
        }
        let (thread, correlation) = (record.header.thread.get(), record.header.correlation.get());
        let is_before = |waiting: &Waiting| waiting.sequence < record.header.sequence.get();
        // The others are about a thread, and not what it does.
        let is_its_own = matches!(record.kind, EventKind::Normal | EventKind::Trap);
        if is_its_own
            && let btree_map::Entry::Occupied(waiting) = self.waiting.entry(thread)
            && is_before(waiting.get())
        {
            settled.push(waiting.remove().settle(0));
        }
        if record.kind == EventKind::Normal && record.direction == Direction::Receive && correlation != 0 {
            let is_it = |waiting: &Waiting| waiting.correlation == correlation && is_before(waiting);
            let threads: Vec<u32> =
                self.waiting.iter().filter(|(_, waiting)| is_it(waiting)).map(|(thread, _)| *thread).collect();
            let sent = threads.iter().filter_map(|thread| self.waiting.remove(thread));
            settled.extend(sent.map(|waiting| waiting.settle(0)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use trace_port::record::{self, Part};
    use trace_port::ring::Lost;
    use zerocopy::IntoBytes;

    use super::*;

    /// A record without a message.
    fn contents(thread: u32, direction: Direction, kind: EventKind, (sequence, correlation): (u64, u64)) -> Vec<u8> {
        let header = RecordHeader {
            version: record::VERSION.into(),
            direction: direction as u8,
            kind: kind as u8,
            retval: if direction == Direction::Send { 0x5555_5555 } else { 0 }.into(),
            thread: thread.into(),
            sequence: sequence.into(),
            correlation: correlation.into(),
            time: 99.into(),
            ..RecordHeader::default()
        };
        let part = Part { header_type: record::HEADER_TYPE.into(), header, body_type: record::body_type(0).into() };
        part.as_bytes().to_vec()
    }

    fn open(open: &mut Open, number: u64, thread: u32, correlation: u64) -> Vec<(u32, u32)> {
        let contents = contents(thread, Direction::Send, EventKind::Normal, (10 + number, correlation));
        outcomes(open.take(Item::Open(number, Record::in_ring(&contents).unwrap(), &contents)))
    }

    fn record(open: &mut Open, thread: u32, kind: EventKind, correlation: u64) -> Vec<(u32, u32)> {
        record_of(open, (100, thread), kind, correlation)
    }

    fn record_of(
        open: &mut Open,
        (sequence, thread): (u64, u32),
        kind: EventKind,
        correlation: u64,
    ) -> Vec<(u32, u32)> {
        let contents = contents(thread, Direction::Receive, kind, (sequence, correlation));
        outcomes(open.take(Item::Record(Record::in_ring(&contents).unwrap(), &contents)))
    }

    fn outcome(open: &mut Open, thread: u32, retval: u32) -> Vec<(u32, u32)> {
        outcomes(open.take(Item::Outcome(Outcome { thread, retval })))
    }

    /// Threads and outcomes; of what is lost its number and `u32::MAX`.
    fn outcomes(settled: Vec<Settled>) -> Vec<(u32, u32)> {
        let each = settled.into_iter().map(|settled| match settled {
            Settled::Record(bytes) => {
                let header = Record::in_ring(&bytes).unwrap().header;
                (header.thread.get(), header.retval.get())
            }
            Settled::Lost(lost) => (lost.first as u32, u32::MAX),
        });
        each.collect()
    }

    #[test]
    fn an_outcome_that_is_told_is_the_records() {
        let mut all = Open::default();
        assert_eq!(open(&mut all, 0, 7, 1), []);
        assert_eq!(open(&mut all, 1, 8, 2), []);
        assert_eq!(outcome(&mut all, 9, 0), [], "of a record that is not there");
        assert_eq!(outcome(&mut all, 8, 0x1000_0004), [(8, 0x1000_0004)]);
        assert_eq!(outcome(&mut all, 7, 0), [(7, 0)]);
        assert_eq!(outcome(&mut all, 7, 0x1000_0004), [], "there is none any more");
        assert!(all.waiting.is_empty());
    }

    #[test]
    fn what_its_thread_does_next_says_that_it_was_sent() {
        let mut all = Open::default();
        open(&mut all, 0, 7, 1);
        assert_eq!(record(&mut all, 8, EventKind::Normal, 5), [(8, 0)], "another's");
        assert_eq!(record(&mut all, 7, EventKind::Thread, 5), [(7, 0)], "somebody else's request about the thread");
        assert_eq!(record_of(&mut all, (9, 7), EventKind::Normal, 1), [(7, 0)], "of an earlier event");
        assert_eq!(all.waiting.len(), 1);
        assert_eq!(record(&mut all, 7, EventKind::Normal, 0), [(7, 0), (7, 0)]);
        open(&mut all, 5, 7, 1);
        assert_eq!(open(&mut all, 6, 7, 2), [(7, 0)], "the next one");
        assert_eq!(record(&mut all, 7, EventKind::Trap, 0), [(7, 0), (7, 0)]);
        assert!(all.waiting.is_empty());
    }

    #[test]
    fn who_has_received_it_says_that_it_was_sent() {
        let mut all = Open::default();
        open(&mut all, 0, 7, 1);
        open(&mut all, 1, 8, 2);
        assert_eq!(record(&mut all, 9, EventKind::Normal, 2), [(8, 0), (9, 0)], "before its receipt");
        assert_eq!(all.waiting.keys().copied().collect::<Vec<_>>(), [7]);
    }

    #[test]
    fn nothing_is_known_where_records_are_lost() {
        let mut all = Open::default();
        open(&mut all, 4, 7, 1);
        open(&mut all, 5, 8, 2);
        assert_eq!(outcome(&mut all, 7, UNKNOWN), [(4, u32::MAX)]);
        let lost = Lost { first: 6, last: 9, from: 1, to: 2, bytes: 3, why: Why::Overwritten };
        let settled = all.take(Item::Lost(lost));
        let own = Lost { first: 5, last: 5, from: 99, to: 99, bytes: 96, why: Why::Overwritten };
        assert_eq!(settled, vec![Settled::Lost(own), Settled::Lost(lost)]);
        assert_eq!(record(&mut all, 8, EventKind::Normal, 2), [(8, 0)]);
    }
}
