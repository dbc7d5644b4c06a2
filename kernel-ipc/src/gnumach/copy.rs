// SPDX-License-Identifier: GPL-2.0-or-later
//! Copies memory as the kernel's own `copyin` and `copyout` do.

use core::arch::asm;
use core::sync::atomic::AtomicU64;

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

/// Copies as many words as there are places, most often four to a dozen. What the compiler makes of a loop in Rust takes 17 instructions more for six.
///
/// # Safety
/// `from` is readable for as many words.
#[inline(always)]
pub(super) unsafe fn copy_words(from: *const u64, to: &[AtomicU64]) {
    // SAFETY: the caller answers for `from`; each place is written whole, with one instruction, as `AtomicU64::store` does.
    unsafe {
        asm!(
            "sub {left}, 2",
            "jb 3f",
            "2:",
            "mov {first}, qword ptr [{from} + {left} * 8]",
            "mov {second}, qword ptr [{from} + {left} * 8 + 8]",
            "mov qword ptr [{to} + {left} * 8], {first}",
            "mov qword ptr [{to} + {left} * 8 + 8], {second}",
            "sub {left}, 2",
            "jae 2b",
            "3:",
            // One is left of an odd number.
            "inc {left}",
            "jnz 4f",
            "mov {first}, qword ptr [{from}]",
            "mov qword ptr [{to}], {first}",
            "4:",
            left = inout(reg) to.len() => _,
            from = in(reg) from,
            to = in(reg) to.as_ptr(),
            first = out(reg) _,
            second = out(reg) _,
            options(nostack),
        )
    };
}
