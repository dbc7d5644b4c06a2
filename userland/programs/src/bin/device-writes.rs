// SPDX-License-Identifier: GPL-2.0-or-later
//! device-writes PORT: writes to the console device by the traps that stand in for `device_write`.
//!
//! Untraced the kernel takes the bytes from the traps; traced, the traps answer `MACH_SEND_INTERRUPTED`, and the trace shows the RPCs that
//! are made instead. The program is given the master device port's name.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::port::PortName;
use mach::rt::arguments::Arguments;
use mach::stubs::device::device_open;
use mach::sys::trap::{device_write_request, device_writev_request};
use programs::{Doing, Mismatch};

mach::entry!(main);

/// `D_READ | D_WRITE`.
const READ_AND_WRITE: u32 = 3;

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let master = arguments.get_str(1).and_then(|name| name.parse().ok()).map(PortName).doing("device port")?;
    let console = device_open(master, READ_AND_WRITE, "console").doing("device_open")?;
    device_write_request(console.name(), b"by trap 40\r\n").doing("device_write_request")?;
    device_writev_request(console.name(), &[b"by ", b"trap 39\r\n"]).doing("device_writev_request")
}
