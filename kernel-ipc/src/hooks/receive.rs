//! The receive half of a traced task's `mach_msg`, and the continuations of receivers that slept.

use trace_port::{Direction, EventKind};

use super::message::MachMsg;
use crate::emit::{self, Content, Draft};
use crate::gnumach::objects::{PORT_SEND_ONCE, remote_type};
use crate::gnumach::{Continuation, Kernel, Kmsg, Receive, Received, mr, option};
use crate::observe::{self, Call};
use crate::state::State;

/// `sizeof (mach_msg_header_t)`.
const HEADER_SIZE: u32 = 32;
/// `msgh_seqno`, before `msgh_id`.
const MSGH_SEQNO: usize = 24;

/// Stands in for `mach_msg_receive`. Does not return if the thread has to sleep.
#[inline(never)]
pub fn receive(kernel: &impl Kernel, state: &State, args: &MachMsg) -> u32 {
    let (mqueue, object) = match kernel.ipc_mqueue_copyin(args.rcv_name) {
        Ok(found) => found,
        Err(result) => {
            let call = call(kernel, state, args.option, args.rcv_name, args.time_out, args.notify, 0);
            failed(kernel, state, &call, result);
            return result;
        }
    };
    let receive = Receive {
        msg: args.msg,
        option: args.option,
        rcv_size: args.rcv_size,
        time_out: args.time_out,
        notify: args.notify,
        object,
        mqueue,
    };
    kernel.save_receive(kernel.current_thread(), &receive);
    let received = kernel.ipc_mqueue_receive(&receive, max_size(&receive), false, Continuation::TracedOptions);
    finish(kernel, state, &receive, received)
}

/// Goes on with a receive that slept: stands in for `mach_msg_receive_continue`.
pub fn resume(kernel: &impl Kernel, state: &State) -> u32 {
    let receive = kernel.saved_receive(kernel.current_thread());
    let received = kernel.ipc_mqueue_receive(&receive, max_size(&receive), true, Continuation::TracedOptions);
    finish(kernel, state, &receive, received)
}

/// Goes on with a receive that slept in `mach_msg_continue`, which saves neither options nor time-out nor notify port.
pub fn resume_plain(kernel: &impl Kernel, state: &State) -> u32 {
    let saved = kernel.saved_receive(kernel.current_thread());
    let receive = Receive { option: option::RCV_MSG, time_out: 0, notify: 0, ..saved };
    let received = kernel.ipc_mqueue_receive(&receive, u32::MAX, true, Continuation::TracedPlain);
    finish(kernel, state, &receive, received)
}

fn max_size(receive: &Receive) -> u32 {
    if receive.option & option::RCV_LARGE != 0 { receive.rcv_size } else { u32::MAX }
}

fn call(
    kernel: &impl Kernel,
    state: &State,
    option: u32,
    rcv_name: u32,
    time_out: u32,
    notify: u32,
    message_size: u32,
) -> Call {
    let thread = observe::current_thread(kernel, state);
    let (direction, kind) = (Direction::Receive, EventKind::Normal);
    Call { direction, kind, thread, sender: 0, option, rcv_name, time_out, notify, message_size }
}

fn finish(kernel: &impl Kernel, state: &State, receive: &Receive, received: Received) -> u32 {
    let rcv_name = kernel.object_name(receive.object);
    kernel.ipc_object_release(receive.object);
    match received {
        Received::Message(kmsg, seqno) => {
            let correlation = correlation(kernel, state, kmsg);
            kernel.set_msgh_seqno(kmsg, seqno);
            deliver(kernel, state, receive, rcv_name, kmsg, correlation)
        }
        Received::Failed(result, real_size) => {
            if result == mr::RCV_TOO_LARGE {
                kernel.copyout_msgh_size(receive.msg, real_size);
            }
            let call = call(kernel, state, receive.option, rcv_name, receive.time_out, receive.notify, real_size);
            failed(kernel, state, &call, result);
            result
        }
    }
}

/// The number a traced sender left, or that of the request which the sender's send-once right belongs to.
#[inline(never)]
fn correlation(kernel: &impl Kernel, state: &State, kmsg: Kmsg) -> u64 {
    let is_reply = remote_type(kernel.msgh_bits(kmsg)) == PORT_SEND_ONCE;
    let request = if is_reply { state.links.take_reply(kernel.remote_port(kmsg)) } else { 0 };
    match observe::correlation(kernel, state, kmsg) {
        0 => request,
        stamped => stamped,
    }
}

