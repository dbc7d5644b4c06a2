// SPDX-License-Identifier: GPL-2.0-or-later
//! What holds for each frame that is written after one look at the ring for many, whatever came before it.

use core::sync::atomic::Ordering::Relaxed;
use std::vec::Vec;

use proptest::prelude::*;

use super::super::{FRAME, Policy, Producer, RECORD, Ring, Room, control};
use super::memory;
use super::property::CAPACITY;

/// What is done to a ring.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// So many words of contents, by the quick way.
    Whole(u64, Policy, Room),
    /// Where that needs no look.
    AtOnce(u64),
    /// The other way.
    Reserve(u64, Policy),
    Refuse,
    /// The reader goes on by so many hundredths of what it has not read.
    Read(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let policy = || prop_oneof![3 => Just(Policy::Full), 1 => Just(Policy::Overwrite)];
    let room = prop_oneof![4 => Just(Room::Common), 1 => Just(Room::Kept)];
    prop_oneof![
        120 => (0..500_u64, policy(), room).prop_map(|(words, policy, room)| Act::Whole(words, policy, room)),
        60 => (0..500_u64).prop_map(Act::AtOnce),
        3 => (0..500_u64, policy()).prop_map(|(words, policy)| Act::Reserve(words, policy)),
        3 => Just(Act::Refuse),
        1 => (0..=100_u64).prop_map(Act::Read),
    ]
}

/// Some by one policy alone.
fn acts() -> impl Strategy<Value = Vec<Act>> {
    (proptest::bool::ANY, proptest::collection::vec(act(), 500..2000)).prop_map(|(is_full, mut acts)| {
        for act in &mut acts {
            if let (true, Act::Whole(_, policy, _) | Act::Reserve(_, policy)) = (is_full, act) {
                *policy = Policy::Full;
            }
        }
        acts
    })
}

/// Bytes that are kept.
const KEPT: u64 = 10_000;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn each_frame_has_room_a_floor_and_a_mark(acts in acts()) {
        let words = memory(CAPACITY);
        let ring = Ring::over(&words).unwrap();
        let mut producer = Producer::keeping(KEPT);
        producer.begin(&ring);
        let (capacity, part) = (ring.capacity(), ring.capacity() / ring.marks.len() as u64);
        let floor = || ring.control[control::FLOOR].load(Relaxed);
        let (mut before, mut is_overwritten) = (0, false);
        for act in acts {
            match act {
                Act::Whole(words, policy, room) => {
                    let (start, tail) = (ring.head(), ring.tail());
                    let Some(whole) = producer.whole(&ring, (RECORD, words * 8), (policy, room)) else { continue };
                    is_overwritten |= policy == Policy::Overwrite;
                    let end = start + FRAME + words * 8;
                    prop_assert!(floor() + capacity >= end, "bytes are written that are not said to be");
                    if policy == Policy::Full {
                        let kept = if room == Room::Common { KEPT } else { 0 };
                        prop_assert!(end + kept <= tail + capacity, "what is unread, or kept, is overwritten");
                    }
                    producer.publish(&ring, &whole, size_of_val(whole.contents) as u64);
                    prop_assert_eq!(ring.head(), end);
                    let mark = ring.marks[(start / part) as usize % ring.marks.len()].load(Relaxed);
                    prop_assert_eq!(mark / part, start / part, "its part has no mark");
                    prop_assert!(mark <= start, "the mark is of the part's first frame");
                }
                Act::AtOnce(words) => {
                    let (end, said) = (ring.head() + FRAME + words * 8, floor());
                    let Some(whole) = producer.whole_at_once(&ring, (RECORD, words as usize)) else { continue };
                    prop_assert!(said + capacity >= end, "what is overwritten was not said to be");
                    prop_assert!(is_overwritten || end + KEPT <= ring.tail() + capacity, "nobody overwrites");
                    producer.publish(&ring, &whole, size_of_val(whole.contents) as u64);
                    prop_assert_eq!(ring.head(), end);
                }
                Act::Reserve(words, policy) => {
                    is_overwritten |= policy == Policy::Overwrite;
                    if let Ok(room) = producer.reserve(&ring, (RECORD, words * 8), policy) {
                        producer.commit(&ring, room);
                    }
                }
                Act::Refuse => producer.refuse(&ring, 64, 1),
                Act::Read(hundredths) => {
                    let unread = ring.unread().min(capacity);
                    ring.set_tail(ring.head() - unread * (100 - hundredths) / 100 / 8 * 8);
                }
            }
            prop_assert!(floor() >= before, "the floor goes back");
            before = floor();
        }
    }
}

/// Who only fills what was read says of nothing else that it is overwritten.
#[test]
fn what_is_unread_is_above_the_floor() {
    let words = memory(CAPACITY);
    let ring = Ring::over(&words).unwrap();
    let mut producer = Producer::keeping(KEPT);
    producer.begin(&ring);
    for index in 0..40_000_u64 {
        if let Some(whole) = producer.whole(&ring, (RECORD, index % 60 * 8), (Policy::Full, Room::Common)) {
            producer.publish(&ring, &whole, size_of_val(whole.contents) as u64);
        } else if let Ok(room) = producer.reserve(&ring, (RECORD, 8), Policy::Full) {
            producer.commit(&ring, room);
        }
        assert!(ring.control[control::FLOOR].load(Relaxed) <= ring.tail());
        if index % 97 == 0 {
            ring.set_tail(ring.tail() + ring.unread() / 2 / 8 * 8);
        }
    }
    assert!(ring.head() > 4 * ring.capacity());
}
