// SPDX-License-Identifier: GPL-2.0-or-later
//! Who walks over a ring sees what who copies it sees.

use std::vec;
use std::vec::Vec;

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use proptest::prelude::*;
use zerocopy::IntoBytes;

use super::super::{Item, LARGEST_FRAME, OUTCOME, Policy, Reader, Ring, Room, Standing, Step, control};
use super::memory;
use super::property::{CAPACITY, Step as Change, World, read_all};
use crate::port::MAX_PORTS;
use crate::{Port, Record};

/// What a reader was told: a record's number in the order of all, whether it is open, its bytes; or an outcome; or how many were lost.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Record(Option<u64>, Vec<u8>),
    Outcome(u32, u32),
    Lost(u64),
}

fn told(item: &Item<'_>) -> Told {
    match item {
        Item::Record(_, bytes) => Told::Record(None, bytes.to_vec()),
        Item::Open(number, _, bytes) => Told::Record(Some(*number), bytes.to_vec()),
        Item::Outcome(outcome) => Told::Outcome(outcome.thread, outcome.retval),
        Item::Lost(lost) => Told::Lost(lost.count()),
    }
}

/// The bytes of a record, which says of itself what they say of it.
fn bytes_of(record: &Standing<'_, AtomicU64>) -> Vec<u8> {
    let mut words = vec![0; LARGEST_FRAME / 8];
    let count = record.copy(&mut words);
    let bytes = words[..count].as_bytes().to_vec();
    let copied = Record::in_ring(&bytes).unwrap();
    assert_eq!((copied.direction, copied.kind, copied.format), (record.direction, record.kind, record.format));
    assert_eq!(*copied.header, record.header());
    assert_eq!(copied.header.sequence.get(), record.sequence());
    assert_eq!((copied.message.len(), copied.ports.len()), (record.captured, record.ports()));
    let message = (0..).map_while(|index| record.message_word(index)).flat_map(u64::to_le_bytes);
    assert!(message.take(record.captured).eq(copied.message.iter().copied()));
    bytes
}

/// Walks as far as that goes, and copies what is left.
fn walk(reader: &mut Reader, ring: &Ring<'_, AtomicU64>, told_so_far: &mut Vec<Told>) -> usize {
    let before = told_so_far.len();
    for step in reader.walk(ring) {
        told_so_far.push(match step {
            Step::Record(record) => Told::Record(record.open, bytes_of(&record)),
            Step::Outcome(outcome) => Told::Outcome(outcome.thread, outcome.retval),
        });
    }
    let walked = told_so_far.len() - before;
    read_all(reader, ring, |item| told_so_far.push(told(item)));
    walked
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        12 => (0..3000usize).prop_map(|size| Change::Write(size, Policy::Full)),
        2 => (0..3000usize).prop_map(|size| Change::Begin(size, Policy::Full)),
        2 => any::<bool>().prop_map(Change::Finish),
        1 => Just(Change::Refuse),
    ]
}

