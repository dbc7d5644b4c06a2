// SPDX-License-Identifier: GPL-2.0-or-later
//! ping: makes a child task with a copy of its memory; parent and child call each other.
//!
//! Its trace must show `task_create` with inherited memory, a thread started in the child, rights inserted into the child's
//! space, and then both tasks: the child's `ping` calls answered by the parent, the parent's answered by the child, without
//! anybody having set a trace port for the child.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::port::{Disposition, PortName, ReceiveRight};
use mach::rt::arguments::Arguments;
use mach::rt::exit::terminate;
use mach::sys::trap::mach_port_insert_right;
use mach::{println, stubs, task_self, thread};
use mach_abi::notify::MACH_NOTIFY_DEAD_NAME;
use programs::ping::{client, serve_one};
use programs::{Doing, Mismatch, expect};

mach::entry!(main);

/// How often each side calls the other.
const CALLS: i32 = 3;
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
    let notify = ReceiveRight::allocate().doing("mach_port_allocate")?;
    stubs::mach_port::mach_port_request_notification(
        task_self(),
        child.task.name(),
        MACH_NOTIFY_DEAD_NAME as i32,
        0,
        notify.name(),
        Disposition::MakeSendOnce,
    )
    .doing("mach_port_request_notification")?;
    child.resume().doing("starting the child")?;

    for number in 1..=CALLS {
        let answered = serve_one(parent_port.name()).doing("serving the child")?;
        expect("number the child sent", number, answered)?;
        println!("ping: the child asked about {answered}");
    }
    for number in 1..=CALLS {
        let doubled = client::ping(to_child.name(), 10 * number).doing("asking the child")?;
        expect("the child's answer", 20 * number, doubled)?;
        println!("ping: the child answered {doubled}");
    }
    mach::msg::Received::receive(&notify, 256, None).doing("waiting for the child's end")?;
    println!("ping: the child is gone");
    Ok(())
}

/// What the child runs. A wrong answer ends it early, which the parent notices as a call that fails.
fn child() {
    let rights = (1..=CALLS).all(|number| client::ping(PARENT, number) == Ok(2 * number));
    if rights {
        for _ in 1..=CALLS {
            if serve_one(CHILD).is_err() {
                break;
            }
        }
    }
    terminate()
}
