// SPDX-License-Identifier: GPL-2.0-or-later
//! Records that come partly in a ring, partly in messages: the text is the same as if all came in messages.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use capture::{Facts, Writer};
use proptest::collection::vec;
use proptest::prelude::*;
use rpctrace2::Trace;
use rpctrace2::ring::Inbox;
use trace_port::record::HEADER_TYPE_OFFSET;
use trace_port::ring::{
    FRAMES_WORD, OPEN, OUTCOME, Policy, Producer, QUEUE, RECORD, Reader, Refused, Ring, TRACERS_CAPACITY, UNKNOWN,
    control,
};
use trace_port::{Direction, EventKind, Record, RecordHeader};

use crate::common::*;
use crate::kept::shown;
use crate::mixture;
use crate::property::exchange;

/// Where a record's outcome stands in a ring.
const RETVAL: usize = 8 + std::mem::offset_of!(RecordHeader, retval);
/// More text than there is.
const ROOM: usize = 1 << 30;

/// The memory of a tracer's ring, as the kernel and the tracer have it, and its producer.
struct Fake {
    kernels: Vec<AtomicU64>,
    readers: Vec<AtomicU64>,
    producer: Producer,
}

impl Fake {
    fn new(capacity: usize) -> Self {
        let words = |count| (0..count).map(|_| AtomicU64::new(0)).collect();
        let (kernels, readers) = (words(FRAMES_WORD + capacity / 8), words(512));
        let fake = Self { kernels, readers, producer: Producer::new() };
        fake.producer.begin(&fake.ring());
        fake
    }

    fn ring(&self) -> Ring<'_, AtomicU64> {
        Ring::in_parts(&self.kernels, &self.readers, &self.kernels[FRAMES_WORD..]).expect("a power of two of words")
    }

    fn write(&mut self, kind: u32, contents: &[u8]) -> Result<(), Refused> {
        let ring = Ring::in_parts(&self.kernels, &self.readers, &self.kernels[FRAMES_WORD..]).expect("as before");
        let room = self.producer.reserve(&ring, (kind, contents.len() as u64), Policy::Full)?;
        room.put(&ring, 0, contents);
        self.producer.commit(&ring, room);
        Ok(())
    }

    fn tell(&mut self, thread: u32, retval: u32) -> Result<(), Refused> {
        self.write(OUTCOME, &(u64::from(thread) | u64::from(retval) << 32).to_le_bytes())
    }
}

/// How a record comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Message,
    Record,
    /// If it is of a message that is sent: what has become of that is told behind it, or by what follows.
    Open(bool),
}

/// A tracer with a ring.
struct Tracer {
    trace: Trace<'static>,
    text: String,
    fake: Fake,
    reader: Reader,
    inbox: Inbox,
    queue: VecDeque<Bytes>,
    /// Threads whose records are open.
    open: Vec<u32>,
    has_begun: bool,
    /// Records that went as messages because the ring was full.
    refused: usize,
}

impl Tracer {
    fn new(trace: Trace<'static>, capacity: usize) -> Self {
        let fake = Fake::new(capacity);
        let reader = Reader::open(&fake.ring()).expect("a ring");
        let (text, inbox, queue, open) = (String::new(), Inbox::new(capacity), VecDeque::new(), Vec::new());
        Self { trace, text, fake, reader, inbox, queue, open, has_begun: false, refused: 0 }
    }

    /// The kernel's part: a record comes so. The reader reads where the queue is full.
    fn come(&mut self, wire: &[u8], way: Way) {
        let contents = &wire[HEADER_TYPE_OFFSET..];
        let record = Record::in_ring(contents).expect("a record");
        let (thread, retval) = (record.header.thread.get(), record.header.retval.get());
        // What follows an open record has been written after it, or says nothing of it.
        let is_its_threads = matches!(record.kind, EventKind::Normal | EventKind::Trap);
        if is_its_threads {
            self.open.retain(|open| *open != thread);
        }
        let written = match way {
            Way::Message => Err(Refused::Full),
            Way::Open(is_told) if record.direction == Direction::Send && record.kind == EventKind::Normal => {
                let mut contents = contents.to_vec();
                contents[RETVAL..][..4].copy_from_slice(&0x5555_5555_u32.to_le_bytes());
                self.fake.write(OPEN, &contents).map(|()| match is_told || retval != 0 {
                    true => self.tell(thread, retval),
                    false => self.open.push(thread),
                })
            }
            _ => self.fake.write(RECORD, contents),
        };
        if written.is_err() {
            self.refused += usize::from(way != Way::Message);
            while self.queue.len() >= QUEUE as usize {
                self.receive();
            }
            self.queue.push_back(Bytes::copy_from_slice(wire));
        }
    }

