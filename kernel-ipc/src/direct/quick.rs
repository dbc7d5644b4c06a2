// SPDX-License-Identifier: GPL-2.0-or-later
//! The most frequent calls, on a kernel for one processor: a client's RPC ([`client`]), and what a server does for it ([`server`]).
//!
//! These do what [`sent`](super::sent) and [`received`](super::received) do, and nothing that is rare: whatever is, is found out before anything has
//! been changed, and left to those. So nothing has to be kept across what is seldom called, and most of what a record costs is to write it.

pub(crate) mod client;
pub(crate) mod server;

use mach_abi::header::LP64;

use super::MOST;
use crate::frames::{pair, word};
use crate::gnumach::{Current, Kernel, Kmsg, Names, is_valid, option};
use crate::named;
use crate::numbers::Correlation;
use crate::open_call::OpenCall;
use crate::rings;
use crate::state::State;
use crate::writer::RecordFrame;

/// `MACH_SEND_MSG | MACH_RCV_MSG`, and nothing besides.
const RPC: u32 = option::MACH_SEND_MSG | option::MACH_RCV_MSG;

/// How many words a message of so many bytes has, if they are whole, and not too many.
#[inline(always)]
const fn words(size: u32) -> Option<usize> {
    // What is left of a division by 8 is large.
    let words = size.rotate_right(3);
    if words <= MOST >> 3 { Some(words as usize) } else { None }
}

#[inline(always)]
fn frame<'a>(
    kernel: &impl Kernel,
    state: &'a State,
    Current { one, task, .. }: Current,
    (kind, kmsg, words): (u32, Kmsg, usize),
) -> Option<RecordFrame<'a>> {
    let bits = State::ring_bits(kernel.task_entry(task));
    let writer = state.rings.writer(kernel, bits)?;
    writer.record_at_once(kernel, (one, bits), kind, (kmsg, words))
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
        // What is no more than a descriptor has no names.
        while self.at + 2 <= self.words {
            let at = self.at * 8;
            let dword = |offset| kernel.message_dword(self.kmsg, at + offset);
            // Its two halves are looked at apart: none is compared with more than an instruction can hold.
            if dword(4) == 1 && dword(0) == named::ONE_NUMBER {
                self.at += 2;
            } else if dword(4) == 1 && named::is_one(dword(0)) {
                self.at += 2;
                if named::has_names(dword(0).into()) && is_valid(dword(8)) {
                    return Some(dword(8));
                }
            } else if named::has_names(dword(0).into()) {
                return None;
            } else {
                // What goes over the end is none, and the last.
                let descriptor = kernel.message_word(self.kmsg, at);
                self.at += 1 + (named::bytes_behind(descriptor) / 8) as usize;
            }
        }
        Some(0)
    }

    /// Writes what they stand for.
    #[inline(always)]
    fn say(mut self, kernel: &impl Kernel, names: &impl Names, frame: &mut RecordFrame<'_>) -> Option<()> {
        loop {
            let name = self.next(kernel)?;
            if name == 0 {
                return Some(());
            }
            frame.put_port(names.port(name)?.words())?;
        }
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
    fn quickly(kernel: &impl Kernel, state: &State, Current { one, thread, .. }: Current) -> Option<Self> {
        let number = kernel.thread_number(thread);
        if number.is_none() {
            return None;
        }
        let (sequence, time) = kernel.now_quickly(one, || state.next_sequence_of(one))?;
        Some(Self { sequence, time, thread: number.get() })
    }
}

/// Writes what is known of the call, and the record is its reader's.
#[inline(always)]
fn write(
    kernel: &impl Kernel,
    state: &State,
    frame: RecordFrame<'_>,
    Current { one, thread, .. }: Current,
    (correlation, moment): (Correlation, Moment),
) {
    // Asked for again, as it was not kept as long as there was so much else.
    let task = kernel.thread_task(thread);
    frame.set(word::CORRELATION, correlation.get());
    frame.set(word::TIME, moment.time);
    frame.set(word::SEQUENCE, moment.sequence);
    frame.set(word::THREAD, pair(0, moment.thread));
    frame.set(word::TASKS, pair(kernel.task_number(task).get(), 0));
    frame.set(word::TIME_OUT, pair(kernel.time_out(thread), 0));
    let ring = frame.publish();
    if State::ring_bits(kernel.task_entry(task)) != 0 {
        rings::wake_for_one(kernel, state, (one, ring), || task);
    }
}

#[cfg(test)]
mod tests;
