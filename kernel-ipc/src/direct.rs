// SPDX-License-Identifier: GPL-2.0-or-later
//! Tasks of which nobody is told but the machine's recorder, or one tracer that has a ring: what their threads send and receive is written into that
//! where it is copied in and out, with no draft, no memory and no look into the table.
//!
//! Such a task has a bit in the word that leads to its entry: it has no trace port, and its only engine is the recorder, which wants all, or it has
//! one tracer, which wants all and has a ring ([`rings`]), whose key is in the word, too. What finds no room there goes the way of
//! drafts. Who is attached besides takes the bit away under the table's lock; a message that is being copied at that moment is one of before, as to any engine.
//!
//! What is sent is *open* in the ring ([`trace_port::ring::OPEN`]), as nobody knows yet what becomes of it, and nothing that follows has to wait for that. A bit in
//! the thread's word ([`OpenCall::is_told`]) says that an outcome is owed. It is paid by a frame of its own where the call fails, where the
//! thread goes on to receive by another way than the quick one, and where the call ends without a receipt. A receipt needs none: it says that what
//! the thread sent before is sent, and so does the receipt of that message by whom it was handed to.
//!
//! What is received is whole by then, and nothing comes between it and the end of the call; but a header alone is what a receive gives that fails, too,
//! so that such a record is open, and its outcome follows at the end. All else goes the way of drafts: what has rights or memory in it, what is
//! large or has many names, what fails, requests whose answers another call receives, and everything that is no call of the task's own.

use mach_abi::header::LP64;
use mach_abi::type_name::PROTECTED_PAYLOAD;
use mach_abi::{Format, KernReturn};
use trace_port::port::{self, RECEIVED_ON};
use trace_port::ring::{OPEN, RECORD};
use trace_port::{Direction, record};

use crate::frames::Frame;
use crate::gnumach::objects::{COMPLEX, MAKE_SEND_ONCE, local_type};
use crate::gnumach::{Kernel, Kmsg, Names, Task, Thread, mr, option};
use crate::identity::Identity;
use crate::named::{Item, Items};
use crate::numbers::HalfCorrelation;
use crate::observe::{self, Event};
use crate::open_call::OpenCall;
use crate::recorder;
use crate::replies;
use crate::rings::{self, KEPT, RingKey};
use crate::stamp;
use crate::state::State;

/// Most bytes of a message that is written here.
const MOST: u32 = 4096;

/// Most names of one.
const NAMES: usize = 4;

/// `MACH_SEND_MSG | MACH_RCV_MSG`: a call without a notify port.
const RPC: u32 = option::MACH_SEND_MSG | option::MACH_RCV_MSG;

/// What the names in a message stand for, in the words of a [`trace_port::Port`] each.
struct Named {
    ports: [[u64; 2]; NAMES],
    count: usize,
    /// Whether there are more.
    overflows: bool,
    /// The number of the port that the message's local name stands for, if it is one that a task receives from; else 0.
    local: u32,
}

impl Named {
    const NOTHING: Self = Self { ports: [[0; 2]; NAMES], count: 0, overflows: false, local: 0 };

    #[inline(always)]
    fn push(&mut self, name: u32, flags: u8, port: Identity) {
        match self.ports.get_mut(self.count) {
            Some([first, second]) => {
                *first = pair(name, port.number.get());
                *second = pair(u32::from(port.kind) | u32::from(flags) << 8, port.object);
                self.count += 1;
            }
            None => self.overflows = true,
        }
    }

    #[inline(always)]
    fn say(&mut self, names: &impl Names, name: u32, flags: u8) -> Option<Identity> {
        let found = names.look_up(name)?;
        self.push(name, flags, found);
        Some(found)
    }

    #[inline(always)]
    fn ports(&self) -> &[[u64; 2]] {
        self.ports.get(..self.count).unwrap_or(&[])
    }
}