proptest! {
    #[test]
    fn it_is_the_same_where_it_stands(steps in proptest::collection::vec((change(), 0..8u32), 0..400)) {
        let words = memory(CAPACITY);
        let mut world = World::new(&words);
        let (mut walker, mut other) = (Reader::open(&world.ring).unwrap(), Reader::open(&world.ring).unwrap());
        let (mut walked, mut copied) = (Vec::new(), Vec::new());
        for (step, look) in steps {
            world.step(step);
            if look == 0 {
                walk(&mut walker, &world.ring, &mut walked);
                read_all(&mut other, &world.ring, |item| copied.push(told(item)));
                prop_assert_eq!((walker.position(), walker.number()), (other.position(), other.number()));
                world.ring.set_tail(walker.position());
            }
        }
        prop_assert_eq!(walked, copied);
    }

    /// Of a ring that is damaged a walk sees what a copy shows, as far as it goes.
    #[test]
    fn what_is_damaged_is_seen_as_in_a_copy(
        bits in proptest::collection::vec((0..4096usize, 0..64u32), 1..4),
        near in proptest::collection::vec((0..40usize, 0..15usize, 0..64u32), 0..3),
        cut in 0..2000_u64,
    ) {
        let words = memory(CAPACITY);
        let mut world = World::new(&words);
        let mut starts = Vec::new();
        for size in 0..40 {
            starts.push((world.ring.head() / 8) as usize);
            world.step(Change::Write(size * 50, Policy::Full));
        }
        let places = bits.into_iter().chain(near.into_iter().map(|(frame, word, bit)| (starts[frame] + word, bit)));
        for (index, bit) in places {
            world.ring.frames[index].fetch_xor(1 << bit, Relaxed);
        }
        world.ring.control[control::HEAD].fetch_sub(cut * 8, Relaxed);
        let (mut walker, mut other) = (Reader::open(&world.ring).unwrap(), Reader::open(&world.ring).unwrap());
        let (mut walked, mut copied) = (Vec::new(), Vec::new());
        for step in walker.walk(&world.ring) {
            walked.push(match step {
                Step::Record(record) => Told::Record(record.open, bytes_of(&record)),
                Step::Outcome(outcome) => Told::Outcome(outcome.thread, outcome.retval),
            });
        }
        read_all(&mut other, &world.ring, |item| copied.push(told(item)));
        prop_assert!(copied.starts_with(&walked), "{} of {}", walked.len(), copied.len());
    }

    /// Whatever stands in a ring, in no order, neither goes on for ever nor beyond a frame.
    #[test]
    fn whatever_stands_there_is_walked_to_an_end(
        places in proptest::collection::vec((0..4096usize, any::<u64>(), 0..64u32), 1..40),
        control in proptest::collection::vec((3..6usize, any::<u64>(), 0..64u32), 0..3),
    ) {
        let words = memory(CAPACITY);
        let mut world = World::new(&words);
        (0..40).for_each(|size| world.step(Change::Write(size * 50, Policy::Full)));
        let mut reader = Reader::open(&world.ring).unwrap();
        for (index, value, shift) in places {
            world.ring.frames[index].store(value >> shift, Relaxed);
        }
        for (index, value, shift) in control {
            world.ring.control[index].store(value >> shift, Relaxed);
        }
        let count = reader.walk(&world.ring).inspect(|step| {
            if let Step::Record(record) = step {
                let mut words = vec![0; LARGEST_FRAME / 8];
                assert!(record.copy(&mut words) <= words.len());
            }
        }).count();
        prop_assert!(count <= 40);
    }
}

#[test]
fn a_walk_goes_to_the_end_and_on_from_there() {
    let words = memory(CAPACITY);
    let mut world = World::new(&words);
    let mut reader = Reader::open(&world.ring).unwrap();
    let mut seen = Vec::new();
    let mut walked = 0;
    for round in 0..3000 {
        world.step(Change::Write(round % 700, Policy::Full));
        let whole = world.producer.whole(&world.ring, (OUTCOME, 8), (Policy::Full, Room::Common));
        if let Some(whole) = whole {
            whole.contents[0].store(round as u64, Relaxed);
            world.producer.publish(&world.ring, &whole, size_of_val(whole.contents) as u64);
            world.given(None);
        }
        walked += walk(&mut reader, &world.ring, &mut seen);
        world.ring.set_tail(reader.position());
    }
    assert_eq!(reader.position(), world.ring.head());
    // All but what goes over the end, and what follows that in the same look.
    assert!(seen.len() > 5990 && walked + 10 > seen.len(), "{walked} of {}", seen.len());
    assert!(!seen.iter().any(|told| matches!(told, Told::Lost(_))));
}

/// A frame with too many ports, or too much of a message, is larger than what is looked at in place: neither is asked of each.
#[test]
fn what_is_large_is_left_to_a_copy() {
    const MOST: usize = MAX_PORTS * size_of::<Port>();
    for (size, walked) in [(MOST, 1), (MOST + 1, 0)] {
        let words = memory(4 * CAPACITY);
        let mut world = World::new(&words);
        let mut reader = Reader::open(&world.ring).unwrap();
        world.step(Change::Write(size, Policy::Full));
        let mut told = Vec::new();
        assert_eq!((walk(&mut reader, &world.ring, &mut told), told.len()), (walked, 1), "{size}");
    }
}
