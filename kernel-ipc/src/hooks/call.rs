// SPDX-License-Identifier: GPL-2.0-or-later
//! A traced thread's `mach_msg` from its begin to its end: `mach_msg_trap`, `thread_syscall_return`, `mach_msg_interrupt`.

use mach_abi::KernReturn;
use trace_port::{Direction, ring};

use super::handoff;
use crate::arrays;
use crate::deliver;
use crate::direct;
use crate::draft::Draft;
use crate::emit::{self, Content};
use crate::fan_out;
use crate::gnumach::{Kernel, Task, Thread, mr};
use crate::inject;
use crate::light;
use crate::lost;
use crate::numbers::HalfCorrelation;
use crate::observe::{self, Event};
use crate::open_call::OpenCall;
use crate::quiet::{self, Wait};
use crate::replies;
use crate::state::State;

/// A trace begins: of the task's threads those that sleep in a receive are in a call that will be seen to end; all others will be
/// in one with their next.
pub(crate) fn join(kernel: &impl Kernel, task: Task) {
    kernel.look_at_threads(task, |thread, receives| {
        let call = OpenCall::of(kernel, thread);
        // One with a draft has been in a call of an earlier trace all the time.
        if !call.has_draft() {
            let joined = if receives { OpenCall::open(kernel) } else { OpenCall::NONE };
            // What others left for it, traced or not, it still has to queue.
            (if call.has_to_flush() { joined.flushing() } else { joined }).keep(kernel, thread);
            kernel.set_thread_message(thread, 0);
            kernel.set_thread_awaited(thread, HalfCorrelation::NONE);
        }
    });
}

/// The current thread begins a call though its last one has not been seen to end. No path of the kernel's is known that leads here;
/// of a call whose end nobody saw the outcome cannot be told, so that its records are lost ones.
#[cold]
#[inline(never)]
pub(crate) fn begin_again(kernel: &impl Kernel, state: &State) {
    let (thread, call) = OpenCall::current(kernel);
    let call = if call.has_to_flush() { flush(kernel, state, thread, call) } else { call };
    let is_told = call.is_told();
    if let Some(draft) = call.into_draft() {
        lost::lose_for_all(kernel, state, draft);
        state.draft_closed(kernel);
    } else if is_told {
        direct::put_outcome(kernel, state, thread, ring::UNKNOWN);
    }
    kernel.set_thread_message(thread, 0);
}

/// The current thread's message is sent: the record goes to the tracer while the call goes on to receive.
#[inline(never)]
pub(crate) fn sent(kernel: &impl Kernel, state: &State) {
    let (thread, call) = OpenCall::current(kernel);
    kernel.set_thread_message(thread, 0);
    let without = call.without_draft(kernel);
    if !call.has_draft() {
        if call.is_told() {
            direct::settle(kernel, state, thread, call, mr::MACH_MSG_SUCCESS).keep(kernel, thread);
        }
    } else if !call.has_received()
        && let Some(draft) = call.into_draft()
    {
        emit::settle(kernel, &draft, mr::MACH_MSG_SUCCESS);
        without.keep(kernel, thread);
        deliver::post(kernel, state, draft, Wait::InCall);
    }
}

/// The current thread's call is over and returns `result`, or what this returns: see [`inject`]. Its records are queued, and the thread waits for
/// its tracer here.
pub(crate) fn finish(kernel: &impl Kernel, state: &State, result: u32) -> u32 {
    end(kernel, state, result, Wait::AtExit)
}

/// The current thread's call will be over, with `result`, without a site that sees it.
pub(crate) fn finish_in_call(kernel: &impl Kernel, state: &State, result: u32) {
    end(kernel, state, result, Wait::InCall);
}

#[inline(always)]
fn end(kernel: &impl Kernel, state: &State, result: u32, wait: Wait) -> u32 {
    let (thread, call) = OpenCall::current(kernel);
    if call.has_draft() {
        end_call(kernel, state, result, wait)
    } else if direct::end_over(kernel, thread, &call, result) {
        result
    } else {
        end_without_draft(kernel, state, result, wait)
    }
}

#[inline(never)]
fn end_without_draft(kernel: &impl Kernel, state: &State, result: u32, wait: Wait) -> u32 {
    let (thread, call) = OpenCall::current(kernel);
    let call = direct::end(kernel, state, thread, call, result);
    if direct::end_over(kernel, thread, &call, result) {
        return result;
    }
    call.keep(kernel, thread);
    end_call(kernel, state, result, wait)
}

