// SPDX-License-Identifier: GPL-2.0-or-later
//! What the boot server works out before it asks the kernel for anything: how a program lies in memory, its first stack,
//! its arguments.
//!
//! **What.** Plain functions from bytes to plans: [`image`] reads a static ELF, [`stack`] lays out argc, argv and envp,
//! [`arguments`] replaces `${host-port}` and `${device-port}`. The server that carries the plans out is the binary
//! beside this library.
//!
//! **Place in the flow.** The kernel starts the server from a boot module; the server reads the boot archive, starts
//! `etc/command` from it, and answers boot.defs for every program it started.
//!
//! **Invariants.** Nothing here panics on bad input: a file that cannot be loaded is refused with what was looked at,
//! where, what was expected and what was found. A plan that is handed out can be carried out without another check.
//!
//! **Unsafe.** None.
//!
//! **Start reading at** [`image::Image::parse`], then `src/main.rs`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod arguments;
pub mod image;
pub mod stack;
