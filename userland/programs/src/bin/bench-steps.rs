// SPDX-License-Identifier: GPL-2.0-or-later
//! bench-steps: what `cargo qemu bench` follows instruction by instruction, to see how deep the kernel's stacks get.
//!
//! Each line `step NUMBER NAME` names a part, which lies between `mark(NUMBER)` and `mark(0)`. In each part a traced task
//! does one thing that goes through one of the payload's hooks; on a kernel without trace ports it does so untraced. Nobody
//! may sleep until a timer rings: while it is followed, the machine takes no interrupts.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use mach::error::{KernReturn, Result as KernResult};
use mach::memory::{OutOfLine, PAGE_SIZE, Pages, VM_PROT_NONE};
use mach::msg::{Message, Received};
use mach::port::{Disposition, PortName, ReceiveRight};
use mach::rt::arguments::Arguments;
use mach::rt::exit::terminate;
use mach::sys::mark::mark;
use mach::sys::msg::mach_msg;
use mach::sys::trap;
use mach::{println, stubs, task_self, thread_self};
use mach_abi::header::word;
use mach_abi::option::{MACH_RCV_MSG, MACH_SEND_MSG};
use mach_abi::port::MACH_PORT_QLIMIT_MAX;
use mach_abi::special_port::{TASK_EXCEPTION_PORT, TASK_TRACE_PORT, THREAD_EXCEPTION_PORT};
use programs::catcher::Catcher;
use programs::ring::Ring;
use programs::tracer::{FIRST as PARENT, SECOND as SERVER, Tracer, child, give};
use programs::{Doing, Mismatch};

mach::entry!(main);

/// What is followed: number and name.
const STEPS: [(u32, &str); 16] = [
    (KERNEL_CALL, "kernel RPC"),
    (SERVER_CALL, "task RPC"),
    (GET_PORT, "task_get_special_port"),
    (SET_PORT, "task_set_special_port"),
    (OUT_OF_LINE, "out-of-line memory and rights"),
    (CREATE, "task_create"),
    (TERMINATE, "task_terminate"),
    (EXCEPTION, "exception and its reply"),
    (CONTROL, "RPC of another task on the traced one"),
    (TRAP, "vm_allocate by its trap"),
    (FAILED_SEND, "failed send"),
    (FAILED_RECEIVE, "failed receive"),
    (END, "end of a trace"),
    (RING_KERNEL_CALL, "kernel RPC into a ring"),
    (RING_SERVER_CALL, "task RPC into a ring"),
    (RING_END, "end of a trace into a ring"),
];
const KERNEL_CALL: u32 = 1;
const SERVER_CALL: u32 = 2;
const GET_PORT: u32 = 3;
const SET_PORT: u32 = 4;
const OUT_OF_LINE: u32 = 5;
const CREATE: u32 = 6;
const TERMINATE: u32 = 7;
const EXCEPTION: u32 = 8;
const CONTROL: u32 = 9;
const TRAP: u32 = 10;
const FAILED_SEND: u32 = 11;
const FAILED_RECEIVE: u32 = 12;
const END: u32 = 13;
const RING_KERNEL_CALL: u32 = 14;
const RING_SERVER_CALL: u32 = 15;
const RING_END: u32 = 16;
/// The number of what nobody follows.
const PRACTICE: u32 = u32::MAX;

/// A client asks that the trace port be emptied.
const SYNC: i32 = 6600;
/// A client asks for an RPC on its control port.
const ASK: i32 = 6601;
/// A client asks for an RPC on its control port, for practice.
const PRACTISE: i32 = 6603;
/// A client asks for the end of its trace.
const STOP: i32 = 6604;
/// A client asks for the end of its trace into a ring.
const STOP_RING: i32 = 6606;
/// A client asks to be traced into a ring.
const RING: i32 = 6605;
/// A client is done; the message says with which step it failed, or 0.
const DONE: i32 = 6602;
/// A message for a server or for oneself.
const PLAIN: i32 = 6610;
/// What a port's queue can hold: more records than any step makes.
const QUEUE: u32 = MACH_PORT_QLIMIT_MAX;
/// Bytes out of line.
const OUT_OF_LINE_SIZE: usize = 16 * 1024;

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    for (number, name) in STEPS {
        println!("step {number} {name}");
    }
    let report = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let requests = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let to_server = requests.make_send().doing("a send right to the server")?;
    let server = child(serve)?;
    give(&server, SERVER, requests.into_name(), Disposition::MoveReceive)?;
    let client = child(client)?;
    give(&client, PARENT, report.name(), Disposition::MakeSend)?;
    give(&client, SERVER, to_server.name(), Disposition::CopySend)?;
    let mut tracer = Tracer::new(QUEUE)?;
    if_it_can(tracer.trace(client.task.name())).doing("task_set_special_port")?;
    server.resume().doing("starting the server")?;
    client.resume().doing("starting the client")?;
    let failed = attend(&report, client.task.name(), &mut tracer)?;
    for task in [client.task, server.task] {
        trap::task_terminate(task.name()).doing("task_terminate")?;
    }
    match STEPS.iter().find(|step| step.0 == failed) {
        Some((_, name)) => Err(Mismatch::new(name)),
        None => Ok(()),
    }
}

