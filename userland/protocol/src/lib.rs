// SPDX-License-Identifier: GPL-2.0-or-later
//! What the boot server, the programs and the host agree on: archive members, console channels, control lines, boot.defs.
//!
//! **What.** Constants, and small formats with one function that writes and one that reads each. The MIG interface of
//! the boot server stands beside them in `defs/boot.defs`.
//!
//! **Place in the flow.** Below everything on both sides: the host tool writes the archive ([`archive`]) and reads the
//! console ([`channel`], [`control`]); the boot server does the opposite; programs ask the boot server through
//! boot.defs.
//!
//! **Invariants.** What one function writes, its partner reads back unchanged; every format is refused, not guessed at,
//! when it is damaged. A host tool and a boot archive are built from the same source, so there is no version here.
//!
//! **Unsafe.** None.
//!
//! **Start reading at** [`archive`], then [`channel`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod archive;
pub mod channel;
pub mod control;
pub mod replay;
pub mod tasks;

/// `boot_spawn` flag: leave the new task suspended until someone calls `task_resume` on it.
pub const SPAWN_SUSPENDED: i32 = 1;

/// Most bytes of arguments, their NULs included, that `boot_spawn` takes; boot.defs says the same.
pub const ARGUMENTS_MAX: usize = 4096;

/// Exit status of a program that crashed: this plus the exception's number, as shells do with signals.
pub const CRASH_STATUS: i32 = 128;

/// Written in a program's argument for the name of a send right to the host control port.
pub const HOST_PORT_ARGUMENT: &str = "${host-port}";

/// Written in a program's argument for the name of a send right to the device master port.
pub const DEVICE_PORT_ARGUMENT: &str = "${device-port}";
