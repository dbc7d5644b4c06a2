// SPDX-License-Identifier: GPL-2.0-or-later
//! payloads: the port that a message was received on is said where a protected payload hides it, alone or in a port set.
//!
//! A server, as all servers of the Hurd do, gives its ports payloads and receives from a set of them. This program traces it, and for the
//! second half its client too, and compares: however a message comes (handed over, queued before the server receives, or queued while it
//! waits), each of the server's records says its own name for the port, and the same number for the same port as the client's.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use mach::error::KernReturn;
use mach::msg::{Message, Received};
use mach::port::{Disposition, PortName, ReceiveRight, Right, SendRight};
use mach::println;
use mach::rt::arguments::Arguments;
use mach::stubs::mach_port::{mach_port_allocate_name, mach_port_move_member, mach_port_set_protected_payload};
use mach::sys::msg::mach_msg;
use mach::thread::Child;
use mach_abi::header::{bits, local, word};
use mach_abi::option::{MACH_RCV_MSG, MACH_SEND_MSG};
use mach_abi::type_name::PROTECTED_PAYLOAD;
use programs::tracer::{FIRST, SECOND, THIRD, Tracer, child, give};
use programs::{Doing, Mismatch, expect};
use trace_port::event::{Direction, EventKind};
use trace_port::record::Record;

mach::entry!(main);

/// Id of a request, of its reply, and of a message without one.
const REQUEST: i32 = 7300;
const REPLY: i32 = 7400;
const SIMPLE: i32 = 7301;
/// The server's payloads: the lower half of one is the name of something else.
const PAYLOADS: [u64; 2] = [0x0000_1234_0000_0000 | SECOND.0 as u64, 0xffff_ffff_ffff_fff8];
/// Most bytes of these messages.
const LIMIT: u32 = 64;

/// What a record of the server's or the client's says of a message to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct To {
    task: u32,
    direction: Direction,
    name: u32,
    number: u32,
}

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    let mut tracer = Tracer::new(16)?;
    let server = child(serve)?;
    let ports = [served(&server, FIRST)?, served(&server, SECOND)?];
    mach_port_allocate_name(server.task.name(), Right::PortSet as u32, THIRD).doing("a set in the server")?;
    for (name, payload) in [FIRST, SECOND].into_iter().zip(PAYLOADS) {
        mach_port_move_member(server.task.name(), name, THIRD).doing("mach_port_move_member")?;
        mach_port_set_protected_payload(server.task.name(), name, payload).doing("mach_port_set_protected_payload")?;
    }
    tracer.trace(server.task.name()).doing("task_set_special_port")?;

    // Queued before the server runs, which finds them there.
    for port in &ports {
        simple(port.name()).doing("a message that is queued")?;
    }
    server.resume().doing("starting the server")?;
    // By now it waits: what is only sent wakes it, and an RPC is handed over.
    for port in &ports {
        rpc(port.name())?;
        simple(port.name()).doing("a message that wakes the server")?;
        rpc(port.name())?;
    }
    let alone = received(&mut tracer, 8)?;
    let [first, second] = [0, 1].map(|index: usize| alone[index]);
    expect("different numbers of different ports", true, first.number != second.number)?;
    let expected: Vec<To> = [first, second, first, first, first, second, second, second].into();
    expect("what the server's receives say", &expected[..], &alone[..])?;
    expect("the server's own names", [FIRST.0, SECOND.0], [first.name, second.name])?;

    let client = child(ask)?;
    give(&client, FIRST, ports[0].name(), Disposition::CopySend)?;
    give(&client, SECOND, ports[1].name(), Disposition::CopySend)?;
    tracer.trace(client.task.name()).doing("task_set_special_port")?;
    client.resume().doing("starting the client")?;
    let both = received(&mut tracer, 8)?;
    for (index, to) in both.iter().enumerate() {
        let port = if index < 4 { first } else { second };
        let expected = match to.direction {
            Direction::Receive => port,
            Direction::Send => To { task: to.task, direction: Direction::Send, ..port },
        };
        expect("what a record of client or server says", expected, *to)?;
    }
    println!("payloads: 16 records say which port a message was sent to and received on");
    for task in [&server, &client] {
        // The client may have ended by itself.
        let _ = mach::sys::trap::task_terminate(task.task.name());
    }
    Ok(())
}

