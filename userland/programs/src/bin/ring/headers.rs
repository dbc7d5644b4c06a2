// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages that are a header alone, received well and badly: a receive that fails gives a header, too.

use alloc::vec::Vec;

use mach::error::KernReturn;
use mach::port::{Disposition, PortName, ReceiveRight};
use mach::rt::exit::terminate;
use mach::sys::msg::mach_msg;
use mach::{println, task_self, thread};
use mach_abi::header::word;
use mach_abi::option::{MACH_RCV_LARGE, MACH_RCV_MSG, MACH_RCV_NOTIFY, MACH_SEND_MSG};
use programs::tracer::{Tracer, tell_when_untraced};
use programs::{Doing, Mismatch, expect};
use trace_port::{Direction, EventKind};

use crate::stage::{Board, PATIENCE, QUEUE, Word};

/// How often each is done.
const TIMES: u64 = 50;
/// Bytes of a header.
const HEADER: u32 = 32;
/// What is sent before a receive.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    Nothing,
    Message,
    WithReplyPort,
}

/// A receive: what is sent to the port before, the options, the room, whether the notify port is one, and what `mach_msg` returns.
type Receive = (Sent, u32, u32, bool, KernReturn);

const RECEIVES: [Receive; 10] = [
    (Sent::Message, 0, HEADER, false, KernReturn::KERN_SUCCESS),
    (Sent::Message, 0, HEADER - 8, false, KernReturn::MACH_RCV_TOO_LARGE),
    (Sent::Message, MACH_RCV_LARGE, HEADER - 8, false, KernReturn::MACH_RCV_TOO_LARGE),
    // The message is there still.
    (Sent::Nothing, 0, 2 * HEADER, false, KernReturn::KERN_SUCCESS),
    (Sent::Message, MACH_RCV_NOTIFY, HEADER, true, KernReturn::KERN_SUCCESS),
    (Sent::Message, MACH_RCV_NOTIFY, HEADER, false, KernReturn::MACH_RCV_INVALID_NOTIFY),
    (Sent::WithReplyPort, 0, HEADER, false, KernReturn::KERN_SUCCESS),
    // The right is used up, and the kernel says so with a header.
    (Sent::WithReplyPort, 0, HEADER - 8, false, KernReturn::MACH_RCV_TOO_LARGE),
    (Sent::Nothing, 0, HEADER, false, KernReturn::KERN_SUCCESS),
    (Sent::WithReplyPort, MACH_RCV_NOTIFY, HEADER, true, KernReturn::KERN_SUCCESS),
];

pub(crate) fn show(board: &Board) -> Result<(), Mismatch> {
    let words = board.clone();
    let child = thread::fork(move || receive_all(&words)).doing("making a child")?;
    let mut tracer = Tracer::new(QUEUE)?;
    tracer.trace(child.task.name()).doing("task_set_special_port")?;
    tell_when_untraced(&tracer.port)?;
    tracer.ask_for_ring(child.task.name()).doing("task_get_special_port")?;
    child.resume().doing("thread_resume")?;
    let mut told = Vec::new();
    while let Some(seen) = tracer.record(Some(PATIENCE))? {
        let is_receive = seen.direction == Direction::Receive && seen.kind == EventKind::Normal;
        if is_receive && seen.header.options.get() & MACH_SEND_MSG == 0 {
            told.push((seen.header.sequence.get(), seen.header.retval.get()));
        }
    }
    told.sort_unstable();
    let all = TIMES * RECEIVES.len() as u64;
    expect("receives that returned what they had to", all, board.get(Word::Calls))?;
    expect("records of them", all, told.len() as u64)?;
    for ((_, told), receive) in told.iter().zip(RECEIVES.iter().cycle()) {
        expect("what a record says its receive returned", receive.4, KernReturn::from_mach_msg(*told))?;
    }
    expect("records from the ring", true, tracer.from_ring as u64 > all)?;
    println!("ring: what a header alone was received with is what the call returned");
    Ok(())
}

/// What the traced task runs.
fn receive_all(board: &Board) {
    if let Ok(own) = ReceiveRight::allocate() {
        for receive in (0..TIMES).flat_map(|_| RECEIVES) {
            if is_as_expected(own.name(), receive) {
                board.add(Word::Calls, 1);
            }
        }
    }
    terminate()
}

fn is_as_expected(own: PortName, (sent, option, room, is_port, expected): Receive) -> bool {
    let mut words = [0_u64; 8];
    if sent != Sent::Nothing {
        let (reply_type, reply) =
            if sent == Sent::WithReplyPort { (Disposition::MakeSendOnce as u64, own.0) } else { (0, 0) };
        words[word::BITS] = Disposition::MakeSend as u64 | reply_type << 8;
        words[word::REMOTE_PORT] = own.0.into();
        words[word::LOCAL_PORT] = reply.into();
        if mach_msg(&mut words, MACH_SEND_MSG, HEADER, 0, PortName::NULL, 0, PortName::NULL) != 0 {
            return false;
        }
    }
    // A right to send only is not one to be notified by.
    let notify = if is_port { own } else { task_self() };
    let answer = mach_msg(&mut words, MACH_RCV_MSG | option, 0, room, own, 0, notify);
    KernReturn::from_mach_msg(answer) == expected
}
