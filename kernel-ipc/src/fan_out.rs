// SPDX-License-Identifier: GPL-2.0-or-later
//! From one record to the records of a task's engines.
//!
//! What a task does is recorded once, for its trace port (engine 0). When the outcome is known each engine that wants it gets a
//! copy. First all that have room, then engine 0, then those that the thread has to wait for: nobody is told later because another is slow.

mod copy;

use trace_port::record::Part;
use trace_port::{EventKind, TRACE_RECORDS_MSGH_ID, control};

pub(crate) use self::copy::{Parts, Share};
use crate::bare::{self, News};
use crate::draft::{Draft, FIRST};
use crate::engines::{Engine, EngineEnd, EngineKey, Turn};
use crate::gnumach::{Kernel, Key, Note, OwnedKmsg, Port, Record, SendRight, Task, mr, option};
use crate::numbers::ThreadNumber;
use crate::quiet::{self, Wait};
use crate::rings::{self, RingKey};
use crate::state::{Attachment, Next, Sending, State};
use crate::{batch, light, lost, observe};

/// How far a task's engines have been told of what a draft shows.
#[derive(Debug)]
pub(crate) struct Telling {
    turn: Turn,
    /// The copies for which the current thread has to wait, each leading on to the next.
    waiting: Option<OwnedKmsg>,
}

impl Telling {
    /// Nobody has been told.
    pub(crate) fn of(kernel: &impl Kernel, draft: &Draft) -> Self {
        Self { turn: Turn::first(Parts::of(kernel, draft.record()).direction(kernel)), waiting: None }
    }

    /// Whether the thread has to wait for somebody.
    pub(crate) const fn has_to_wait(&self) -> bool {
        self.waiting.is_some()
    }
}

/// What has become of an engine's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It was told, or waits, or has lost the record.
    One,
    /// Its trace port is dead: the caller ends it.
    Dead(EngineKey),
    /// There was none any more.
    All,
}

/// Tells the next engine of what a draft shows that is settled. A step of its own, as it is deep.
#[inline(never)]
pub(crate) fn tell(kernel: &impl Kernel, state: &State, draft: &Draft, telling: &mut Telling, wait: Wait) -> Told {
    let record = draft.record();
    let key = kernel.note(record).key;
    let parts = Parts::of(kernel, record);
    let look = |engine: &Engine, since| parts.wanted(kernel, engine, since);
    match state.next_engine(kernel, key, &mut telling.turn, look) {
        Next::None => Told::All,
        Next::Dead(engine) => Told::Dead(engine),
        Next::Engine(sending) if state.recorder.is(sending.engine) => {
            copy::record(kernel, state, parts, &sending);
            kernel.ipc_port_release_send(sending.right);
            state.sent_to(kernel, key, sending.engine, (0, 0));
            Told::One
        }
        Next::Engine(sending) if is_in_ring(kernel, state, parts, &sending) => {
            kernel.ipc_port_release_send(sending.right);
            state.sent_to(kernel, key, sending.engine, (0, 0));
            Told::One
        }
        Next::Engine(sending) => {
            let engine = sending.engine;
            if let Some(memory) = send(kernel, state, key, parts, sending, wait) {
                let copy = memory.record();
                kernel.set_note(
                    copy,
                    Note { key, part: engine.place, lost: engine.number, has_engines: true, answers: false },
                );
                kernel.set_link(copy, telling.waiting.take());
                telling.waiting = Some(memory);
            }
            Told::One
        }
    }
}

/// Whether an engine has a ring that takes what it wants.
#[inline(always)]
fn is_in_ring(kernel: &impl Kernel, state: &State, parts: Parts, sending: &Sending) -> bool {
    let right = || kernel.ipc_port_copy_send(sending.right.port());
    let is_taken = |key| rings::take(kernel, state, key, (parts, Share::of(sending)), right);
    sending.ring.is_some_and(|(key, is_introduced)| is_introduced && is_taken(key))
}

