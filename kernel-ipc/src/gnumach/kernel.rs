//! The running kernel as a whole.

use core::ffi::c_char;

use zerocopy::FromZeros;

use super::mach::Mach;
use super::{Kernel, switches, time};

// SAFETY (of every call below): these are the prototypes in the DWARF of the kernels this payload is linked against; the
// instrumenter refuses a kernel that lacks one of the symbols.
unsafe extern "C" {
    #[cfg_attr(feature = "faults", link_name = "faulty_kalloc")]
    fn kalloc(size: usize) -> usize;
    fn printf(format: *const c_char, ...) -> i32;
}

impl Kernel for Mach {
    fn watch(&self, watching: bool) {
        switches::watch(watching);
    }

    #[inline(always)]
    fn now(&self, number: impl FnOnce() -> u64) -> (u64, u64) {
        time::now(number)
    }

    fn rest(&self) {
        time::rest();
    }

    fn room<T: FromZeros>(&self) -> Option<&'static mut T> {
        // SAFETY: kalloc may be called with nothing locked; it returns 0 when there is no memory.
        let room = unsafe { kalloc(size_of::<T>()) };
        if room == 0 || !room.is_multiple_of(align_of::<T>()) {
            return None;
        }
        let room = room as *mut T;
        // SAFETY: so many bytes of the caller's alone.
        unsafe { room.write_bytes(0, 1) };
        // SAFETY: zeros are a valid `T`, and the memory is aligned, nobody else's and never given back.
        Some(unsafe { &mut *room })
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
