// SPDX-License-Identifier: GPL-2.0-or-later
//! deadlock: two tasks of one thread each answer one request of the other's, and then ask each other at the same time. Neither receives any more,
//! so that both wait for ever.
//!
//! It is what a machine's memory is looked into for: `cargo qemu autopsy` must name both, what they wait for, and that each waits for the other.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::port::ReceiveRight;
use mach::println;
use mach::rt::arguments::Arguments;
use programs::ping::{client, serve_one};
use programs::tracer::{FIRST as PARENT, SECOND as CHILD, child_with_port};
use programs::{Doing, Mismatch, expect};

mach::entry!(main);

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    let parent_port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let (child, to_child) = child_with_port(child, &parent_port)?;
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
}