#[inline(never)]
fn end_call(kernel: &impl Kernel, state: &State, result: u32, wait: Wait) -> u32 {
    let (thread, call) = OpenCall::current(kernel);
    OpenCall::NONE.keep(kernel, thread);
    let mut call = if call.has_to_flush() { flush(kernel, state, thread, call) } else { call };
    if !call.is_open(kernel) {
        match light::failed(kernel, thread, &call, result) {
            Some(open) => call = open,
            None => return result,
        }
    }
    let (result, last) = if result == mr::MACH_MSG_SUCCESS || KernReturn::from_mach_msg(result).is_of_receive() {
        (result, received(kernel, state, thread, call, result))
    } else {
        failed_to_send(kernel, state, thread, call, result)
    };
    kernel.set_thread_message(thread, 0);
    if let Some(draft) = last {
        deliver::queue_at_exit(kernel, state, draft, wait);
        state.draft_closed(kernel);
    } else {
        // Lost, not wanted, or the trace has ended.
        light::rest(kernel, thread);
    }
    result
}

/// What others have left to be queued, and what was put aside for this call.
#[inline(always)]
fn flush(kernel: &impl Kernel, state: &State, thread: Thread, call: OpenCall) -> OpenCall {
    handoff::flush(kernel, state);
    if state.aside.is_empty() { call } else { arrays::settle(kernel, state, thread, call) }
}

/// What is left to queue where everything was sent.
fn received(kernel: &impl Kernel, state: &State, thread: Thread, call: OpenCall, result: u32) -> Option<Draft> {
    if !kernel.thread_awaited(thread).is_none() {
        replies::put_off(kernel, thread);
    }
    if result != mr::MACH_MSG_SUCCESS && (!call.has_received() || direct::is_final(kernel, thread, &call)) {
        return without_message(kernel, state, thread, call, result);
    }
    let draft = call.into_draft()?;
    emit::settle(kernel, &draft, result);
    Some(draft)
}

/// A receive that failed before there was a message.
#[cold]
#[inline(never)]
fn without_message(kernel: &impl Kernel, state: &State, thread: Thread, call: OpenCall, result: u32) -> Option<Draft> {
    let event = Event::of_call_apart(kernel, state, thread, Direction::Receive);
    let draft = extend_apart(kernel, state, call.into_draft(), &event)?;
    emit::settle(kernel, &draft, result);
    Some(draft)
}

/// A message that is not sent, or is only to be sent later.
#[cold]
#[inline(never)]
fn failed_to_send(
    kernel: &impl Kernel,
    state: &State,
    thread: Thread,
    call: OpenCall,
    result: u32,
) -> (u32, Option<Draft>) {
    if call.has_received() {
        return given_back(kernel, state, call, result);
    }
    let draft = match call.into_draft() {
        // Its record was lost.
        None if kernel.thread_message(thread) != 0 => None,
        None => never_copied_in(kernel, state, thread),
        draft => draft,
    };
    let Some(draft) = draft else { return (result, None) };
    if result != mr::MACH_SEND_WILL_NOTIFY {
        let (correlation, bits, local_name) = emit::shown(kernel, &draft);
        replies::cancel(kernel, thread, correlation, bits, local_name);
    } else if !kernel.thread_awaited(thread).is_none() {
        replies::put_off(kernel, thread);
    }
    if let Some(instead) = inject::instead(kernel, &draft) {
        return inject::finish(kernel, state, thread, (draft, instead));
    }
    emit::settle(kernel, &draft, result);
    (result, Some(draft))
}

/// A message that nobody wanted could not be sent, and was wanted when it was given back, which looked like a receive.
fn given_back(kernel: &impl Kernel, state: &State, call: OpenCall, result: u32) -> (u32, Option<Draft>) {
    if let Some(draft) = call.into_draft() {
        quiet::discard(kernel, draft.into_memory());
        state.draft_closed(kernel);
    }
    (result, None)
}

#[inline(never)]
fn never_copied_in(kernel: &impl Kernel, state: &State, thread: Thread) -> Option<Draft> {
    let message_size = kernel.arguments(thread).send_size;
    let event = Event { message_size, ..Event::of_call_apart(kernel, state, thread, Direction::Send) };
    open(kernel, state, &event, Content::NOTHING)
}