/// Whether the trace port that a settled draft is for has a ring, which takes it.
#[inline(never)]
pub(crate) fn is_in_own_ring(kernel: &impl Kernel, state: &State, ring: RingKey, draft: &Draft) -> bool {
    let record = draft.record();
    let mut dropped = 0;
    kernel.record_part(record, FIRST, |first: &mut Part| dropped = first.header.dropped.get());
    let right = || kernel.ipc_port_copy_send(kernel.record_port(record));
    let is_introduced = dropped == 0 && state.is_introduced(kernel.note(record).key, ring);
    is_introduced && rings::take(kernel, state, ring, (Parts::of(kernel, record), Share::ALL), right)
}

/// Gives an engine its copy, unless the thread has to wait for room: then the copy is given back.
#[inline(never)]
fn send(
    kernel: &impl Kernel,
    state: &State,
    key: Key,
    parts: Parts,
    sending: Sending,
    wait: Wait,
) -> Option<OwnedKmsg> {
    let Sending { engine, dropped, blocks, wanted, ring, .. } = sending;
    let introduces = ring.filter(|(_, is_introduced)| !is_introduced).map(|(key, _)| key);
    let memory = match copy::copy(kernel, state, parts, sending) {
        Ok(memory) => memory,
        Err(right) => {
            lose(kernel, state, (key, engine), right, (dropped, wanted.count_ones()));
            return None;
        }
    };
    if batch::append(kernel, memory.record()) {
        quiet::discard(kernel, memory);
        state.sent_to(kernel, key, engine, (0, 0));
        if let Some(ring) = introduces {
            state.introduce(kernel, (key, Some(engine)), ring);
        }
        return None;
    }
    let port = kernel.record_port(memory.record());
    if blocks && kernel.port_is_full(port) && wait.is_at_exit(kernel) && !is_own(kernel, port) {
        state.sent_to(kernel, key, engine, (0, 0));
        return Some(memory);
    }
    let cap = if blocks { wait.cap() } else { 0 };
    if force(kernel, state, (key, engine), memory, cap)
        && let Some(ring) = introduces
    {
        state.introduce(kernel, (key, Some(engine)), ring);
    }
    None
}

/// Whether a draft whose message shows one record is of what its task asks of the kernel, and its engines are to be told.
#[cold]
#[inline(never)]
pub(crate) fn asks_kernel(kernel: &impl Kernel, draft: &Draft) -> bool {
    kernel.note(draft.record()).has_engines && copy::asks_kernel(kernel, draft.record())
}

/// A draft is of what the kernel has answered to that.
#[cold]
#[inline(never)]
pub(crate) fn answers_kernel_call(kernel: &impl Kernel, draft: &Draft) {
    let note = kernel.note(draft.record());
    kernel.set_note(draft.record(), Note { answers: true, ..note });
}

/// The message that the thread of a settled draft has received by a call of its own: its id, and which record of the draft's it is.
#[cold]
#[inline(never)]
pub(crate) fn received(kernel: &impl Kernel, draft: &Draft) -> Option<(u32, u8)> {
    Parts::of(kernel, draft.record()).received(kernel)
}

/// Tells one engine of a message that a thread is about to send, or has received, if it asks for that: for it the thread stops. `wanted` is
/// which record of the draft's shows it. `false` if it is not told.
#[cold]
#[inline(never)]
pub(crate) fn tell_stopped(
    kernel: &impl Kernel,
    state: &State,
    (key, engine): (Key, EngineKey),
    draft: &Draft,
    (wanted, place): (u8, u32),
) -> bool {
    let parts = Parts::of(kernel, draft.record());
    let Some(sending) = state.sending_to(kernel, key, engine, control::event::STOP) else { return false };
    let dropped = sending.dropped;
    match copy::copy(kernel, state, parts, Sending { wanted, ..sending }) {
        Ok(memory) => {
            kernel.record_part(memory.record(), FIRST, |part: &mut Part| {
                part.header.kind = EventKind::Stopped as u8;
                part.header.sender = place.into();
            });
            force(kernel, state, (key, engine), memory, Wait::InCall.cap())
        }
        Err(right) => {
            lose(kernel, state, (key, engine), right, (dropped, 1));
            false
        }
    }
}

