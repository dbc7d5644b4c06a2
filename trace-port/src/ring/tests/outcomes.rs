// SPDX-License-Identifier: GPL-2.0-or-later
//! Frames that tell outcomes, and layouts that have none.

use std::vec;
use std::vec::Vec;

use core::sync::atomic::Ordering::Relaxed;

use super::super::{FRAME, Item, OUTCOME, Policy, Producer, Reader, Ring, Room, Why, control};
use super::memory;
use super::property::{CAPACITY, Step, World, read_all};

/// What is kept for outcomes is left by all else, and is theirs to the last frame.
#[test]
fn what_is_kept_is_left_for_who_may_have_it() {
    // Nothing that a window or a part ends at.
    const KEPT: u64 = 5000;
    let words = memory(CAPACITY);
    let ring = Ring::over(&words).unwrap();
    let mut producer = Producer::keeping(KEPT);
    producer.begin(&ring);
    let mut fill = |room, size| {
        let mut count = 0;
        while let Some(whole) = producer.whole(&ring, (OUTCOME, size), (Policy::Full, room)) {
            producer.publish(&ring, &whole, size_of_val(whole.contents) as u64);
            count += 1;
        }
        count
    };
    for size in [8, 40, 200] {
        let frame = FRAME + size;
        let before = ring.head();
        fill(Room::Common, size);
        // A frame that goes over the end is written another way.
        if (ring.head() + frame) / CAPACITY as u64 == ring.head() / CAPACITY as u64 {
            let left = CAPACITY as u64 - (ring.head() - ring.tail());
            assert!((KEPT..KEPT + frame).contains(&left), "{left} of {size} from {before}");
            assert_eq!(fill(Room::Kept, 8), left / (FRAME + 8));
            assert_eq!(fill(Room::Common, 8), 0);
        }
        ring.set_tail(ring.head());
    }
}

/// What becomes of a send is told in a frame of its own, which has a number like a record.
#[test]
fn an_outcome_comes_as_it_was_written() {
    let words = memory(CAPACITY);
    let mut world = World::new(&words);
    world.step(Step::Write(8, Policy::Full));
    for size in [8, 16] {
        let whole = world.producer.whole(&world.ring, (OUTCOME, size), (Policy::Full, Room::Common)).expect("room");
        whole.contents[0].store(7 | 0x1000_0004 << 32, Relaxed);
        world.producer.publish(&world.ring, &whole, size_of_val(whole.contents) as u64);
    }
    let (mut seen, mut reader) = (Vec::new(), Reader::open(&world.ring).unwrap());
    read_all(&mut reader, &world.ring, |item| match item {
        Item::Outcome(outcome) => seen.push((outcome.thread, outcome.retval)),
        Item::Record(..) => assert!(seen.is_empty()),
        item => panic!("{item:?}"),
    });
    assert_eq!((seen, reader.number()), (vec![(7, 0x1000_0004)], 2));
    let rest = reader.rest(&world.ring).expect("the one that is too large is damaged");
    assert_eq!((rest.first, rest.last, rest.why), (2, 2, Why::Damaged));
}

/// Layouts from the oldest on are read, others refused.
#[test]
fn older_layouts_are_read() {
    let words = memory(CAPACITY);
    let mut world = World::new(&words);
    world.step(Step::Write(8, Policy::Full));
    for (version, is_read) in [(0, false), (1, true), (2, true), (3, false)] {
        words[control::VERSION].store(version, Relaxed);
        assert_eq!(Reader::open(&world.ring).is_ok(), is_read, "{version}");
    }
}
