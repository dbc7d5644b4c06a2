// SPDX-License-Identifier: GPL-2.0-or-later
//! relay [TIMES]: a chain of three servers, each a task of one thread. The first asks the second to answer, that one the third, which takes its time.
//!
//! The answer to `tree` must show each call of the program with those that it has led to below it, and that the last server has the most to do.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicI32, Ordering::Relaxed};

use mach::error::Result;
use mach::port::{Disposition, PortName, ReceiveRight};
use mach::println;
use mach::rt::arguments::Arguments;
use programs::patience::pause;
use programs::ping::{client, serve_one_with, server};
use programs::tracer::{SECOND, THIRD, child_with_port, give};
use programs::{Doing, Mismatch, expect};

mach::entry!(main);

/// How often the program asks: three times if it is not told. The servers have inherited it.
static TIMES: AtomicI32 = AtomicI32::new(3);
/// What the last server rests before it answers, in milliseconds.
const REST: u32 = 20;

fn main(arguments: Arguments) -> core::result::Result<(), Mismatch> {
    if let Some(times) = arguments.get_str(1).and_then(|times| times.parse().ok()) {
        TIMES.store(times, Relaxed);
    }
    let times = TIMES.load(Relaxed);
    let none = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let (last, to_last) = child_with_port(last, &none)?;
    let (second, to_second) = child_with_port(middle, &none)?;
    let (first, to_first) = child_with_port(middle, &none)?;
    give(&second, THIRD, to_last.name(), Disposition::CopySend)?;
    give(&first, THIRD, to_second.name(), Disposition::CopySend)?;
    for server in [&last, &second, &first] {
        server.resume().doing("starting a server")?;
    }
    for number in 1..=times {
        let answer = client::ping(to_first.name(), number).doing("asking the first server")?;
        expect("the answer, to which each server adds one", number + 3, answer)?;
    }
    println!("relay: {times} requests went through three servers");
    Ok(())
}

/// Adds one to what the next server answers, if there is one.
struct Relay {
    next: Option<PortName>,
}

impl server::Server for Relay {
    fn ping(&mut self, _port: PortName, number: i32) -> Result<i32> {
        match self.next {
            Some(next) => client::ping(next, number).map(|answer| answer + 1),
            None => {
                pause(REST);
                Ok(number + 1)
            }
        }
    }
}

fn middle() {
    serve(Some(THIRD));
}

fn last() {
    serve(None);
}

/// Serves until all is answered, or it cannot.
fn serve(next: Option<PortName>) {
    let mut relay = Relay { next };
    for _ in 0..TIMES.load(Relaxed) {
        if let Err(error) = serve_one_with(SECOND, &mut relay) {
            return println!("relay: a server cannot go on: {error}");
        }
    }
}
