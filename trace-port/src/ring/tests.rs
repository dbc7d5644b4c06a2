// SPDX-License-Identifier: GPL-2.0-or-later
//! Rings in memory of tests: producers at the same time, a reader at any instant, scribbled pages, cuts at every byte.

mod concurrent;
mod outcomes;
mod property;
mod walking;
mod windows;

use std::vec::Vec;

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use zerocopy::IntoBytes;

use self::property::CAPACITY;
use super::{FRAMES_WORD, Policy, Producer, RECORD, Refused, Reservation, Ring, Room, Word};
use crate::event::{Direction, EventKind};
use crate::record::{self, Part, RecordHeader};

/// Memory of a ring of so many bytes of frames.
fn memory(capacity: usize) -> Vec<AtomicU64> {
    (0..FRAMES_WORD + capacity / 8).map(|_| AtomicU64::new(0)).collect()
}

/// The bytes of such memory.
fn bytes(words: &[AtomicU64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.load(Relaxed).to_le_bytes()).collect()
}

/// Bytes of a record: the `sequence`, its time, and a message of so many bytes that follow from it.
fn contents(sequence: u64, size: usize) -> Vec<u8> {
    let header = RecordHeader {
        version: record::VERSION.into(),
        direction: Direction::Send as u8,
        kind: EventKind::Normal as u8,
        sequence: sequence.into(),
        time: time_of(sequence).into(),
        message_size: (size as u32).into(),
        captured_size: (size as u32).into(),
        ..RecordHeader::default()
    };
    let part =
        Part { header_type: record::HEADER_TYPE.into(), header, body_type: record::body_type(size as u32).into() };
    let mut bytes = part.as_bytes().to_vec();
    bytes.extend((0..size).map(|place| byte_of(sequence, place)));
    bytes.resize(record::part_size(size, 0), 0);
    bytes
}

fn time_of(sequence: u64) -> u64 {
    1_000 + sequence * 7
}

fn byte_of(sequence: u64, place: usize) -> u8 {
    (sequence as usize * 31 + place) as u8
}

/// Writes a record as one producer does that is alone.
fn write<W: Word>(producer: &mut Producer, ring: &Ring<'_, W>, contents: &[u8], policy: Policy) -> Result<(), Refused> {
    let room: Reservation = producer.reserve(ring, (RECORD, contents.len() as u64), policy)?;
    room.put(ring, 0, contents);
    producer.commit(ring, room);
    Ok(())
}

#[test]
fn a_ring_whose_reader_reads_no_more_takes_no_record() {
    let words = memory(CAPACITY);
    let ring = Ring::over(&words).unwrap();
    let mut producer = Producer::new();
    producer.begin(&ring);
    for read in [0, 1, 5000] {
        (0..read).for_each(|sequence| {
            assert_eq!(write(&mut producer, &ring, &contents(sequence, 8), Policy::Full), Ok(()));
            ring.set_tail(ring.head());
        });
        ring.close();
        assert_eq!(write(&mut producer, &ring, &contents(9, 8), Policy::Full), Err(Refused::Full), "{read}");
        assert!(producer.whole(&ring, (RECORD, 8), (Policy::Full, Room::Common)).is_none());
        ring.set_tail(ring.head());
    }
}
