//! `mach_msg` of a traced task: the send half, its record, then the receive half (see [`super::receive`]).
//!
//! The semantics are those of the kernel's `mach_msg_send` and `mach_msg_receive`, which `mach_msg_trap` uses for everything
//! but its optimized cases (facts: GNU Mach ipc/mach_msg.c; shared/facts/kernel.md 1.3).

use trace_port::{Direction, EventKind};

use super::{kobject, receive};
use crate::emit::{self, Content, Draft};
use crate::gnumach::objects::{PORT_SEND_ONCE, local_type, remote_type};
use crate::gnumach::{Kernel, Kmsg, Port, UserAddress, mr, option};
use crate::observe::{self, Call};
use crate::state::State;

/// Largest message `ipc_kmsg_get` can be given: it doubles the size in 32 bits.
const MAX_SEND_SIZE: u32 = 0x7fff_ffff - 64;

/// A call of the kernel: nothing but send and receive, for which `mach_msg_trap` too takes a short way.
const CALL: u32 = option::SEND_MSG | option::RCV_MSG;

/// Arguments of `mach_msg_trap`.
#[derive(Clone, Copy, Debug)]
pub struct MachMsg {
    /// The message buffer.
    pub msg: UserAddress,
    /// `MACH_SEND_*` and `MACH_RCV_*` bits.
    pub option: u32,
    /// Bytes to send.
    pub send_size: u32,
    /// Bytes there is room for.
    pub rcv_size: u32,
    /// Port or port set to receive from.
    pub rcv_name: u32,
    /// Milliseconds.
    pub time_out: u32,
    /// Notify port name.
    pub notify: u32,
}

/// Stands in for `mach_msg_trap` in a traced task. May not return: a receiver that sleeps goes on in its continuation.
pub fn mach_msg(kernel: &impl Kernel, state: &State, args: &MachMsg) -> u32 {
    if args.option & option::SEND_MSG != 0
        && let Some(result) = send(kernel, state, args)
    {
        return result;
    }
    if args.option & option::RCV_MSG != 0 {
        return receive::receive(kernel, state, args);
    }
    mr::SUCCESS
}

/// The send half; the result if the whole call is done with it.
// Not inlined, so that the send half's frame is gone while the receive half waits.
#[inline(never)]
fn send(kernel: &impl Kernel, state: &State, args: &MachMsg) -> Option<u32> {
    let result = if args.send_size > MAX_SEND_SIZE {
        Err(mr::SEND_NO_BUFFER)
    } else {
        kernel.ipc_kmsg_get(args.msg, args.send_size)
    };
    let kmsg = match result {
        Ok(kmsg) => kmsg,
        Err(failure) => {
            let draft = start(kernel, state, args, Content::Nothing);
            emit::emit(kernel, state, draft, failure, 0);
            return Some(failure);
        }
    };
    let draft = start(kernel, state, args, Content::Seen(kmsg, args.send_size));
    let result = copyin(kernel, args, kmsg);
    if result != mr::SUCCESS {
        kernel.ipc_kmsg_free(kmsg);
        emit::emit(kernel, state, draft, result, 0);
        return Some(result);
    }
    // Last calls with arguments in registers alone: this frame is gone by then, too.
    match kernel.is_for_the_kernel(kmsg) {
        true => call(kernel, state, args, kmsg, draft),
        false => post(kernel, state, args, kmsg, draft),
    }
}

/// Sends a message to another task.
#[inline(never)]
fn post(kernel: &impl Kernel, state: &State, args: &MachMsg, kmsg: Kmsg, draft: Option<Draft>) -> Option<u32> {
    let (correlation, result) = transmit(kernel, state, args, kmsg);
    emit::emit(kernel, state, draft, result, correlation);
    (result != mr::SUCCESS).then_some(result)
}

#[inline(never)]
fn start(kernel: &impl Kernel, state: &State, args: &MachMsg, content: Content) -> Option<Draft> {
    let call = Call {
        direction: Direction::Send,
        kind: EventKind::Normal,
        thread: observe::current_thread(kernel, state),
        sender: 0,
        option: args.option,
        rcv_name: 0,
        time_out: args.time_out,
        notify: args.notify,
        message_size: args.send_size,
    };
    emit::draft(kernel, state, &call, content)
}

/// `ipc_kmsg_copyin`. On failure the kmsg is still the caller's.
fn copyin(kernel: &impl Kernel, args: &MachMsg, kmsg: Kmsg) -> u32 {
    if args.option & option::SEND_CANCEL == 0 {
        kernel.ipc_kmsg_copyin(kmsg, 0)
    } else if args.notify == 0 {
        mr::SEND_INVALID_NOTIFY
    } else {
        kernel.ipc_kmsg_copyin(kmsg, args.notify)
    }
}

