// SPDX-License-Identifier: GPL-2.0-or-later
//! A client's RPC: a request that makes a send-once right for the answer, which comes in the same call.

use mach_abi::header::{LP64, bits};
use mach_abi::type_name::COPY_SEND;
use trace_port::Direction;
use trace_port::port::RECEIVED_ON;
use trace_port::ring::{OPEN, RECORD};

use super::{Body, Calls, Moment, RPC, frame, words, write};
use crate::direct::{first, header_is_received, is_for_kernel_alone, number_of_received};
use crate::frames::{pair, word};
use crate::gnumach::objects::{MAKE_SEND_ONCE, PORT_SEND_ONCE};
use crate::gnumach::{Current, Kernel, Kmsg, Names};
use crate::numbers::HalfCorrelation;
use crate::open_call::OpenCall;
use crate::stamp;
use crate::state::State;

/// `msgh_bits` of a request as its sender gives it.
const REQUEST: u32 = bits(COPY_SEND, MAKE_SEND_ONCE);

/// `msgh_bits` of an answer as its receiver gets it: there is no reply port. A request that is given back to who could not send it has a destination.
const ANSWER: u32 = bits(0, PORT_SEND_ONCE);

/// After a successful `copyinmsg`, of a task whose messages go straight into a ring: `Some` if it was such a request, which is there.
#[inline(always)]
pub(crate) fn request(kernel: &impl Kernel, state: &State, current: Current, kmsg: Kmsg) -> Option<()> {
    let Current { one, thread, task } = current;
    if OpenCall::of(kernel, thread) != Calls::of(kernel).open {
        return None;
    }
    let (option, rcv_name) = kernel.receives(thread);
    if kernel.msgh_bits(kmsg) != REQUEST || option != RPC || rcv_name != kernel.local_name(kmsg) {
        return None;
    }
    let words = words(kernel.msgh_size(kmsg))?;
    let mut frame = frame(kernel, state, current, (OPEN, kmsg, words))?;
    let names = kernel.quick_names(one, task, &state.numbers)?;
    let remote = frame.put_port(names.port(kernel.remote_name(kmsg))?.words())?;
    let local = frame.put_port(names.port(kernel.local_name(kmsg))?.words())?;
    Body::of(kmsg, words).say(kernel, &names, &mut frame)?;
    let moment = Moment::quickly(kernel, state, current)?;

    let correlation = state.next_correlation_of(one);
    kernel.set_thread_awaited(thread, correlation.half());
    if !is_for_kernel_alone(kernel, kernel.thread_task(thread), remote.what()) {
        stamp::put(kernel, state, kmsg, correlation);
    }
    kernel.set_thread_message(thread, kmsg.message_half());
    kernel.set_thread_notify(thread, number_of_received(local.words()));
    frame.pen().owes_one_more();
    frame.set(word::FIRST, pair(first(Direction::Send), RPC));
    frame.set(word::DROPPED, 0);
    write(kernel, state, frame, current, (correlation, moment));
    Calls::of(kernel).told.keep(kernel, thread);
    Some(())
}

/// After a successful `copyout` of so many bytes, of such a task: `Some` if it was such an answer, which is there.
#[inline(always)]
pub(crate) fn answer(kernel: &impl Kernel, state: &State, current: Current, (kmsg, size): (Kmsg, u32)) -> Option<()> {
    let Current { thread, task, .. } = current;
    if OpenCall::of(kernel, thread) != Calls::of(kernel).told {
        return None;
    }
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
    let mut frame = frame(kernel, state, current, (RECORD, kmsg, words))?;
    if Body::of(kmsg, words).next(kernel)? != 0 {
        return None;
    }
    let moment = Moment::quickly(kernel, state, current)?;

    let name = kernel.local_name(kmsg);
    frame.put_port([pair(name, kernel.thread_notify(thread)), u64::from(RECEIVED_ON) << 8])?;
    frame.set(word::FIRST, pair(first(Direction::Receive), RPC));
    frame.set(word::DROPPED, pair(0, name));
    frame.pen().owes_one_less();
    let correlation = state.whole_correlation(kernel.thread_awaited(thread));
    kernel.set_thread_awaited(thread, HalfCorrelation::NONE);
    kernel.set_thread_message(thread, 0);
    write(kernel, state, frame, current, (correlation, moment));
    Calls::of(kernel).received.keep(kernel, thread);
    Some(())
}
