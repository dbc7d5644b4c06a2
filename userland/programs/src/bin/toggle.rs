// SPDX-License-Identifier: GPL-2.0-or-later
//! toggle: one thread switches the tracing of a child on and off while another exchanges messages with it.
//!
//! With the host's privileged port as argument (`${host-port}`) and a kernel for several processors, the child runs on another
//! processor set than the program, so that hooks run at the same time. No message may be lost or changed; run untraced.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use mach::error::KernReturn;
use mach::msg::{Message, Received};
use mach::port::{Disposition, PortName, ReceiveRight};
use mach::rt::arguments::Arguments;
use mach::sys::msg::mach_msg;
use mach::sys::trap::task_set_special_port;
use mach::{println, thread};
use mach_abi::option::MACH_RCV_MSG;
use mach_abi::special_port::TASK_TRACE_PORT;
use programs::processors;
use programs::tracer::{FIRST as PARENT, SECOND as CHILD, child_with_port, each_record, number};
use programs::{Doing, Mismatch, expect};
use trace_port::record::LARGEST;

mach::entry!(main);

/// Ids of the messages between parent and child.
const GO: i32 = 6600;
const DONE: i32 = 6601;
/// Most bytes of those messages.
const LIMIT: u32 = 64;
/// How many messages go to the child at least. Each may cost a whole time slice of the thread that switches.
const MESSAGES: u32 = 100;

/// How often tracing is switched at least.
const ENOUGH: u32 = 10;

/// How often tracing was switched.
static SWITCHED: AtomicU32 = AtomicU32::new(0);

/// The exchange is over.
static OVER: AtomicBool = AtomicBool::new(false);

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let trace = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let right = trace.make_send().doing("a send right to the trace port")?;
    let from_child = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let done = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let to_done = done.make_send().doing("a send right")?;
    let (child, to_child) = child_with_port(answer, &from_child)?;
    if let Some(host) = arguments.get_str(1).and_then(|name| name.parse().ok()) {
        let host = PortName(host);
        println!("toggle: {} processor sets", processors::sets(host)?.len());
        if processors::move_elsewhere(host, child.task.name())? {
            println!("toggle: the child has processors of its own");
        }
    }
    child.resume().doing("starting the child")?;

    let task = child.task.name();
    thread::spawn(move || drain(&trace)).doing("starting a thread")?;
    thread::spawn(move || {
        switch(task, right.name());
        Message::new(DONE, to_done.name(), Disposition::CopySend).send(None);
    })
    .doing("starting a thread")?;
    let mut value = 0;
    while value < MESSAGES || SWITCHED.load(Ordering::Relaxed) < ENOUGH {
        let sent = Message::new(GO, to_child.name(), Disposition::CopySend).integer(value).send(None);
        expect("sending to the child", KernReturn::KERN_SUCCESS, sent)?;
        let answer = Received::receive(&from_child, LIMIT, None).doing("receiving from the child")?;
        expect("the child's message", (DONE, Some(value)), (answer.id(), number(&answer)))?;
        value += 1;
    }
    OVER.store(true, Ordering::Relaxed);
    Received::receive(&done, LIMIT, None).doing("waiting for the other thread")?;
    println!("toggle: {MESSAGES} messages and more while tracing was switched on and off");
    mach::sys::trap::task_terminate(task).doing("task_terminate")
}

/// What the child runs, until it is terminated or its parent is gone.
fn answer() {
    let port = ReceiveRight::from_name(CHILD);
    while let Ok(message) = Received::receive(&port, LIMIT, None) {
        let value = number(&message).unwrap_or(u32::MAX);
        if Message::new(DONE, PARENT, Disposition::CopySend).integer(value).send(None) != KernReturn::KERN_SUCCESS {
            break;
        }
    }
}

/// Switches tracing until the exchange is over, and off at last.
fn switch(task: PortName, trace: PortName) {
    while !OVER.load(Ordering::Relaxed) {
        for port in [trace, PortName::NULL] {
            let set = task_set_special_port(task, TASK_TRACE_PORT, port);
            assert!(set.is_ok(), "task_set_special_port: {set:?}");
            SWITCHED.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Receives records and throws them away; a malformed one ends the program.
fn drain(trace: &ReceiveRight) {
    let mut buffer = alloc::vec![0u64; LARGEST / 8];
    let limit = size_of_val(&buffer[..]) as u32;
    loop {
        let answer = mach_msg(&mut buffer, MACH_RCV_MSG, 0, limit, trace.name(), 0, PortName::NULL);
        assert!(KernReturn::from_mach_msg(answer) == KernReturn::KERN_SUCCESS, "receiving a record: {answer:#x}");
        assert!(each_record(&buffer, |_| Ok(())).is_ok(), "a malformed message: {:x?}", &buffer[..8]);
    }
}