/// Sends a request to the kernel, which serves it at once, and takes the reply from its hands as `mach_msg_trap` does; the result
/// then is that of the whole call.
#[inline(never)]
fn call(kernel: &impl Kernel, state: &State, args: &MachMsg, kmsg: Kmsg, draft: Option<Draft>) -> Option<u32> {
    let (correlation, reply_port) = chain_apart(kernel, state, kmsg);
    let reply = kobject::serve(kernel, state, kmsg, correlation);
    if let Some(reply) = reply {
        if args.option == CALL
            && kernel.msgh_size(reply) <= args.rcv_size
            && let Some(seqno) = kernel.receive_at_once(reply, args.rcv_name)
        {
            kernel.set_msgh_seqno(reply, seqno);
            return Some(receive::answer(kernel, state, args, reply, correlation, draft));
        }
        stamp(kernel, state, reply, correlation);
        kernel.ipc_mqueue_send(reply, option::SEND_ALWAYS, 0);
    } else if reply_port.is_valid() {
        // The kernel may reply later.
        state.links.expect_reply(reply_port, correlation);
    }
    emit::emit(kernel, state, draft, mr::SUCCESS, correlation);
    None
}

/// Sends the kmsg, or gives the message back to the user. Consumes the kmsg either way. Returns the correlation number and the result.
#[inline(never)]
fn transmit(kernel: &impl Kernel, state: &State, args: &MachMsg, kmsg: Kmsg) -> (u64, u32) {
    let seqno = kernel.msgh_seqno(kmsg);
    let (correlation, reply_port) = chain(kernel, state, kmsg);
    if reply_port.is_valid() {
        state.links.expect_reply(reply_port, correlation);
    }
    stamp(kernel, state, kmsg, correlation);
    let result = enqueue(kernel, args, kmsg);
    if result == mr::SUCCESS || result == mr::SEND_WILL_NOTIFY {
        return (correlation, result);
    }
    kernel.set_msgh_seqno(kmsg, seqno);
    let result = result | kernel.ipc_kmsg_copyout_pseudo(kmsg);
    let size = kernel.msgh_size(kmsg);
    kernel.ipc_kmsg_put(args.msg, kmsg, size);
    (correlation, result)
}

/// The correlation number of a message in transit, and where a reply to it is expected, or `Port::NULL`: a reply has the number of its request,
/// and so has a request passed on with the reply right of another's; anything else has a new one. The kernel can know a reply by
/// its send-once right alone.
#[inline]
fn chain(kernel: &impl Kernel, state: &State, kmsg: Kmsg) -> (u64, Port) {
    let bits = kernel.msgh_bits(kmsg);
    let reply_port = if local_type(bits) == PORT_SEND_ONCE { kernel.local_port(kmsg) } else { Port::NULL };
    let is_anothers = |port| !kernel.port_is_received_in(port, kernel.task_space(observe::current_task(kernel)));
    let known = if remote_type(bits) == PORT_SEND_ONCE {
        state.links.reply(kernel.remote_port(kmsg))
    } else if reply_port.is_valid() && is_anothers(reply_port) {
        state.links.reply(reply_port)
    } else {
        0
    };
    (if known == 0 { state.next_correlation() } else { known }, reply_port)
}

/// The same where little of the stack is to be in use afterwards.
#[inline(never)]
fn chain_apart(kernel: &impl Kernel, state: &State, kmsg: Kmsg) -> (u64, Port) {
    chain(kernel, state, kmsg)
}

/// Leaves the correlation number in a message in transit, for a traced receiver.
fn stamp(kernel: &impl Kernel, state: &State, kmsg: Kmsg, correlation: u64) {
    state.restamp(kmsg, correlation);
    kernel.set_msgh_seqno(kmsg, correlation as u32);
}

/// `ipc_mqueue_send`, with a message-accepted request where the queue is full and the user asked for one.
fn enqueue(kernel: &impl Kernel, args: &MachMsg, kmsg: Kmsg) -> u32 {
    let timed = args.option & option::SEND_TIMEOUT;
    if args.option & option::SEND_NOTIFY == 0 {
        return kernel.ipc_mqueue_send(kmsg, timed, args.time_out);
    }
    let time_out = if timed != 0 { args.time_out } else { 0 };
    let result = kernel.ipc_mqueue_send(kmsg, option::SEND_TIMEOUT, time_out);
    if result != mr::SEND_TIMED_OUT {
        return result;
    }
    if args.notify == 0 {
        return mr::SEND_INVALID_NOTIFY;
    }
    let result = kernel.ipc_marequest_create(kmsg, args.notify);
    if result != mr::SUCCESS {
        return result;
    }
    // Cannot fail: neither the queue limit nor an interruption stops MACH_SEND_ALWAYS.
    kernel.ipc_mqueue_send(kmsg, option::SEND_ALWAYS, 0);
    mr::SEND_WILL_NOTIFY
}
