// SPDX-License-Identifier: GPL-2.0-or-later
//! What the recorder keeps is what an engine with a port is told, from the first task on, until its part is given back.

use std::boxed::Box;
use std::sync::Arc;
use std::vec;
use std::vec::Vec;

use trace_port::control::owner::{KERNEL, Mode, wire};
use trace_port::ring::{FRAMES_WORD, Item, LARGEST_FRAME, MIN_CAPACITY, Outcome, Reader};
use trace_port::{EventKind, Record, RecordHeader};

use super::*;
use crate::gnumach::fake::{CHILD, KERNEL_TASK, Kobject, TASK, THREAD, TRACERS_THREAD};
use crate::gnumach::{Port, mr};
use crate::hooks::lifecycle;
use crate::hooks::model::asking::Arguments;
use crate::hooks::model::{Call, Model};

/// A trace port.
const ONE: Port = Port::fake(0x5200);

/// A kernel that was given this command line, before its first task.
pub(crate) fn booted(line: &'static [u8]) -> Model {
    let model = Model::new();
    let words: Vec<AtomicU64> = (0..FRAMES_WORD + MIN_CAPACITY / 8).map(|_| AtomicU64::new(0)).collect();
    model.fake.ring.set(Ring::over(Box::leak(words.into_boxed_slice())).map(|ring| &*Box::leak(Box::new(ring))));
    model.fake.command_line.set(line);
    begin(&model.fake, &model.state);
    adopt(&model.fake, &model.state, TASK);
    model
}

/// A header, the message and its ports.
pub(crate) type Told = (RecordHeader, Vec<u8>, Vec<trace_port::Port>);

/// What the ring has; nothing of it is lost.
pub(crate) fn recorded(model: &Model) -> Vec<Told> {
    let ring = *model.fake.ring.get().unwrap();
    let mut buffer = vec![0; LARGEST_FRAME / 8 + 1];
    let mut reader = Reader::open(&ring).expect("a ring");
    let batch = reader.read(&ring, &mut buffer).unwrap();
    let mut found = Found::default();
    batch.into_iter().for_each(|item| found.take(item));
    found.told.sort_by_key(|(header, ..)| header.sequence.get());
    found.told
}

/// What a ring has, in its order, each record with its outcome.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) told: Vec<Told>,
    /// Which of them are open.
    open: Vec<usize>,
}

impl Found {
    /// Takes the next item; nothing may be lost.
    pub(crate) fn take(&mut self, item: Item<'_>) {
        match item {
            Item::Record(record, _) => self.push(&record),
            Item::Open(_, record, _) => {
                let thread = record.header.thread.get();
                self.open.retain(|&open| self.told[open].0.thread.get() != thread);
                self.open.push(self.told.len());
                self.push(&record);
            }
            Item::Outcome(Outcome { thread, retval }) => {
                let is_its = |&open: &usize| self.told[open].0.thread.get() == thread;
                let place = self.open.iter().position(is_its).expect("an open record");
                self.told[self.open.remove(place)].0.retval = retval.into();
            }
            Item::Lost(lost) => panic!("{lost:?}"),
        }
    }

    fn push(&mut self, record: &Record<'_>) {
        self.told.push((*record.header, record.message.to_vec(), record.ports.to_vec()));
    }
}

fn without_births(told: Vec<Told>) -> Vec<Told> {
    told.into_iter().filter(|(header, ..)| header.kind == EventKind::Normal as u8).collect()
}

#[test]
fn the_command_line_says_what_is_recorded() {
    for (line, what) in [
        (&b""[..], 0),
        (b"root=part:2:device:hd0 console=com0", 0),
        (b"console=com0 rpctrace2=record", RECORD),
        (b"rpctrace2=all\tconsole=com0", ALL),
        (b"rpctrace2=all rpctrace2=record", RECORD),
        (b"rpctrace2=all rpctrace2=off", 0),
        (b"xrpctrace2=all rpctrace2=everything rpctrace2=", 0),
    ] {
        assert_eq!(asked(line), what, "{line:?}");
    }
}

#[test]
fn nothing_is_there_unless_it_is_asked_for() {
    let model = booted(b"console=com0");
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    assert!(Reader::open(model.fake.ring.get().unwrap()).is_err(), "no ring");
    assert_eq!(model.state.owner.state().0.mode.get(), Mode::Off as u32);
    assert!(model.fake.redirected.borrow().is_empty() && model.state.recorder.engine.load(Relaxed) == 0);
}

#[test]
fn a_kernel_without_memory_for_it_records_nothing() {
    let model = Model::new();
    model.fake.command_line.set(b"rpctrace2=all");
    begin(&model.fake, &model.state);
    adopt(&model.fake, &model.state, TASK);
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    assert_eq!(model.state.owner.state().0.mode.get(), Mode::Off as u32);
    assert!(model.state.recorder.engine.load(Relaxed) == 0);
}

#[test]
fn all_of_every_message_is_what_an_engine_is_told() {
    let model = booted(b"rpctrace2=all");
    let engine = model.attach(TASK, ONE, 0, event::ALL, policy::BLOCK).unwrap();
    for call in [Call::of_host(), Call::simple(), Call::of_host()] {
        assert_eq!(model.call(THREAD, &call), Some(0));
    }
    let told: Vec<Told> = model.seen_at(ONE).into_iter().map(|seen| (seen.header, seen.message, seen.ports)).collect();
    assert_eq!(told.len(), 5);
    assert_eq!(without_births(recorded(&model)), told);
    assert_eq!(model.fake.ring.get().unwrap().tail(), 0, "the reader's page is left alone");
    model.give_back_engine(engine);
    end(&model.fake, &model.state);
    model.assert_ends_clean();
}

