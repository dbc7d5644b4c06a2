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
//! The most frequent calls go by a shorter way: [`quick`].
//!
//! What is received is whole by then, and nothing comes between it and the end of the call. All else goes the way of drafts: what has memory or arrays of
//! rights, is large, has many names or one that stands for nothing, what fails, a header alone that may be what a receive gives that fails, requests whose
//! answers another call receives, calls with a notify port, and everything that is no call of the task's own.

pub(crate) mod quick;

use mach_abi::header::LP64;
use mach_abi::port::MACH_PORT_NULL;
use mach_abi::type_name::PROTECTED_PAYLOAD;
use mach_abi::{Format, KernReturn};
use trace_port::port::{self, RECEIVED_ON};
use trace_port::ring::{OPEN, Policy, RECORD};
use trace_port::{Direction, EventKind, record};

use crate::frames::{pair, word};
use crate::gnumach::objects::{COMPLEX, MAKE_SEND_ONCE, local_type, remote_type};
use crate::gnumach::{Kernel, Kmsg, Names, Task, Thread, is_valid, mr, option};
use crate::identity::NamedPort;
use crate::named::{self, Item, Items};
use crate::numbers::{Correlation, HalfCorrelation};
use crate::observe::Event;
use crate::open_call::{Noted, OpenCall};
use crate::recorder;
use crate::replies;
use crate::rings;
use crate::stamp;
use crate::state::State;
use crate::writer::{RecordFrame, Terms, WrittenPort};

/// Most bytes of a message that is written here.
const MOST: u32 = 4096;

/// What the names in a message's header stand for, so far as there are any.
#[derive(Default)]
struct Header {
    remote: Option<NamedPort>,
    local: Option<NamedPort>,
}

/// Writes what the names in a message as its task sees it stand for: the remote one, the local one, which is flagged, and those in its body. Returns those
/// in the header; `None` if there is none at all, if one of them stands for nothing, if nobody can look it up just now, or if there are more than a frame
/// has room for.
#[inline(always)]
fn say(
    kernel: &impl Kernel,
    state: &State,
    frame: &mut RecordFrame<'_>,
    (task, flags): (Task, u8),
    (kmsg, size): (Kmsg, u32),
) -> Option<Header> {
    let names = kernel.names(task, &state.numbers)?;
    let mut header = Header::default();
    let remote_name = kernel.remote_name(kmsg);
    if is_valid(remote_name) {
        let port = names.port(remote_name)?;
        frame.put_port(port.words())?;
        header.remote = Some(port);
    }
    let local_name = kernel.local_name(kmsg);
    if is_valid(local_name) {
        let port = names.port(local_name)?;
        let [first, second] = port.words();
        frame.put_port([first, second | u64::from(flags) << 8])?;
        header.local = Some(port);
    }
    each_in_body(kernel, (kmsg, size), |name| frame.put_port(names.port(name)?.words()))?;
    (frame.count() != 0).then_some(header)
}

/// Shows the names in a message's body.
#[inline(always)]
fn each_in_body(
    kernel: &impl Kernel,
    (kmsg, size): (Kmsg, u32),
    mut show: impl FnMut(u32) -> Option<WrittenPort>,
) -> Option<()> {
    let word = |offset| kernel.message_word(kmsg, offset);
    let mut items = Items::of(size as usize);
    while let Some(Item { start, count, stride }) = items.next(word) {
        for index in 0..count {
            let name = word(start + index * stride) as u32;
            if is_valid(name) {
                show(name)?;
            }
        }
    }
    Some(())
}

/// The current thread, if what its task does goes straight into a ring, and it is in an observed call of which there is no draft; nothing of it may
/// be noted yet but this.
#[inline(always)]
fn current(kernel: &impl Kernel, may: Noted) -> Option<(Thread, Task, OpenCall)> {
    let (thread, call) = OpenCall::current(kernel);
    let task = kernel.thread_task(thread);
    let is_direct = State::is_direct(kernel.task_entry(task)) && call.is_open_and(kernel, may);
    is_direct.then_some((thread, task, call))
}

