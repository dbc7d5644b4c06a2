// SPDX-License-Identifier: GPL-2.0-or-later
//! Copies memory as the kernel's own `copyin` and `copyout` do.

use core::arch::asm;

/// Copies `size` bytes by words; the kernel's `memcpy` goes byte by byte.
///
/// # Safety
/// `from` is readable and `to` writable for `size` bytes, and they do not overlap.
#[inline(always)]
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, size: usize) {
    // SAFETY: the caller answers for the memory; the direction flag is clear in the kernel.
    unsafe {
        asm!(
            "rep movsq",
            "mov ecx, {rest:e}",
            "rep movsb",
            rest = in(reg) size % 8,
            inout("rcx") size / 8 => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags),
        )
    };
}
