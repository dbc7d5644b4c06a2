// SPDX-License-Identifier: GPL-2.0-or-later
//! The processor's time stamp counter, which under QEMU's `-icount shift=0,sleep=off` counts retired instructions.

use core::arch::asm;

/// The counter's value now.
pub fn counter() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: rdtsc writes edx and eax only, and user code may execute it on every kernel there is.
    unsafe { asm!("rdtsc", out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags)) };
    u64::from(high) << 32 | u64::from(low)
}
