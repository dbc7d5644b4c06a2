// SPDX-License-Identifier: GPL-2.0-or-later
//! Frames that tell outcomes, and layouts that have none.

use std::vec;
use std::vec::Vec;

use core::sync::atomic::Ordering::Relaxed;

use super::super::{Item, OUTCOME, Policy, Reader, Why, control};
use super::memory;
use super::property::{CAPACITY, Step, World, read_all};

/// What becomes of a send is told in a frame of its own, which has a number like a record.
#[test]
fn an_outcome_comes_as_it_was_written() {
    let words = memory(CAPACITY);
    let mut world = World::new(&words);
    world.step(Step::Write(8, Policy::Full));
    for size in [8, 16] {
        let whole = world.producer.whole(&world.ring, (OUTCOME, size), (Policy::Full, 0)).expect("room");
        whole.contents[0].store(7 | 0x1000_0004 << 32, Relaxed);
        world.producer.publish(&world.ring, whole);
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