/// A word of two halves.
#[inline(always)]
fn pair(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// The names in a message as its task sees it; those that nobody can look up just now are left out.
#[inline(never)]
fn look_up(
    kernel: &impl Kernel,
    state: &State,
    task: Task,
    (kmsg, size): (Kmsg, u32),
    (named, local_flags): (&mut Named, u8),
) {
    let word = |offset| kernel.message_word(kmsg, offset);
    kernel.with_names(task, &state.numbers, |names| {
        named.say(&names, kernel.remote_name(kmsg), 0);
        let local = named.say(&names, kernel.local_name(kmsg), local_flags);
        named.local = local.filter(|found| found.kind == port::NONE).map_or(0, |found| found.number.get());
        let mut items = Items::of(size as usize);
        while let Some(Item { start, count, stride }) = items.next(word) {
            for index in 0..count {
                if named.overflows {
                    return;
                }
                named.say(&names, word(start + index * stride) as u32, 0);
            }
        }
    });
}

/// The current thread, if it is in an observed call of which there is no draft, and what its task does goes straight into a ring.
#[inline(always)]
fn current(kernel: &impl Kernel) -> Option<(Thread, Task, OpenCall)> {
    let (thread, call) = OpenCall::current(kernel);
    let task = kernel.thread_task(thread);
    let is_direct = State::is_direct(kernel.task_entry(task)) && !call.has_draft() && call.is_open(kernel);
    is_direct.then_some((thread, task, call))
}

/// After a successful `copyinmsg`: `true` if the message is in the ring, and nothing is left to do.
#[inline(never)]
pub(crate) fn sent(kernel: &impl Kernel, state: &State, kmsg: Kmsg) -> bool {
    let Some((thread, task, call)) = current(kernel) else { return false };
    let (bits, message_size) = (kernel.msgh_bits(kmsg), kernel.msgh_size(kmsg));
    if bits & COMPLEX != 0 || message_size > MOST || call.is_told() {
        return false;
    }
    // What is kept with a reply port is taken back if the request is not sent; that needs the draft.
    if local_type(bits) == MAKE_SEND_ONCE && !receives_from(kernel.receives(thread), kernel.local_name(kmsg)) {
        return false;
    }
    let mut named = Named::NOTHING;
    look_up(kernel, state, task, (kmsg, message_size), (&mut named, 0));
    if named.overflows {
        return false;
    }
    let Some(way) = way(kernel, state, task, (OPEN, message_size, named.count)) else { return false };
    let correlation = replies::sent(kernel, state, thread, kmsg);
    stamp::put(kernel, state, kmsg, correlation);
    kernel.set_thread_message(thread, kmsg.message_half());
    let event = Event { message_size, correlation, ..Event::of_call(kernel, state, thread, Direction::Send) };
    write(kernel, state, way, (OPEN, task, kmsg), &event, named.ports());
    keep_reply_port(kernel, thread, kernel.local_name(kmsg), named.local);
    call.told().keep(kernel, thread);
    true
}

fn receives_from((asked, rcv_name): (u32, u32), name: u32) -> bool {
    asked & option::MACH_RCV_MSG != 0 && rcv_name == name
}

/// Keeps which port the answer to a request comes to, in the place of a notify port.
#[inline(always)]
fn keep_reply_port(kernel: &impl Kernel, thread: Thread, name: u32, number: u32) {
    let (asked, rcv_name) = kernel.receives(thread);
    if asked == RPC {
        kernel.set_thread_notify(thread, if rcv_name == name { number } else { 0 });
    }
}

/// The number of the port that the current thread receives on, if it is the one that its request in the same call has named; else 0. While a
/// request's record is open the thread has not looked for its port since; on a kernel for one processor nothing has come between, and if it
/// sleeps, the port that it sleeps for is that one, whatever becomes of names: the receiver's name for it is compared.
#[inline(always)]
fn reply_port(kernel: &impl Kernel, thread: Thread, call: &OpenCall, kmsg: Kmsg) -> u32 {
    let (asked, rcv_name) = kernel.receives(thread);
    let is_it = call.is_told()
        && kernel.is_for_one()
        && asked == RPC
        && rcv_name == kernel.local_name(kmsg)
        && kernel.remote_name(kmsg) == 0;
    if is_it { kernel.thread_notify(thread) } else { 0 }
}

/// After a successful `copyout` of so many bytes: `true` if the message is in the ring, and nothing is left to do but, for some, to say what
/// the call returns.
#[inline(never)]
pub(crate) fn received(kernel: &impl Kernel, state: &State, kmsg: Kmsg, size: u32) -> bool {
    let Some((thread, task, call)) = current(kernel) else { return false };
    let (bits, message_size) = (kernel.msgh_bits(kmsg), kernel.msgh_size(kmsg));
    let is_plain = bits & COMPLEX == 0 && local_type(bits) != PROTECTED_PAYLOAD;
    let is_whole = size == message_size && size <= MOST;
    let is_first = !call.has_received() && kernel.thread_message(thread) != kmsg.message_half();
    if !is_plain || !is_whole || !is_first || trace_port::is_of_trace_port(kernel.msgh_id(kmsg)) {
        return false;
    }
    let mut named = Named::NOTHING;
    let mut known = [[0, u64::from(RECEIVED_ON) << 8]];
    let number = reply_port(kernel, thread, &call, kmsg);
    let ports = if number != 0 && Items::of(size as usize).next(|at| kernel.message_word(kmsg, at)).is_none() {
        known[0][0] = pair(kernel.local_name(kmsg), number);
        &known[..]
    } else {
        look_up(kernel, state, task, (kmsg, size), (&mut named, RECEIVED_ON));
        if named.overflows {
            return false;
        }
        named.ports()
    };
    // A header alone is what a receive gives that fails, too.
    let kind = if size > LP64.end as u32 { RECORD } else { OPEN };
    let Some(way) = way(kernel, state, task, (kind, message_size, ports.len())) else { return false };
    let correlation = replies::received(kernel, state, thread, kmsg);
    let event = Event { message_size, correlation, ..Event::of_call(kernel, state, thread, Direction::Receive) };
    // What was sent before is settled by it.
    settled_by_receipt(kernel, state, thread, &call);
    write(kernel, state, way, (kind, task, kmsg), &event, ports);
    kernel.set_thread_message(thread, 0);
    let received = call.received().settled();
    (if kind == OPEN { received.told() } else { received }).keep(kernel, thread);
    true
}

/// Where a record of a task's is written.
struct Way<'a> {
    frame: Frame<'a>,
    /// A tracer's ring; none is the recorder's.
    ring: Option<RingKey>,
    /// So many bytes of the message.
    captured: u32,
}

