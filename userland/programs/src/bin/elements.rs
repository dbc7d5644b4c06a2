// SPDX-License-Identifier: GPL-2.0-or-later
//! elements: each right in an array out of line has the number of its port, the same in the records of all tasks.
//!
//! This program traces a client and a server. The client sends the server one message with two arrays, once when the server waits for it and
//! once before it does, and one with more rights than a record has room for. The elements of both records of each are compared with what
//! stands in the header. Then it asks for the client's threads and registers ports for it, by its control port.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use mach::msg::{Message, Received};
use mach::port::{Disposition, PortName, ReceiveRight};
use mach::println;
use mach::rt::arguments::Arguments;
use mach::stubs::mach::{mach_ports_register, task_threads};
use programs::tracer::{FIRST, SECOND, Tracer, child, give};
use programs::{Doing, Mismatch, expect};
use trace_port::event::{Direction, EventKind};
use trace_port::port::{self, MAX_PORTS, Port};
use trace_port::record::{PORT_NUMBER, Record};

mach::entry!(main);

/// Ids of a message with two arrays, of one with many rights, and of one that ends the server.
const TWO: i32 = 7501;
const MANY: i32 = 7502;
const LAST: i32 = 7503;
/// Rights of the one with many.
const RIGHTS: usize = 1500;
/// Most bytes of these messages.
const LIMIT: u32 = 128;
/// Ids of mach.defs.
const TASK_THREADS_REPLY: i32 = 2111;
const MACH_PORTS_REGISTER: i32 = 2033;

/// What a record says.
struct Said {
    id: i32,
    kind: EventKind,
    direction: Direction,
    thread: u32,
    sequence: u64,
    /// Of the header and in the message.
    inline: Vec<Port>,
    elements: Vec<Port>,
}

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    let mut tracer = Tracer::new(16)?;
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let own = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let right = port.make_send().doing("a send right")?;
    let server = child(serve)?;
    give(&server, FIRST, port.into_name(), Disposition::MoveReceive)?;
    let client = child(send)?;
    give(&client, FIRST, right.name(), Disposition::CopySend)?;
    give(&client, SECOND, own.into_name(), Disposition::MoveReceive)?;
    tracer.trace(server.task.name()).doing("task_set_special_port")?;
    tracer.trace(client.task.name()).doing("task_set_special_port")?;
    server.resume().doing("starting the server")?;
    client.resume().doing("starting the client")?;

    let mut said = Vec::new();
    while !said.iter().any(|said: &Said| said.id == LAST && said.direction == Direction::Receive) {
        tracer.each(None, |record| {
            said.push(Said::of(record));
            Ok(())
        })?;
    }
    said.sort_by_key(|said| said.sequence);
    let sent = of(&said, TWO, Direction::Send);
    let received = of(&said, TWO, Direction::Receive);
    expect("messages with two arrays", (2, 2), (sent.len(), received.len()))?;
    for two in sent.iter().chain(&received) {
        check_two(two)?;
    }
    for (direction, name) in [(Direction::Send, Some(SECOND)), (Direction::Receive, None)] {
        let found = of(&said, MANY, direction);
        let many = found.first().doing("a message with many rights")?;
        expect("what a record has room for", MAX_PORTS, many.inline.len() + many.elements.len())?;
        let port = sent[0].inline[1].number;
        expect("the port of all", true, many.elements.iter().all(|element| element.number == port))?;
        let names = many.elements.iter().all(|element| name.is_none_or(|name| element.name.get() == name.0));
        expect("the sender's name of all", true, names)?;
    }
    check_others(&mut tracer, client.task.name(), sent[0])?;
    println!(
        "elements: the same numbers in the records of both tasks, {MAX_PORTS} names in a record of {RIGHTS} rights"
    );
    for task in [&server, &client] {
        let _ = mach::sys::trap::task_terminate(task.task.name());
    }
    Ok(())
}

impl Said {
    fn of(record: &Record<'_>) -> Self {
        let id = record.message.get(28..32).and_then(|id| id.try_into().ok()).map_or(0, i32::from_le_bytes);
        let (elements, inline) = record.ports.iter().partition(|port| port.is_out_of_line());
        let (thread, sequence) = (record.header.thread.get(), record.header.sequence.get());
        Self { id, kind: record.kind, direction: record.direction, thread, sequence, inline, elements }
    }
}

