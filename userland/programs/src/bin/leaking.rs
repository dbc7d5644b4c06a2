// SPDX-License-Identifier: GPL-2.0-or-later
//! leaking: loses port rights as programs do, and nothing else of it leaks.
//!
//! It asks for its bootstrap port again and again and never gives a reference back, allocates ports and loses some of their names, and receives rights
//! in messages that it does not look at. It gives a send right back twice, sends to a port that has died, and to a name that it has given back. The answer
//! to `leaks` must name each of this with the calls that brought it, and nothing of what it does rightly in between.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::error::KernReturn;
use mach::msg::{Message, Received};
use mach::port::{Disposition, ReceiveRight, SendRight};
use mach::rt::arguments::Arguments;
use mach::sys::trap::mach_port_deallocate;
use mach::{println, stubs, task_self};
use mach_abi::special_port::TASK_BOOTSTRAP_PORT;
use programs::{Doing, Mismatch, expect};

mach::entry!(main);

/// How often each of it is done.
const TIMES: u32 = 12;
/// Id of the messages that carry rights.
const CARRIES: i32 = 6950;
/// Most bytes of such a message.
const LIMIT: u32 = 128;

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    let post = ReceiveRight::allocate().doing("mach_port_allocate")?;
    for _ in 0..TIMES {
        let right = stubs::mach::task_get_special_port(task_self(), TASK_BOOTSTRAP_PORT);
        right.doing("task_get_special_port")?.into_name();
        ReceiveRight::allocate().doing("mach_port_allocate")?.into_name();
        carry(&post)?;
        rightly()?;
    }
    mistakes()?;
    println!("leaking: {TIMES} rights of each of three kinds are lost");
    Ok(())
}

/// Sends itself a right to a port that dies, and does not look at what comes.
fn carry(post: &ReceiveRight) -> Result<(), Mismatch> {
    let cargo = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let mut message =
        Message::new(CARRIES, post.name(), Disposition::MakeSend).port(cargo.into_name(), Disposition::MoveReceive);
    expect("sending a receive right", KernReturn::KERN_SUCCESS, message.send(None))?;
    Received::receive(post, LIMIT, None).doing("receiving it").map(drop)
}

/// What gives everything back.
fn rightly() -> Result<(), Mismatch> {
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let right = port.make_send().doing("a send right")?;
    let other = right.try_clone().doing("another reference")?;
    drop((right, other));
    Ok(())
}

fn mistakes() -> Result<(), Mismatch> {
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let right = port.make_send().doing("a send right")?;
    let name = right.name();
    drop((right, port));
    let again = mach_port_deallocate(task_self(), name);
    expect("giving it back again", Err(KernReturn::KERN_INVALID_NAME), again)?;
    let sent = Message::new(CARRIES, name, Disposition::CopySend).send(None);
    expect("sending to a name given back", KernReturn::MACH_SEND_INVALID_DEST, sent)?;

    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let right: SendRight = port.make_send().doing("a send right")?;
    drop(port);
    let sent = Message::new(CARRIES, right.name(), Disposition::CopySend).send(None);
    expect("sending to a dead name", KernReturn::MACH_SEND_INVALID_DEST, sent)
}
