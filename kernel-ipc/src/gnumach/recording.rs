// SPDX-License-Identifier: GPL-2.0-or-later
//! What the recorder needs of the kernel's binary: the memory behind the payload that the instrumenter has put there, and the command line.

use core::ffi::c_char;
use core::slice;
use core::sync::atomic::AtomicU64;

use trace_port::ring::Ring;

use super::once::Once;
use crate::payload_abi::KERNEL_BASE;

/// No command line is longer.
const LONGEST: usize = 4096;

// SAFETY (of every use below): the first two are symbols that the instrumenter defines, where zeroed memory of the payload's segment begins
// and ends; the third is a variable in the DWARF of the kernels this payload is linked against.
unsafe extern "C" {
    static rpctrace2_ring: AtomicU64;
    static rpctrace2_ring_end: AtomicU64;
    static kernel_cmdline: *const c_char;
}

/// The ring in that memory, once it has been looked for.
static RING: Once<Option<Ring<'static, AtomicU64>>> = Once::new();

/// The ring in that memory.
#[inline(always)]
pub(super) fn ring() -> Option<&'static Ring<'static, AtomicU64>> {
    match RING.get() {
        Some(ring) => ring.as_ref(),
        None => begin(),
    }
}

#[cold]
#[inline(never)]
fn begin() -> Option<&'static Ring<'static, AtomicU64>> {
    RING.set(look());
    RING.get()?.as_ref()
}

fn look() -> Option<Ring<'static, AtomicU64>> {
    let begin = &raw const rpctrace2_ring;
    let bytes = ((&raw const rpctrace2_ring_end) as usize).wrapping_sub(begin as usize);
    // SAFETY: so many bytes of memory that is there as long as the kernel, aligned to a page, and used as such words alone.
    Ring::over(unsafe { slice::from_raw_parts(begin, bytes / size_of::<AtomicU64>()) })
}

/// The command line as the boot loader gave it; nothing if it is not where the kernel's own memory is.
pub(super) fn command_line() -> &'static [u8] {
    // SAFETY: set before the first task is made, and never again.
    let line = unsafe { (&raw const kernel_cmdline).read_volatile() }.cast::<u8>();
    if (line as usize as u64) < KERNEL_BASE {
        return &[];
    }
    // SAFETY: it ends with a NUL, which is looked for from the begin on.
    let is_end = |&index: &usize| unsafe { line.wrapping_add(index).read() } == 0;
    let length = (0..LONGEST).find(is_end).unwrap_or(0);
    // SAFETY: so many bytes before it, which nobody writes any more.
    unsafe { slice::from_raw_parts(line, length) }
}