/// Nothing where the kernel has no trace ports.
fn if_it_can<T>(result: KernResult<T>) -> KernResult<Option<T>> {
    match result {
        Err(KernReturn::KERN_INVALID_ARGUMENT) => Ok(None),
        other => other.map(Some),
    }
}

/// Does what the client asks for; returns the step it failed with, or 0.
fn attend(report: &ReceiveRight, client: PortName, tracer: &mut Tracer) -> Result<u32, Mismatch> {
    let mut ring = None;
    loop {
        let request = Received::receive(report, 256, None).doing("receiving the client's message")?;
        match request.id() {
            DONE => return programs::tracer::number(&request).doing("number of a step"),
            id @ (ASK | PRACTISE) => {
                mark(if id == ASK { CONTROL } else { PRACTICE });
                let suspended = stubs::mach::task_suspend(client);
                mark(0);
                suspended.doing("task_suspend")?;
                stubs::mach::task_resume(client).doing("task_resume")?;
            }
            // Only the tracer may.
            id @ (STOP | STOP_RING) => {
                let step = if id == STOP { END } else { RING_END };
                let end = || stubs::mach::task_set_special_port(client, TASK_TRACE_PORT, PortName::NULL);
                if_it_can(between(step, end)).doing("task_set_special_port to null")?;
            }
            RING => {
                if_it_can(tracer.trace(client)).doing("task_set_special_port")?;
                ring = if_it_can(Ring::of(client)).doing("task_get_special_port")?;
            }
            _ => {}
        }
        while tracer.record(Some(0))?.is_some() {}
        if let Some(ring) = &mut ring {
            ring.read(|_| Ok(()))?;
        }
        let answered = Message::new(PLAIN, request.reply_port(), Disposition::MoveSendOnce).send(None);
        answered.into_result().doing("answering the client")?;
    }
}

/// The client: goes through the steps and says which one failed.
fn client() {
    let ports = Ports { own: ReceiveRight::allocate(), memory: OutOfLine::copy_of(&[7; OUT_OF_LINE_SIZE]) };
    let failed = STEPS.iter().find(|step| follow(step.0, &ports).is_err()).map_or(0, |step| step.0);
    programs::tracer::send(DONE, PARENT, Disposition::CopySend, failed);
    // Nothing comes: the parent ends this task.
    let _ = ports.own.and_then(|own| Received::receive(&own, 256, None));
}

/// What the client's steps use.
struct Ports {
    own: KernResult<ReceiveRight>,
    memory: KernResult<OutOfLine>,
}

/// One step, first for practice: what is new to the task (pages, entries of its port space) is not what counts.
fn follow(step: u32, ports: &Ports) -> KernResult<()> {
    if step == RING_KERNEL_CALL {
        call(PARENT, RING)?;
    }
    if !matches!(step, END | RING_END) {
        once(step, PRACTICE, ports)?;
    }
    once(step, step, ports)
}