/// Gives the server the receive right of a new port; returns a send right.
fn served(server: &Child, name: PortName) -> Result<SendRight, Mismatch> {
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let right = port.make_send().doing("a send right")?;
    give(server, name, port.into_name(), Disposition::MoveReceive)?;
    Ok(right)
}

/// The next records of messages to the server, by their order in the trace.
fn received(tracer: &mut Tracer, count: usize) -> Result<Vec<To>, Mismatch> {
    let mut found = Vec::new();
    while found.len() < count {
        tracer.each(None, |record| {
            if let Some(to) = to_server(record)? {
                found.push((record.header.sequence.get(), to));
            }
            Ok(())
        })?;
    }
    found.sort_by_key(|&(sequence, _)| sequence);
    Ok(found.into_iter().map(|(_, to)| to).collect())
}

/// What a record says, if it is of a message to the server.
fn to_server(record: &Record<'_>) -> Result<Option<To>, Mismatch> {
    let id = record.message.get(28..32).and_then(|id| id.try_into().ok()).map_or(0, i32::from_le_bytes);
    if record.kind != EventKind::Normal || ![REQUEST, SIMPLE].contains(&id) {
        return Ok(None);
    }
    let task = record.header.task.get();
    let port = match record.direction {
        Direction::Send => record.ports.first().doing("the port it is sent to")?,
        Direction::Receive => {
            let word = |index: usize| record.message[8 * index..][..8].try_into().map(u64::from_le_bytes).unwrap_or(0);
            expect("the local port's type", PROTECTED_PAYLOAD, local(word(word::BITS) as u32))?;
            expect("a payload", true, PAYLOADS.contains(&word(word::LOCAL_PORT)))?;
            record.ports.iter().find(|port| port.is_received_on()).doing("the port it was received on")?
        }
    };
    Ok(Some(To { task, direction: record.direction, name: port.name.get(), number: port.number.get() }))
}

fn simple(port: PortName) -> Result<(), KernReturn> {
    Message::new(SIMPLE, port, Disposition::CopySend).send(None).into_result()
}

/// A request and its reply in one `mach_msg` without more options, which hands over to a server that waits.
fn rpc(port: PortName) -> Result<(), Mismatch> {
    let reply = mach::sys::trap::mach_reply_port();
    let size = LIMIT / 2;
    let mut message = [0; LIMIT as usize / 8];
    message[word::BITS] =
        u64::from(bits(Disposition::CopySend as u32, Disposition::MakeSendOnce as u32)) | u64::from(size) << 32;
    message[word::REMOTE_PORT] = port.0.into();
    message[word::LOCAL_PORT] = reply.0.into();
    message[word::LOCAL_PORT + 1] = u64::from(REQUEST.cast_unsigned()) << 32;
    let answer = mach_msg(&mut message, MACH_SEND_MSG | MACH_RCV_MSG, size, LIMIT, reply, 0, PortName::NULL);
    drop(ReceiveRight::from_name(reply));
    KernReturn::from_mach_msg(answer).into_result().doing("an RPC")
}

fn ask() {
    for port in [FIRST, SECOND] {
        let _ = rpc(port);
        let _ = rpc(port);
    }
}

fn serve() {
    let set = ReceiveRight::from_name(THIRD);
    while let Ok(request) = Received::receive(&set, LIMIT, None) {
        if request.id() == REQUEST {
            let _ = Message::new(REPLY, request.reply_port(), Disposition::MoveSendOnce).send(None);
        }
    }
}
