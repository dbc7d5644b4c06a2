// SPDX-License-Identifier: GPL-2.0-or-later
//! The most frequent calls, on a kernel for one processor: a client's RPC, whose request makes a send-once right for the answer, and whose answer comes in the
//! same call.
//!
//! These two do what [`sent`](super::sent) and [`received`](super::received) do, and nothing that is rare: whatever is, is found out before anything has
//! been changed, and left to those. So nothing has to be kept across what is seldom called, and most of what a record costs is to write it.

use mach_abi::Format;
use mach_abi::header::{LP64, bits};
use mach_abi::type_name::COPY_SEND;
use trace_port::port::RECEIVED_ON;
use trace_port::ring::{OPEN, RECORD};
use trace_port::{Direction, EventKind, record};

use super::{MOST, header_is_received, is_for_kernel_alone, number_of_received, writer};
use crate::frames::{pair, word};
use crate::gnumach::objects::{MAKE_SEND_ONCE, PORT_SEND_ONCE};
use crate::gnumach::{ForOne, Kernel, Kmsg, Names, Task, Thread, is_valid, option};
use crate::named;
use crate::numbers::{Correlation, HalfCorrelation};
use crate::open_call::OpenCall;
use crate::rings;
use crate::stamp;
use crate::state::State;
use crate::writer::RecordFrame;

/// `MACH_SEND_MSG | MACH_RCV_MSG`, and nothing besides.
const RPC: u32 = option::MACH_SEND_MSG | option::MACH_RCV_MSG;

/// `msgh_bits` of a request as its sender gives it.
const REQUEST: u32 = bits(COPY_SEND, MAKE_SEND_ONCE);

/// `msgh_bits` of an answer as its receiver gets it: there is no reply port. A request that is given back to who could not send it has a destination.
const ANSWER: u32 = bits(0, PORT_SEND_ONCE);

/// How many words a message of so many bytes has, if they are whole, and not too many.
#[inline(always)]
const fn words(size: u32) -> Option<usize> {
    // What is left of a division by 8 is large.
    let words = size.rotate_right(3);
    if words <= MOST >> 3 { Some(words as usize) } else { None }
}

/// After a successful `copyinmsg`, of a task whose messages go straight into a ring: `true` if it was such a request, which is there.
#[inline(always)]
pub(crate) fn request(kernel: &impl Kernel, state: &State, one: ForOne, kmsg: Kmsg) -> bool {
    asked(kernel, state, one, kmsg).is_some()
}

#[inline(always)]
fn asked(kernel: &impl Kernel, state: &State, one: ForOne, kmsg: Kmsg) -> Option<()> {
    let calls = Calls::of(kernel);
    let (thread, task) = current(kernel, &calls.open)?;
    let local_name = kernel.local_name(kmsg);
    let (option, rcv_name) = kernel.receives(thread);
    if kernel.msgh_bits(kmsg) != REQUEST || option != RPC || rcv_name != local_name {
        return None;
    }
    let words = words(kernel.msgh_size(kmsg))?;
    let mut frame = frame(kernel, state, task, (OPEN, kmsg, words))?;
    let names = kernel.quick_names(one, task, &state.numbers)?;
    let remote = names.port(kernel.remote_name(kmsg))?;
    frame.put_port(remote.words())?;
    let local = names.port(local_name)?;
    frame.put_port(local.words())?;
    let mut body = Body::of(kmsg, words);
    loop {
        let name = body.next(kernel)?;
        if name == 0 {
            break;
        }
        frame.put_port(names.port(name)?.words())?;
    }
    let moment = Moment::quickly(kernel, state, thread)?;

    let correlation = state.next_correlation();
    kernel.set_thread_awaited(thread, correlation.half());
    if !is_for_kernel_alone(kernel, task, Some(remote)) {
        stamp::put(kernel, state, kmsg, correlation);
    }
    kernel.set_thread_message(thread, kmsg.message_half());
    kernel.set_thread_notify(thread, number_of_received(local));
    let owed = &mut frame.pen().owed;
    *owed = owed.wrapping_add(1);
    frame.set(word::FIRST, first(Direction::Send));
    frame.set(word::DROPPED, 0);
    write(kernel, state, frame, (task, thread), (correlation, moment));
    calls.told.keep(kernel, thread);
    Some(())
}

/// After a successful `copyout` of so many bytes, of such a task: `true` if it was such an answer, which is there.
#[inline(always)]
pub(crate) fn answer(kernel: &impl Kernel, state: &State, one: ForOne, (kmsg, size): (Kmsg, u32)) -> bool {
    answered(kernel, state, one, (kmsg, size)).is_some()
}

