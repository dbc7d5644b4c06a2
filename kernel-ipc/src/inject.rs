// SPDX-License-Identifier: GPL-2.0-or-later
//! What engines let become of a message that a thread is about to send: nothing else, a failure, a reply that nobody has sent, a delay; or
//! the thread waits for an answer.
//!
//! The message has been copied in and nothing of it is in transit yet. One that is not to be sent is one that cannot be copied in, as far as
//! the kernel knows; what the thread is told instead stands in its draft until the call ends.

use mach_abi::header::bits;
use mach_abi::type_name::PORT_SEND_ONCE;
use trace_port::Direction;
use trace_port::control::stop::place;
use trace_port::control::{Action, what};
use trace_port::record::Part;

use crate::draft::Draft;
use crate::emit;
use crate::engines::{EngineKey, Turn};
use crate::fan_out;
use crate::gnumach::{Kernel, Key, Thread, mr, option};
use crate::hooks::call;
use crate::observe::{self, Event};
use crate::state::State;
use crate::stops::Answer;

/// What a thread is told instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instead {
    /// That `mach_msg` has failed, and how.
    Failure(u32),
    /// A reply with this return code.
    Reply(u32),
}

/// Asks a task's engines what becomes of the message that a draft shows. `true` if it is not to be sent.
#[cold]
#[inline(never)]
pub(crate) fn is_held(kernel: &impl Kernel, state: &State, thread: Thread, draft: &Draft, msgh_id: u32) -> bool {
    let key = kernel.note(draft.record()).key;
    let mut turn = Turn::first(Direction::Send);
    while let Some((engine, action)) = state.next_action(key, &mut turn, msgh_id) {
        let answer = decide(kernel, state, (thread, key), (engine, &action), draft);
        let may_reply = kernel.arguments(thread).option & option::MACH_RCV_MSG != 0;
        match answer.what {
            what::FAIL => {
                put(kernel, draft, Instead::Failure(answer.value));
                return true;
            }
            // Who receives nothing gets no reply.
            what::REPLY if may_reply => {
                put(kernel, draft, Instead::Reply(answer.value));
                return true;
            }
            _ => {}
        }
    }
    false
}

/// What an engine says, where it is to be asked: its answer. A delay is over when this returns.
fn decide(
    kernel: &impl Kernel,
    state: &State,
    (thread, key): (Thread, Key),
    (engine, action): (EngineKey, &Action),
    draft: &Draft,
) -> Answer {
    let mut answer = Answer { what: action.what.get(), value: action.value.get() };
    if answer.what == what::STOP {
        answer = ask(kernel, state, (thread, key), engine, draft);
    }
    if answer.what == what::DELAY && !kernel.thread_is_halting(thread) {
        kernel.sleep(answer.value);
    }
    answer
}

/// The thread waits until the engine answers, lets go, or ends, or until it is ended itself, in which case nothing of the message is sent.
fn ask(kernel: &impl Kernel, state: &State, (thread, key): (Thread, Key), engine: EngineKey, draft: &Draft) -> Answer {
    const GO: Answer = Answer { what: what::GO, value: 0 };
    let number = observe::thread_number(kernel, state, thread);
    let Some(at) = state.stop(kernel, (engine, key), (thread, number)) else { return GO };
    // The wait is prepared for before it is told, so that no answer is missed.
    if !fan_out::tell_stopped(kernel, state, (key, engine), draft, (1, place::BEFORE_SEND)) {
        state.unstop(at);
        return GO;
    }
    loop {
        if kernel.thread_is_halting(thread) {
            state.unstop(at);
            return Answer { what: what::FAIL, value: mr::MACH_SEND_INTERRUPTED };
        }
        if let Some(answer) = state.answered(kernel, at) {
            return answer;
        }
        kernel.wait();
    }
}

/// Where a draft that is not settled yet keeps what its thread is told instead: which it is, and its code.
fn put(kernel: &impl Kernel, draft: &Draft, instead: Instead) {
    let (which, code) = match instead {
        Instead::Failure(code) => (1, code),
        Instead::Reply(code) => (2, code),
    };
    emit::last_part(kernel, draft, |part: &mut Part| {
        part.header.reserved = which.into();
        part.header.retval = code.into();
    });
}

/// What a draft's thread is to be told instead, if its message is not to be sent.
#[inline(always)]
pub(crate) fn instead(kernel: &impl Kernel, draft: &Draft) -> Option<Instead> {
    let mut found = None;
    emit::last_part(kernel, draft, |part: &mut Part| {
        found = match part.header.reserved.get() {
            1 => Some(Instead::Failure(part.header.retval.get())),
            2 => Some(Instead::Reply(part.header.retval.get())),
            _ => None,
        };
    });
    found
}

/// The call is over. A failure is what it returns; a reply is written where the thread waits for one, and shown as one it has received. Returns what
/// the call returns, and the draft.
#[cold]
#[inline(never)]
pub(crate) fn finish(
    kernel: &impl Kernel,
    state: &State,
    thread: Thread,
    (draft, instead): (Draft, Instead),
) -> (u32, Option<Draft>) {
    emit::last_part(kernel, &draft, |part: &mut Part| part.header.reserved = 0.into());
    let code = match instead {
        Instead::Failure(code) => {
            emit::settle(kernel, &draft, code);
            return (code, Some(draft));
        }
        Instead::Reply(code) => code,
    };
    let asked = emit::reply_of(kernel, &draft);
    let reply = reply(asked, code);
    if !kernel.write_received(&reply) {
        emit::settle(kernel, &draft, mr::MACH_MSG_SUCCESS);
        return (mr::MACH_RCV_INVALID_DATA, Some(draft));
    }
    let message_size = reply.len() as u32;
    let event = Event { message_size, ..Event::of_call_apart(kernel, state, thread, Direction::Receive) };
    let draft = call::extend_by(kernel, state, draft, &event, &reply);
    (mr::MACH_MSG_SUCCESS, draft)
}

/// A reply to a request with this reply port's name and id: `mig_reply_error_t`.
fn reply((local, msgh_id): (u32, u32), code: u32) -> [u8; 48] {
    let words = [
        u64::from(bits(0, PORT_SEND_ONCE)) | 48 << 32,
        0,
        u64::from(local),
        u64::from(msgh_id.wrapping_add(mach_abi::header::REPLY_ID_OFFSET)) << 32,
        trace_port::control::INTEGER,
        u64::from(code),
    ];
    let mut bytes = [0; 48];
    for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests;