/// After a successful `copyinmsg`: `true` if the message is in the ring, and nothing is left to do.
#[inline(always)]
pub(crate) fn sent(kernel: &impl Kernel, state: &State, kmsg: Kmsg) -> bool {
    let Some((thread, task, call)) = current(kernel, Noted::Received) else { return false };
    let (bits, message_size) = (kernel.msgh_bits(kmsg), kernel.msgh_size(kmsg));
    if message_size > MOST || bits & COMPLEX != 0 && !carries_little(kernel, (kmsg, message_size)) {
        return false;
    }
    let (asked, rcv_name) = kernel.receives(thread);
    let awaits = asked & option::MACH_RCV_MSG != 0 && rcv_name == kernel.local_name(kmsg);
    let is_request = local_type(bits) == MAKE_SEND_ONCE;
    // What is kept with a reply port is taken back if the request is not sent; that needs the draft. So does a notify port, in whose place it is kept
    // which port the answer comes to.
    if is_request && !awaits || asked & option::WITH_NOTIFY != 0 {
        return false;
    }
    let Some(mut frame) = frame(kernel, state, task, (OPEN, kmsg, message_size)) else { return false };
    let Some(header) = say(kernel, state, &mut frame, (task, 0), (kmsg, message_size)) else { return false };
    let correlation = replies::number(kernel, state, task, (kmsg, bits));
    if is_request {
        kernel.set_thread_awaited(thread, correlation.half());
    }
    if !header.remote.is_some_and(|remote| is_for_kernel_alone(kernel, task, remote.words()[1])) {
        stamp::put(kernel, state, kmsg, correlation);
    }
    kernel.set_thread_message(thread, kmsg.message_half());
    frame.pen().owes_one_more();
    let port = if awaits { header.local } else { None };
    kernel.set_thread_notify(thread, port.map_or(0, |port| number_of_received(port.words())));
    write(kernel, state, frame, (task, thread, Direction::Send), correlation);
    call.told().keep(kernel, thread);
    true
}

/// Whether nobody but the kernel gets a message to this port, for certain, and nobody else is told of it: the task asks something of itself.
#[inline(always)]
fn is_for_kernel_alone(kernel: &impl Kernel, task: Task, remote: u64) -> bool {
    remote == pair(u32::from(port::TASK), kernel.task_number(task).get())
}

/// The number of a port, if it is one that a task receives from; else 0.
#[inline(always)]
fn number_of_received([first, second]: [u64; 2]) -> u32 {
    if second as u8 == port::NONE { (first >> 32) as u32 } else { 0 }
}

/// The port that the current thread receives on, if it is the one that its request in the same call has named. While a
/// request's record is open the thread has not looked for its port since; on a kernel for one processor nothing has come between, and if it
/// sleeps, the port that it sleeps for is that one, whatever becomes of names: the receiver's name for it is compared.
#[inline(always)]
fn reply_port(kernel: &impl Kernel, thread: Thread, call: &OpenCall, kmsg: Kmsg) -> Option<[u64; 2]> {
    let (_, rcv_name) = kernel.receives(thread);
    let number = kernel.thread_notify(thread);
    let is_it = call.is_told()
        && number != 0
        && rcv_name == kernel.local_name(kmsg)
        && kernel.remote_name(kmsg) == 0
        && kernel.for_one().is_some();
    is_it.then_some([pair(rcv_name, number), u64::from(RECEIVED_ON) << 8])
}

/// [`say`] of what is received.
#[inline(always)]
fn say_received(
    kernel: &impl Kernel,
    state: &State,
    frame: &mut RecordFrame<'_>,
    (thread, task, call): (Thread, Task, &OpenCall),
    message: (Kmsg, u32),
) -> Option<()> {
    let Some(known) = reply_port(kernel, thread, call, message.0) else {
        return say(kernel, state, frame, (task, RECEIVED_ON), message).map(|_| ());
    };
    frame.put_port(known)?;
    each_in_body(kernel, message, |name| frame.put_port(port_of(kernel, state, task, name)?.words()))
}

/// What a name stands for.
#[inline(never)]
fn port_of(kernel: &impl Kernel, state: &State, task: Task, name: u32) -> Option<NamedPort> {
    kernel.names(task, &state.numbers)?.port(name)
}

