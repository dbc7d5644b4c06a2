// SPDX-License-Identifier: GPL-2.0-or-later
//! alike [same]: three threads send a message of one id to one port, whose text says where the sender's stack is; with `same` it says nothing.
//!
//! `rpctrace2 --stop-at 6450 alike` must stop each, and `registers` have a stack pointer near that address. With `same` nobody can say whose
//! registers they are, once two have stopped.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;

use mach::error::KernReturn;
use mach::msg::{Message, Received};
use mach::port::{Disposition, ReceiveRight};
use mach::rt::arguments::Arguments;
use mach::{println, thread};
use programs::{Doing, Mismatch, expect};

mach::entry!(main);

const THREADS: u32 = 3;
const ID: i32 = 6450;
/// Most bytes of a message.
const LIMIT: u32 = 256;

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let is_same = arguments.get_str(1) == Some("same");
    for _ in 0..THREADS {
        let right = port.make_send().doing("a send right for a thread")?;
        thread::spawn(move || {
            let here = 0_u8;
            let text = if is_same { "somewhere".into() } else { format!("stack {:p}", &raw const here) };
            let mut message = Message::new(ID, right.name(), Disposition::CopySend).bytes(text.as_bytes());
            let sent = message.send(None);
            assert!(sent == KernReturn::KERN_SUCCESS, "expected KERN_SUCCESS, found {sent}");
        })
        .doing("starting a thread")?;
    }
    for _ in 0..THREADS {
        expect("a message's id", ID, Received::receive(&port, LIMIT, None).doing("receiving")?.id())?;
    }
    println!("alike: {THREADS} messages");
    Ok(())
}
