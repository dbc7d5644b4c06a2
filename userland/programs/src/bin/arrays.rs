// SPDX-License-Identifier: GPL-2.0-or-later
//! arrays: sends and receives rights in arrays out of line.
//!
//! Its trace must show which ports they are, those that nothing else was heard of included: a thread that never ran, threads of another
//! task; of each array its own, where a message has two; and of an array that is larger than a record how many are not captured.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec;

use mach::error::KernReturn;
use mach::msg::{Message, Received};
use mach::port::{Disposition, PortName, ReceiveRight};
use mach::rt::arguments::Arguments;
use mach::stubs::mach::{
    mach_ports_lookup, mach_ports_register, task_create, task_get_special_port, task_terminate, task_threads,
    thread_create, thread_terminate,
};
use mach::{println, task_self};
use mach_abi::special_port::TASK_BOOTSTRAP_PORT;
use programs::{Doing, Mismatch, expect};

mach::entry!(main);

/// More rights than a record has room for.
const MANY: usize = 1500;

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    let task = task_self();
    let idle = thread_create(task).doing("thread_create")?;
    expect("threads", 2, task_threads(task).doing("task_threads")?.len())?;
    let child = task_create(task, false).doing("task_create")?;
    let childs = thread_create(child.name()).doing("thread_create")?;
    expect("threads of the child", 1, task_threads(child.name()).doing("task_threads")?.len())?;

    let bootstrap = task_get_special_port(task, TASK_BOOTSTRAP_PORT).doing("task_get_special_port")?;
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let right = port.make_send().doing("a send right")?;
    let registered = [bootstrap.name(), PortName::NULL, right.name()];
    mach_ports_register(task, &registered).doing("mach_ports_register")?;
    let found = mach_ports_lookup(task).doing("mach_ports_lookup")?;
    expect("registered ports", true, found.len() >= registered.len())?;
    drop(found);
    mach_ports_register(task, &[PortName::NULL]).doing("mach_ports_register")?;

    // Not on the stack: where that is the compiler says.
    let names = vec![right.name(), PortName::DEAD, child.name()];
    let own = vec![port.name(); 2];
    let two = Message::new(7901, port.name(), Disposition::MakeSend)
        .ports_out_of_line(&names, Disposition::CopySend)
        .ports_out_of_line(&[], Disposition::CopySend)
        .ports_out_of_line(&own, Disposition::MakeSendOnce);
    exchange(two, &port)?;
    let names = vec![right.name(); MANY];
    let many = Message::new(7902, port.name(), Disposition::MakeSend);
    exchange(many.ports_out_of_line(&names, Disposition::CopySend), &port)?;

    for thread in [&idle, &childs] {
        thread_terminate(thread.name()).doing("thread_terminate")?;
    }
    task_terminate(child.name()).doing("task_terminate")?;
    println!("arrays: all sent and received");
    Ok(())
}

/// Sends a message and takes it back.
fn exchange(mut message: Message, port: &ReceiveRight) -> Result<(), Mismatch> {
    expect("sending", KernReturn::KERN_SUCCESS, message.send(None))?;
    Received::receive(port, message.size(), None).doing("receiving").map(drop)
}
