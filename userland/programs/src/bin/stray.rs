// SPDX-License-Identifier: GPL-2.0-or-later
//! stray: writes through a pointer that is none, first in a child made as fork does, then itself; the boot server ends both.
//!
//! Its trace must show each exception with the name of its code, where the thread was, and the end of both tasks, by the numbers of the
//! trace; the child has the name that it was given from then on.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::port::{Disposition, ReceiveRight};
use mach::rt::arguments::Arguments;
use mach::sys::memory::write_nowhere;
use mach::{println, stubs, task_self, thread};
use mach_abi::notify::MACH_NOTIFY_DEAD_NAME;
use programs::{Doing, Mismatch};

mach::entry!(main);

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    let child = thread::fork(write_nowhere).doing("making the child")?;
    stubs::gnumach::task_set_name(child.task.name(), b"lost").doing("task_set_name")?;
    let end = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let (id, how) = (MACH_NOTIFY_DEAD_NAME as i32, Disposition::MakeSendOnce);
    stubs::mach_port::mach_port_request_notification(task_self(), child.task.name(), id, 0, end.name(), how)
        .doing("mach_port_request_notification")?;
    child.resume().doing("starting the child")?;
    mach::msg::Received::receive(&end, 256, None).doing("waiting for the child's end")?;
    println!("stray: the child is gone");
    write_nowhere();
    Err(Mismatch::new("a write to no address went through"))
}