    fn tell(&mut self, thread: u32, retval: u32) {
        while self.fake.tell(thread, retval).is_err() {
            self.receive();
        }
    }

    /// As the session does: takes a message if there is one, and the ring behind it.
    fn receive(&mut self) {
        let message = self.queue.pop_front();
        self.has_begun |= message.is_some();
        if !self.has_begun {
            return;
        }
        let ring = self.fake.ring();
        self.inbox.read(&mut self.reader, &ring).expect("frames");
        ring.set_tail(self.reader.position());
        if let Some(message) = message {
            let first = self.inbox.heed(&message);
            self.give(first);
            self.trace.message(&message, &mut self.text);
        }
        self.give(u64::MAX);
    }

    fn give(&mut self, before: u64) {
        while self.inbox.give(before, ROOM, &mut self.trace, &mut self.text) {}
    }

    fn finish(mut self) -> String {
        for thread in std::mem::take(&mut self.open) {
            self.tell(thread, 0);
        }
        while !self.queue.is_empty() || self.fake.ring().head() != self.reader.position() {
            self.receive();
        }
        self.trace.finish(&mut self.text);
        self.text
    }
}

/// The text of records that all come in messages.
fn by_messages(arguments: &[&str], wires: &[Vec<u8>]) -> String {
    let (mut trace, mut text) = (usual_trace(arguments), String::new());
    wires.iter().for_each(|wire| trace.message(&Bytes::copy_from_slice(wire), &mut text));
    trace.finish(&mut text);
    text
}

/// The text of records that come in these ways, the first one in a message, to a tracer that looks after so many; and how many found no room in the
/// ring.
fn by_ring(arguments: &[&str], capacity: usize, wires: &[Vec<u8>], ways: &[Way], looks: usize) -> (String, usize) {
    let mut tracer = Tracer::new(usual_trace(arguments), capacity);
    for (index, wire) in wires.iter().enumerate() {
        tracer.come(wire, if index == 0 { Way::Message } else { ways[index % ways.len()] });
        if index % looks == 0 {
            tracer.receive();
        }
    }
    let refused = tracer.refused;
    (tracer.finish(), refused)
}

fn mixture(times: u64) -> Vec<Vec<u8>> {
    mixture::messages(times).map(|message| message.to_vec()).collect()
}

const WAYS: &[&[Way]] = &[
    &[Way::Record],
    &[Way::Open(true), Way::Record],
    &[Way::Open(false)],
    &[Way::Message, Way::Open(false), Way::Record, Way::Open(true), Way::Open(false), Way::Message, Way::Message],
];

#[test]
fn records_in_a_ring_make_the_same_text_as_in_messages() {
    let wires = mixture(100);
    for arguments in [&[][..], &["-c"], &["-e", "none"], &["-e", "vm_protect"], &["-v"]] {
        let expected = by_messages(arguments, &wires);
        for (ways, looks) in WAYS.iter().flat_map(|ways| [1, 2, 7, 64].map(|looks| (ways, looks))) {
            let (text, _) = by_ring(arguments, TRACERS_CAPACITY, &wires, ways, looks);
            assert_eq!(text, expected, "{arguments:?} {ways:?} {looks}");
        }
    }
}

#[test]
fn what_finds_no_room_in_a_ring_comes_in_messages_and_its_text_where_it_belongs() {
    let wires = mixture(200);
    let expected = by_messages(&[], &wires);
    // Without messages in between: who waits for room in the queue has the ring read.
    for ways in WAYS.iter().filter(|ways| !ways.contains(&Way::Message)) {
        let (text, refused) = by_ring(&[], 4096, &wires, ways, 1000);
        assert_eq!(text, expected, "{ways:?}");
        assert!(refused > 50, "{ways:?}: {refused} of {}", wires.len());
    }
}

#[test]
fn what_a_send_came_to_is_told_behind_it() {
    let wires: Vec<Vec<u8>> = [
        Sample::sent(Message::request(7001, SELF).int(3)),
        Sample::received(Message::reply(7101, REPLY).int(0)),
        Sample::sent(Message::request(7008, 7).int(3)).retval(0x1000_0004),
        Sample::sent(Message::request(7008, 7).int(4)).retval(0x1000_0003),
    ]
    .iter()
    .zip(1..)
    .map(|(sample, sequence)| sample.clone().sequence(sequence).wire())
    .collect();
    let expected = by_messages(&[], &wires);
    assert!(expected.contains("MACH_SEND_TIMED_OUT") && expected.contains("MACH_SEND_INVALID_DEST"), "{expected}");
    for looks in [1, 100] {
        assert_eq!(by_ring(&[], TRACERS_CAPACITY, &wires, &[Way::Open(true)], looks).0, expected);
    }
}

