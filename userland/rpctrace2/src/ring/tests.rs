// SPDX-License-Identifier: GPL-2.0-or-later
//! What says of a record that its message was sent, in one batch and from one batch to the next.

use trace_port::record::{self, Part};
use trace_port::{Direction, EventKind};
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

/// A ring's frames: what a reader would find.
#[derive(Clone)]
enum Frame {
    Record(Vec<u8>),
    Open(u64, Vec<u8>),
    Outcome(u32, u32),
    Lost(Lost),
}

fn open(number: u64, thread: u32, correlation: u64) -> Frame {
    Frame::Open(number, contents(thread, Direction::Send, EventKind::Normal, (10 + number, correlation)))
}

fn record_of((sequence, thread): (u64, u32), kind: EventKind, correlation: u64) -> Frame {
    Frame::Record(contents(thread, Direction::Receive, kind, (sequence, correlation)))
}

fn record(thread: u32, kind: EventKind, correlation: u64) -> Frame {
    record_of((100, thread), kind, correlation)
}

/// What is found is what stands in one batch.
fn found(inbox: &mut Inbox, frames: &[Frame]) -> Vec<(u32, u32)> {
    let bytes: Vec<u8> = frames
        .iter()
        .flat_map(|frame| match frame {
            Frame::Record(bytes) | Frame::Open(_, bytes) => bytes.as_slice(),
            _ => &[],
        })
        .copied()
        .collect();
    assert!(inbox.is_empty());
    inbox.found.clear();
    (inbox.taken, inbox.shared) = (0, Shared::default());
    inbox.words.as_mut_bytes()[..bytes.len()].copy_from_slice(&bytes);
    let mut end = 0;
    for frame in frames {
        match frame {
            Frame::Record(bytes) => {
                end += bytes.len();
                inbox.sort(Item::Record(Record::in_ring(bytes).unwrap(), bytes), end);
            }
            Frame::Open(number, bytes) => {
                end += bytes.len();
                inbox.sort(Item::Open(*number, Record::in_ring(bytes).unwrap(), bytes), end);
            }
            Frame::Outcome(thread, retval) => {
                inbox.sort(Item::Outcome(Outcome { thread: *thread, retval: *retval }), end);
            }
            Frame::Lost(lost) => inbox.sort(Item::Lost(*lost), end),
        }
    }
    inbox.tell();
    rest(inbox)
}

/// Threads and outcomes of all that is left; of what is lost its number and `u32::MAX`.
fn rest(inbox: &mut Inbox) -> Vec<(u32, u32)> {
    let mut all = Vec::new();
    while let Some(settled) = inbox.take_next() {
        all.push(match settled {
            Settled::Record(mut piece) => {
                let outcome = |bytes: &[u8]| {
                    let header = Record::in_ring(bytes).unwrap().header;
                    (header.thread.get(), header.retval.get())
                };
                assert_eq!(outcome(piece.bytes()), outcome(&piece.share()));
                outcome(piece.bytes())
            }
            Settled::Lost(lost) => (lost.first as u32, u32::MAX),
        });
    }
    all
}

/// What is found of frames that come one by one, and what is found of them if they are read together.
fn both(frames: &[Frame]) -> [Vec<(u32, u32)>; 2] {
    let mut inbox = Inbox::new(0);
    let apart = frames.iter().flat_map(|frame| found(&mut inbox, core::slice::from_ref(frame))).collect();
    [apart, found(&mut Inbox::new(0), frames)]
}

#[test]
fn an_outcome_that_is_told_is_the_records() {
    let (failed, after) = (Frame::Outcome(8, 0x1000_0004), Frame::Outcome(7, 0x1000_0004));
    let frames = [open(0, 7, 1), open(1, 8, 2), Frame::Outcome(9, 0), failed, Frame::Outcome(7, 0), after];
    let [apart, together] = both(&frames);
    assert_eq!(apart, [(8, 0x1000_0004), (7, 0)]);
    assert_eq!(together, [(7, 0), (8, 0x1000_0004)], "in the order of the records");
}

#[test]
fn what_its_thread_does_next_says_that_it_was_sent() {
    let mut inbox = Inbox::new(0);
    assert_eq!(found(&mut inbox, &[open(0, 7, 1)]), []);
    assert_eq!(found(&mut inbox, &[record(8, EventKind::Normal, 5)]), [(8, 0)], "another's");
    let others = record(7, EventKind::Thread, 5);
    assert_eq!(found(&mut inbox, &[others]), [(7, 0)], "somebody else's request about the thread");
    let earlier = record_of((9, 7), EventKind::Normal, 1);
    assert_eq!(found(&mut inbox, &[earlier]), [(7, 0)], "of an earlier event");
    assert_eq!(inbox.open.len(), 1);
    assert_eq!(found(&mut inbox, &[record(7, EventKind::Normal, 0)]), [(7, 0), (7, 0)]);
    assert_eq!(found(&mut inbox, &[open(5, 7, 1), open(6, 7, 2)]), [(7, 0)], "the next one");
    assert_eq!(found(&mut inbox, &[record(7, EventKind::Trap, 0)]), [(7, 0), (7, 0)]);
    assert!(inbox.open.is_empty());
}

