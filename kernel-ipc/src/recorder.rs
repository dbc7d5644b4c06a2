// SPDX-License-Identifier: GPL-2.0-or-later
//! The machine's own recorder: an engine of all tasks, from the first one on, whose records go into memory of the payload's.
//!
//! What is asked for stands on the kernel's command line: `rpctrace2=record`, the begin of every message, or `rpctrace2=all`, all of it.
//! That is read before anything else runs. The tasks that the kernel makes join as they are made, all others are their children. Nobody waits, unless
//! the reader, who looks at the memory from outside, asks for it; the oldest records are overwritten.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use spin::mutex::SpinMutex;
use trace_port::control::owner::part;
use trace_port::control::{Name, event, flag, policy};
use trace_port::record::{self, Part};
use trace_port::ring::{OUTCOME, Policy, Producer, RECORD as RECORD_FRAME, Refused, Reservation, Ring, WAIT};

use crate::bare::News;
use crate::engines::{Engine, EngineKey, Wish};
use crate::fan_out;
use crate::gnumach::{Kernel, Kmsg, Record, SendRight, Task};
use crate::numbers::ThreadNumber;
use crate::observe::{self, Event, Moment};
use crate::state::State;

/// What begins the kernel's word about it.
const WORD: &[u8] = b"rpctrace2=";

/// Bytes of a message that [`RECORD`] keeps: its header.
const HEADER: u32 = mach_abi::header::LP64.end as u32;

/// The flags of the ring while the begin of every message is recorded.
pub(crate) const RECORD: u64 = 1;
/// While all of it is.
pub(crate) const ALL: u64 = 2;

/// Set beside them when a task that the kernel has made is not recorded.
pub(crate) const MISSES: u64 = 4;

/// How often a producer looks whether the reader has made room, after it has for the last time.
const PATIENCE: u32 = 1 << 24;

/// Words of a record before its message.
pub(crate) const PART_WORDS: usize = size_of::<Part>() / 8;

/// Where in a [`Part`] what the message's bytes are shown to be stands, by words of two halves: `message_size` and `captured_size`.
const SIZES: usize = 6;
/// `dropped` and `rcv_name`.
const DROPPED: usize = 7;
/// `task` and `sender`.
const TASKS: usize = 9;
/// The descriptor of the message.
const BODY_TYPE: usize = PART_WORDS - 1;

const _: () = {
    let header = core::mem::offset_of!(Part, header);
    assert!(header + core::mem::offset_of!(record::RecordHeader, message_size) == SIZES * 8);
    assert!(header + core::mem::offset_of!(record::RecordHeader, dropped) == DROPPED * 8);
    assert!(header + core::mem::offset_of!(record::RecordHeader, task) == TASKS * 8);
    assert!(core::mem::offset_of!(Part, body_type) == BODY_TYPE * 8);
};

/// What its engine is called.
const NAME: Name = Name::of("recorder");

/// The recorder's state; of the ring nothing is read back but the reader's page.
pub(crate) struct Recorder {
    /// [`RECORD`], [`ALL`] or 0.
    what: AtomicU64,
    /// Its engine's number and place, or 0.
    engine: AtomicU64,
    producer: SpinMutex<Producer>,
    /// The right to its engine's port.
    right: SpinMutex<Option<SendRight>>,
}

impl Recorder {
    /// Off. All zero bytes.
    pub(crate) const fn new() -> Self {
        Self {
            what: AtomicU64::new(0),
            engine: AtomicU64::new(0),
            producer: SpinMutex::new(Producer::new()),
            right: SpinMutex::new(None),
        }
    }

    /// Whether an engine is its own.
    #[inline(always)]
    pub(crate) fn is(&self, engine: EngineKey) -> bool {
        self.engine.load(Relaxed) == key_word(engine)
    }

    /// Whether an engine is its own, and still what the kernel has made it.
    pub(crate) fn wants_all(&self, key: EngineKey, engine: &Engine) -> bool {
        self.is(key) && engine.wants_all_messages() && engine.bytes() == self.bytes()
    }

    /// How many bytes of a message it keeps.
    #[inline(always)]
    pub(crate) fn bytes(&self) -> u32 {
        if self.what.load(Relaxed) == RECORD { HEADER } else { u32::MAX }
    }
}

