// SPDX-License-Identifier: GPL-2.0-or-later
//! Who sleeps is woken once.

use core::sync::atomic::Ordering::Relaxed;

use mach::error::KernReturn;
use mach::msg::Received;
use mach::port::{Disposition, PortName, PortSet, ReceiveRight, SendRight};
use mach::println;
use mach::sys::msg::mach_msg;
use mach::sys::trap::task_terminate;
use mach_abi::option::{MACH_RCV_MSG, MACH_RCV_TIMEOUT};
use programs::tracer::{FIRST, SECOND, Tracer, child_with_port, record_buffer, send};
use programs::{Doing, Mismatch, expect, processors};
use trace_port::TRACE_RING_MSGH_ID;
use trace_port::ring::wishes;

use crate::stage::{Board, PATIENCE, QUEUE, Word};

/// How often the tracer sleeps.
const TIMES: u32 = 100;
/// Unread bytes until which it sleeps: many times what the traced task does at once.
const MUCH: u64 = 16 * 1024;
/// Ids of the messages between this task and the traced one.
const GO: i32 = 6820;
const DONE: i32 = 6821;
/// Most bytes of them.
const LIMIT: u32 = 64;

pub(crate) fn show(board: &Board) -> Result<(), Mismatch> {
    let done = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let (child, go) = child_with_port(answer, &done)?;
    let mut tracer = Tracer::new(QUEUE)?;
    if let Some(host) = board.host {
        processors::move_elsewhere(host, child.task.name())?;
    }
    tracer.trace(child.task.name()).doing("task_set_special_port")?;
    tracer.ask_for_ring(child.task.name()).doing("task_get_special_port")?;
    child.resume().doing("thread_resume")?;
    let mut stage = Stage { tracer, go, done };
    // The first records bring the right to the task, in messages.
    stage.go()?;
    for _ in 0..TIMES {
        let port = stage.tracer.port.name();
        stage.sleep(port)?;
        board.add(Word::Rounds, 1);
    }
    println!("ring: who sleeps is woken once");
    let set = PortSet::allocate().doing("mach_port_allocate")?;
    set.add(&stage.tracer.port).doing("mach_port_move_member")?;
    for _ in 0..TIMES {
        stage.sleep(set.name())?;
        board.add(Word::Rounds, 1);
    }
    println!("ring: also who receives from a port set");
    stage.sleep_long(set.name())?;
    println!("ring: who sleeps until much is there is not woken by less");
    task_terminate(child.task.name()).doing("task_terminate")
}

struct Stage {
    tracer: Tracer,
    go: SendRight,
    done: ReceiveRight,
}

impl Stage {
    /// The traced task does something.
    fn go(&mut self) -> Result<(), Mismatch> {
        let sent = send(GO, self.go.name(), Disposition::CopySend, 0);
        expect("sending to the child", KernReturn::KERN_SUCCESS, sent)?;
        Received::receive(&self.done, LIMIT, Some(PATIENCE)).map(drop).doing("the child's answer")
    }

    /// It does something while its tracer sleeps, and while it does not.
    fn sleep(&mut self, port: PortName) -> Result<(), Mismatch> {
        // What the child does after it has answered may still come.
        self.messages(port)?;
        let ring = self.tracer.ring.as_mut().doing("ring")?;
        while ring.read(|_| Ok(()))? > 0 || !ring.may_sleep(1)? {}
        self.go()?;
        let said = self.messages(port)?;
        expect("messages to who sleeps", (1, 0), said)?;
        let ring = self.tracer.ring.as_mut().doing("ring")?;
        let sleeps = ring.words()?.wishes.get(wishes::SLEEPS).map(|word| word.load(Relaxed));
        expect("that it sleeps", Some(0), sleeps)?;
        expect("records for who was woken", true, ring.read(|_| Ok(()))? > 0)?;
        self.go()?;
        let said = self.messages(port)?;
        expect("messages to who does not sleep", (0, 0), said)?;
        let ring = self.tracer.ring.as_mut().doing("ring")?;
        expect("records for who has not slept", true, ring.read(|_| Ok(()))? > 0)
    }

    /// It does something again and again while its tracer sleeps until much is there.
    fn sleep_long(&mut self, port: PortName) -> Result<(), Mismatch> {
        self.messages(port)?;
        let ring = self.tracer.ring.as_mut().doing("ring")?;
        while ring.read(|_| Ok(()))? > 0 || !ring.may_sleep(MUCH)? {}
        for _ in 0..TIMES {
            self.go()?;
            let mut said = self.messages(port)?;
            let words = self.tracer.ring.as_ref().doing("ring")?.words()?;
            let sleeps = words.wishes.get(wishes::SLEEPS).map_or(0, |word| word.load(Relaxed));
            if sleeps == 0 && said == (0, 0) {
                // The child's end of the call, on another processor, has come after the look: the message is on its way.
                said = self.messages_within(port, PATIENCE)?;
            }
            if sleeps == 0 {
                let is_much = words.unread() >= MUCH;
                return expect("messages to who sleeps, when there is much", ((1, 0), true), (said, is_much));
            }
            expect("until when it sleeps, and messages", (MUCH, (0, 0)), (sleeps, said))?;
        }
        Err(Mismatch::new("who sleeps until much is there: expected that it is woken, found that it is not"))
    }

    /// Takes the messages that wait: how many say that there is something in the ring, and how many are others.
    fn messages(&self, port: PortName) -> Result<(u32, u32), Mismatch> {
        self.messages_within(port, 0)
    }

    /// Takes the messages that wait, of which the first one may take so many milliseconds to come.
    fn messages_within(&self, port: PortName, patience: u32) -> Result<(u32, u32), Mismatch> {
        let (mut wakes, mut others) = (0, 0);
        let mut buffer = record_buffer();
        let limit = size_of_val(&*buffer) as u32;
        loop {
            let option = MACH_RCV_MSG | MACH_RCV_TIMEOUT;
            let patience = if (wakes, others) == (0, 0) { patience } else { 0 };
            match KernReturn::from_mach_msg(mach_msg(&mut buffer, option, 0, limit, port, patience, PortName::NULL)) {
                KernReturn::MACH_RCV_TIMED_OUT => return Ok((wakes, others)),
                other => other.into_result().doing("receiving from the trace port")?,
            }
            let is_wake = mach::mig::request_id(&buffer) == Some(TRACE_RING_MSGH_ID);
            (wakes, others) = if is_wake { (wakes + 1, others) } else { (wakes, others + 1) };
            mach::msg::destroy_body(&buffer);
        }
    }
}

/// What the traced task runs.
fn answer() {
    let port = ReceiveRight::from_name(SECOND);
    while Received::receive(&port, LIMIT, None).is_ok() {
        if send(DONE, FIRST, Disposition::CopySend, 0) != KernReturn::KERN_SUCCESS {
            return;
        }
    }
}
