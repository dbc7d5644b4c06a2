// SPDX-License-Identifier: GPL-2.0-or-later
//! What holds for every history of a ring: what was seen and what was said to be lost make all numbers, and what was seen is what was written.

use std::cell::RefCell;
use std::vec;
use std::vec::Vec;

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use proptest::prelude::*;

use super::super::{
    Bytes, FRAMES_WORD, HEADER_SIZE, Item, LARGEST_FRAME, Lost, MIN_CAPACITY, Memory, OPEN, Policy, Producer, RECORD,
    Reader, Reservation, Ring, Room, WISHES_WORD, Why, control, find,
};
use super::{byte_of, bytes, contents, memory, time_of, write};
use crate::record::Record;

/// Bytes of the rings here.
pub(super) const CAPACITY: usize = MIN_CAPACITY;

/// Sizes of messages, of which the large ones overtake a reader soon.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0..200usize, 2 => 20_000..60_000usize, 1 => 100_000..=131_072usize]
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// A record, of a producer that finishes it at once.
    Write(usize, Policy),
    /// A record that is finished later.
    Begin(usize, Policy),
    /// The oldest, or the youngest, of those is finished.
    Finish(bool),
    /// A record that is lost without a look at the ring.
    Refuse,
    /// The reader looks, and takes at most so many items.
    Look(usize),
    /// The reader lets go of what it has read.
    LetGo,
    /// Somebody writes the reader's page.
    Scribble(usize, u64),
}

/// The kind of the frame with this number.
const fn kind_of(number: u64) -> u32 {
    if number % 5 == 4 { OPEN } else { RECORD }
}

fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![Just(Policy::Full), Just(Policy::Overwrite)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (size(), policy()).prop_map(|(size, policy)| Step::Write(size, policy)),
        2 => (size(), policy()).prop_map(|(size, policy)| Step::Begin(size, policy)),
        3 => any::<bool>().prop_map(Step::Finish),
        1 => Just(Step::Refuse),
        3 => (0..20usize).prop_map(Step::Look),
        2 => Just(Step::LetGo),
    ]
}

/// Steps among which somebody writes the page of the reader.
fn scribbled_step() -> impl Strategy<Value = Step> {
    prop_oneof![3 => step(), 1 => (0..512usize, any::<u64>()).prop_map(|(word, value)| Step::Scribble(word, value))]
}

/// A ring with its producers.
pub(super) struct World<'a> {
    words: &'a [AtomicU64],
    pub(super) ring: Ring<'a, AtomicU64>,
    pub(super) producer: Producer,
    open: Vec<(Reservation, Vec<u8>)>,
    /// Of each number given, the size of its message if it was written.
    given: Vec<Option<usize>>,
}

impl<'a> World<'a> {
    pub(super) fn new(words: &'a [AtomicU64]) -> Self {
        let ring = Ring::over(words).expect("it is large enough");
        let producer = Producer::new();
        producer.begin(&ring);
        Self { words, ring, producer, open: Vec::new(), given: Vec::new() }
    }

    fn begin(&mut self, size: usize, policy: Policy) {
        let number = self.given.len() as u64;
        let contents = contents(number, size);
        match self.producer.reserve(&self.ring, (kind_of(number), contents.len() as u64), policy) {
            Ok(room) => {
                assert_eq!(room.number(), number);
                self.given.push(Some(size));
                self.open.push((room, contents));
            }
            Err(_) => self.refuse(contents.len() as u64),
        }
    }

    /// The quick way, if there is one now.
    fn write_whole(&mut self, size: usize, policy: Policy) -> bool {
        let number = self.given.len() as u64;
        let contents = contents(number, size);
        let kind = (kind_of(number), contents.len() as u64);
        let Some(whole) = self.producer.whole(&self.ring, kind, (policy, Room::Common)) else { return false };
        assert_eq!(whole.contents.len() * 8, contents.len());
        for (place, word) in whole.contents.iter().zip(contents.as_chunks::<8>().0) {
            place.store(u64::from_le_bytes(*word), Relaxed);
        }
        self.producer.publish(&self.ring, &whole, size_of_val(whole.contents) as u64);
        self.given.push(Some(size));
        true
    }

