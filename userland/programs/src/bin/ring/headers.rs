// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages that are a header alone, received well and badly: a receive that fails gives a header, too.

use alloc::vec::Vec;

use mach::error::KernReturn;
use mach::msg::{Message, Received};
use mach::port::{Disposition, PortName, ReceiveRight};
use mach::rt::exit::terminate;
use mach::stubs::mach::{thread_get_state, thread_set_state};
use mach::sys::msg::mach_msg;
use mach::sys::thread::{I386_THREAD_STATE, I386_THREAD_STATE_COUNT};
use mach::thread::{self, Child};
use mach::{println, task_self};
use mach_abi::option::{MACH_RCV_LARGE, MACH_RCV_MSG, MACH_RCV_NOTIFY, MACH_SEND_MSG};
use programs::patience::{pause, waits};
use programs::tracer::{FIRST, SECOND, Tracer, child_with_port, send, tell_when_untraced};
use programs::{Doing, Mismatch, expect};
use trace_port::{Direction, EventKind};

use crate::stage::{Board, PATIENCE, QUEUE, Word};

/// How often each is done.
const TIMES: u64 = 50;
/// Bytes of a header.
const HEADER: u32 = 32;
/// Where r10, a receiver's room, stands among the registers that `thread_get_state` answers, in words of 64 bits.
const R10: usize = 2;
/// Milliseconds between two looks at a thread that is about to sleep.
const LOOK: u32 = 5;

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
    all_kinds(board)?;
    println!("ring: what a header alone was received with is what the call returned");
    forged(board)?;
    println!("ring: also where another thread has changed the registers of who sleeps");
    Ok(())
}

fn all_kinds(board: &Board) -> Result<(), Mismatch> {
    let words = board.clone();
    let mut tracer = traced(&thread::fork(move || receive_all(&words)).doing("making a child")?)?;
    let told = receives(&mut tracer)?;
    let all = TIMES * RECEIVES.len() as u64;
    expect("receives that returned what they had to", all, board.get(Word::Calls))?;
    expect("records of them", all, told.len() as u64)?;
    for (&told, receive) in told.iter().zip(RECEIVES.iter().cycle()) {
        expect("what a record says its receive returned", receive.4, told)?;
    }
    expect("records from the ring", true, tracer.from_ring as u64 > all)
}

/// A thread sleeps in a receive without room for a header, and its registers come to say that there is.
fn forged(board: &Board) -> Result<(), Mismatch> {
    let done = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let (child, to_child) = child_with_port(receive_too_little, &done)?;
    let mut tracer = traced(&child)?;
    for _ in 0..TIMES {
        // It is about to sleep.
        Received::receive(&done, 2 * HEADER, Some(PATIENCE)).doing("the child's message")?;
        let mut registers = asleep(child.thread.name())?;
        registers[2 * R10] = HEADER;
        thread_set_state(child.thread.name(), I386_THREAD_STATE, &registers).doing("thread_set_state")?;
        Message::new(0, to_child.name(), Disposition::CopySend).send(None).into_result().doing("mach_msg")?;
        board.add(Word::Rounds, 1);
    }
    let told = receives(&mut tracer)?;
    expect("records of the receives", TIMES, told.len() as u64)?;
    told.iter().try_for_each(|&told| expect("what each says", KernReturn::MACH_RCV_TOO_LARGE, told))
}

/// Traces a child into a ring, and lets it go.
fn traced(child: &Child) -> Result<Tracer, Mismatch> {
    let mut tracer = Tracer::new(QUEUE)?;
    tracer.trace(child.task.name()).doing("task_set_special_port")?;
    tell_when_untraced(&tracer.port)?;
    tracer.ask_for_ring(child.task.name()).doing("task_get_special_port")?;
    child.resume().doing("thread_resume")?;
    Ok(tracer)
}

/// What the calls that only receive have returned, by their records, in their order, once the traced task has ended.
fn receives(tracer: &mut Tracer) -> Result<Vec<KernReturn>, Mismatch> {
    let mut told = Vec::new();
    while let Some(seen) = tracer.record(Some(PATIENCE))? {
        let is_receive = seen.direction == Direction::Receive && seen.kind == EventKind::Normal;
        if is_receive && seen.header.options.get() & MACH_SEND_MSG == 0 {
            told.push((seen.header.sequence.get(), seen.header.retval.get()));
        }
    }
    told.sort_unstable();
    Ok(told.into_iter().map(|(_, retval)| KernReturn::from_mach_msg(retval)).collect())
}

/// The registers of a thread once it sleeps in its receive, without room for a header.
fn asleep(thread: PortName) -> Result<[u32; I386_THREAD_STATE_COUNT], Mismatch> {
    let mut registers = [0; I386_THREAD_STATE_COUNT];
    for _ in 0..PATIENCE / LOOK {
        thread_get_state(thread, I386_THREAD_STATE, &mut registers).doing("thread_get_state")?;
        if waits(thread) && (registers[2 * R10], registers[2 * R10 + 1]) == (HEADER - 8, 0) {
            return Ok(registers);
        }
        pause(LOOK);
    }
    Err(Mismatch::new("a thread that receives: expected that it sleeps, found that it does not"))
}

/// What its traced task runs.
fn receive_too_little() {
    for _ in 0..TIMES {
        send(0, FIRST, Disposition::CopySend, 0);
        let mut words = [0_u64; 8];
        let answer = mach_msg(&mut words, MACH_RCV_MSG, 0, HEADER - 8, SECOND, 0, PortName::NULL);
        if KernReturn::from_mach_msg(answer) != KernReturn::MACH_RCV_TOO_LARGE {
            break;
        }
    }
    terminate()
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
    let message = Message::new(0, own, Disposition::MakeSend);
    let mut message =
        if sent == Sent::WithReplyPort { message.reply_to(own, Disposition::MakeSendOnce) } else { message };
    if sent != Sent::Nothing && message.send(None).into_result().is_err() {
        return false;
    }
    let mut words = [0_u64; 8];
    // A right to send only is not one to be notified by.
    let notify = if is_port { own } else { task_self() };
    let answer = mach_msg(&mut words, MACH_RCV_MSG | option, 0, room, own, 0, notify);
    KernReturn::from_mach_msg(answer) == expected
}