#[test]
fn the_begin_of_every_message_is_its_header() {
    let all = booted(b"rpctrace2=all");
    let begins = booted(b"rpctrace2=record");
    for model in [&all, &begins] {
        assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    }
    let (all, begins) = (recorded(&all), recorded(&begins));
    assert!(all.iter().any(|(_, message, _)| message.len() > 32));
    let cut: Vec<Told> = all
        .into_iter()
        .map(|(mut header, mut message, ports)| {
            message.truncate(32);
            header.captured_size = (message.len() as u32).into();
            (header, message, ports)
        })
        .collect();
    assert_eq!(begins, cut);
}

#[test]
fn children_are_recorded_before_their_first_instruction() {
    let model = booted(b"rpctrace2=record");
    lifecycle::created(&model.fake, &model.state, CHILD, Some(TASK));
    let parent = model.state.key(&model.fake, TASK).unwrap().number.get();
    let child = model.state.key(&model.fake, CHILD).unwrap().number.get();
    let told = recorded(&model);
    let births: Vec<_> =
        told.iter().map(|(header, ..)| (header.kind, header.task.get(), header.sender.get())).collect();
    assert_eq!(births, [(EventKind::TaskBirth as u8, child, parent)]);
    let engines: Vec<_> = model.engines_of(CHILD).iter().map(|engine| engine.name).collect();
    assert_eq!(engines, [NAME]);
}

#[test]
fn the_kernel_owns_it_until_its_part_is_given_back() {
    let model = booted(b"rpctrace2=record");
    let (state, _) = model.state.owner.state();
    assert_eq!((state.mode.get(), state.owner.get(), state.parts.get()), (Mode::Foreground as u32, 0, part::RECORDER));
    assert_eq!(state.configured_by, KERNEL);
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    let before = recorded(&model).len();
    assert_eq!(before, 2);
    end(&model.fake, &model.state);
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    assert_eq!(recorded(&model).len(), before, "what was recorded stays");
    assert!(model.engines_of(TASK).is_empty());
    model.assert_ends_clean();
    // A second end finds nothing.
    end(&model.fake, &model.state);
}

/// A tool takes over what the kernel has from boot, and ends it.
#[test]
fn a_tool_that_gives_the_recorder_back_ends_it() {
    const PRIVILEGED: Port = Port::fake(0x5400);
    let model = booted(b"rpctrace2=all");
    model.fake.add_port(PRIVILEGED, KERNEL_TASK);
    model.fake.port(PRIVILEGED).kobject = Some(Kobject::Privileged);
    let name = Arguments::default().name("tool");
    let (code, results) = model.ask(TRACERS_THREAD, PRIVILEGED, wire::TOOL_ID, &name).unwrap();
    assert_eq!(code, 0);
    let tool = Port::fake(u64::from_le_bytes(results[8..].try_into().unwrap()) as usize);
    let parts = |parts| Arguments::default().integer(parts);
    assert_eq!(model.ask_for_code(tool, wire::RESET_ID, &parts(part::ALL)), mr::KERN_NO_ACCESS, "the kernel's");
    assert_eq!(model.ask_for_code(tool, wire::CLAIM_ID, &parts(part::TASKS)), 0);
    assert_eq!(model.ask_for_code(tool, wire::RESET_ID, &parts(part::TASKS)), 0);
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    let before = recorded(&model).len();
    assert_eq!(before, 2, "it goes on");
    assert_eq!(model.ask_for_code(tool, wire::RESET_ID, &parts(part::RECORDER)), 0);
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    assert_eq!(recorded(&model).len(), before);
    assert!(!model.fake.is_redirected(), "the kernel is left alone");
    assert_eq!(model.state.owner.state().0.mode.get(), Mode::Off as u32);
}

/// The reader wants to lose nothing, and reads when it is asked for room.
#[test]
fn a_full_ring_waits_for_a_reader_that_asks_for_it() {
    let model = booted(b"rpctrace2=all");
    let ring = *model.fake.ring.get().unwrap();
    ring.set_wants(WAIT);
    let (count, reads) = (4000, Arc::new(AtomicU64::new(0)));
    let reader = {
        let reads = reads.clone();
        std::thread::spawn(move || {
            let mut reader = Reader::open(&ring).unwrap();
            let (mut buffer, mut seen) = (vec![0; LARGEST_FRAME / 8 + 1], 0);
            while seen < 2 * count {
                let batch = reader.read(&ring, &mut buffer).unwrap();
                seen += batch.map(|item| assert!(!matches!(item, Item::Lost(_)), "nothing is lost")).count() as u64;
                reads.fetch_add(1, Relaxed);
                ring.set_tail(reader.position());
            }
        })
    };
    for _ in 0..count {
        assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    }
    reader.join().unwrap();
    assert!(reads.load(Relaxed) > 1);
}

/// Nobody reads: the oldest go, the numbers say how many.
#[test]
fn the_oldest_are_overwritten() {
    let model = booted(b"rpctrace2=all");
    let count = 4000;
    for _ in 0..count {
        assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    }
    let ring = *model.fake.ring.get().unwrap();
    let mut reader = Reader::open(&ring).unwrap();
    let (mut buffer, mut seen, mut lost) = (vec![0; LARGEST_FRAME / 8 + 1], 0, 0);
    while reader.number() < 2 * count {
        for item in reader.read(&ring, &mut buffer).unwrap() {
            match item {
                Item::Record(..) | Item::Open(..) | Item::Outcome(_) => seen += 1,
                Item::Lost(found) => lost += found.count(),
            }
        }
    }
    assert_eq!(seen + lost, 2 * count);
    assert!(seen > 1000 && lost > 1000, "{seen} {lost}");
    assert_eq!(model.fake.port(model.state.nowhere().unwrap()).queue.len(), 0);
}