/// After a successful `copyout` of so many bytes: `true` if the message is in the ring, and nothing is left to do.
#[inline(always)]
pub(crate) fn received(kernel: &impl Kernel, state: &State, kmsg: Kmsg, size: u32) -> bool {
    let Some((thread, task, call)) = current(kernel, Noted::Told) else { return false };
    let (bits, message_size) = (kernel.msgh_bits(kmsg), kernel.msgh_size(kmsg));
    let is_whole = size == message_size && size <= MOST && local_type(bits) != PROTECTED_PAYLOAD;
    let is_first = kernel.thread_message(thread) != kmsg.message_half();
    if !is_whole || !is_first || trace_port::is_of_trace_port(kernel.msgh_id(kmsg)) {
        return false;
    }
    let has_header = size > LP64.end as u32 || header_is_received(kernel, (thread, task), kmsg);
    let has_body = bits & COMPLEX == 0 || body_is_received(kernel, (kmsg, size));
    if !has_header || !has_body {
        return false;
    }
    let Some(mut frame) = frame(kernel, state, task, (RECORD, kmsg, size)) else { return false };
    if say_received(kernel, state, &mut frame, (thread, task, &call), (kmsg, size)).is_none() {
        return false;
    }
    let correlation = replies::received(kernel, state, thread, kmsg);
    // What was sent before is settled by it.
    if call.is_told() {
        frame.pen().owes_one_less();
    }
    write(kernel, state, frame, (task, thread, Direction::Receive), correlation);
    kernel.set_thread_message(thread, 0);
    call.received().settled().keep(kernel, thread);
    true
}

/// Whether a message that is no more than a header, and was copied out, has been received for certain. A receive that fails gives a header,
/// too (ipc_kmsg_copyout_dest of ipc/ipc_kmsg.c): if there is not even room for that, if what is to be notified is none, if the space has ended, or if
/// there is no name for a reply port, which is null then, though its type is kept. What the kernel answers at once is larger: it has a return code.
#[inline(never)]
fn header_is_received(kernel: &impl Kernel, (thread, task): (Thread, Task), kmsg: Kmsg) -> bool {
    let (asked, rcv_size) = kernel.receives_with(thread);
    let lacks_reply_port = remote_type(kernel.msgh_bits(kmsg)) != 0 && kernel.remote_name(kmsg) == MACH_PORT_NULL;
    asked & option::MACH_RCV_NOTIFY == 0
        && rcv_size >= LP64.end as u32
        && !lacks_reply_port
        && kernel.space_is_active(task)
}

/// Whether what a complex message carries is rights in the message itself, so that they are told by their names.
#[inline(never)]
fn carries_little(kernel: &impl Kernel, (kmsg, size): (Kmsg, u32)) -> bool {
    named::is_all_inline(size as usize, |offset| kernel.message_word(kmsg, offset))
}

/// Whether the rights in a complex message that was copied out have been received for certain. One that could not be is null, or dead
/// (`ipc_kmsg_copyout_object` of ipc/ipc_kmsg.c), so that each has to have a name; there is nothing else in a body that can fail.
#[inline(never)]
fn body_is_received(kernel: &impl Kernel, (kmsg, size): (Kmsg, u32)) -> bool {
    let word = |offset| kernel.message_word(kmsg, offset);
    let mut items = Items::of(size as usize);
    let mut names = core::iter::from_fn(|| items.next(word))
        .flat_map(|Item { start, count, stride }| (0..count).map(move |index| start + index * stride));
    carries_little(kernel, (kmsg, size)) && names.all(|offset| is_valid(word(offset) as u32))
}

/// Where a record of a task's with so many bytes of a message is written, if it is to be written at once.
#[inline(always)]
fn frame<'a>(
    kernel: &impl Kernel,
    state: &'a State,
    task: Task,
    (kind, kmsg, size): (u32, Kmsg, u32),
) -> Option<RecordFrame<'a>> {
    let bits = State::ring_bits(kernel.task_entry(task));
    let writer = state.rings.writer(kernel, bits)?;
    let policy = if bits == 0 { recorder::policy(writer.ring()?) } else { Policy::Full };
    writer.record(kernel, Terms { bits, policy }, kind, (kmsg, size))
}

