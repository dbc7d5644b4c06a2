// SPDX-License-Identifier: GPL-2.0-or-later
//! A tracer writes anything into its page, and into the kernel's.

use core::sync::atomic::Ordering::Relaxed;

use mach::error::KernReturn;
use mach::mig::{Patience, send_reply};
use mach::port::{PortName, ReceiveRight};
use mach::println;
use mach::stubs::{exc_server, mach as kernel};
use mach::sys::msg::mach_msg;
use mach_abi::option::{MACH_RCV_MSG, MACH_RCV_TIMEOUT};
use mach_abi::special_port::TASK_EXCEPTION_PORT;
use programs::catcher::Catcher;
use programs::random::Random;
use programs::tracer::{Tracer, record_buffer};
use programs::{Doing, Mismatch, expect};

use trace_port::ring::{TRACERS_CAPACITY, wishes};

use crate::stage::{Board, PATIENCE, QUEUE, Task, Word, ask};

/// Times that a tracer scribbles and receives.
const ROUNDS: u64 = 20_000;
/// `EXC_BAD_ACCESS` of exception.h.
const EXC_BAD_ACCESS: i32 = 1;

pub(crate) fn show(board: &Board) -> Result<(), Mismatch> {
    let (busy, thread) = Task::busy(board, None)?;
    thread.resume().doing("thread_resume")?;
    let tracer = busy.traced_by(board, scribble)?;
    expect("the answer to who asked for a ring", KernReturn::KERN_SUCCESS, board.answer()?)?;
    while board.get(Word::Rounds) < ROUNDS {
        board.goes_on()?;
        board.until(Word::Rounds, board.get(Word::Rounds))?;
    }
    println!("ring: a tracer scribbles into its page, and who is traced goes on");
    drop(tracer);
    board.goes_on()?;
    read_only(board, &busy)?;
    board.goes_on()?;
    println!("ring: a store to the kernel's pages is the exception of who stores");
    Ok(())
}

/// What a tracer runs that writes anything.
fn scribble(board: &Board, mut tracer: Tracer) {
    ask(board, &mut tracer);
    let (Some(ring), mut buffer, mut random) = (&tracer.ring, record_buffer(), Random::new(3)) else { return };
    let limit = size_of_val(&*buffer) as u32;
    loop {
        let Ok(words) = ring.words() else { return };
        for _ in 0..20 {
            let value = match random.below(5) {
                0 => random.word(),
                1 => words.head(),
                2 => words.head().wrapping_add(random.below(64)).wrapping_sub(32),
                3 => words.head().wrapping_sub(random.below(2 * TRACERS_CAPACITY as u64)),
                _ => 0,
            };
            let page = ring.readers_page();
            let index = if random.percent(90) { random.below(wishes::WORDS as u64) } else { random.below(512) };
            if let Some(word) = page.get(index as usize) {
                word.store(value, Relaxed);
            }
        }
        let option = MACH_RCV_MSG | MACH_RCV_TIMEOUT;
        if mach_msg(&mut buffer, option, 0, limit, tracer.port.name(), 0, PortName::NULL) == 0 {
            mach::msg::destroy_body(&buffer);
        }
        board.add(Word::Rounds, 1);
    }
}

/// A tracer writes into the kernel's page.
fn read_only(board: &Board, busy: &Task) -> Result<(), Mismatch> {
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    port.set_queue_limit(QUEUE).doing("mach_port_set_qlimit")?;
    let exceptions = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let right = exceptions.make_send().doing("a send right to the exception port")?;
    busy.trace_to(&port)?;
    board.set(Word::Place, 0);
    let tracer = busy.received_by(board, port, store)?;
    kernel::task_set_special_port(tracer.name(), TASK_EXCEPTION_PORT, right.name()).doing("task_set_special_port")?;
    board.set(Word::Place, 1);
    let (mut request, mut reply) = ([0; 32], [0; 16]);
    let (option, limit) = (MACH_RCV_MSG | MACH_RCV_TIMEOUT, size_of_val(&request) as u32);
    let answer = mach_msg(&mut request, option, 0, limit, exceptions.name(), PATIENCE, PortName::NULL);
    KernReturn::from_mach_msg(answer).into_result().doing("receiving the exception")?;
    let mut catcher = Catcher { refuses: true, ..Catcher::default() };
    expect("an exception", true, exc_server::demux(&mut catcher, &request, &mut reply))?;
    let place = board.get(Word::Place);
    let protected = (EXC_BAD_ACCESS, KernReturn::KERN_PROTECTION_FAILURE, place);
    expect("the exception of who stores", Some(protected), catcher.seen)?;
    drop(tracer);
    // Nobody waits for it.
    let _ = send_reply(&mut reply, Patience::Endless);
    Ok(())
}

/// What a tracer runs that stores where it must not, once its exception port is set.
fn store(board: &Board, mut tracer: Tracer) {
    ask(board, &mut tracer);
    let _ = board.until(Word::Place, 0);
    if let Some(ring) = &tracer.ring
        && let Ok(words) = ring.words()
        && let Some(word) = words.control.first()
    {
        board.set(Word::Place, ring.address());
        word.store(0, Relaxed);
    }
}
