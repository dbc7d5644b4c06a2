// SPDX-License-Identifier: GPL-2.0-or-later
//! What a server does for a client: it receives a request with a send-once right for the answer, and answers by that.

use mach_abi::header::{LP64, bits};
use trace_port::Direction;
use trace_port::port::RECEIVED_ON;
use trace_port::ring::{OPEN, RECORD};

use super::{Body, Calls, Moment, frame, words, write};
use crate::direct::{first, header_is_received};
use crate::frames::{pair, word};
use crate::gnumach::objects::{MOVE_SEND_ONCE, PORT_SEND, PORT_SEND_ONCE};
use crate::gnumach::{Current, Kernel, Kmsg, Names, option};
use crate::open_call::OpenCall;
use crate::replies;
use crate::stamp;
use crate::state::State;

/// `msgh_bits` of a request as its receiver gets it.
pub(crate) const REQUEST: u32 = bits(PORT_SEND_ONCE, PORT_SEND);

/// `msgh_bits` of an answer as its sender gives it.
pub(crate) const ANSWER: u32 = bits(MOVE_SEND_ONCE, 0);

/// After a successful `copyout` of so many bytes of a [`REQUEST`], of a task whose messages go straight into a ring: `Some` if it is in the ring.
#[inline(always)]
pub(crate) fn request(kernel: &impl Kernel, state: &State, current: Current, (kmsg, size): (Kmsg, u32)) -> Option<()> {
    let Current { one, thread, task } = current;
    let (calls, call) = (Calls::of(kernel), OpenCall::of(kernel, thread));
    if call != calls.open && call != calls.told {
        return None;
    }
    let (asked, _) = kernel.receives(thread);
    // One that is given back to who could not send it looks the same.
    let is_given_back = kernel.thread_message(thread) == kmsg.message_half();
    if is_given_back || size != kernel.msgh_size(kmsg) || asked & option::WITH_NOTIFY != 0 {
        return None;
    }
    if size <= LP64.end as u32 && !header_is_received(kernel, (thread, task), kmsg) {
        return None;
    }
    let words = words(size)?;
    let mut frame = frame(kernel, state, current, (RECORD, kmsg, words))?;
    let names = kernel.quick_names(one, task, &state.numbers)?;
    frame.put_port(names.port(kernel.remote_name(kmsg))?.words())?;
    let [name, what] = names.port(kernel.local_name(kmsg))?.words();
    frame.put_port([name, what | u64::from(RECEIVED_ON) << 8])?;
    Body::of(kmsg, words).say(kernel, &names, &mut frame)?;
    let moment = Moment::quickly(kernel, state, current)?;

    let correlation = replies::received(kernel, state, thread, kmsg);
    if OpenCall::of(kernel, thread) == calls.told {
        frame.pen().owes_one_less();
    }
    kernel.set_thread_message(thread, 0);
    let (asked, rcv_name) = kernel.receives(thread);
    frame.set(word::FIRST, pair(first(Direction::Receive), asked));
    frame.set(word::DROPPED, pair(0, rcv_name));
    write(kernel, state, frame, current, (correlation, moment));
    calls.received.keep(kernel, thread);
    Some(())
}

/// After a successful `copyinmsg` of an [`ANSWER`], of a task whose messages go straight into a ring: `Some` if it is in the ring.
#[inline(always)]
pub(crate) fn answer(kernel: &impl Kernel, state: &State, current: Current, kmsg: Kmsg) -> Option<()> {
    let Current { one, thread, task } = current;
    let calls = Calls::of(kernel);
    if OpenCall::of(kernel, thread) != calls.open {
        return None;
    }
    let (asked, _) = kernel.receives(thread);
    if kernel.local_name(kmsg) != 0 || asked & option::WITH_NOTIFY != 0 {
        return None;
    }
    let words = words(kernel.msgh_size(kmsg))?;
    let mut frame = frame(kernel, state, current, (OPEN, kmsg, words))?;
    let names = kernel.quick_names(one, task, &state.numbers)?;
    frame.put_port(names.port(kernel.remote_name(kmsg))?.words())?;
    Body::of(kmsg, words).say(kernel, &names, &mut frame)?;
    let moment = Moment::quickly(kernel, state, current)?;

    let correlation = replies::number(kernel, state, task, (kmsg, ANSWER));
    stamp::put(kernel, state, kmsg, correlation);
    kernel.set_thread_message(thread, kmsg.message_half());
    kernel.set_thread_notify(thread, 0);
    frame.pen().owes_one_more();
    let (asked, _) = kernel.receives(thread);
    frame.set(word::FIRST, pair(first(Direction::Send), asked));
    frame.set(word::DROPPED, 0);
    write(kernel, state, frame, current, (correlation, moment));
    calls.told.keep(kernel, thread);
    Some(())
}
