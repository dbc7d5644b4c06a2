// SPDX-License-Identifier: GPL-2.0-or-later
//! Where messages cross the border of the kernel: `copyinmsg`, `copyout`, and `ipc_kmsg_copyout_body` where it fails.

use trace_port::Direction;

use super::call;
use crate::emit::Content;
use crate::gnumach::{Kernel, Kmsg, Thread, mr};
use crate::numbers::HalfCorrelation;
use crate::observe::Event;
use crate::open_call::OpenCall;
use crate::state::State;
use crate::{direct, inject, light, replies, stamp};

/// What `copyinmsg` and `copyout` answer where all went well.
const COPIED: i32 = 0;

/// What they answer where it did not.
const NOT_COPIED: i32 = 1;

/// After a successful `copyinmsg`: the kmsg holds the message exactly as the task sends it. Returns what the kernel is to be told.
#[inline(never)]
pub(crate) fn copied_in(kernel: &impl Kernel, state: &State, kmsg: Kmsg) -> i32 {
    let (thread, mut call) = OpenCall::current(kernel);
    // The trace may have ended within the call, and another have begun, which sees the next one.
    if !call.is_open(kernel) {
        match unseen(kernel, state, (thread, call), kmsg) {
            Some(open) => call = open,
            None => return COPIED,
        }
    }
    if call.has_draft() {
        copied_in_again(kernel, thread, call)
    } else if kernel.task_entry(kernel.thread_task(thread)) != 0 {
        send(kernel, state, (thread, call), kmsg)
    } else {
        COPIED
    }
}

/// In a call that is not open: the same, open now, if the message is wanted after all.
#[cold]
#[inline(never)]
fn unseen(kernel: &impl Kernel, state: &State, (thread, call): (Thread, OpenCall), kmsg: Kmsg) -> Option<OpenCall> {
    if call.is_light() {
        let open = light::open_if_wanted(kernel, state, (thread, call), kernel.msgh_id(kmsg));
        if open.is_none() {
            // As of an untraced thread.
            kernel.set_thread_message(thread, kmsg.message_half());
            kernel.set_thread_awaited(thread, HalfCorrelation::new(kernel.period()));
        }
        return open;
    }
    // Of an earlier period: the stubs need not lead here again.
    call.forgotten().keep(kernel, thread);
    None
}

/// A message that is not to be sent is copied in twice: `mach_msg_trap` tries it another way.
#[cold]
fn copied_in_again(kernel: &impl Kernel, thread: Thread, call: OpenCall) -> i32 {
    let bare = call.bare();
    let draft = call.into_draft();
    let is_held = draft.as_ref().is_some_and(|draft| inject::instead(kernel, draft).is_some());
    bare.with_draft(kernel, draft).keep(kernel, thread);
    if is_held { NOT_COPIED } else { COPIED }
}

#[inline(always)]
fn send(kernel: &impl Kernel, state: &State, (thread, call): (Thread, OpenCall), kmsg: Kmsg) -> i32 {
    let correlation = replies::sent(kernel, state, thread, kmsg);
    stamp::put(kernel, state, kmsg, correlation);
    kernel.set_thread_message(thread, kmsg.message_half());
    let message_size = kernel.msgh_size(kmsg);
    let event = Event { message_size, correlation, ..Event::of_call(kernel, state, thread, Direction::Send) };
    let draft = call::open(kernel, state, &event, Content::seen(kernel, kmsg, message_size));
    let mut copied = COPIED;
    if state.has_actions()
        && let Some(draft) = &draft
        && inject::is_held(kernel, state, thread, draft, kernel.msgh_id(kmsg))
    {
        // It is none that waits to be sent.
        kernel.set_thread_message(thread, 0);
        copied = NOT_COPIED;
    }
    call.bare().with_draft(kernel, draft).keep(kernel, thread);
    copied
}

/// After `copyout` of the first `size` bytes of a kmsg: what the task receives. A message that cannot be copied out at first is
/// copied out again, and one that could not be sent goes back to its sender the same way. `exception_raise` makes its message for a
/// receiver it hands over to in a buffer that may hold a stamp of an earlier one: see [`stamp`]. Returns `answer`, what `copyout` has
/// answered.
#[inline(never)]
pub(crate) fn copied_out(kernel: &impl Kernel, state: &State, kmsg: Kmsg, size: u32, answer: i32) -> i32 {
    let (thread, mut call) = OpenCall::current(kernel);
    if !call.is_open(kernel) {
        match light::open_if_wanted(kernel, state, (thread, call), kernel.msgh_id(kmsg)) {
            Some(open) => call = open,
            None => return answer,
        }
    }
    if !call.has_received() && kernel.thread_message(thread) != kmsg.message_half() {
        receive(kernel, state, (thread, call), kmsg, size);
    }
    answer
}

#[inline(always)]
fn receive(kernel: &impl Kernel, state: &State, (thread, call): (Thread, OpenCall), kmsg: Kmsg, size: u32) {
    // A record that a tracer receives is no event: of two tasks that trace each other, each record would make another.
    if is_record(kernel, kmsg) {
        kernel.set_thread_message(thread, 0);
        return call.received().keep(kernel, thread);
    }
    let correlation = replies::received(kernel, state, thread, kmsg);
    let message_size = kernel.msgh_size(kmsg);
    let event = Event { message_size, correlation, ..Event::of_call(kernel, state, thread, Direction::Receive) };
    direct::settled_by_receipt(kernel, state, thread, &call);
    let received = call.bare().received();
    let draft = call::extend(kernel, state, call.into_draft(), &event, Content::seen(kernel, kmsg, size));
    kernel.set_thread_message(thread, 0);
    received.with_draft(kernel, draft).keep(kernel, thread);
}

fn is_record(kernel: &impl Kernel, kmsg: Kmsg) -> bool {
    trace_port::is_of_trace_port(kernel.msgh_id(kmsg)) && kernel.record_room(kmsg).is_some()
}

/// After `copyout` of a size alone: the message is larger than the buffer and stays queued.
#[inline(never)]
pub(crate) fn size_copied_out(kernel: &impl Kernel, state: &State, message_size: u32) {
    let (thread, mut call) = OpenCall::current(kernel);
    if call.is_light() {
        call = light::open(kernel, thread, &call);
    }
    if call.is_open(kernel) {
        let event = Event { message_size, ..Event::of_call_apart(kernel, state, thread, Direction::Receive) };
        direct::settled_by_receipt(kernel, state, thread, &call);
        let received = call.bare().received();
        let draft = call::extend_apart(kernel, state, call.into_draft(), &event);
        received.with_draft(kernel, draft).keep(kernel, thread);
    }
}

/// `ipc_kmsg_copyout_body` has failed in `mach_msg_trap`, which gives the thread what there is and returns past the exits: the
/// call ends here.
#[cold]
#[inline(never)]
pub(crate) fn body_failed(kernel: &impl Kernel, state: &State, kmsg: Kmsg, result: u32) {
    copied_out(kernel, state, kmsg, kernel.msgh_size(kmsg), COPIED);
    call::finish_in_call(kernel, state, result | mr::MACH_RCV_BODY_ERROR);
}

#[cfg(test)]
mod tests;
