// SPDX-License-Identifier: GPL-2.0-or-later
//! The edge to the kernel: mach traps, `mach_msg`, the per-thread block, memory the kernel gave us.
//!
//! Everything here is safe to call. A trap or message may ask the kernel to change this task's own address space; as with
//! `/proc/self/mem` elsewhere, what such a request does to Rust's objects is its author's responsibility. What this module
//! itself promises is that the kernel writes only into buffers that were lent to it.
#![expect(unsafe_code, reason = "traps are instructions, and the kernel names memory by number")]

pub mod block;
pub mod clock;
pub mod interrupt;
pub mod mark;
pub mod memory;
pub mod msg;
pub mod thread;
pub mod trap;
pub mod wild;
