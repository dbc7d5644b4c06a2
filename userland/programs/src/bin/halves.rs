// SPDX-License-Identifier: GPL-2.0-or-later
//! halves: writes lines without their ends, ends that move the cursor, and pieces through the kernel, and waits after each, so that its
//! tracer writes.
//!
//! On a terminal, each line of its trace must begin a line.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::error::KernReturn;
use mach::msg::Received;
use mach::port::ReceiveRight;
use mach::print;
use mach::rt::arguments::Arguments;
use mach::sys::trap::mach_print;
use programs::{Doing, Mismatch, expect_error};

mach::entry!(main);

/// Milliseconds in which a tracer can write.
const PAUSE: u32 = 20;

/// What is left open in different ways.
const HALVES: [&str; 5] = ["abc", "50%\r", "12345\u{8}\u{8}", "up\n\u{1b}[2A", "\u{1b}["];

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    let nothing = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let wait = || {
        let found = Received::receive(&nothing, 64, Some(PAUSE));
        expect_error("waiting", KernReturn::MACH_RCV_TIMED_OUT, found)
    };
    for half in HALVES {
        print!("{half}");
        wait()?;
        mach_print(c"<kernel");
        wait()?;
    }
    print!("tail");
    Ok(())
}