/// Tells one engine that a thread has stopped which shows no message, if it asks for that. `false` if it is not told.
#[cold]
#[inline(never)]
pub(crate) fn tell_held(
    kernel: &impl Kernel,
    state: &State,
    (key, engine): (Key, EngineKey),
    (task, thread): (Task, ThreadNumber),
    place: u32,
) -> bool {
    let moment = observe::Moment::now_apart(kernel, state);
    let Some(sending) = state.sending_to(kernel, key, engine, control::event::STOP) else { return false };
    let dropped = sending.dropped;
    let news = News { task: key.number, thread, sender: place, ..News::of(EventKind::Stopped) };
    match bare::record(kernel, sending.right, kernel.task_send_right(task), (&news, moment, dropped)) {
        Ok(memory) => force(kernel, state, (key, engine), memory, Wait::InCall.cap()),
        Err(right) => {
            lose(kernel, state, (key, engine), right, (dropped, 1));
            false
        }
    }
}

/// There was no memory for a copy: the engine has lost what it was to tell of, and so many records.
fn lose(kernel: &impl Kernel, state: &State, (key, engine): (Key, EngineKey), right: SendRight, lost: (u32, u32)) {
    kernel.ipc_port_release_send(right);
    state.sent_to(kernel, key, engine, lost);
}

/// Whether the current thread's task receives from a port itself.
fn is_own(kernel: &impl Kernel, port: Port) -> bool {
    kernel.port_is_received_in(port, kernel.task_space(observe::current_task(kernel)))
}

/// Queues a copy beyond the limit of its port, up to so many messages; without that only if there is room. Returns whether it is queued.
pub(crate) fn force(
    kernel: &impl Kernel,
    state: &State,
    (key, engine): (Key, EngineKey),
    memory: OwnedKmsg,
    cap: u32,
) -> bool {
    let port = kernel.record_port(memory.record());
    let queued = kernel.port_is_active(port);
    let how = if kernel.port_msgcount(port) < cap { option::MACH_SEND_ALWAYS } else { option::MACH_SEND_TIMEOUT };
    let result = quiet::emitting(kernel, || kernel.ipc_mqueue_send(memory, how, 0));
    let is_told = queued && result.is_ok();
    sent(kernel, state, (key, engine), result.map_err(|(_, memory)| memory), queued);
    is_told
}

fn sent(
    kernel: &impl Kernel,
    state: &State,
    (key, engine): (Key, EngineKey),
    result: Result<(), OwnedKmsg>,
    queued: bool,
) {
    let mut lost = (0, 0);
    match result {
        Ok(()) if queued => kernel.uncount_sent(observe::current_task(kernel)),
        Ok(()) => {}
        Err(memory) => {
            lost = what_is_lost(kernel, memory.record());
            quiet::discard(kernel, memory);
        }
    }
    state.sent_to(kernel, key, engine, lost);
}

/// What a copy was to tell of, and how many records it has.
fn what_is_lost(kernel: &impl Kernel, copy: Record) -> (u32, u32) {
    let mut carried = 0;
    kernel.record_part(copy, FIRST, |first: &mut Part| carried = first.header.dropped.get());
    (carried, if kernel.msgh_id(copy.kmsg()) == TRACE_RECORDS_MSGH_ID { 2 } else { 1 })
}

/// Waits until engines have made room, all at once: while the thread waits for one, the others go on receiving.
#[cold]
#[inline(never)]
pub(crate) fn wait(kernel: &impl Kernel, state: &State, telling: Telling) {
    let mut waiting = telling.waiting;
    while let Some(memory) = waiting {
        waiting = kernel.swap_link(memory.record(), None);
        wait_for(kernel, state, memory);
    }
}

