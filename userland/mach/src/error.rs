// SPDX-License-Identifier: GPL-2.0-or-later
//! What the kernel and servers answer.

pub use mach_abi::KernReturn;

/// What a routine answers: its out arguments, or the return value that was not `KERN_SUCCESS`.
pub type Result<T> = core::result::Result<T, KernReturn>;
