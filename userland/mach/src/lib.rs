// SPDX-License-Identifier: GPL-2.0-or-later
//! The Mach runtime of our user space: entry, traps, rights as owning types, allocator, console.
//!
//! **What.** What a Rust program needs to run as a GNU Mach task without any C library: `_start`, a heap, a console,
//! `mach_msg`, ports, memory, threads, and the kernel's RPCs as functions ([`stubs`]).
//!
//! **Place in the flow.** Below every program in userland: the boot server, rpctrace2, and the programs to trace. It
//! knows nothing of tracing, except that a traced task's shortcut traps fall back to real RPCs, as glibc's do.
//!
//! **Invariants.** A right is owned by one value and released when that is dropped. Every RPC goes through a generated
//! stub. Each thread has one reply port. The runtime sends no message of its own before the program asks for something,
//! except what the first use of the console or the heap needs, so that a trace shows the program and not its runtime.
//!
//! **Unsafe.** Only in [`sys`] (traps, memory the kernel gave us) and [`rt`] (entry, heap). Everything else, stubs
//! included, is safe code.
//!
//! **Start reading at** [`rt`] for what happens before `main`, [`port`] for the types every program uses. A program:
//!
//! ```ignore
//! #![no_std]
//! #![no_main]
//! #![forbid(unsafe_code)]
//!
//! use mach::port::ReceiveRight;
//! use mach::rt::arguments::Arguments;
//! use mach::{println, stubs, task_self};
//!
//! mach::entry!(main);
//!
//! // main returns (), an exit status, or a Result of either whose error is printed.
//! fn main(arguments: Arguments) -> mach::error::Result<i32> {
//!     let port = ReceiveRight::allocate()?; // given back when dropped
//!     let kind = stubs::mach_port::mach_port_type(task_self(), port.name())?;
//!     println!("{}: type {kind:#x}", arguments.get_str(0).unwrap_or("?"));
//!     Ok(0)
//! }
//! ```
//!
//! [`boot`] starts other programs and reads files, [`console`] writes on another channel, [`thread`] starts threads and
//! child tasks, [`sys::msg`] is `mach_msg` itself.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;
// Generated stubs name this crate as every other crate does.
extern crate self as mach;

pub mod boot;
pub mod console;
pub mod error;
pub mod lock;
pub mod memory;
pub mod mig;
pub mod msg;
pub mod port;
pub mod rt;
pub mod stubs;
pub mod sys;
pub mod thread;

use port::PortName;

/// This task's own control port. Owned by the runtime.
pub fn task_self() -> PortName {
    sys::block::task_self()
}

/// The calling thread's own control port. Owned by the runtime.
pub fn thread_self() -> PortName {
    sys::block::thread_self()
}

/// The host name port. Owned by the runtime.
pub fn host_self() -> PortName {
    sys::block::host_self()
}
