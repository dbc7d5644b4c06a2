// SPDX-License-Identifier: GPL-2.0-or-later
//! What happens before `main`, in order, and after it.
//!
//! 1. [`entry`]: `_start` takes the stack pointer that the loader left, aligns the stack, and calls `start`.
//! 2. [`crate::sys::block`]: the first thread's block is installed; from here the thread has a reply port and a task name.
//! 3. [`arguments`]: the words of argc, argv and envp are turned into slices.
//! 4. The program's `main`, named by [`crate::entry!`], runs. The heap ([`heap`]) and the console come into being when
//!    first used.
//! 5. [`exit`]: the boot server hears the exit status, and the task ends itself. A panic ([`panic`]) prints one line and
//!    exits with status 101.
//!
//! What takes a program over is left out on a host, where the rest of this crate is built for its tests.
#![expect(unsafe_code, reason = "the start of a program and its heap are agreements with the loader and the kernel")]

pub mod arguments;
#[cfg(target_os = "none")]
pub mod entry;
pub mod exit;
#[cfg(target_os = "none")]
mod heap;
#[cfg(target_os = "none")]
mod panic;
