// SPDX-License-Identifier: GPL-2.0-or-later
//! reply-port: an RPC whose request the kernel refuses leaves nothing that a later one could take for its reply.
//!
//! The reply right of a request with a bad right in its body is made and destroyed, which is a message to the reply port. Its
//! trace must show the refused request and, after it, the ones that are answered.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use mach::error::KernReturn;
use mach::port::{Disposition, PortName, Right};
use mach::rt::arguments::Arguments;
use mach::{println, stubs, task_self};
use programs::{Doing, Mismatch, expect, expect_error};

mach::entry!(main);

/// A name that names nothing.
const NOTHING: PortName = PortName(0x00ab_0000);

fn main(_arguments: Arguments) -> Result<(), Mismatch> {
    let port = stubs::mach_port::mach_port_allocate(task_self(), Right::Receive as u32).doing("mach_port_allocate")?;
    let refused = stubs::mach_port::mach_port_insert_right(task_self(), port, NOTHING, Disposition::MoveSend);
    expect_error("a request with a right that is none", KernReturn::MACH_SEND_INVALID_RIGHT, refused)?;
    let refs = stubs::mach_port::mach_port_get_refs(task_self(), port, Right::Receive as u32);
    expect("references, asked for right after it", Ok(1), refs)?;
    println!("reply-port: a refused request leaves no reply behind");
    Ok(())
}
