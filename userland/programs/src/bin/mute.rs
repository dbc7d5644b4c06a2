// SPDX-License-Identifier: GPL-2.0-or-later
//! mute WORD: does as the kernel's boot script does, for `rpctrace2 --boot`, but the right for WORD (`host` or `device`) is one behind which
//! nobody answers.
//!
//! rpctrace2 must say so in a line and end; the program that it is to start must start all the same.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;

use mach::port::{Disposition, ReceiveRight};
use mach::rt::arguments::Arguments;
use mach::sys::trap::mach_port_insert_right;
use mach::{boot, println, stubs};
use programs::tracer::{FIRST as MUTE, SECOND as TASK};
use programs::{Doing, Mismatch, expect};
use protocol::archive::join_arguments;

mach::entry!(main);

/// What rpctrace2 ends with that cannot trace.
const CANNOT_TRACE: i32 = 125;

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let word = arguments.get_str(1).doing("a word")?;
    let (of_hello, of_tracer) = (exit_port()?, exit_port()?);
    let hello = boot::spawn(b"hello\0", true, &of_hello).doing("boot_spawn")?;
    let (mute, trace) = (format!("--{word}={MUTE}"), format!("--trace=hello:{TASK}"));
    let words = ["rpctrace2", "--boot", &mute, &trace, "--next=hello"].map(str::as_bytes);
    let words = join_arguments(&words).map_err(|_| Mismatch::new("words without NUL"))?;
    let tracer = boot::spawn(&words, true, &of_tracer).doing("boot_spawn")?;
    // Held to the end, and nothing is received from it.
    let nobody = exit_port()?;
    let right = nobody.make_send().doing("mach_port_insert_right")?;
    for (name, right) in [(MUTE, right.name()), (TASK, hello.name())] {
        mach_port_insert_right(tracer.name(), name, right, Disposition::CopySend).doing("mach_port_insert_right")?;
    }
    stubs::mach::task_resume(tracer.name()).doing("task_resume")?;
    expect("what the tracer ends with", CANNOT_TRACE, boot::wait_exit(&of_tracer).doing("its end")?)?;
    expect("what the program ends with", 0, boot::wait_exit(&of_hello).doing("its end")?)?;
    println!("mute: the system has started");
    Ok(())
}

fn exit_port() -> Result<ReceiveRight, Mismatch> {
    ReceiveRight::allocate().doing("mach_port_allocate")
}
