// SPDX-License-Identifier: GPL-2.0-or-later
//! Slices over memory that the kernel gave to this task, and the few words copied into it before Rust runs there.

use core::slice;
use core::sync::atomic::AtomicU64;

use crate::memory::{Mapped, Pages};

/// The bytes of a region that a message or `vm_allocate` put into this task.
pub(crate) fn kernel_given<'a>(address: u64, size: u64) -> &'a [u8] {
    if size == 0 {
        return &[];
    }
    // SAFETY: the callers own the region they describe, mapped and readable by the kernel's word, and hand the slice
    // out for no longer than they live.
    unsafe { slice::from_raw_parts(address as *const u8, size as usize) }
}

/// The bytes of pages of our own.
pub(crate) fn own_pages(pages: &mut Pages) -> &mut [u8] {
    // SAFETY: `vm_allocate` made the pages readable and writable for this `Pages` alone, borrowed mutably here.
    unsafe { slice::from_raw_parts_mut(pages.address() as *mut u8, pages.size() as usize) }
}

/// The first `size` bytes of pages of our own, whose others may be protected.
pub(crate) fn own_part(pages: &mut Pages, size: usize) -> &mut [u8] {
    assert!(size as u64 <= pages.size(), "{size} bytes of {}", pages.size());
    // SAFETY: as in `own_pages`; the assertion keeps the slice within the pages, and the caller has protected none of these.
    unsafe { slice::from_raw_parts_mut(pages.address() as *mut u8, size) }
}

/// The first words of pages that nobody gives back, for several tasks at once.
pub(crate) fn leaked_words(pages: Pages, count: usize) -> &'static [AtomicU64] {
    assert!((count * size_of::<u64>()) as u64 <= pages.size(), "{count} words of {} bytes", pages.size());
    // SAFETY: the assertion keeps the slice within the pages, which are zero, aligned and, leaked here, mapped for ever; whoever
    // else has them reaches them as these atomics, too.
    unsafe { slice::from_raw_parts(pages.leak() as *const AtomicU64, count) }
}

/// The words of a memory object that is mapped here.
pub(crate) fn mapped_words(mapped: &Mapped) -> &[AtomicU64] {
    let count = mapped.size() as usize / size_of::<u64>();
    // SAFETY: `vm_map` put whole pages there, readable and therefore aligned and initialised, that nothing else of this task uses; they stay until
    // the `Mapped` is dropped, which is borrowed here. Whoever writes them meanwhile, the kernel or another task, does so behind atomics, for which
    // any bits are a value. Where they are mapped for reading alone a load of any order is all the same good: on this architecture it is a move.
    unsafe { slice::from_raw_parts(mapped.address() as *const AtomicU64, count) }
}

/// The bytes of message words, in memory order.
pub(crate) fn bytes_of(words: &[u64]) -> &[u8] {
    // SAFETY: every byte of a `u64` is initialised, bytes have no alignment, and the length is that of the same memory.
    unsafe { slice::from_raw_parts(words.as_ptr().cast(), size_of_val(words)) }
}

/// Writes to address 0, as a program with a null pointer does. The kernel raises an exception; this returns only if whoever
/// catches it moves the thread on.
pub fn write_to_null() {
    // SAFETY: the boot server reserves the first pages of every task without access, and nothing of this program is there.
    unsafe { core::arch::asm!("mov byte ptr [{zero}], 1", zero = in(reg) 0u64, options(nostack)) };
}

/// Writes to an address that no program can have, as one with a pointer of rubbish does: a general protection fault. The kernel raises an
/// exception; this returns only if whoever catches it moves the thread on.
pub fn write_nowhere() {
    // SAFETY: bits 47 to 63 of the address differ, so the processor refuses it before it looks for memory.
    unsafe { core::arch::asm!("mov byte ptr [{rubbish}], 1", rubbish = in(reg) 1u64 << 63, options(nostack)) };
}
