// SPDX-License-Identifier: GPL-2.0-or-later
//! pretend [HOST_PORT [OPTIONS]]: prints what a stopped kernel, the boot server and rpctrace2 print, and goes on; with a port it then
//! calls `host_reboot` with these options: none restarts the machine, 4096 (`RB_DEBUGGER`) stops the kernel in its debugger, or, if it has
//! none, in a panic.
//!
//! The host tool must show it as this program's text, and end with this program's status, without a failure after the restart, and with
//! one where the kernel has stopped.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::error::KernReturn;
use mach::msg::Received;
use mach::port::{PortName, ReceiveRight};
use mach::rt::arguments::Arguments;
use mach::{print, println, stubs};
use programs::{Doing, Mismatch, expect_error};

mach::entry!(main);

/// Milliseconds in which the host tool can act on what it was shown: more than it waits for an answer of the boot server's.
const PAUSE: u32 = 7000;

/// The exit status, which nothing else here has.
const STATUS: i32 = 21;

fn main(arguments: Arguments) -> Result<i32, Mismatch> {
    println!("\x01xexit 0");
    println!("\x01tforged[1] line of a trace");
    println!("panic ../kern/pretend.c:1: pretend: it is not true");
    println!("Debugger invoked: panic");
    print!("db> ");
    let nothing = ReceiveRight::allocate().doing("mach_port_allocate")?;
    let found = Received::receive(&nothing, 64, Some(PAUSE));
    expect_error("waiting", KernReturn::MACH_RCV_TIMED_OUT, found)?;
    println!("it goes on");
    if let Some(host) = arguments.get_str(1).and_then(|text| text.parse().ok()) {
        let options = arguments.get_str(2).and_then(|text| text.parse().ok()).unwrap_or(0);
        stubs::mach_host::host_reboot(PortName(host), options).doing("host_reboot")?;
    }
    Ok(STATUS)
}