/// Translates the message for the receiver, records it as it is then, and copies it out.
#[inline(never)]
fn deliver(kernel: &impl Kernel, state: &State, receive: &Receive, rcv_name: u32, kmsg: Kmsg, correlation: u64) -> u32 {
    let whole = kernel.msgh_size(kmsg);
    let quiet = is_record(kernel, state, kmsg);
    let (result, size) = translate(kernel, receive, kmsg, whole);
    let draft = if quiet { None } else { start(kernel, state, receive, rcv_name, whole, (kmsg, size)) };
    let put = kernel.ipc_kmsg_put(receive.msg, kmsg, size);
    let result = if result == mr::SUCCESS { put } else { result };
    emit::emit(kernel, state, draft, result, correlation);
    result
}

/// Gives the caller of the kernel its reply, and queues the records of request and reply, in one message if there is room.
#[inline(never)]
pub fn answer(
    kernel: &impl Kernel,
    state: &State,
    args: &MachMsg,
    reply: Kmsg,
    correlation: u64,
    draft: Option<Draft>,
) -> u32 {
    let whole = kernel.msgh_size(reply);
    let (result, size) = translated(kernel, reply, whole, kernel.ipc_kmsg_copyout(reply, 0));
    let call = call(kernel, state, args.option, args.rcv_name, args.time_out, args.notify, whole);
    let content = Content::Seen(reply, size);
    let (request, draft) = match draft {
        Some(both) if both.has_room(kernel, size) => {
            emit::settle(kernel, both, mr::SUCCESS, correlation);
            emit::add(kernel, state, both, &call, content);
            (None, draft)
        }
        // The request's record was lost, or there was no trace yet, or it is long.
        _ => (draft, emit::draft(kernel, state, &call, content)),
    };
    let put = kernel.ipc_kmsg_put(args.msg, reply, size);
    let result = if result == mr::SUCCESS { put } else { result };
    emit::emit(kernel, state, request, mr::SUCCESS, correlation);
    emit::emit(kernel, state, draft, result, correlation);
    result
}

/// A record that a tracer receives is no event: of two tasks that trace each other, each record would make another.
fn is_record(kernel: &impl Kernel, state: &State, kmsg: Kmsg) -> bool {
    trace_port::is_record((kernel.record_read(kmsg, MSGH_SEQNO) >> 32) as u32)
        && state.is_trace_port(kernel.remote_port(kmsg))
}

/// Translates rights and memory for the receiver. Returns the result and how many bytes of the message the receiver gets.
#[inline(never)]
fn translate(kernel: &impl Kernel, receive: &Receive, kmsg: Kmsg, whole: u32) -> (u32, u32) {
    let result = if whole > receive.rcv_size {
        mr::RCV_TOO_LARGE
    } else if receive.option & option::RCV_NOTIFY == 0 {
        kernel.ipc_kmsg_copyout(kmsg, 0)
    } else if receive.notify == 0 {
        mr::RCV_INVALID_NOTIFY
    } else {
        kernel.ipc_kmsg_copyout(kmsg, receive.notify)
    };
    translated(kernel, kmsg, whole, result)
}

fn translated(kernel: &impl Kernel, kmsg: Kmsg, whole: u32, result: u32) -> (u32, u32) {
    if result == mr::SUCCESS || result & !mr::MASK == mr::RCV_BODY_ERROR {
        return (result, whole);
    }
    kernel.ipc_kmsg_copyout_dest(kmsg);
    (result, HEADER_SIZE)
}

#[inline(never)]
fn start(
    kernel: &impl Kernel,
    state: &State,
    receive: &Receive,
    rcv_name: u32,
    message_size: u32,
    message: (Kmsg, u32),
) -> Option<Draft> {
    let call = call(kernel, state, receive.option, rcv_name, receive.time_out, receive.notify, message_size);
    emit::draft(kernel, state, &call, Content::Seen(message.0, message.1))
}

#[inline(never)]
fn failed(kernel: &impl Kernel, state: &State, call: &Call, result: u32) {
    let draft = emit::draft(kernel, state, call, Content::Nothing);
    emit::emit(kernel, state, draft, result, 0);
}
