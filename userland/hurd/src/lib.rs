// SPDX-License-Identifier: GPL-2.0-or-later
//! What a program needs of the GNU Hurd: being started by exec, files by name, starting programs, waiting for them, signals.
//!
//! **What.** The interfaces of the Hurd's servers as .defs in our own words (userland/hurd/defs), stubs of both sides made of them, and
//! the few things above the stubs that are more than one call.
//!
//! **Place in the flow.** Above `mach`, beside `protocol`: rpctrace2 uses it where it finds itself on a Hurd, and so do programs that are
//! traced there. The small Hurd of the tests serves the same interfaces.
//!
//! **Invariants.** A right is owned by one value. Numbers of the Hurd's interfaces stand in [`abi`] and nowhere else. What can be decided
//! without a server ([`lookup`], [`path`], [`wait`]) is plain code with tests on the host.
//!
//! **Unsafe.** None.
//!
//! **Start reading at** `startup`, which is what happens first, then [`lookup`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod abi;
pub mod errno;
pub mod lookup;
pub mod path;
pub mod wait;

#[cfg(target_os = "none")]
pub mod file;
#[cfg(target_os = "none")]
pub mod message_port;
#[cfg(target_os = "none")]
pub mod names;
#[cfg(target_os = "none")]
pub mod spawn;
#[cfg(target_os = "none")]
pub mod startup;
#[cfg(target_os = "none")]
pub mod stubs;

/// Names a program's `main`, for a program that may be started by the Hurd's exec server as well as by a loader that leaves its arguments on
/// the stack. On a Hurd what it prints goes to its standard output, and its exit status to proc.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        mach::entry!($main, $crate::startup::ask);
    };
}