#[inline(always)]
fn answered(kernel: &impl Kernel, state: &State, _: ForOne, (kmsg, size): (Kmsg, u32)) -> Option<()> {
    let calls = Calls::of(kernel);
    let (thread, task) = current(kernel, &calls.told)?;
    let (option, rcv_name) = kernel.receives(thread);
    let is_plain = kernel.msgh_bits(kmsg) == ANSWER && size == kernel.msgh_size(kmsg);
    // As of registers, which another thread may have changed: the record says what they say.
    if !is_plain || option != RPC || rcv_name != kernel.local_name(kmsg) {
        return None;
    }
    if size <= LP64.end as u32 && !header_is_received(kernel, (thread, task), kmsg) {
        return None;
    }
    if kernel.thread_awaited(thread).is_none() || kernel.thread_notify(thread) == 0 {
        return None;
    }
    let words = words(size)?;
    let mut frame = frame(kernel, state, task, (RECORD, kmsg, words))?;
    if Body::of(kmsg, words).next(kernel)? != 0 {
        return None;
    }
    let moment = Moment::quickly(kernel, state, thread)?;

    // Read again: there are too many to be kept.
    let name = kernel.local_name(kmsg);
    frame.put_port([pair(name, kernel.thread_notify(thread)), u64::from(RECEIVED_ON) << 8])?;
    frame.set(word::FIRST, first(Direction::Receive));
    frame.set(word::DROPPED, pair(0, name));
    frame.pen().owes_one_less();
    let correlation = state.whole_correlation(kernel.thread_awaited(thread));
    kernel.set_thread_awaited(thread, HalfCorrelation::NONE);
    kernel.set_thread_message(thread, 0);
    write(kernel, state, frame, (task, thread), (correlation, moment));
    calls.received.keep(kernel, thread);
    Some(())
}

/// The current thread, if its call is as far as that.
#[inline(always)]
fn current(kernel: &impl Kernel, is: &OpenCall) -> Option<(Thread, Task)> {
    let (thread, call) = OpenCall::current(kernel);
    (call == *is).then(|| (thread, kernel.thread_task(thread)))
}

#[inline(always)]
fn frame<'a>(
    kernel: &impl Kernel,
    state: &'a State,
    task: Task,
    (kind, kmsg, words): (u32, Kmsg, usize),
) -> Option<RecordFrame<'a>> {
    let (writer, terms, most) = writer(kernel, state, task)?;
    let captured = if terms.bits == 0 { words.min(most as usize / 8) } else { words };
    writer.record_at_once(kernel, terms, kind, (kmsg, words, captured))
}

/// The names in a message's body.
struct Body {
    kmsg: Kmsg,
    words: usize,
    at: usize,
}

impl Body {
    /// Of a message of so many words.
    #[inline(always)]
    const fn of(kmsg: Kmsg, words: usize) -> Self {
        Self { kmsg, words, at: LP64.end / 8 }
    }

    /// The next valid one, 0 if there is none. `None` where an item has several, or one of 64 bits.
    #[inline(always)]
    fn next(&mut self, kernel: &impl Kernel) -> Option<u32> {
        let word = |index: usize| kernel.message_word(self.kmsg, index * 8);
        // What is no more than a descriptor has no names.
        while self.at + 2 <= self.words {
            let (at, descriptor) = (self.at, word(self.at));
            if named::is_one(descriptor) {
                self.at = at + 2;
                if named::has_names(descriptor) && is_valid(word(at + 1) as u32) {
                    return Some(word(at + 1) as u32);
                }
            } else if named::has_names(descriptor) {
                return None;
            } else {
                // What goes over the end is none, and the last.
                self.at = at + 1 + named::words_behind(descriptor);
            }
        }
        Some(0)
    }
}

/// How a call is noted that is as far as that, and with nothing else to be noted of it.
struct Calls {
    open: OpenCall,
    told: OpenCall,
    received: OpenCall,
}

impl Calls {
    #[inline(always)]
    fn of(kernel: &impl Kernel) -> Self {
        let [open, told, received] = OpenCall::plain(kernel);
        Self { open, told, received }
    }
}

/// When, and which thread.
struct Moment {
    sequence: u64,
    time: u64,
    thread: u32,
}

impl Moment {
    #[inline(always)]
    fn quickly(kernel: &impl Kernel, state: &State, thread: Thread) -> Option<Self> {
        let number = kernel.thread_number(thread);
        if number.is_none() {
            return None;
        }
        let (sequence, time) = kernel.now_quickly(|| state.next_sequence())?;
        Some(Self { sequence, time, thread: number.get() })
    }
}

/// The word of a record of such a call.
const fn first(direction: Direction) -> u64 {
    let first = record::VERSION as u32
        | (record::direction_of(direction, Format::Lp64) as u32) << 16
        | (EventKind::Normal as u32) << 24;
    pair(first, RPC)
}

/// Writes what is known of the call, and the record is its reader's.
#[inline(always)]
fn write(
    kernel: &impl Kernel,
    state: &State,
    frame: RecordFrame<'_>,
    (task, thread): (Task, Thread),
    (correlation, moment): (Correlation, Moment),
) {
    frame.set(word::CORRELATION, correlation.get());
    frame.set(word::TIME, moment.time);
    frame.set(word::SEQUENCE, moment.sequence);
    frame.set(word::THREAD, pair(0, moment.thread));
    frame.set(word::TASKS, pair(kernel.task_number(task).get(), 0));
    frame.set(word::TIME_OUT, pair(kernel.time_out(thread), 0));
    let ring = frame.publish();
    if State::ring_bits(kernel.task_entry(task)) != 0 {
        rings::wake_for(kernel, state, ring, || task);
    }
}

#[cfg(test)]
mod tests;