#[test]
fn who_has_received_it_says_that_it_was_sent() {
    let frames = [open(0, 7, 1), open(1, 8, 2), record(9, EventKind::Normal, 2)];
    for found in both(&frames) {
        assert_eq!(found, [(8, 0), (9, 0)], "before its receipt");
    }
}

#[test]
fn nothing_is_known_where_records_are_lost() {
    let lost = Frame::Lost(Lost { first: 6, last: 9, from: 1, to: 2, bytes: 3, why: Why::Overwritten });
    let frames = [open(4, 7, 1), open(5, 8, 2), Frame::Outcome(7, UNKNOWN), lost, record(8, EventKind::Normal, 2)];
    for found in both(&frames) {
        assert_eq!(found, [(4, u32::MAX), (5, u32::MAX), (6, u32::MAX), (8, 0)]);
    }
    let mut inbox = Inbox::new(0);
    found(&mut inbox, &frames[..1]);
    found(&mut inbox, &frames[3..4]);
    let own = Lost { first: 4, last: 4, from: 99, to: 99, bytes: 96, why: Why::Overwritten };
    assert!(matches!(inbox.found[..], [Found::Lost(first), Found::Lost(_)] if first == own));
}

#[test]
fn what_is_open_is_lost_with_its_task() {
    let mut inbox = Inbox::new(0);
    assert_eq!(found(&mut inbox, &[open(4, 7, 1)]), []);
    inbox.ended(1);
    assert_eq!(rest(&mut inbox), [], "another task's");
    inbox.ended(0);
    assert_eq!(rest(&mut inbox), [(4, u32::MAX)]);
    assert_eq!(found(&mut inbox, &[Frame::Outcome(7, 0)]), []);
}

#[test]
fn a_message_says_of_open_records_what_a_record_of_the_ring_does() {
    let prefix = |part: &[u8]| [record::Prefix::without_rights(part.len()).as_bytes(), part].concat();
    let mut inbox = Inbox::new(0);
    assert_eq!(found(&mut inbox, &[open(4, 7, 1), open(5, 8, 2)]), []);
    inbox.heed(&prefix(&contents(7, Direction::Send, EventKind::Normal, (100, 3))));
    assert_eq!(rest(&mut inbox), [(7, 0)]);
    inbox.heed(&prefix(&contents(9, Direction::Receive, EventKind::Normal, (101, 2))));
    assert_eq!(rest(&mut inbox), [(8, 0)]);
    inbox.heed(b"no message");
    assert_eq!(rest(&mut inbox), []);
}

#[test]
fn what_a_message_precedes_is_taken_out_after_it() {
    let mut inbox = Inbox::new(0);
    let frames: Vec<Frame> = (20..23).map(|sequence| record_of((sequence, 7), EventKind::Normal, 0)).collect();
    let bytes: Vec<Vec<u8>> = (20..23).map(|at| contents(7, Direction::Receive, EventKind::Normal, (at, 0))).collect();
    assert_eq!(found(&mut inbox, &frames).len(), 3);
    // The same once more, not taken out yet.
    inbox.taken = 0;
    let mut before = |sequence| match inbox.next_before(sequence) {
        Some(Settled::Record(piece)) => Some(piece.bytes().to_vec()),
        _ => None,
    };
    assert_eq!(before(20), None);
    assert_eq!(before(22), Some(bytes[0].clone()));
    assert_eq!(before(22), Some(bytes[1].clone()));
    assert_eq!(before(22), None);
    assert_eq!(before(u64::MAX), Some(bytes[2].clone()));
}

#[test]
fn little_is_kept_with_what_is_kept_of_a_batch() {
    let frames: Vec<Frame> = (0..1000).map(|sequence| record_of((sequence, 7), EventKind::Normal, 0)).collect();
    let mut inbox = Inbox::new(0);
    found(&mut inbox, &frames);
    inbox.taken = 0;
    let mut memory = vec![];
    while let Some(Settled::Record(mut piece)) = inbox.take_next() {
        let part = piece.share();
        assert_eq!(part, piece.bytes());
        let Source::Read { shared, .. } = piece.0 else { panic!("it stands where it was read") };
        assert!(shared.bytes.len() <= TOGETHER + part.len());
        memory.push(shared.bytes.as_ptr());
    }
    memory.dedup();
    assert_eq!(memory.len(), 1000_usize.div_ceil(TOGETHER / 96), "as many records share memory as fit");
}