/// A new draft of the current thread's call.
#[inline(always)]
pub(crate) fn open(kernel: &impl Kernel, state: &State, event: &Event, content: Content) -> Option<Draft> {
    // Counted first: making a record may sleep, and the trace end meanwhile.
    state.draft_opened();
    let draft = emit::draft(kernel, state, event, content);
    match &draft {
        Some(draft) => say_names(kernel, state, draft, event, content),
        None => state.draft_closed(kernel),
    }
    draft
}

/// What the names in the message that the current thread sends or receives stand for.
#[inline(always)]
fn say_names(kernel: &impl Kernel, state: &State, draft: &Draft, event: &Event, content: Content) {
    let task = observe::current_task(kernel);
    emit::say_names(kernel, state, draft, (task, event.direction), content);
}

/// A record of the receive half: in the message of the request's, which is settled, if there is one with room, else in its own.
#[inline(always)]
pub(crate) fn extend(
    kernel: &impl Kernel,
    state: &State,
    request: Option<Draft>,
    event: &Event,
    content: Content,
) -> Option<Draft> {
    let Some(request) = request else { return open(kernel, state, event, content) };
    emit::settle(kernel, &request, mr::MACH_MSG_SUCCESS);
    if emit::has_room(kernel, &request, content) {
        emit::add(kernel, &request, event, content);
        say_names(kernel, state, &request, event, content);
        return Some(request);
    }
    let is_answer = fan_out::asks_kernel(kernel, &request);
    deliver::post(kernel, state, request, Wait::InCall);
    let draft = open(kernel, state, event, content);
    if is_answer && let Some(draft) = &draft {
        fan_out::answers_kernel_call(kernel, draft);
    }
    draft
}

/// Adds a message that the task is given by an engine to a request's draft, which was not sent: as [`extend`] does, with these bytes.
#[cold]
#[inline(never)]
pub(crate) fn extend_by(
    kernel: &impl Kernel,
    state: &State,
    request: Draft,
    event: &Event,
    message: &[u8],
) -> Option<Draft> {
    let content = Content::reserved(message.len(), 2);
    emit::settle(kernel, &request, mr::MACH_MSG_SUCCESS);
    let draft = if emit::has_room(kernel, &request, content) {
        emit::add(kernel, &request, event, content);
        request
    } else {
        deliver::post(kernel, state, request, Wait::InCall);
        state.draft_opened();
        match emit::draft(kernel, state, event, content) {
            Some(draft) => draft,
            None => {
                state.draft_closed(kernel);
                return None;
            }
        }
    };
    emit::write_message(kernel, &draft, message);
    say_names(kernel, state, &draft, event, content);
    emit::settle(kernel, &draft, mr::MACH_MSG_SUCCESS);
    Some(draft)
}

/// Adds an event without content to a request's draft as [`extend`] does, where it need not be quick.
#[cold]
#[inline(never)]
pub(crate) fn extend_apart(
    kernel: &impl Kernel,
    state: &State,
    request: Option<Draft>,
    event: &Event,
) -> Option<Draft> {
    extend(kernel, state, request, event, Content::NOTHING)
}

/// `mach_msg_interrupt` has ended the receive of a sleeping thread, none of whose code will run. In whoever stops the thread, who must
/// not wait for its tracer.
#[inline(never)]
pub(crate) fn interrupted(kernel: &impl Kernel, state: &State, thread: Thread) {
    let call = OpenCall::of(kernel, thread);
    OpenCall::NONE.keep(kernel, thread);
    if !call.is_open(kernel) && light::failed(kernel, thread, &call, mr::MACH_RCV_INTERRUPTED).is_none() {
        return;
    }
    direct::settle(kernel, state, thread, call, mr::MACH_RCV_INTERRUPTED);
    if !kernel.thread_awaited(thread).is_none() {
        replies::put_off(kernel, thread);
    }
    let event = Event::of_call_apart(kernel, state, thread, Direction::Receive);
    let task = kernel.thread_task(thread);
    if let Some(draft) = emit::draft_of(kernel, state, task, &event, Content::NOTHING) {
        emit::say_names(kernel, state, &draft, (task, event.direction), Content::NOTHING);
        emit::settle(kernel, &draft, mr::MACH_RCV_INTERRUPTED);
        deliver::queue(kernel, state, draft, Wait::Never);
    }
}

#[cfg(test)]
mod tests;