const fn key_word(engine: EngineKey) -> u64 {
    (engine.number as u64) << 32 | engine.place as u64
}

/// What the kernel's command line asks for: [`RECORD`], [`ALL`] or 0; its last word about it counts.
fn asked(line: &[u8]) -> u64 {
    let mut asked = 0;
    for word in line.split(|byte| byte.is_ascii_whitespace()) {
        match word.strip_prefix(WORD) {
            Some(b"record") => asked = RECORD,
            Some(b"all") => asked = ALL,
            Some(b"off") => asked = 0,
            _ => {}
        }
    }
    asked
}

/// Before anything else runs: begins the ring if the command line asks for it, which makes the kernel the owner of that part of the system trace.
#[cold]
#[inline(never)]
pub(crate) fn begin(kernel: &impl Kernel, state: &State) {
    let what = asked(kernel.command_line());
    if what == 0 {
        return;
    }
    let Some(ring) = kernel.ring() else { return };
    if state.owner.configure_kernel(part::RECORDER).is_err() {
        return;
    }
    let recorder = &state.recorder;
    recorder.producer.lock().begin(&ring);
    ring.set_flags(what);
    recorder.what.store(what, Relaxed);
}

/// A task that the kernel itself has made, which nobody can see yet, is recorded. If it is not, for want of room, the flags say so.
#[cold]
#[inline(never)]
pub(crate) fn adopt(kernel: &impl Kernel, state: &State, task: Task) {
    let what = state.recorder.what.load(Relaxed);
    if what == 0 {
        return;
    }
    let joined = engine(kernel, state).is_some_and(|engine| state.join(kernel, engine, task, None).is_ok());
    if joined {
        kernel.watch_task(task);
    } else if let Some(ring) = kernel.ring() {
        ring.set_flags(what | MISSES);
    }
}

/// The recorder's engine, made for the first task.
fn engine(kernel: &impl Kernel, state: &State) -> Option<EngineKey> {
    let known = state.recorder.engine.load(Relaxed);
    if known != 0 {
        return Some(EngineKey { place: known as u32, number: (known >> 32) as u32 });
    }
    state.make_nowhere(kernel).then_some(())?;
    // Nothing is ever sent to its trace port.
    let nowhere = state.nowhere_right(kernel)?;
    // Nobody is to say what becomes of messages, nor to be told of the end in a message.
    let events = event::ALL & !(event::STOP | event::END);
    let wish = Wish { name: NAME, owner: 0, flags: flag::CHILDREN, events, policy: policy::DROP };
    let (engine, own) = state.make_engine(kernel, nowhere, wish)?;
    if state.recorder.what.load(Relaxed) == RECORD {
        let _ = state.set_filter(kernel, engine, core::iter::empty(), HEADER);
    }
    state.recorder.engine.store(key_word(engine), Relaxed);
    *state.recorder.right.lock() = Some(own);
    Some(engine)
}

/// Its part of the system trace is given back: nothing more is recorded, what was stays.
#[cold]
#[inline(never)]
pub(crate) fn end(kernel: &impl Kernel, state: &State) {
    let recorder = &state.recorder;
    recorder.what.store(0, Relaxed);
    if let Some(ring) = kernel.ring() {
        ring.set_flags(0);
    }
    let known = recorder.engine.swap(0, Relaxed);
    let right = recorder.right.lock().take();
    if known != 0 {
        fan_out::end(kernel, state, EngineKey { place: known as u32, number: (known >> 32) as u32 });
    }
    if let Some(right) = right {
        kernel.ipc_port_release_send(right);
    }
}

