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
use trace_port::ring::{Policy, Producer, RECORD as RECORD_FRAME, Refused, Reservation, Ring, WAIT};

use crate::bare::News;
use crate::engines::{Engine, EngineKey, Wish};
use crate::fan_out;
use crate::frames::word::BODY_TYPE;
use crate::frames::{self, Sink};
use crate::gnumach::{Kernel, SendRight, Task};
use crate::numbers::ThreadNumber;
use crate::observe::{self, Event, Moment};
use crate::state::State;
use crate::writer::Pen;

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

/// What its engine is called.
const NAME: Name = Name::of("recorder");

/// The recorder's state; of the ring nothing is read back but the reader's page.
pub(crate) struct Recorder {
    /// [`RECORD`], [`ALL`] or 0.
    what: AtomicU64,
    /// Its engine's number and place, or 0.
    engine: AtomicU64,
    /// The right to its engine's port.
    right: SpinMutex<Option<SendRight>>,
}

impl Recorder {
    /// Off. All zero bytes.
    pub(crate) const fn new() -> Self {
        Self { what: AtomicU64::new(0), engine: AtomicU64::new(0), right: SpinMutex::new(None) }
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
    state.recorder.what.store(what, Relaxed);
    let writer = state.rings.recorder();
    writer.keep_ring(*ring);
    let pen = Pen::owing_any(Producer::new(), state.recorder.bytes());
    pen.producer.begin(ring);
    *writer.pen() = pen;
    ring.set_flags(what);
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

/// Says what has become of the message of a thread's, of which the ring has an open record.
#[inline(never)]
pub(crate) fn put_outcome(state: &State, thread: ThreadNumber, retval: u32) {
    // Nothing is written behind its end.
    if state.recorder.what.load(Relaxed) != 0
        && let Some(sink) = sink(state)
    {
        frames::put_outcome(state, &sink, thread, retval);
    }
}

/// Writes a record without a message.
#[inline(never)]
pub(crate) fn write_news(kernel: &impl Kernel, state: &State, news: &News, moment: Moment, dropped: u32) {
    let writer = state.rings.recorder();
    let Some(ring) = writer.ring() else { return };
    let Some(room) = reserve(state, ring, (RECORD_FRAME, size_of::<Part>() as u64), moment.time) else { return };
    let event =
        Event { sender: news.sender, ..Event::other(trace_port::Direction::Send, news.kind, news.thread, moment) };
    let mut header = observe::header(kernel, &event, news.task, 0);
    header.dropped = dropped.into();
    room.set(ring, 0, record::HEADER_TYPE);
    room.put(ring, 1, zerocopy::IntoBytes::as_bytes(&header));
    room.set(ring, BODY_TYPE as u64, record::body_type(0));
    writer.pen().producer.commit(ring, room);
}

/// Where records of the recorder's are written.
#[inline(always)]
pub(crate) fn sink(state: &State) -> Option<Sink<'_>> {
    let writer = state.rings.recorder();
    let ring = writer.ring()?;
    Some(Sink { writer, ring, policy: policy(ring), given: None })
}

/// What becomes of what has no room.
#[inline(always)]
pub(crate) fn policy(ring: &Ring<'_, AtomicU64>) -> Policy {
    if ring.wants() & WAIT != 0 { Policy::Full } else { Policy::Overwrite }
}

/// Room for a record; none if it is lost, which is counted. Waits only where the reader asks for it, and only while that goes on reading.
#[inline(never)]
pub(crate) fn reserve(
    state: &State,
    ring: &Ring<'_, AtomicU64>,
    (kind, size): (u32, u64),
    time: u64,
) -> Option<Reservation> {
    let (mut tail, mut looks) = (0, 0);
    loop {
        let is_to_wait = ring.wants() & WAIT != 0 && looks < PATIENCE;
        let mut pen = state.rings.recorder().pen();
        match pen.producer.reserve(ring, (kind, size), if is_to_wait { Policy::Full } else { Policy::Overwrite }) {
            Ok(room) => return Some(room),
            Err(Refused::Full) if is_to_wait => {}
            Err(_) => {
                pen.producer.refuse(ring, size, time);
                return None;
            }
        }
        drop(pen);
        let now = ring.tail();
        looks = if now == tail { looks + 1 } else { 0 };
        tail = now;
        core::hint::spin_loop();
    }
}

#[cfg(test)]
pub(crate) mod tests;
