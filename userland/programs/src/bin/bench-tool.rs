// SPDX-License-Identifier: GPL-2.0-or-later
//! bench-tool CASE: what an RPC costs when a tool like rpctrace2 traces this program; run under `-icount`, where the time stamp counter
//! counts instructions.
//!
//! CASE says how the program is traced, and is only printed. The line `bench CASE/kernel-rpc TOTAL COUNT` is the cost of `mach_port_type`
//! on itself, `bench CASE/task-rpc` that of a call of the boot server, in which the program blocks. Everybody's work is in it: the
//! tool's, and the console's for what the tool prints. Run untraced it measures the calls alone.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::rt::arguments::Arguments;
use mach::sys::clock::counter;
use mach::{boot, println, stubs, task_self};
use programs::{Doing, Mismatch};

mach::entry!(main);

/// Calls before those that are counted: everybody has made what is made once.
const WARM_UP: u32 = 200;
/// Calls that are counted.
const CALLS: u32 = 2000;

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let case = arguments.get_str(1).doing("the name of the case")?;
    let this = task_self();
    measure(case, "kernel-rpc", || stubs::mach_port::mach_port_type(this, this).doing("mach_port_type").map(drop))?;
    measure(case, "task-rpc", || boot::console().doing("boot_console").map(drop))
}

fn measure(case: &str, what: &str, call: impl Fn() -> Result<(), Mismatch>) -> Result<(), Mismatch> {
    (0..WARM_UP).try_for_each(|_| call())?;
    let start = counter();
    (0..CALLS).try_for_each(|_| call())?;
    println!("bench {case}/{what} {} {CALLS}", counter() - start);
    Ok(())
}
