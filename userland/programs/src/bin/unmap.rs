// SPDX-License-Identifier: GPL-2.0-or-later
//! unmap: memory that is sent out of line is unmapped, mapped again and written by another thread all the while.
//!
//! A tracer that reads it finds what is there at that moment, or nothing: its trace goes on, and so does this program.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use mach::error::KernReturn;
use mach::memory::{PAGE_SIZE, Pages};
use mach::msg::{Item, Message, Received};
use mach::port::{Disposition, ReceiveRight};
use mach::rt::arguments::Arguments;
use mach::sys::trap;
use mach::{println, task_self, thread};
use programs::{Doing, Mismatch, expect};

mach::entry!(main);

/// Id of the messages this program sends to itself.
const CARRIES_MEMORY: i32 = 6220;
/// How many it sends.
const MESSAGES: u32 = 60;

static IS_OVER: AtomicBool = AtomicBool::new(false);

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    let place = Pages::allocate(PAGE_SIZE).doing("vm_allocate")?.leak();
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    thread::spawn(move || {
        while !IS_OVER.load(Relaxed) {
            let _ = trap::vm_deallocate(task_self(), place, PAGE_SIZE);
            // What a message brings may have been put there meanwhile.
            if let Ok(mut pages) = Pages::allocate_at(place, PAGE_SIZE) {
                pages.as_mut_slice().fill(b'x');
                pages.leak();
            }
        }
    })
    .doing("starting a thread")?;
    let mut received = 0;
    for _ in 0..MESSAGES {
        let message = Message::new(CARRIES_MEMORY, port.name(), Disposition::MakeSend);
        match message.out_of_line(place, PAGE_SIZE as u32, false).send(None) {
            KernReturn::KERN_SUCCESS => {}
            // It was not there.
            KernReturn::MACH_SEND_INVALID_MEMORY => continue,
            other => expect("sending memory", KernReturn::KERN_SUCCESS, other)?,
        }
        let message = Received::receive(&port, 256, None).doing("receiving memory")?;
        let is_whole = message.items().any(|item| matches!(item, Item::OutOfLine { size: PAGE_SIZE, .. }));
        expect("a page in the message", true, is_whole)?;
        received += 1;
    }
    IS_OVER.store(true, Relaxed);
    println!("unmap: {}", if received > 0 { "some were received" } else { "none was received" });
    Ok(())
}
