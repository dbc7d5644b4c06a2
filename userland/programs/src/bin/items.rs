// SPDX-License-Identifier: GPL-2.0-or-later
//! items: sends itself messages that no interface knows, with an item of every kind, and two that are larger than a record.
//!
//! Its trace must show rights as rights and numbers as numbers, however many stand in an item, all bytes of characters, and of what is out
//! of line how many elements of what; and of the large messages that the rest was not captured.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use mach::error::KernReturn;
use mach::memory::{PAGE_SIZE, Pages};
use mach::msg::{Message, Received};
use mach::port::{Disposition, ReceiveRight};
use mach::rt::arguments::Arguments;
use mach::{println, stubs, task_self};
use mach_abi::port::{MACH_PORT_DEAD, MACH_PORT_NULL};
use mach_abi::special_port::TASK_BOOTSTRAP_PORT;
use mach_abi::{Descriptor, type_name};
use programs::{Doing, Mismatch, expect};

mach::entry!(main);

/// Integers of a message that no record holds, with a descriptor each.
const MANY: usize = 10_000;
/// Characters of another one.
const LONG: usize = 150_000;

/// The port that all are sent to, and the id of the next.
struct Mail {
    port: ReceiveRight,
    id: i32,
}

impl Mail {
    /// Sends a message and takes it back.
    fn send(&mut self, build: impl FnOnce(Message) -> Message) -> Result<(), Mismatch> {
        let mut message = build(Message::new(self.id, self.port.name(), Disposition::MakeSend));
        expect("sending", KernReturn::KERN_SUCCESS, message.send(None))?;
        let received = Received::receive(&self.port, message.size(), None).doing("receiving")?;
        expect("the id", self.id, received.id())?;
        self.id += 1;
        Ok(())
    }

    /// One with a single item.
    fn item(&mut self, name: u32, bits: u16, count: u32, words: &[u64]) -> Result<(), Mismatch> {
        self.send(|message| message.item(Descriptor::inline(name, bits, count), words))
    }
}

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    let bootstrap = stubs::mach::task_get_special_port(task_self(), TASK_BOOTSTRAP_PORT);
    let bootstrap = bootstrap.doing("task_get_special_port")?;
    let other = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let mut mail = Mail { port: ReceiveRight::allocate().doing("mach_port_allocate")?, id: 7801 };

    let rights = [bootstrap.name().0, MACH_PORT_NULL, MACH_PORT_DEAD].map(u64::from);
    mail.item(type_name::COPY_SEND, 64, 3, &rights)?;
    let other = u64::from(other.name().0);
    mail.item(type_name::MAKE_SEND_ONCE, 64, 2, &[other; 2])?;
    mail.item(type_name::PORT_NAME, 32, 2, &[other | other << 32])?;
    mail.item(type_name::INTEGER_32, 32, 2, &[7 | 8 << 32])?;
    mail.item(type_name::INTEGER_16, 16, 1, &[0xffff])?;
    mail.item(type_name::BYTE, 8, 1, &[5])?;
    mail.item(type_name::BOOLEAN, 32, 1, &[1])?;
    mail.item(type_name::INTEGER_64, 64, 2, &[1 << 40, u64::MAX])?;
    mail.item(type_name::CHAR, 8, 8, &[0])?;
    mail.item(type_name::INTEGER_32, 32, 0, &[])?;

    let memory = Pages::allocate(PAGE_SIZE).doing("vm_allocate")?;
    for (name, bits) in [(type_name::INTEGER_32, 32), (type_name::CHAR, 8), (type_name::BYTE, 8)] {
        let descriptor = Descriptor { inline: false, ..Descriptor::inline(name, bits, 100) };
        mail.send(|message| message.item(descriptor, &[memory.address()]).out_of_line(memory.address(), 0, false))?;
    }

    mail.send(|message| (0..MANY as u32).fold(message, Message::integer))?;
    let text: Vec<u64> = core::iter::repeat_n(u64::from_ne_bytes([b'a'; 8]), LONG / 8).collect();
    mail.item(type_name::CHAR, 8, LONG as u32, &text)?;
    // Ids of the boot server, of records and of the program ping: none of these interfaces is this port's.
    for id in [-1, 5305, 5000, 5405] {
        mail.id = id;
        mail.send(|message| message)?;
    }
    println!("items: all sent and received");
    Ok(())
}