/// Writes one record of a draft, which stands at `start`, with at most so many bytes of its message, and these ports.
#[inline(never)]
pub(crate) fn write(
    kernel: &impl Kernel,
    state: &State,
    (record, start): (Record, usize),
    (captured, bytes, ports): (usize, usize, usize),
    (dropped, sender): (u32, Option<u32>),
) {
    let Some(ring) = kernel.ring() else { return };
    let word = |offset: usize| kernel.record_read(record, start + offset);
    let shown = captured.min(bytes);
    let size = record::part_size(shown, ports);
    let time = word(core::mem::offset_of!(Part, header) + core::mem::offset_of!(record::RecordHeader, time));
    let Some(room) = reserve(state, &ring, (RECORD_FRAME, size as u64), time) else { return };
    let part = (0..PART_WORDS).map(|index| {
        let value = word(index * 8);
        match index {
            0 => record::HEADER_TYPE,
            SIZES => value & LOW | (shown as u64) << 32,
            DROPPED => value & !LOW | u64::from(dropped),
            TASKS => sender.map_or(value, |sender| value & LOW | u64::from(sender) << 32),
            BODY_TYPE => record::body_type(record::carried(shown, ports) as u32),
            _ => value,
        }
    });
    room.fill(&ring, 0, part);
    let (body, words) = (size_of::<Part>(), shown.div_ceil(8));
    room.fill(&ring, PART_WORDS as u64, (0..words).map(|index| word(body + index * 8)));
    let listed = body + captured.next_multiple_of(8);
    let ports = ports * (size_of::<trace_port::Port>() / 8);
    room.fill(&ring, (PART_WORDS + words) as u64, (0..ports).map(|index| word(listed + index * 8)));
    state.recorder.producer.lock().commit(&ring, room);
}

const LOW: u64 = 0xffff_ffff;

/// Writes a record without a message.
#[inline(never)]
pub(crate) fn write_news(kernel: &impl Kernel, state: &State, news: &News, moment: Moment, dropped: u32) {
    let Some(ring) = kernel.ring() else { return };
    let Some(room) = reserve(state, &ring, (RECORD_FRAME, size_of::<Part>() as u64), moment.time) else { return };
    let event =
        Event { sender: news.sender, ..Event::other(trace_port::Direction::Send, news.kind, news.thread, moment) };
    let mut header = observe::header(kernel, &event, news.task, 0);
    header.dropped = dropped.into();
    room.set(&ring, 0, record::HEADER_TYPE);
    room.put(&ring, 1, zerocopy::IntoBytes::as_bytes(&header));
    room.set(&ring, BODY_TYPE as u64, record::body_type(0));
    state.recorder.producer.lock().commit(&ring, room);
}

/// A record that is written where its message is.
pub(crate) struct Written<'a> {
    /// Of the frame.
    pub(crate) kind: u32,
    /// The message, and how many bytes of it.
    pub(crate) message: (Kmsg, usize),
    /// What is behind it: the words of a [`trace_port::Port`] each.
    pub(crate) ports: &'a [[u64; 2]],
    /// When it happened.
    pub(crate) time: u64,
}

impl Written<'_> {
    /// Bytes in the ring.
    #[inline(always)]
    fn size(&self) -> u64 {
        record::part_size(self.message.1, self.ports.len()) as u64
    }

    /// A word of its message, zero padded.
    #[inline(always)]
    fn word(&self, kernel: &impl Kernel, index: usize) -> u64 {
        let (kmsg, size) = self.message;
        let (word, rest) = (kernel.message_word(kmsg, index * 8), size - index * 8);
        if rest < 8 { word & ((1 << (8 * rest)) - 1) } else { word }
    }

    /// The message and its ports.
    fn body(&self, kernel: &impl Kernel) -> impl Iterator<Item = u64> {
        let words = (0..self.message.1.div_ceil(8)).map(|index| self.word(kernel, index));
        words.chain(self.ports.iter().flatten().copied())
    }
}