/// Queues a copy once its engine has made room. One that has let go of the task meanwhile is told nothing; where the thread is interrupted
/// the copy goes beyond the limit.
fn wait_for(kernel: &impl Kernel, state: &State, mut memory: OwnedKmsg) {
    let Note { key, part: place, lost: number, .. } = kernel.note(memory.record());
    let engine = EngineKey { place, number };
    let port = kernel.record_port(memory.record());
    // So that it can be asked afterwards whether the port has died, and took the message with it.
    let right = kernel.ipc_port_copy_send(port);
    loop {
        if !state.send_again(key, engine) {
            quiet::discard(kernel, memory);
            break;
        }
        if is_own(kernel, port) {
            force(kernel, state, (key, engine), memory, 0);
            break;
        }
        let look_again = quiet::LOOK_AGAIN;
        let result = quiet::waiting(kernel, || kernel.ipc_mqueue_send(memory, option::MACH_SEND_TIMEOUT, look_again));
        match result {
            Ok(()) => {
                let queued = right.as_ref().is_some_and(|right| kernel.port_is_active(right.port()));
                sent(kernel, state, (key, engine), Ok(()), queued);
                break;
            }
            Err((mr::MACH_SEND_TIMED_OUT, again)) => {
                state.sent_to(kernel, key, engine, (0, 0));
                memory = again;
            }
            Err((_, again)) => {
                state.sent_to(kernel, key, engine, (0, 0));
                if state.send_again(key, engine) {
                    force(kernel, state, (key, engine), again, Wait::Never.cap());
                } else {
                    quiet::discard(kernel, again);
                }
                break;
            }
        }
    }
    if let Some(right) = right {
        kernel.ipc_port_release_send(right);
    }
}

/// Ends an engine: it lets go of all its tasks, and its port dies.
#[cold]
#[inline(never)]
pub(crate) fn end(kernel: &impl Kernel, state: &State, engine: EngineKey) {
    if !state.begin_end(engine) {
        return;
    }
    let_go_of_all(kernel, state, engine);
    tell_of_end(kernel, state, engine);
    if let Some(EngineEnd { control, right }) = state.end_engine(kernel, engine) {
        quiet::emitting(kernel, || kernel.end_kernel_port(control));
        kernel.ipc_port_release_send(right);
    }
}

/// The last record of an engine, if it asks for that.
fn tell_of_end(kernel: &impl Kernel, state: &State, engine: EngineKey) {
    let Some(right) = state.right_for_end(kernel, engine) else { return };
    let moment = observe::Moment::now_apart(kernel, state);
    let news = News { thread: ThreadNumber::new(engine.number), ..News::of(EventKind::EngineEnd) };
    match bare::record(kernel, right, None, (&news, moment, 0)) {
        Ok(memory) => bare::send(kernel, memory),
        Err(right) => kernel.ipc_port_release_send(right),
    }
}

/// An engine lets go of all its tasks.
#[inline(never)]
pub(crate) fn let_go_of_all(kernel: &impl Kernel, state: &State, engine: EngineKey) {
    let mut from = 1;
    while let Some(attachment) = state.let_go_of_next(kernel, engine, &mut from) {
        let_go(kernel, state, attachment);
    }
}

/// An engine has let go of a task: it is told what was lost, and no thread waits for it any more.
#[inline(never)]
pub(crate) fn let_go(kernel: &impl Kernel, state: &State, attachment: Attachment) {
    let Attachment { task, untold, released } = attachment;
    if let Some((right, number, dropped)) = untold {
        lost::tell(kernel, state, right, (number, dropped));
    }
    released.release(kernel);
    if let Some(task) = task {
        kernel.interrupt_threads(task.get(), |thread| quiet::is_waiting(kernel, thread));
        if kernel.task_entry(task.get()) == 0 {
            // Those that were looked at lightly take their marks away themselves, as others do.
            light::closely(kernel, task.get());
        }
        kernel.task_deallocate(task);
    }
}

#[cfg(test)]
mod tests;