/// Writes what is known of the event, and the record is its reader's.
#[inline(always)]
fn write(
    kernel: &impl Kernel,
    state: &State,
    frame: RecordFrame<'_>,
    (task, thread, direction): (Task, Thread, Direction),
    correlation: Correlation,
) {
    frame.set(word::CORRELATION, correlation.get());
    let event = Event::of_call(kernel, state, thread, direction);
    frame.set(word::TIME, event.moment.time);
    frame.set(word::SEQUENCE, event.moment.sequence);
    frame.set(word::THREAD, pair(0, event.thread.get()));
    frame.set(word::TASKS, pair(kernel.task_number(task).get(), event.sender));
    let (asked, notify) = event.asked(kernel);
    frame.set(word::FIRST, pair(first(direction), asked.option));
    frame.set(word::DROPPED, pair(0, asked.rcv_name));
    frame.set(word::TIME_OUT, pair(asked.time_out, notify));
    publish(kernel, state, frame, task);
}

/// The record of a task's is its reader's, who is woken if that is a tracer who sleeps.
#[inline(always)]
fn publish(kernel: &impl Kernel, state: &State, frame: RecordFrame<'_>, task: Task) {
    let ring = frame.publish();
    if State::ring_bits(kernel.task_entry(task)) != 0 {
        rings::wake_for(kernel, state, ring, || task);
    }
}

/// What begins a record of a call.
const fn first(direction: Direction) -> u32 {
    record::VERSION as u32
        | (record::direction_of(direction, Format::Lp64) as u32) << 16
        | (EventKind::Normal as u32) << 24
}

/// Whether what a call has received is in a ring for good. A call that fails all the same is told of besides: where the buffer that the kernel keeps has
/// come to be another's, it copies a message out twice (slow_put of mach_msg_trap), and memory may go meanwhile, on another processor.
#[cold]
pub(crate) fn is_final(kernel: &impl Kernel, thread: Thread, call: &OpenCall) -> bool {
    !call.has_draft() && State::is_direct(kernel.task_entry(kernel.thread_task(thread)))
}

/// Ends a call that ends well, has been received for by the quick way, and is over; whether it is one.
#[inline(always)]
pub(crate) fn end_over(kernel: &impl Kernel, thread: Thread, call: &OpenCall, result: u32) -> bool {
    let is_over = result == mr::MACH_MSG_SUCCESS
        && call.has_only_received(kernel)
        && kernel.thread_awaited(thread).is_none()
        && State::is_direct(kernel.task_entry(kernel.thread_task(thread)));
    if is_over {
        OpenCall::NONE.keep(kernel, thread);
    }
    is_over
}

/// The current thread's call ends, which has no draft, and is not over yet ([`end_over`]): what is still to be ended.
#[inline(never)]
pub(crate) fn end(kernel: &impl Kernel, state: &State, thread: Thread, call: OpenCall, result: u32) -> OpenCall {
    // Of another period it is nothing.
    if call.is_open(kernel) { settle(kernel, state, thread, call, result) } else { call }
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
    put_outcome(kernel, state, thread, if is_sent { mr::MACH_MSG_SUCCESS } else { result });
    call.settled()
}

/// A record that is no frame of this path's says that the thread has received: what it sent before is sent, and no outcome is owed for it any more.
#[inline(always)]
pub(crate) fn settled_by_receipt(kernel: &impl Kernel, state: &State, thread: Thread, call: &OpenCall) {
    if call.is_told()
        && let Some(told) = state.rings.told(State::ring_bits(kernel.task_entry(kernel.thread_task(thread))))
    {
        told.owes_no_more();
    }
}

/// Says what has become of the message of a thread's that is open in a ring.
#[inline(always)]
pub(crate) fn put_outcome(kernel: &impl Kernel, state: &State, thread: Thread, retval: u32) {
    let bits = State::ring_bits(kernel.task_entry(kernel.thread_task(thread)));
    if bits == 0 {
        recorder::put_outcome(state, kernel.thread_number(thread), retval);
    } else if let Some(told) = state.rings.told(bits) {
        rings::outcome(kernel, state, told, thread, retval);
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