/// Writes a record; `false` if it is lost, which is counted. `head` gives what is before the message, where it is written: twice in the code, as
/// the quick way is to keep it in registers.
#[inline(always)]
pub(crate) fn put(
    kernel: &impl Kernel,
    state: &State,
    written: Written<'_>,
    head: impl Fn() -> [u64; PART_WORDS],
) -> bool {
    let Some(ring) = kernel.ring() else { return false };
    let mut producer = state.recorder.producer.lock();
    let Some(whole) = producer.whole(&ring, (written.kind, written.size()), policy(&ring)) else {
        drop(producer);
        let Some(room) = room(state, &ring, written.kind, written.size(), written.time) else { return false };
        room.fill(&ring, 0, head().into_iter());
        room.fill(&ring, PART_WORDS as u64, written.body(kernel));
        state.recorder.producer.lock().commit(&ring, room);
        return true;
    };
    let Some((places, rest)) = whole.contents.split_first_chunk::<PART_WORDS>() else { return false };
    let Some((message, ports)) = rest.split_at_checked(written.message.1.div_ceil(8)) else { return false };
    store(places, head());
    for (index, place) in message.iter().enumerate() {
        place.store(kernel.message_word(written.message.0, index * 8), Relaxed);
    }
    if !written.message.1.is_multiple_of(8)
        && let Some(last) = message.last()
    {
        last.store(written.word(kernel, message.len() - 1), Relaxed);
    }
    for ([first, second], port) in ports.as_chunks::<2>().0.iter().zip(written.ports) {
        first.store(port[0], Relaxed);
        second.store(port[1], Relaxed);
    }
    producer.publish(&ring, whole);
    true
}

/// Each word with an instruction of its own.
#[inline(always)]
fn store(places: &[AtomicU64; PART_WORDS], words: [u64; PART_WORDS]) {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = places;
    let [first, second, third, fourth, fifth, sixth, seventh, eighth, ninth, tenth, eleventh, twelfth] = words;
    a.store(first, Relaxed);
    b.store(second, Relaxed);
    c.store(third, Relaxed);
    d.store(fourth, Relaxed);
    e.store(fifth, Relaxed);
    f.store(sixth, Relaxed);
    g.store(seventh, Relaxed);
    h.store(eighth, Relaxed);
    i.store(ninth, Relaxed);
    j.store(tenth, Relaxed);
    k.store(eleventh, Relaxed);
    l.store(twelfth, Relaxed);
}

/// [`reserve`], where others write, something is to be told, the ring comes round, or the reader is to be waited for.
#[cold]
#[inline(never)]
fn room(state: &State, ring: &Ring<'_, AtomicU64>, kind: u32, size: u64, time: u64) -> Option<Reservation> {
    reserve(state, ring, (kind, size), time)
}

/// What becomes of what is full.
#[inline(always)]
fn policy(ring: &Ring<'_, AtomicU64>) -> Policy {
    if ring.wants() & WAIT != 0 { Policy::Full } else { Policy::Overwrite }
}

/// Says what has become of the message of a thread's, of which the ring has an open record.
#[inline(never)]
pub(crate) fn put_outcome(kernel: &impl Kernel, state: &State, thread: ThreadNumber, retval: u32) {
    let Some(ring) = kernel.ring() else { return };
    // Nothing is written behind its end.
    if state.recorder.what.load(Relaxed) == 0 {
        return;
    }
    let outcome = u64::from(thread.get()) | u64::from(retval) << 32;
    let mut producer = state.recorder.producer.lock();
    if let Some(whole) = producer.whole(&ring, (OUTCOME, 8), policy(&ring)) {
        whole.contents.iter().for_each(|place| place.store(outcome, Relaxed));
        return producer.publish(&ring, whole);
    }
    drop(producer);
    let Some(room) = reserve(state, &ring, (OUTCOME, 8), 0) else { return };
    room.set(&ring, 0, outcome);
    state.recorder.producer.lock().commit(&ring, room);
}

/// Room for a record; none if it is lost, which is counted. Waits only where the reader asks for it, and only while that goes on reading.
#[inline(never)]
fn reserve(state: &State, ring: &Ring<'_, AtomicU64>, (kind, size): (u32, u64), time: u64) -> Option<Reservation> {
    let (mut tail, mut looks) = (0, 0);
    loop {
        let is_to_wait = ring.wants() & WAIT != 0 && looks < PATIENCE;
        let mut producer = state.recorder.producer.lock();
        match producer.reserve(ring, (kind, size), if is_to_wait { Policy::Full } else { Policy::Overwrite }) {
            Ok(room) => return Some(room),
            Err(Refused::Full) if is_to_wait => {}
            Err(_) => {
                producer.refuse(ring, size, time);
                return None;
            }
        }
        drop(producer);
        let now = ring.tail();
        looks = if now == tail { looks + 1 } else { 0 };
        tail = now;
        core::hint::spin_loop();
    }
}

#[cfg(test)]
pub(crate) mod tests;
