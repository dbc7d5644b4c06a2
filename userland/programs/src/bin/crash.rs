// SPDX-License-Identifier: GPL-2.0-or-later
//! crash: writes to address 0 and is ended by the boot server, which reports it.
//!
//! Its trace must show the exception as the kernel raised it on the task's exception port, with type task-exception, and no
//! reply to it: the boot server ends the task instead.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::println;
use mach::rt::arguments::Arguments;
use mach::sys::memory::write_to_null;
use programs::Mismatch;

mach::entry!(main);

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    println!("crash: about to write to address 0");
    write_to_null();
    Err(Mismatch::new("a write to address 0 went through"))
}