/// One step, which begins with an empty trace queue, under the number `shown`.
fn once(step: u32, shown: u32, ports: &Ports) -> KernResult<()> {
    call(PARENT, SYNC)?;
    let own = ports.own.as_ref().map_err(|&error| error)?;
    match step {
        KERNEL_CALL | RING_KERNEL_CALL => {
            between(shown, || stubs::mach_port::mach_port_type(task_self(), SERVER)).map(drop)
        }
        SERVER_CALL | RING_SERVER_CALL => between(shown, || call(SERVER, PLAIN)),
        GET_PORT => between(shown, || stubs::mach::task_get_special_port(task_self(), TASK_EXCEPTION_PORT)).map(drop),
        SET_PORT => between(shown, || stubs::mach::task_set_special_port(task_self(), TASK_EXCEPTION_PORT, SERVER)),
        OUT_OF_LINE => out_of_line(own, ports.memory.as_ref().map_err(|&error| error)?, shown),
        CREATE => {
            let task = between(shown, || stubs::mach::task_create(task_self(), true))?;
            stubs::mach::task_terminate(task.name())
        }
        TERMINATE => {
            let task = stubs::mach::task_create(task_self(), true)?;
            between(shown, || stubs::mach::task_terminate(task.name()))
        }
        EXCEPTION => fault(shown),
        CONTROL => call(PARENT, if shown == step { ASK } else { PRACTISE }),
        TRAP => {
            let address = between(shown, || trap::vm_allocate(task_self(), 0, PAGE_SIZE, true))?;
            trap::vm_deallocate(task_self(), address, PAGE_SIZE)
        }
        FAILED_SEND => {
            let failed = between(shown, || Message::new(PLAIN, PortName::DEAD, Disposition::CopySend).send(None));
            expect(failed, KernReturn::MACH_SEND_INVALID_DEST)
        }
        FAILED_RECEIVE => {
            let failed = between(shown, || Received::receive(own, 256, Some(0)));
            expect(failed.err().unwrap_or(KernReturn::KERN_SUCCESS), KernReturn::MACH_RCV_TIMED_OUT)
        }
        END => call(PARENT, STOP),
        _ => call(PARENT, STOP_RING),
    }
}

/// Has `body` followed as a step.
fn between<T>(step: u32, body: impl FnOnce() -> T) -> T {
    mark(step);
    let result = body();
    mark(0);
    result
}

/// An error that had to come.
fn expect(found: KernReturn, expected: KernReturn) -> KernResult<()> {
    if found == expected { Ok(()) } else { Err(KernReturn::KERN_FAILURE) }
}

/// An RPC without arguments.
fn call(to: PortName, id: i32) -> KernResult<()> {
    let port = mach::sys::msg::reply_port();
    let mut words = [0; 8];
    words[word::BITS] = Disposition::CopySend as u64 | (Disposition::MakeSendOnce as u64) << 8;
    words[word::REMOTE_PORT] = to.0.into();
    words[word::LOCAL_PORT] = port.0.into();
    words[word::ID] = (id as u64) << 32;
    let option = MACH_SEND_MSG | MACH_RCV_MSG;
    KernReturn::from_mach_msg(mach_msg(&mut words, option, 32, 64, port, 0, PortName::NULL)).into_result()
}

/// Sends memory and a right to a port of one's own, and receives them.
fn out_of_line(own: &ReceiveRight, memory: &OutOfLine, shown: u32) -> KernResult<()> {
    let mut message = Message::new(PLAIN, own.name(), Disposition::MakeSend)
        .out_of_line(memory.address(), OUT_OF_LINE_SIZE as u32, false)
        .port(SERVER, Disposition::CopySend);
    mark(shown);
    let sent = message.send(None);
    let received = Received::receive(own, 256, None);
    mark(0);
    sent.into_result()?;
    received.map(drop)
}

/// Writes where that is forbidden; the server makes it allowed.
fn fault(shown: u32) -> KernResult<()> {
    let mut pages = Pages::allocate(PAGE_SIZE)?;
    stubs::mach::vm_protect(task_self(), pages.address(), PAGE_SIZE, false, VM_PROT_NONE)?;
    stubs::mach::thread_set_special_port(thread_self(), THREAD_EXCEPTION_PORT, SERVER)?;
    call(PARENT, SYNC)?;
    between(shown, || pages.as_mut_slice()[0] = 1);
    Ok(())
}

/// The server: answers messages, and exceptions by removing their cause.
fn serve() {
    let mut request = [0; 32];
    let limit = size_of_val(&request) as u32;
    while mach_msg(&mut request, MACH_RCV_MSG, 0, limit, SERVER, 0, PortName::NULL) == 0 {
        let mut reply = [0; 16];
        if !stubs::exc_server::demux(&mut Catcher::default(), &request, &mut reply) {
            // The reply to a request without arguments is its header.
            reply[word::BITS] = Disposition::MoveSendOnce as u64 | 32 << 32;
            reply[word::REMOTE_PORT] = request[word::REMOTE_PORT];
        }
        let size = (reply[word::BITS] >> 32) as u32;
        mach_msg(&mut reply, MACH_SEND_MSG, size, 0, PortName::NULL, 0, PortName::NULL);
    }
    terminate()
}
