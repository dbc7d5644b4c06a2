// SPDX-License-Identifier: GPL-2.0-or-later
//! Producers and a reader at the same time, as processors and a tracer are: loom runs the orders of what they do, and of what they
//! see of each other.
//!
//! The rings have room for eight frames of one word of contents, so that there are few enough orders. Up to twice a thread is interrupted
//! where it could go on.

use std::vec;
use std::vec::Vec;

use core::sync::atomic::Ordering;

use loom::sync::atomic::AtomicU64;
use loom::sync::{Arc, Mutex};
use loom::thread;

use super::super::reader::Frame;
use super::super::{FRAME, MAGIC, Policy, Producer, RECORD, REFUSED, Reader, Ring, VERSION, Word, control, wishes};

impl Word for AtomicU64 {
    fn load(&self, order: Ordering) -> u64 {
        Self::load(self, order)
    }

    fn store(&self, value: u64, order: Ordering) {
        Self::store(self, value, order);
    }

    fn fence(order: Ordering) {
        loom::sync::atomic::fence(order);
    }
}

/// Bytes of a record.
const RECORD_SIZE: u64 = 8;
/// Records that a ring has room for.
const ROOM: u64 = 8;

struct Shared {
    control: Vec<AtomicU64>,
    marks: Vec<AtomicU64>,
    wishes: Vec<AtomicU64>,
    frames: Vec<AtomicU64>,
    producer: Mutex<Producer>,
}

impl Shared {
    /// A ring to which so many records were written.
    fn with(records: u64) -> Arc<Self> {
        let zeros = |count: u64| (0..count).map(|_| AtomicU64::new(0)).collect();
        let shared = Self {
            control: zeros(control::WORDS as u64),
            marks: zeros(4),
            wishes: zeros(wishes::WORDS as u64),
            frames: zeros(ROOM * (FRAME + RECORD_SIZE) / 8),
            producer: Mutex::new(Producer::new()),
        };
        shared.producer.lock().unwrap().begin(&shared.ring());
        for _ in 0..records {
            assert!(shared.write(Policy::Overwrite));
        }
        Arc::new(shared)
    }

    fn ring(&self) -> Ring<'_, AtomicU64> {
        Ring {
            control: self.control.first_chunk().unwrap(),
            marks: &self.marks,
            wishes: self.wishes.first_chunk().unwrap(),
            frames: &self.frames,
        }
    }

    /// Writes a record, or counts it: the contents outside of the lock.
    fn write(&self, policy: Policy) -> bool {
        let ring = self.ring();
        let room = {
            let mut producer = self.producer.lock().unwrap();
            match producer.reserve(&ring, (RECORD, RECORD_SIZE), policy) {
                Ok(room) => room,
                Err(_) => {
                    producer.refuse(&ring, RECORD_SIZE, 1);
                    return false;
                }
            }
        };
        room.set(&ring, 0, contents(room.number()));
        self.producer.lock().unwrap().commit(&ring, room);
        true
    }
}

fn contents(number: u64) -> u64 {
    !number
}

/// What a reader saw, which goes on from where it was.
struct Looker {
    reader: Reader,
    buffer: Vec<u64>,
    seen: Vec<u64>,
    refused: u64,
}

impl Looker {
    fn at(shared: &Shared) -> Self {
        let ring = shared.ring();
        assert_eq!(shared.control[control::MAGIC].load(Ordering::Relaxed), MAGIC);
        assert_eq!(shared.control[control::VERSION].load(Ordering::Relaxed), VERSION);
        let reader = Reader::open(&ring).unwrap();
        Self { reader, buffer: vec![0; shared.frames.len()], seen: Vec::new(), refused: 0 }
    }

    /// Reads once. Whatever is given is whole.
    fn look(&mut self, shared: &Shared) {
        let batch = self.reader.read(&shared.ring(), &mut self.buffer).unwrap();
        let (reader, mut words) = (batch.reader, batch.words);
        while !words.is_empty() {
            let frame = Frame::at(words, reader.position(), ROOM * 16).expect("a committed frame is whole");
            if frame.kind == REFUSED {
                self.refused += frame.contents(words)[0] - frame.number + 1;
            } else {
                assert_eq!(frame.contents(words), [contents(frame.number)]);
                assert!(self.seen.last().is_none_or(|last| *last < frame.number), "in their order");
                self.seen.push(frame.number);
            }
            words = &words[frame.size..];
            reader.next += frame.size as u64 * 8;
        }
        assert!(reader.skipped.is_none_or(|(_, why)| why == super::super::Why::Overwritten), "nothing is damaged");
    }
}

fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(run);
}

/// Two producers overwrite what a reader is reading: it never sees half a frame, and in the end what is left.
#[test]
fn what_is_overwritten_while_it_is_read_is_not_seen() {
    model(|| {
        let shared = Shared::with(ROOM);
        let mut looker = Looker::at(&shared);
        let producers = [0; 2].map(|_| {
            let shared = shared.clone();
            thread::spawn(move || assert!(shared.write(Policy::Overwrite)))
        });
        looker.look(&shared);
        for producer in producers {
            producer.join().unwrap();
        }
        looker.look(&shared);
        looker.look(&shared);
        assert_eq!(looker.seen.last(), Some(&(ROOM + 1)));
        // What a late reader finds: the ring's last ones.
        let mut late = Looker::at(&shared);
        late.look(&shared);
        late.look(&shared);
        assert_eq!(late.seen, [2, 3, 4, 5, 6, 7, 8, 9]);
    });
}

/// A ring that is full refuses: nothing is overwritten that the reader has not let go of, and seen and refused are all.
#[test]
fn a_full_ring_loses_nothing_that_it_does_not_count() {
    model(|| {
        let shared = Shared::with(ROOM - 1);
        let mut looker = Looker::at(&shared);
        let producers = [0; 2].map(|_| {
            let shared = shared.clone();
            thread::spawn(move || shared.write(Policy::Full))
        });
        looker.look(&shared);
        shared.ring().set_tail(looker.reader.position());
        let written = producers.into_iter().map(|producer| u64::from(producer.join().unwrap())).sum::<u64>();
        looker.look(&shared);
        shared.ring().set_tail(looker.reader.position());
        // The next one says what was refused.
        assert!(shared.write(Policy::Full));
        looker.look(&shared);
        assert_eq!(looker.seen.len() as u64, ROOM - 1 + written + 1);
        assert_eq!(looker.refused, 2 - written);
    });
}

/// What a producer has not finished holds back what others have: the head is where all is whole.
#[test]
fn a_frame_that_is_being_written_is_not_read() {
    model(|| {
        let shared = Shared::with(0);
        let mut looker = Looker::at(&shared);
        let slow = {
            let shared = shared.clone();
            thread::spawn(move || assert!(shared.write(Policy::Full)))
        };
        assert!(shared.write(Policy::Full));
        looker.look(&shared);
        slow.join().unwrap();
        looker.look(&shared);
        assert_eq!(looker.seen, [0, 1]);
    });
}