    /// Something was given a number beside these steps.
    pub(super) fn given(&mut self, size: Option<usize>) {
        self.given.push(size);
    }

    fn refuse(&mut self, size: u64) {
        let time = time_of(self.given.len() as u64);
        self.producer.refuse(&self.ring, size, time);
        self.given.push(None);
    }

    fn finish(&mut self, index: usize) {
        let (room, contents) = self.open.remove(index);
        // Half of them word by word, from the second on, and with more than there is room for; the others as bytes.
        if index.is_multiple_of(2) {
            let words = contents.chunks(8).map(|chunk| {
                let mut word = [0; 8];
                word.iter_mut().zip(chunk).for_each(|(place, byte)| *place = *byte);
                u64::from_le_bytes(word)
            });
            let words: Vec<u64> = words.collect();
            room.fill(&self.ring, 0, words.iter().take(1).copied());
            room.fill(&self.ring, 1, words.iter().skip(1).copied().chain([u64::MAX; 9]));
        } else {
            room.put(&self.ring, 0, &contents);
        }
        self.producer.commit(&self.ring, room);
    }

    pub(super) fn step(&mut self, step: Step) {
        match step {
            Step::Write(size, policy) if self.write_whole(size, policy) => {}
            Step::Write(size, policy) => {
                let before = self.open.len();
                self.begin(size, policy);
                if self.open.len() > before {
                    self.finish(before);
                }
            }
            Step::Begin(size, policy) => self.begin(size, policy),
            Step::Finish(is_oldest) if !self.open.is_empty() => {
                self.finish(if is_oldest { 0 } else { self.open.len() - 1 });
            }
            Step::Refuse => self.refuse(64),
            Step::Scribble(word, value) => self.words[WISHES_WORD + word].store(value, Relaxed),
            Step::Finish(_) | Step::Look(_) | Step::LetGo => {}
        }
    }

    fn finish_all(&mut self) {
        while !self.open.is_empty() {
            self.finish(0);
        }
    }
}

/// What a reader has found, compared with what was given.
#[derive(Default)]
struct Found {
    next: u64,
    lost: Vec<Lost>,
}

impl Found {
    fn take(&mut self, item: &Item<'_>, given: &[Option<usize>]) {
        match item {
            Item::Record(record, _) => {
                self.check(record, given);
                assert_eq!(kind_of(self.next), RECORD);
                self.next += 1;
            }
            Item::Open(number, record, _) => {
                self.check(record, given);
                assert_eq!((*number, kind_of(self.next)), (self.next, OPEN));
                self.next += 1;
            }
            Item::Outcome(outcome) => panic!("nobody has written an {outcome:?}"),
            Item::Lost(lost) => {
                assert_eq!(lost.first, self.next, "no number is left out or told twice");
                assert!(lost.last >= lost.first && lost.last < given.len() as u64);
                if lost.why == Why::Refused {
                    let range = lost.first as usize..=lost.last as usize;
                    assert!(given[range].iter().all(Option::is_none), "{lost:?}");
                    assert_eq!((lost.from, lost.to), (time_of(lost.first), time_of(lost.last)));
                }
                self.next = lost.last + 1;
                self.lost.push(*lost);
            }
        }
    }

    fn check(&self, record: &Record<'_>, given: &[Option<usize>]) {
        let number = record.header.sequence.get();
        assert_eq!(number, self.next);
        let size = given[number as usize].expect("it was written");
        assert_eq!(record.message.len(), size);
        assert_eq!(record.header.time.get(), time_of(number));
        let right = record.message.iter().enumerate().all(|(place, &byte)| byte == byte_of(number, place));
        assert!(right, "record {number} is another's");
    }
}

fn buffer() -> Vec<u64> {
    vec![0; LARGEST_FRAME.div_ceil(8)]
}