/// That of a task, if it is to be written at once: a frame of this kind with a message of so many bytes and so many ports.
#[inline(always)]
fn way<'a>(
    kernel: &impl Kernel,
    state: &'a State,
    task: Task,
    (kind, bytes, ports): (u32, u32, usize),
) -> Option<Way<'a>> {
    let bits = State::ring_bits(kernel.task_entry(task));
    let size = |captured: u32| record::part_size(captured as usize, ports) as u64;
    if bits == 0 {
        let captured = bytes.min(state.recorder.bytes());
        let frame = recorder::sink(kernel, state)?.begin(kind, size(captured), 0)?;
        return Some(Way { frame, ring: None, captured });
    }
    let ring = state.rings.told(bits)?;
    let frame = state.rings.direct(kernel, ring)?.begin(kind, size(bytes), KEPT)?;
    Some(Way { frame, ring: Some(ring), captured: bytes })
}

/// Writes a record.
#[inline(always)]
fn write(
    kernel: &impl Kernel,
    state: &State,
    way: Way<'_>,
    (kind, task, kmsg): (u32, Task, Kmsg),
    event: &Event,
    ports: &[[u64; 2]],
) {
    let Way { frame, ring, captured } = way;
    let (asked, notify) = event.asked(kernel);
    let first = u32::from(record::VERSION)
        | u32::from(record::direction_of(event.direction, Format::Lp64)) << 16
        | (event.kind as u32) << 24;
    let head = [
        record::HEADER_TYPE,
        pair(first, asked.option),
        pair(0, event.thread.get()),
        event.moment.sequence,
        event.correlation.get(),
        event.moment.time,
        pair(event.message_size, captured),
        pair(0, asked.rcv_name),
        pair(asked.time_out, notify),
        pair(kernel.task_number(task).get(), event.sender),
        pair(ports.len() as u32, 0),
        record::body_type(record::carried(captured as usize, ports.len()) as u32),
    ];
    let memory = frame.ring();
    frame.write(kernel, head, (kmsg, captured as usize), ports);
    if let Some(ring) = ring {
        state.rings.owes(ring, kind);
        // The same task, which is not kept until here for what is rare.
        rings::wake(kernel, memory, || state.right_to_ring(kernel, observe::current_task(kernel), ring));
    }
}

