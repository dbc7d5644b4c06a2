// SPDX-License-Identifier: GPL-2.0-or-later
//! ports: allocates ports, moves a receive right and makes send rights through messages, and lets ports die.
//!
//! Its trace must show receive rights allocated and given back (`mach_port_allocate`, `mach_port_mod_refs`), messages that
//! carry a moved receive right and a made send right, the notifications `mach_notify_no_senders` and
//! `mach_notify_dead_name`, and a send to a dead name that fails with `MACH_SEND_INVALID_DEST`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::error::KernReturn;
use mach::msg::{Item, Message, Received};
use mach::port::{Disposition, PortName, ReceiveRight, Right, SendRight};
use mach::rt::arguments::Arguments;
use mach::{println, stubs, task_self};
use mach_abi::notify::{MACH_NOTIFY_DEAD_NAME, MACH_NOTIFY_NO_SENDERS};
use mach_abi::port::MACH_PORT_TYPE_DEAD_NAME;
use programs::{Doing, Mismatch, expect};

mach::entry!(main);

/// Ids of the messages this program sends to itself.
const CARRIES_RECEIVE: i32 = 6600;
const CARRIES_SEND: i32 = 6601;
const PLAIN: i32 = 6602;

/// Most bytes of any message here.
const LIMIT: u32 = 256;

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    references()?;
    moved_receive_right()?;
    made_send_right()?;
    no_senders()?;
    dead_name()?;
    println!("ports: all as expected");
    Ok(())
}

/// Send rights to one port share one name and are counted.
fn references() -> Result<(), Mismatch> {
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let first = port.make_send().doing("the first send right")?;
    let second = port.make_send().doing("the second send right")?;
    expect("names of two send rights to one port", first.name(), second.name())?;
    let count = || stubs::mach_port::mach_port_get_refs(task_self(), port.name(), Right::Send as u32);
    expect("references with two send rights", 2, count().doing("mach_port_get_refs")?)?;
    drop(second);
    expect("references with one send right", 1, count().doing("mach_port_get_refs")?)?;
    println!("ports: references are counted");
    Ok(())
}

/// A receive right moves through a message, and its queue with it.
fn moved_receive_right() -> Result<(), Mismatch> {
    let carrier = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let cargo = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let send = cargo.make_send().doing("a send right to the cargo")?;
    let mut queued = Message::new(PLAIN, send.name(), Disposition::CopySend).integer(42);
    expect("queueing a message on the cargo", KernReturn::KERN_SUCCESS, queued.send(None))?;

    let mut message = Message::new(CARRIES_RECEIVE, carrier.name(), Disposition::MakeSend)
        .port(cargo.into_name(), Disposition::MoveReceive);
    expect("sending the receive right", KernReturn::KERN_SUCCESS, message.send(None))?;
    let mut lost = Message::new(PLAIN, send.name(), Disposition::CopySend).integer(43);
    expect("sending to a port that is in transit", KernReturn::KERN_SUCCESS, lost.send(None))?;

    let received = Received::receive(&carrier, LIMIT, None).doing("receiving the receive right")?;
    expect("msgh_id", CARRIES_RECEIVE, received.id())?;
    let cargo = port_in(&received, Disposition::MoveReceive).map(ReceiveRight::from_name)?;
    expect("name of a receive right that joins its send right", send.name(), cargo.name())?;
    for value in [42, 43] {
        let queued = Received::receive(&cargo, LIMIT, None).doing("receiving what was queued")?;
        expect("value queued on the cargo", value, integer_in(&queued)?)?;
    }
    println!("ports: a receive right moved with its queue");
    Ok(())
}

/// A send right made by the message that carries it.
fn made_send_right() -> Result<(), Mismatch> {
    let carrier = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let target = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let mut message =
        Message::new(CARRIES_SEND, carrier.name(), Disposition::MakeSend).port(target.name(), Disposition::MakeSend);
    expect("sending a made send right", KernReturn::KERN_SUCCESS, message.send(None))?;
    let received = Received::receive(&carrier, LIMIT, None).doing("receiving the send right")?;
    let send = port_in(&received, Disposition::MoveSend).map(SendRight::from_name)?;
    let mut message = Message::new(PLAIN, send.name(), Disposition::CopySend).integer(7);
    expect("sending to the made send right", KernReturn::KERN_SUCCESS, message.send(None))?;
    let received = Received::receive(&target, LIMIT, None).doing("receiving from the target")?;
    expect("value", 7, integer_in(&received)?)?;
    println!("ports: a send right was made by its message");
    Ok(())
}

/// The kernel tells when the last send right is gone.
fn no_senders() -> Result<(), Mismatch> {
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let notify = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let send = port.make_send().doing("a send right")?;
    request(port.name(), MACH_NOTIFY_NO_SENDERS as i32, 1, &notify)?;
    drop(send);
    let notification = Received::receive(&notify, LIMIT, None).doing("receiving the notification")?;
    expect("notification", MACH_NOTIFY_NO_SENDERS as i32, notification.id())?;
    expect("make-send count in it", 1, integer_in(&notification)?)?;
    println!("ports: no more senders");
    Ok(())
}

/// A send right outlives its port as a dead name.
fn dead_name() -> Result<(), Mismatch> {
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let notify = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let send = port.make_send().doing("a send right")?;
    request(send.name(), MACH_NOTIFY_DEAD_NAME as i32, 0, &notify)?;
    drop(port);
    let notification = Received::receive(&notify, LIMIT, None).doing("receiving the notification")?;
    expect("notification", MACH_NOTIFY_DEAD_NAME as i32, notification.id())?;
    expect("name in it", send.name().0, integer_in(&notification)?)?;
    // The notification brought a reference of the dead name along.
    drop(SendRight::from_name(send.name()));
    let kind = stubs::mach_port::mach_port_type(task_self(), send.name()).doing("mach_port_type")?;
    expect("type of the right", MACH_PORT_TYPE_DEAD_NAME, kind)?;
    let mut message = Message::new(PLAIN, send.name(), Disposition::CopySend);
    expect("sending to a dead name", KernReturn::MACH_SEND_INVALID_DEST, message.send(None))?;
    println!("ports: a send right became a dead name");
    Ok(())
}

/// Asks the kernel for a notification.
fn request(name: PortName, id: i32, sync: u32, notify: &ReceiveRight) -> Result<(), Mismatch> {
    let previous = stubs::mach_port::mach_port_request_notification(
        task_self(),
        name,
        id,
        sync,
        notify.name(),
        Disposition::MakeSendOnce,
    )
    .doing("mach_port_request_notification")?;
    expect("notification asked for before", PortName::NULL, previous.name())
}

/// The one right in a message.
fn port_in(message: &Received, expected: Disposition) -> Result<PortName, Mismatch> {
    let port = message.items().find_map(|item| match item {
        Item::Port(name, how) if how == expected => Some(name),
        _ => None,
    });
    port.doing("right in the message")
}

/// The first integer or port name in a message.
fn integer_in(message: &Received) -> Result<u32, Mismatch> {
    let integer = message.items().find_map(|item| match item {
        Item::Integers(bytes) => bytes.first_chunk().map(|bytes| u32::from_le_bytes(*bytes)),
        _ => None,
    });
    integer.doing("integer in the message")
}
