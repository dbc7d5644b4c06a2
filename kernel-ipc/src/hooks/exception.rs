// SPDX-License-Identifier: GPL-2.0-or-later
//! `exception_raise` and `exception_parse_reply`: the exceptions of a traced task's threads, and what became of them.
//!
//! The kernel makes the request only after this, and not at all where it hands over to the server's thread directly. So the
//! record shows the message it is about to make.

use mach_abi::Descriptor;
use mach_abi::header::bits;
use mach_abi::type_name::{INTEGER_32, INTEGER_64};
use trace_port::record::{BODY_OFFSET, Prefix, TASK_TYPE};
use trace_port::{Direction, EventKind};

use super::handoff;
use crate::conceal::{self, Author};
use crate::deliver;
use crate::draft::Draft;
use crate::emit::{self, Content};
use crate::gnumach::objects::{COMPLEX, PORT_SEND, PORT_SEND_ONCE};
use crate::gnumach::{InTransit, Kernel, MaybePort, Record};
use crate::named::Ports;
use crate::observe::{self, Event, Moment};
use crate::open_call::OpenCall;
use crate::quiet::Wait;
use crate::state::State;

/// `msgh_id` of exception_raise of exc.defs.
const EXCEPTION_RAISE: u64 = 2400;
/// `sizeof (struct mach_exception)` in 64-bit words.
const WORDS: usize = 14;
/// Rights in it.
const PORTS: usize = 3;
/// The type descriptor of one integer of 32 bits.
const INT_TYPE: u64 = Descriptor::inline(INTEGER_32, 32, 1).to_word();
/// The type descriptor of one integer of 64 bits.
const LONG_TYPE: u64 = Descriptor::inline(INTEGER_64, 64, 1).to_word();

/// Arguments of `exception_raise`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raised {
    /// The exception port.
    pub(crate) port: MaybePort,
    /// The thread's control port.
    pub(crate) thread: MaybePort,
    /// The task's control port.
    pub(crate) task: MaybePort,
    /// `EXC_*`.
    pub(crate) exception: i32,
    /// Depends on the exception.
    pub(crate) code: i32,
    /// Depends on the exception.
    pub(crate) subcode: i64,
}

/// Before the current thread's exception is sent.
#[inline(never)]
pub(crate) fn raised(kernel: &impl Kernel, state: &State, raised: &Raised) {
    let task = observe::current_task(kernel);
    if kernel.task_entry(task) == 0 {
        return;
    }
    let correlation = state.next_correlation();
    let thread = observe::current_thread(kernel, state);
    state.links.raised(thread, correlation);
    let message_size = 8 * WORDS as u32;
    let event = Event {
        message_size,
        correlation,
        ..Event::other(Direction::Send, kind(kernel), thread, Moment::now_apart(kernel, state))
    };
    if let Some(draft) = emit::draft(kernel, state, &event, Content::reserved(8 * WORDS, PORTS)) {
        let ports = show(kernel, state, draft.record(), raised);
        emit::with_ports(kernel, draft.record(), 8 * WORDS, ports);
        deliver::queue(kernel, state, draft, Wait::AtExit);
    }
}

/// Writes the message that the kernel is about to make.
#[inline(never)]
fn show(kernel: &impl Kernel, state: &State, record: Record, raised: &Raised) -> usize {
    let mut ports = Ports::behind(record, size_of::<Prefix>(), 8 * WORDS, PORTS);
    let task = observe::current_task(kernel);
    let word = |index: usize, value: u64| kernel.record_write(record, BODY_OFFSET + 8 * index, &value.to_le_bytes());
    let mut port = |index: usize, port: MaybePort| word(index, conceal::show(kernel, state, task, &mut ports, port, 0));
    word(0, u64::from(COMPLEX | bits(PORT_SEND, PORT_SEND_ONCE)) | (8 * WORDS as u64) << 32);
    port(1, raised.port);
    // The reply port may not exist yet.
    word(2, 0);
    word(3, EXCEPTION_RAISE << 32);
    word(4, TASK_TYPE);
    port(5, raised.thread);
    word(6, TASK_TYPE);
    port(7, raised.task);
    word(8, INT_TYPE);
    word(9, u64::from(raised.exception as u32));
    word(10, INT_TYPE);
    word(11, u64::from(raised.code as u32));
    word(12, LONG_TYPE);
    word(13, raised.subcode as u64);
    ports.count()
}

/// Records a reply once the kernel has read it: `parse` consumes it and says whether the exception was handled. The thread may have
/// taken the processor from the sender of the reply.
pub(crate) fn replied(kernel: &impl Kernel, state: &State, reply: InTransit, parse: impl FnOnce() -> u32) -> u32 {
    let (thread, call) = OpenCall::current(kernel);
    if call.has_to_flush() {
        call.without_flush().keep(kernel, thread);
        handoff::flush(kernel, state);
    }
    if !state.any_traced() {
        return parse();
    }
    let draft = start(kernel, state, reply);
    let result = parse();
    if let Some(draft) = draft {
        emit::settle(kernel, &draft, result);
        deliver::queue(kernel, state, draft, Wait::AtExit);
    }
    result
}

#[inline(never)]
fn start(kernel: &impl Kernel, state: &State, reply: InTransit) -> Option<Draft> {
    let thread = observe::current_thread(kernel, state);
    let correlation = state.links.replied(thread);
    let message_size = kernel.msgh_size(reply.kmsg());
    let event = Event {
        message_size,
        correlation,
        ..Event::other(Direction::Receive, kind(kernel), thread, Moment::now_apart(kernel, state))
    };
    let draft = emit::draft_transit(kernel, state, &event, reply)?;
    Some(draft.conceal(kernel, state, observe::current_task(kernel), Author::User))
}

fn kind(kernel: &impl Kernel) -> EventKind {
    match kernel.exception_is_threads(kernel.current_thread()) {
        true => EventKind::ThreadException,
        false => EventKind::TaskException,
    }
}

#[cfg(test)]
mod tests;