/// Whether a call that ends well has been received for by the quick way, and is over.
#[inline(always)]
fn is_over(kernel: &impl Kernel, thread: Thread, call: &OpenCall, result: u32) -> bool {
    result == mr::MACH_MSG_SUCCESS
        && call.has_only_received(kernel)
        && kernel.thread_awaited(thread).is_none()
        && State::is_direct(kernel.task_entry(kernel.thread_task(thread)))
}

/// The current thread's call ends, which has no draft: nothing if that is all, else the call that is still to be ended.
#[inline(never)]
pub(crate) fn end(
    kernel: &impl Kernel,
    state: &State,
    thread: Thread,
    call: OpenCall,
    result: u32,
) -> Option<OpenCall> {
    if is_over(kernel, thread, &call, result) {
        OpenCall::NONE.keep(kernel, thread);
        return None;
    }
    // Of another period it is nothing.
    Some(if call.is_open(kernel) { settle(kernel, state, thread, call, result) } else { call })
}

/// What has become of a thread's message, if that is owed: what the call returns; of one that is sent, success where that is of the receive
/// half.
#[inline(always)]
pub(crate) fn settle(kernel: &impl Kernel, state: &State, thread: Thread, call: OpenCall, result: u32) -> OpenCall {
    if call.is_told() { settle_told(kernel, state, thread, call, result) } else { call }
}

#[inline(never)]
fn settle_told(kernel: &impl Kernel, state: &State, thread: Thread, call: OpenCall, result: u32) -> OpenCall {
    let is_sent = result == mr::MACH_MSG_SUCCESS || KernReturn::from_mach_msg(result).is_of_receive();
    if !is_sent {
        unanswered(kernel, thread, result);
    }
    let retval = if is_sent && !call.has_received() { mr::MACH_MSG_SUCCESS } else { result };
    put_outcome(kernel, state, thread, retval);
    call.settled()
}

/// A record that is no frame of this path's says that the thread has received: what it sent before is sent, and no outcome is owed for it any more.
#[inline(always)]
pub(crate) fn settled_by_receipt(kernel: &impl Kernel, state: &State, thread: Thread, call: &OpenCall) {
    if call.is_told()
        && let Some(ring) = state.rings.told(State::ring_bits(kernel.task_entry(kernel.thread_task(thread))))
    {
        state.rings.owes_no_more(ring);
    }
}

/// Says what has become of the message of a thread's that is open in a ring.
#[inline(always)]
pub(crate) fn put_outcome(kernel: &impl Kernel, state: &State, thread: Thread, retval: u32) {
    let bits = State::ring_bits(kernel.task_entry(kernel.thread_task(thread)));
    if bits == 0 {
        recorder::put_outcome(kernel, state, kernel.thread_number(thread), retval);
    } else if let Some(ring) = state.rings.told(bits) {
        rings::outcome(kernel, state, ring, thread, retval);
    }
}

/// Of a message that is not sent no answer is to come; of one that is only to be sent later another call will receive it.
#[cold]
fn unanswered(kernel: &impl Kernel, thread: Thread, result: u32) {
    if result != mr::MACH_SEND_WILL_NOTIFY {
        kernel.set_thread_awaited(thread, HalfCorrelation::NONE);
    } else if !kernel.thread_awaited(thread).is_none() {
        replies::put_off(kernel, thread);
    }
}

#[cfg(test)]
pub(crate) mod tests;