/// Reads all that is there.
pub(super) fn read_all(reader: &mut Reader, memory: &impl Memory, mut each: impl FnMut(&Item<'_>)) {
    let mut buffer = buffer();
    loop {
        let before = (reader.position(), reader.number());
        let Ok(batch) = reader.read(memory, &mut buffer) else { return };
        batch.for_each(|item| each(&item));
        if before == (reader.position(), reader.number()) {
            return;
        }
    }
}

/// Runs steps with a reader among them; in the end all numbers were seen or said to be lost.
fn run(steps: &[Step]) -> Vec<Lost> {
    let words = memory(CAPACITY);
    let mut world = World::new(&words);
    let mut reader = Reader::open(&world.ring).unwrap();
    let (mut found, mut buffer) = (Found::default(), buffer());
    for &step in steps {
        world.step(step);
        match step {
            Step::Look(items) => {
                let batch = reader.read(&world.ring, &mut buffer).unwrap();
                batch.take(items).for_each(|item| found.take(&item, &world.given));
            }
            Step::LetGo => world.ring.set_tail(reader.position()),
            _ => {}
        }
    }
    world.finish_all();
    read_all(&mut reader, &world.ring, |item| found.take(item, &world.given));
    if let Some(lost) = reader.rest(&world.ring) {
        found.take(&Item::Lost(lost), &world.given);
    }
    assert_eq!(found.next, world.given.len() as u64, "seen and lost are all");
    found.lost
}

/// Memory whose words are written while they are read.
struct Restless<'a, 'b> {
    ring: Ring<'b, AtomicU64>,
    world: &'a RefCell<World<'b>>,
    steps: &'a RefCell<std::vec::IntoIter<Step>>,
}

impl Restless<'_, '_> {
    fn move_on(&self) {
        if let Some(step) = self.steps.borrow_mut().next() {
            self.world.borrow_mut().step(step);
        }
    }
}

impl Memory for Restless<'_, '_> {
    fn control(&self, index: usize) -> Option<u64> {
        self.move_on();
        self.ring.control(index)
    }

    fn marks(&self) -> usize {
        self.ring.marks()
    }

    fn mark(&self, index: usize) -> Option<u64> {
        self.move_on();
        self.ring.mark(index)
    }

    fn frames(&self, index: usize, out: &mut [u64]) -> usize {
        let (mut done, part) = (0, (out.len() / 3).max(1));
        for out in out.chunks_mut(part) {
            self.move_on();
            done += self.ring.frames(index + done, out);
        }
        done
    }

    fn words(&self) -> u64 {
        self.ring.words()
    }

    fn fence(&self) {
        self.move_on();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn what_was_seen_and_what_was_lost_is_all(steps in prop::collection::vec(step(), 0..80)) {
        let lost = run(&steps);
        prop_assert!(lost.iter().all(|lost| lost.why != Why::Damaged), "{lost:?}");
    }

    #[test]
    fn who_only_fills_up_overwrites_nothing(steps in prop::collection::vec(step(), 0..80)) {
        let full: Vec<Step> = steps.into_iter().map(|step| match step {
            Step::Write(size, _) => Step::Write(size, Policy::Full),
            Step::Begin(size, _) => Step::Begin(size, Policy::Full),
            other => other,
        }).collect();
        let lost = run(&full);
        prop_assert!(lost.iter().all(|lost| matches!(lost.why, Why::Refused | Why::Unsaid)), "{lost:?}");
    }

    /// The reader's page may hold anything: the reader that knows where it is reads what was written, or is told.
    #[test]
    fn a_scribbled_page_of_the_reader_changes_no_record(steps in prop::collection::vec(scribbled_step(), 0..80)) {
        let lost = run(&steps);
        prop_assert!(lost.iter().all(|lost| lost.why != Why::Damaged), "{lost:?}");
    }

    /// Producers go on at every instant of a look.
    #[test]
    fn a_reader_at_any_instant_sees_whole_records(steps in prop::collection::vec(step(), 20..200)) {
        let words = memory(CAPACITY);
        let world = RefCell::new(World::new(&words));
        let ring = world.borrow().ring;
        let steps = RefCell::new(steps.into_iter());
        let memory = Restless { ring, world: &world, steps: &steps };
        let mut reader = Reader::open(&memory).unwrap();
        let (mut found, mut buffer) = (Found::default(), buffer());
        while steps.borrow().len() > 0 {
            let batch = reader.read(&memory, &mut buffer).unwrap();
            batch.for_each(|item| found.take(&item, &world.borrow().given));
        }
        let mut world = world.into_inner();
        world.finish_all();
        read_all(&mut reader, &ring, |item| found.take(item, &world.given));
        reader.rest(&ring).iter().for_each(|lost| found.take(&Item::Lost(*lost), &world.given));
        prop_assert_eq!(found.next, world.given.len() as u64);
        prop_assert!(found.lost.iter().all(|lost| lost.why != Why::Damaged));
    }

    /// Bytes of a ring that were changed: the reader comes to an end, and says nothing impossible.
    #[test]
    fn a_damaged_ring_is_read_to_its_end(
        sizes in prop::collection::vec(size(), 1..20),
        damages in prop::collection::vec((0..HEADER_SIZE + CAPACITY, any::<u8>()), 1..40),
        near in prop::collection::vec((24..64usize, any::<u8>()), 0..4),
    ) {
        let words = memory(CAPACITY);
        let mut world = World::new(&words);
        for size in sizes {
            write(&mut world.producer, &world.ring, &contents(0, size), Policy::Overwrite).unwrap();
        }
        let mut bytes = bytes(&words);
        for (place, byte) in damages.into_iter().chain(near) {
            bytes[place] ^= byte;
        }
        if let Ok(mut reader) = Reader::open(&Bytes(&bytes)) {
            let mut last = None;
            read_all(&mut reader, &Bytes(&bytes), |item| if let Item::Lost(lost) = item {
                assert!(lost.first <= lost.last && last.is_none_or(|last| lost.first > last));
                last = Some(lost.last);
            });
        }
    }
}

/// A ring cut off after each of its bytes that matters: the records that are whole are read, nothing else, and the others are told.
#[test]
fn a_ring_that_is_cut_anywhere_gives_what_is_whole() {
    let words = memory(CAPACITY);
    let mut world = World::new(&words);
    // It has gone round once, so that the oldest and the youngest meet within.
    for size in [104_000, 120_000, 90_000, 80_000, 131_000, 17, 40, 0, 99] {
        world.step(Step::Write(size, Policy::Overwrite));
    }
    let whole = bytes(&words);
    let read = |cut: usize| {
        let memory = Bytes(&whole[..cut]);
        let Ok(mut reader) = Reader::open(&memory) else { return None };
        let (mut found, mut seen) = (Found::default(), 0);
        read_all(&mut reader, &memory, |item| {
            seen += usize::from(matches!(item, Item::Record(..) | Item::Open(..)));
            found.take(item, &world.given);
        });
        let rest = reader.rest(&memory);
        rest.iter().for_each(|lost| found.take(&Item::Lost(*lost), &world.given));
        let numbers = cut >= (control::NUMBERS + 1) * 8;
        assert_eq!(found.next, if numbers { world.given.len() as u64 } else { 0 }, "cut at {cut}");
        Some(seen)
    };
    let all = read(whole.len()).expect("a ring");
    assert_eq!(all, 8, "one is overwritten");
    assert_eq!(read(8 * (control::CAPACITY + 1) - 1), None, "without its capacity it is none");
    let mut before = 0;
    // Every byte of the pages and of the young records behind them; then every byte near where a record ends.
    let young = HEADER_SIZE + 20_000;
    for cut in (8 * (control::CAPACITY + 1)..young).chain((young..whole.len()).step_by(997)).chain([whole.len()]) {
        let seen = read(cut).unwrap_or(0);
        assert!(seen >= before, "cut at {cut}: {seen} of {before} before");
        before = seen;
    }
    assert_eq!(before, all);
}

/// Rings are found in a machine's memory.
#[test]
fn a_ring_is_found_by_its_first_word_on_a_page() {
    let words = memory(CAPACITY);
    let world = World::new(&words);
    assert_eq!(world.ring.frames.len(), CAPACITY / 8);
    let mut machine = vec![0; 3 * 4096];
    machine.extend(bytes(&words));
    machine.extend_from_slice(b"rpct2rng not on a page");
    assert_eq!(find(&machine).collect::<Vec<_>>(), [3 * 4096, 3 * 4096 + (FRAMES_WORD * 8) + CAPACITY]);
    assert!(Reader::open(&Bytes(&machine[3 * 4096..])).is_ok());
}

/// What a ring refuses for its size, or because too many are writing.
#[test]
fn what_has_no_room_changes_nothing() {
    let words = memory(CAPACITY);
    let mut world = World::new(&words);
    for bytes in [CAPACITY as u64 / 2, CAPACITY as u64, u64::MAX, u64::MAX - 7] {
        let refused = world.producer.reserve(&world.ring, (RECORD, bytes), Policy::Overwrite);
        assert_eq!(refused, Err(super::super::Refused::TooLarge));
    }
    for _ in 0..32 {
        world.step(Step::Begin(8, Policy::Overwrite));
    }
    assert_eq!(world.open.len(), 32);
    assert_eq!(
        world.producer.reserve(&world.ring, (RECORD, 96), Policy::Overwrite),
        Err(super::super::Refused::Busy),
        "more than may write at once"
    );
    world.finish_all();
    assert!(Ring::over(&words[..FRAMES_WORD + CAPACITY / 8 - 1]).is_none(), "too small");
}

/// What a frame says of itself is held against where it stands and what the kernel's page says.
#[test]
fn a_frame_that_cannot_be_there_is_not_read() {
    let words = memory(CAPACITY);
    let mut world = World::new(&words);
    (0..5).for_each(|_| world.step(Step::Write(0, Policy::Full)));
    let frame = (contents(0, 0).len() + 24) / 8;
    let seen = |number: usize, word: usize, value: u64| {
        let place = &words[FRAMES_WORD + number * frame + word];
        let before = place.swap(value, Relaxed);
        let mut reader = Reader::open(&world.ring).unwrap();
        let (mut seen, mut lost) = (Vec::new(), Vec::new());
        read_all(&mut reader, &world.ring, |item| match item {
            Item::Record(record, _) | Item::Open(_, record, _) => seen.push(record.header.sequence.get()),
            Item::Outcome(outcome) => panic!("{outcome:?}"),
            Item::Lost(found) => lost.push((found.first, found.last, found.why)),
        });
        lost.extend(reader.rest(&world.ring).map(|rest| (rest.first, rest.last, rest.why)));
        place.store(before, Relaxed);
        (seen, lost)
    };
    let all = (vec![0, 1, 2, 3, 4], vec![]);
    assert_eq!(seen(0, 0, 0), all);
    let damaged = |first, last| vec![(first, last, Why::Damaged)];
    // Its position: there is no other mark, so that the rest is lost.
    assert_eq!(seen(2, 0, 8), (vec![0, 1], damaged(2, 4)));
    // Its number: more than were given, or another than the next one.
    assert_eq!(seen(4, 1, 5), (vec![0, 1, 2, 3], damaged(4, 4)));
    assert_eq!(seen(2, 1, 3), (vec![0, 1, 3, 4], damaged(2, 2)));
    assert_eq!(seen(2, 1, 1), (vec![0, 1, 3, 4], damaged(2, 2)));
    // A number that only fits behind one that is damaged, and is more than were given.
    words[FRAMES_WORD + 3 * frame + 1].store(7, Relaxed);
    assert_eq!(seen(2, 1, 1), (vec![0, 1, 4], damaged(2, 3)));
    words[FRAMES_WORD + 3 * frame + 1].store(3, Relaxed);
    // Its size, and its kind.
    assert_eq!(seen(2, 2, 16 | 1 << 32), (vec![0, 1], damaged(2, 4)));
    assert_eq!(seen(2, 2, (frame as u64 * 8) | 9 << 32), (vec![0, 1, 3, 4], damaged(2, 2)));
}
