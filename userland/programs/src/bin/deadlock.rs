// SPDX-License-Identifier: GPL-2.0-or-later
//! deadlock: two tasks of one thread each answer one request of the other's, and then ask each other at the same time. Neither receives any more,
//! so that both wait for ever.
//!
//! It is what a machine's memory is looked into for: `cargo qemu autopsy` must name both, what they wait for, and that each waits for the other.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::port::{Disposition, PortName, ReceiveRight};
use mach::rt::arguments::Arguments;
use mach::rt::exit::terminate;
use mach::sys::trap::mach_port_insert_right;
use mach::{println, thread};
use programs::ping::{client, serve_one};
use programs::{Doing, Mismatch, expect};

mach::entry!(main);

/// What the child calls its send right to the parent's port.
const PARENT: PortName = PortName(0x101);
/// What the child calls the receive right of its own port.
const CHILD: PortName = PortName(0x102);

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    let parent_port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let child_port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let to_child = child_port.make_send().doing("a send right to the child's port")?;
    let child = thread::fork(child).doing("making the child")?;
    mach_port_insert_right(child.task.name(), PARENT, parent_port.name(), Disposition::MakeSend)
        .doing("inserting a send right into the child")?;
    mach_port_insert_right(child.task.name(), CHILD, child_port.into_name(), Disposition::MoveReceive)
        .doing("inserting a receive right into the child")?;
    child.resume().doing("starting the child")?;
    expect("the child's number", 1, serve_one(parent_port.name()).doing("serving the child")?)?;
    expect("the child's answer", 4, client::ping(to_child.name(), 2).doing("asking the child")?)?;
    println!("deadlock: each has answered the other once");
    client::ping(to_child.name(), 3).doing("asking the child again, which asks, too")?;
    Ok(())
}

/// What the child runs.
fn child() {
    if client::ping(PARENT, 1) == Ok(2) && serve_one(CHILD) == Ok(2) {
        // It is answered only if the parent receives again.
        let _ = client::ping(PARENT, 4);
    }
    terminate()
}
