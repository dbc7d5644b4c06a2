// SPDX-License-Identifier: GPL-2.0-or-later
//! threads: four threads send to one port at once.
//!
//! Its trace must show four threads made (`thread_create`, `thread_set_state`, `thread_resume`), each with its own number on
//! its own messages, one sender's messages in the order in which it sent them, and four `thread_terminate_release`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::error::KernReturn;
use mach::msg::{Item, Message, Received};
use mach::port::{Disposition, ReceiveRight};
use mach::rt::arguments::Arguments;
use mach::{println, thread};
use programs::{Doing, Mismatch, expect};

mach::entry!(main);

/// How many threads send.
const THREADS: u32 = 4;
/// How many messages each one sends; together more than a queue holds, so that senders must wait.
const MESSAGES: u32 = 8;
/// The first sender's message id; the others' follow.
const FIRST: i32 = 6400;

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    let port = ReceiveRight::allocate().doing("mach_port_allocate")?;
    for sender in 0..THREADS {
        let right = port.make_send().doing("a send right for a thread")?;
        thread::spawn(move || {
            for value in 0..MESSAGES {
                let mut message =
                    Message::new(FIRST + sender as i32, right.name(), Disposition::CopySend).integer(value);
                let sent = message.send(None);
                assert!(sent == KernReturn::KERN_SUCCESS, "sender {sender}: expected KERN_SUCCESS, found {sent}");
            }
        })
        .doing("starting a thread")?;
    }

    let mut next = [0; THREADS as usize];
    let mut total = 0;
    for _ in 0..THREADS * MESSAGES {
        let received = Received::receive(&port, 256, None).doing("receiving")?;
        let sender = usize::try_from(received.id() - FIRST).ok().and_then(|sender| next.get_mut(sender));
        let next = sender.doing("sender with this message id")?;
        let value = received.items().find_map(|item| match item {
            Item::Integers(bytes) => bytes.first_chunk().map(|bytes| u32::from_le_bytes(*bytes)),
            _ => None,
        });
        let value = value.doing("value in the message")?;
        expect("a sender's next value", *next, value)?;
        *next += 1;
        total += value;
    }
    expect("messages of each sender", [MESSAGES; THREADS as usize], next)?;
    println!("threads: {} messages from {THREADS} threads, total {total}", THREADS * MESSAGES);
    Ok(())
}