/// Where nobody says what has become of a send, nothing is claimed: it is lost with its task's end.
#[test]
fn a_send_whose_outcome_nobody_tells_is_no_line_but_lost() {
    let first = Sample::sent(Message::request(7001, SELF).int(3)).sequence(1).wire();
    let sent = Sample::sent(Message::request(7008, 7).int(3)).sequence(2).wire();
    for is_told in [false, true] {
        let mut tracer = Tracer::new(usual_trace(&[]), TRACERS_CAPACITY);
        tracer.come(&first, Way::Message);
        tracer.come(&sent, Way::Open(false));
        if is_told {
            tracer.tell(70, UNKNOWN);
        }
        tracer.receive();
        let has_lost = |text: &str| text.contains("--- 1 record lost ---");
        assert_eq!(has_lost(&tracer.text), is_told, "{}", tracer.text);
        tracer.inbox.ended(40);
        tracer.give(u64::MAX);
        tracer.trace.ended(40, &mut tracer.text);
        assert!(has_lost(&tracer.text), "{}", tracer.text);
        tracer.open.clear();
        let text = tracer.finish();
        assert!(!text.contains("echo"), "{text}");
    }
}

#[test]
fn what_is_damaged_is_said_to_be_lost_and_the_rest_is_read() {
    let wires = mixture(1);
    let mut tracer = Tracer::new(usual_trace(&[]), TRACERS_CAPACITY);
    tracer.come(&wires[0], Way::Message);
    wires[1..4].iter().for_each(|wire| tracer.come(wire, Way::Record));
    // The position of the second frame.
    let size = (wires[1].len() - HEADER_TYPE_OFFSET + 24) / 8;
    tracer.fake.kernels[FRAMES_WORD + size].store(1, Ordering::Relaxed);
    assert!(!tracer.inbox.has_lost());
    (0..4).for_each(|_| tracer.receive());
    tracer.come(&wires[4], Way::Record);
    tracer.receive();
    assert!(tracer.inbox.has_lost());
    assert_eq!(tracer.fake.kernels[control::NUMBERS].load(Ordering::Relaxed), 4);
    let text = tracer.finish();
    assert!(text.contains("--- 2 records lost ---"), "{text}");
}

#[test]
fn a_capture_of_a_trace_by_a_ring_shows_the_same() {
    let wires = mixture(30);
    let mut trace = usual_trace(&[]);
    trace.keep(Writer::new(64, &Facts::default(), b""));
    let mut tracer = Tracer::new(trace, TRACERS_CAPACITY);
    for (index, wire) in wires.iter().enumerate() {
        tracer.come(wire, if index % 9 == 0 { Way::Message } else { Way::Open(index % 2 == 0) });
        tracer.receive();
    }
    tracer.trace.finish(&mut tracer.text);
    let file = tracer.trace.capture().expect("it is kept").bytes().to_vec();
    let text = shown(&file, &[]);
    assert_eq!(text, tracer.text);
    assert_eq!(text, by_messages(&[], &wires));
}

#[test]
fn a_record_of_a_ring_asks_for_less_memory_than_a_message() {
    let wires = mixture(100);
    for (arguments, most) in [(&[][..], 3.0), (&["-e", "none"], 0.1)] {
        let mut tracer = Tracer::new(usual_trace(arguments), TRACERS_CAPACITY);
        tracer.come(&wires[0], Way::Message);
        wires[1..].iter().for_each(|wire| tracer.come(wire, Way::Open(false)));
        tracer.text.reserve(1 << 20);
        let counted = allocation_counter::measure(|| tracer.receive());
        let each = counted.count_total as f64 / wires.len() as f64;
        println!("{arguments:?}: {each:.2} allocations a record");
        assert!(each <= most, "{arguments:?}: {each} allocations a record");
    }
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![2 => Just(Way::Message), 3 => Just(Way::Record), 2 => Just(Way::Open(true)), 4 => Just(Way::Open(false))]
}

proptest! {
    #[test]
    fn whatever_way_records_come_the_text_is_the_same(
        exchanges in vec(exchange(), 1..40),
        ways in vec(way(), 1..60),
        looks in 1..30_usize,
        capacity in prop_oneof![Just(2048), Just(8192), Just(TRACERS_CAPACITY)],
        arguments in prop_oneof![Just(&[][..]), Just(&["-c"][..]), Just(&["-e", "vm_protect"][..])],
    ) {
        let samples = exchanges.into_iter().flatten().zip(1..);
        let wires: Vec<Vec<u8>> = samples.map(|(sample, at)| sample.sequence(at).time(1000 * at).wire()).collect();
        let (text, _) = by_ring(arguments, capacity, &wires, &ways, looks);
        prop_assert_eq!(text, by_messages(arguments, &wires));
    }
}
