// SPDX-License-Identifier: GPL-2.0-or-later
//! The running kernel as a whole.

use core::ffi::c_char;
use core::mem::MaybeUninit;
use core::sync::atomic::AtomicU64;

use trace_port::ring::Ring;

use super::mach::Mach;
use super::{ForOne, Kernel, one, recording, switches, time};

// SAFETY: these are the prototypes in the DWARF of the kernels this payload is linked against; the instrumenter refuses a kernel that
// lacks one of the symbols. Memory may be asked for with nothing locked.
unsafe extern "C" {
    #[cfg_attr(feature = "faults", link_name = "faulty_kalloc")]
    safe fn kalloc(size: usize) -> usize;
    fn printf(format: *const c_char, ...) -> i32;
}

impl Kernel for Mach {
    fn redirect(&self, is_traced: bool) {
        switches::redirect(is_traced);
    }

    #[inline(always)]
    fn now(&self, number: impl FnOnce() -> u64) -> (u64, u64) {
        time::now(number)
    }

    #[inline(always)]
    fn now_quickly(&self, one: ForOne, number: impl FnOnce() -> u64) -> Option<(u64, u64)> {
        time::now_quickly(one, number)
    }

    fn rest(&self) {
        time::rest();
    }

    fn command_line(&self) -> &'static [u8] {
        recording::command_line()
    }

    #[inline(always)]
    fn for_one(&self) -> Option<ForOne> {
        one::find()
    }

    #[inline(always)]
    fn ring(&self) -> Option<&'static Ring<'static, AtomicU64>> {
        recording::ring()
    }

    fn room<T: Default, const N: usize>(&self) -> Option<&'static mut [T; N]> {
        let address = kalloc(size_of::<[T; N]>());
        if address == 0 || !address.is_multiple_of(align_of::<T>()) {
            return None;
        }
        let room = address as *mut [MaybeUninit<T>; N];
        // SAFETY: so much aligned memory that is nobody else's.
        for place in unsafe { &mut *room } {
            place.write(T::default());
        }
        // SAFETY: each of them is written, and the memory is never given back.
        Some(unsafe { &mut *room.cast::<[T; N]>() })
    }

    fn report_untraced(&self, total: u32) {
        // SAFETY: the format is NUL-terminated and matches the argument.
        unsafe { printf(c"rpctrace2: %u children of traced tasks not traced since boot\n".as_ptr(), total) };
    }

    fn report_dropped(&self, total: u32) {
        // SAFETY: the format is NUL-terminated and matches the argument.
        unsafe { printf(c"rpctrace2: %u trace records dropped since boot\n".as_ptr(), total) };
    }
}
