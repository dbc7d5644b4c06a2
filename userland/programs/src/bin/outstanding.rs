// SPDX-License-Identifier: GPL-2.0-or-later
//! outstanding: a thousand requests wait for their answers at the same time, and no answer is taken for another's.
//!
//! A client sends a thousand requests, each with a reply port of its own, to a server that keeps them all. Then the server answers
//! them in another order, and for each tenth request destroys the right to answer, so that the kernel tells the client that there will
//! be none. The client receives in a third order. This program traces both and checks that every record of a request and of what
//! came of it has the correlation number of the request, and that no two requests have the same.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;

use mach::error::KernReturn;
use mach::msg::{Message, Received};
use mach::port::{Disposition, PortName, ReceiveRight, Right};
use mach::println;
use mach::rt::arguments::Arguments;
use mach::stubs::mach_port;
use mach::sys::trap::{mach_port_allocate_name, mach_reply_port, task_terminate};
use mach::task_self;
use mach_abi::notify::MACH_NOTIFY_SEND_ONCE;
use programs::tracer::{FIRST, SECOND, Seen, Tracer, child, give};
use programs::{Doing, Mismatch, expect};
use trace_port::event::{Direction, EventKind};

mach::entry!(main);

/// Requests that wait at the same time.
const MANY: usize = 1000;
/// No common divisor with [`MANY`], so that steps of so many reach every request.
const SERVERS_STEP: usize = 617;
/// Steps of the client: no common divisor with [`MANY`], and other places than the servers'.
const CLIENTS_STEP: usize = 389;
/// Of so many requests one is not answered.
const UNANSWERED: usize = 10;
/// Id of the first request, and of the answer to it.
const REQUEST: i32 = 100_000;
const ANSWER: i32 = 200_000;
/// What the client calls the reply port of the first request.
const REPLY: u32 = 0x1000;
/// Most bytes of a message.
const LIMIT: u32 = 64;

/// What comes of a request: its correlation number at each step; 0 for what has not been seen.
#[derive(Clone, Copy, Default)]
struct Steps {
    sent: u64,
    received: u64,
    /// The answer, by the server.
    answered: u64,
    /// The answer, or that there is none, by the client.
    ended: u64,
}

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    let mut tracer = Tracer::new(16)?;
    let (client, server) = (child(client)?, child(server)?);
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    give(&client, SECOND, port.make_send().doing("a send right")?.name(), Disposition::CopySend)?;
    give(&server, FIRST, port.into_name(), Disposition::MoveReceive)?;
    for index in 0..MANY {
        mach_port_allocate_name(client.task.name(), Right::Receive, reply_port(index)).doing("a reply port")?;
    }
    // What is asked of a traced task's control port by others is recorded, too, and those do not wait for a tracer: who is traced itself asks
    // by messages, of which more than fit would be lost while nobody receives.
    for task in [&client, &server] {
        tracer.trace(task.task.name()).doing("task_set_special_port")?;
    }
    server.resume().doing("starting the server")?;
    client.resume().doing("starting the client")?;

    let mut seen = vec![Steps::default(); MANY];
    let mut missing = 4 * MANY - MANY / UNANSWERED;
    while missing > 0 {
        let record = tracer.record(None)?.doing("record")?;
        expect("records dropped before this one", 0, record.header.lost())?;
        missing -= usize::from(note(&mut seen, &record)?);
    }
    check(&seen)?;
    println!("outstanding: {MANY} requests at the same time, no answer taken for another's");
    for task in [&client, &server] {
        let _ = task_terminate(task.task.name());
    }
    Ok(())
}

fn reply_port(index: usize) -> PortName {
    PortName(REPLY + index as u32)
}

/// Writes down a step, unless the record is of something else; says which.
fn note(seen: &mut [Steps], record: &Seen) -> Result<bool, Mismatch> {
    let place = |id: i32, first: i32| usize::try_from(id - first).ok().filter(|index| *index < MANY);
    let of_reply_port = || place(record.header.rcv_name.get() as i32, REPLY as i32);
    if record.kind != EventKind::Normal {
        return Ok(false);
    }
    let sent = record.direction == Direction::Send;
    let step = match (place(record.id, REQUEST), place(record.id, ANSWER)) {
        (Some(index), _) if sent => &mut seen[index].sent,
        (Some(index), _) => &mut seen[index].received,
        (_, Some(index)) if sent => &mut seen[index].answered,
        (_, Some(index)) => &mut seen[index].ended,
        _ if record.id == MACH_NOTIFY_SEND_ONCE as i32 && !sent => match of_reply_port() {
            Some(index) => &mut seen[index].ended,
            None => return Ok(false),
        },
        _ => return Ok(false),
    };
    expect("steps of this kind before", 0, *step)?;
    *step = record.header.correlation.get();
    expect("a correlation number", true, *step != 0)?;
    Ok(true)
}

fn check(seen: &[Steps]) -> Result<(), Mismatch> {
    for (index, steps) in seen.iter().enumerate() {
        let Steps { sent, received, answered, ended } = *steps;
        expect("the number of a request where it is received", sent, received)?;
        expect("the number of what ends it", sent, ended)?;
        expect("the number of its answer", if index % UNANSWERED == 0 { 0 } else { sent }, answered)?;
    }
    let mut numbers: Vec<u64> = seen.iter().map(|steps| steps.sent).collect();
    numbers.sort_unstable();
    numbers.dedup();
    expect("different numbers", MANY, numbers.len())
}

fn client() {
    for index in 0..MANY {
        let sent = Message::new(REQUEST + index as i32, SECOND, Disposition::CopySend)
            .reply_to(reply_port(index), Disposition::MakeSendOnce)
            .send(None);
        if sent != KernReturn::KERN_SUCCESS {
            return;
        }
    }
    for step in 0..MANY {
        let port = ReceiveRight::from_name(reply_port(step * CLIENTS_STEP % MANY));
        let _ = Received::receive(&port, LIMIT, None);
        // Dropped, it would be destroyed.
        port.into_name();
    }
    wait_for_ever()
}

fn server() {
    let port = ReceiveRight::from_name(FIRST);
    let mut rights = [PortName::NULL; MANY];
    for _ in 0..MANY {
        let Ok(request) = Received::receive(&port, LIMIT, None) else { return };
        rights[(request.id() - REQUEST) as usize % MANY] = request.reply_port();
    }
    for step in 0..MANY {
        let index = step * SERVERS_STEP % MANY;
        let right = rights[index];
        if index.is_multiple_of(UNANSWERED) {
            let _ = mach_port::mach_port_deallocate(task_self(), right);
        } else {
            let _ = Message::new(ANSWER + index as i32, right, Disposition::MoveSendOnce).send(None);
        }
    }
    wait_for_ever()
}

/// Until the tracer ends the task: nothing comes to a port that nobody has a right to.
fn wait_for_ever() {
    let _ = Received::receive(&ReceiveRight::from_name(mach_reply_port()), LIMIT, None);
}