/// Those of a task's own.
fn of(said: &[Said], id: i32, direction: Direction) -> Vec<&Said> {
    let is_it = |said: &&Said| said.id == id && said.direction == direction && said.kind == EventKind::Normal;
    said.iter().filter(is_it).collect()
}

/// In the header is the server's port, in the message a right to the client's own, and in the arrays both.
fn check_two(two: &Said) -> Result<(), Mismatch> {
    let [server, own] = two.inline[..] else { return Err(Mismatch::new("two ports beside the arrays")) };
    let numbers: Vec<u32> = two.elements.iter().map(|element| element.number.get()).collect();
    let (server_number, own_number) = (server.number.get(), own.number.get());
    expect("two different ports", true, server_number != own_number && server_number != 0)?;
    expect("numbers of the elements", &[own_number, 0, 0, own_number, server_number][..], &numbers[..])?;
    let names: Vec<u32> = two.elements.iter().map(|element| element.name.get()).collect();
    let expected = [own.name.get(), PortName::NULL.0, PortName::DEAD.0, own.name.get(), server.name.get()];
    expect("names of the elements", &expected[..], &names[..])?;
    let kinds: Vec<u8> = two.elements.iter().map(|element| element.kind).collect();
    expect("kinds", &[port::NONE, port::NOTHING, port::NOTHING, port::NONE, port::NONE][..], &kinds[..])
}

/// What another task says on the client's control port, and the kernel's answer.
fn check_others(tracer: &mut Tracer, client: PortName, sent: &Said) -> Result<(), Mismatch> {
    let threads = task_threads(client).doing("task_threads")?.len();
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let right = port.make_send().doing("a send right")?;
    mach_ports_register(client, &[right.name(), PortName::NULL, client]).doing("mach_ports_register")?;
    let mut found = Vec::new();
    while found.len() < 4 {
        tracer.each(None, |record| {
            found.extend((record.kind == EventKind::Task).then(|| Said::of(record)));
            Ok(())
        })?;
    }
    let [_, answered, asked, _] = &found[..] else { return Err(Mismatch::new("two requests and two answers")) };
    expect("the answer", (TASK_THREADS_REPLY, threads), (answered.id, answered.elements.len()))?;
    let thread = answered.elements.first().doing("a thread")?;
    expect("the client's thread", (port::THREAD, sent.thread), (thread.kind, thread.object.get()))?;
    expect("the request", (MACH_PORTS_REGISTER, 3), (asked.id, asked.elements.len()))?;
    let [other, null, task] = asked.elements[..] else { return Err(Mismatch::new("three elements")) };
    expect("a number in place of a name", PORT_NUMBER | other.number.get(), other.name.get())?;
    expect("nothing", (port::NOTHING, 0), (null.kind, null.name.get()))?;
    expect("the client itself", port::TASK, task.kind)
}

/// The client.
fn send() {
    let two = || {
        let message = Message::new(TWO, FIRST, Disposition::CopySend).port(SECOND, Disposition::MakeSend);
        let names = [SECOND, PortName::NULL, PortName::DEAD, SECOND];
        message
            .ports_out_of_line(&names, Disposition::MakeSend)
            .ports_out_of_line(&[FIRST], Disposition::CopySend)
            .send(None)
    };
    let _ = (two(), two());
    let many = [SECOND; RIGHTS];
    let _ = Message::new(MANY, FIRST, Disposition::CopySend).ports_out_of_line(&many, Disposition::MakeSend).send(None);
    let _ = Message::new(LAST, FIRST, Disposition::CopySend).send(None);
    // Its control port stays until the parent has asked about it.
    let _ = Received::receive(&ReceiveRight::from_name(SECOND), LIMIT, None);
}

fn serve() {
    let port = ReceiveRight::from_name(FIRST);
    while let Ok(message) = Received::receive(&port, LIMIT, None) {
        if message.id() == LAST {
            break;
        }
    }
}
