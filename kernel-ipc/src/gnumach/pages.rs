// SPDX-License-Identifier: GPL-2.0-or-later
//! Memory of the kernel's in pages of its own, in one piece.

use super::handles::Page;
use super::members::{PAGE_ADDRESS, Struct};
use crate::payload_abi::KERNEL_BASE;

/// `VM_PAGE_SEL_DIRECTMAP`.
const DIRECT_MAP: u32 = 1;

// SAFETY: these are the prototypes in the DWARF of the kernels this payload is linked against; the instrumenter refuses a kernel that
// lacks one of the symbols. Memory may be asked for with nothing locked.
unsafe extern "C" {
    safe fn vm_page_grab_contig(size: usize, selector: u32) -> Option<Page>;
    fn vm_page_free_contig(page: Page, size: usize);
}

/// Pages that the kernel's direct map has, and that the VM has given away.
pub(crate) struct Pages {
    first: Page,
    size: usize,
}

impl Pages {
    /// So many bytes, of which all whole words are zeroed; none where they are not there.
    pub(crate) fn grab(size: usize) -> Option<Self> {
        let pages = Self { first: vm_page_grab_contig(size, DIRECT_MAP)?, size };
        for index in 0..size / size_of::<u64>() {
            // SAFETY: so much memory that was just taken, by the map that the kernel has for all that this selector gives.
            unsafe { (pages.address() as *mut u64).wrapping_add(index).write_volatile(0) };
        }
        Some(pages)
    }

    /// Where they are in the machine's memory.
    pub(crate) fn physical(&self) -> usize {
        self.first.load(PAGE_ADDRESS)
    }

    /// Where the kernel finds them.
    pub(crate) fn address(&self) -> usize {
        self.physical().wrapping_add(KERNEL_BASE as usize)
    }

    /// Gives them back.
    ///
    /// # Safety
    /// Nobody uses them any more.
    pub(super) unsafe fn free(self) {
        // SAFETY: they were taken as one piece of this size, and nobody uses them.
        unsafe { vm_page_free_contig(self.first, self.size) };
    }
}
