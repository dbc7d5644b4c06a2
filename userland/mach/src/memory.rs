// SPDX-License-Identifier: GPL-2.0-or-later
//! Memory by the page: what a message brought out of line, and pages of our own.

use core::sync::atomic::AtomicU64;

use crate::error::Result;
use crate::port::SendRight;
use crate::sys::trap::Mapping;
use crate::{stubs, sys, task_self};

/// Size of a page of the machine.
pub const PAGE_SIZE: u64 = 4096;

/// `vm_prot_t`: nothing is allowed.
pub const VM_PROT_NONE: i32 = 0;
/// `vm_prot_t`: reading.
pub const VM_PROT_READ: i32 = 1;
/// `vm_prot_t`: writing.
pub const VM_PROT_WRITE: i32 = 2;
/// `vm_prot_t`: executing.
pub const VM_PROT_EXECUTE: i32 = 4;

/// `address` rounded down to a page.
pub const fn page_floor(address: u64) -> u64 {
    address & !(PAGE_SIZE - 1)
}

/// `address` rounded up to a page; `None` past the end of the address space.
pub const fn page_ceiling(address: u64) -> Option<u64> {
    match address.checked_add(PAGE_SIZE - 1) {
        Some(sum) => Some(page_floor(sum)),
        None => None,
    }
}

/// Memory that a received message mapped into this task; unmapped when dropped.
#[derive(Debug)]
pub struct OutOfLine {
    address: u64,
    size: u64,
}

impl OutOfLine {
    /// Takes on the region that a received message describes. Only generated stubs call this, with what the kernel wrote
    /// into the message: the region is mapped, readable and nobody else's.
    pub(crate) const fn from_parts(address: u64, size: u64) -> Self {
        Self { address, size }
    }

    /// A copy of `bytes` in pages of its own, for a server to answer with.
    pub fn copy_of(bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() {
            return Ok(Self { address: 0, size: 0 });
        }
        let mut pages = Pages::allocate(bytes.len() as u64)?;
        pages.as_mut_slice()[..bytes.len()].copy_from_slice(bytes);
        Ok(Self { address: pages.leak(), size: bytes.len() as u64 })
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        sys::memory::kernel_given(self.address, self.size)
    }

    /// The bytes, for the rest of the program: the region is never given back.
    pub fn leak(self) -> &'static [u8] {
        let (address, size) = self.into_parts();
        sys::memory::kernel_given(address, size)
    }

    /// Gives the region up without unmapping it: a message takes it away. Returns address and size.
    pub const fn into_parts(self) -> (u64, u64) {
        let parts = (self.address, self.size);
        core::mem::forget(self);
        parts
    }

    /// Where the region is.
    pub const fn address(&self) -> u64 {
        self.address
    }

    /// How many bytes it has.
    pub const fn len(&self) -> usize {
        self.size as usize
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.size == 0
    }
}

impl Drop for OutOfLine {
    fn drop(&mut self) {
        if self.size != 0 {
            // A message's region is whole pages even where its bytes start or end inside one.
            let start = page_floor(self.address);
            let end = page_ceiling(self.address + self.size).unwrap_or(self.address + self.size);
            let _ = sys::trap::vm_deallocate(task_self(), start, end - start);
        }
    }
}

/// Pages of our own from `vm_allocate`, zero-filled; given back when dropped.
#[derive(Debug)]
pub struct Pages {
    address: u64,
    size: u64,
}

impl Pages {
    /// At least `size` bytes, anywhere.
    pub fn allocate(size: u64) -> Result<Self> {
        let size = page_ceiling(size.max(1)).ok_or(crate::error::KernReturn::KERN_NO_SPACE)?;
        let address = sys::trap::vm_allocate(task_self(), 0, size, true)?;
        Ok(Self { address, size })
    }

    /// At least `size` bytes from `address` on, which is the start of a page; `KERN_NO_SPACE` where anything is already.
    pub fn allocate_at(address: u64, size: u64) -> Result<Self> {
        let size = page_ceiling(size.max(1)).ok_or(crate::error::KernReturn::KERN_NO_SPACE)?;
        let address = sys::trap::vm_allocate(task_self(), address, size, false)?;
        Ok(Self { address, size })
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        sys::memory::kernel_given(self.address, self.size)
    }

    /// The bytes, to change them.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        sys::memory::own_pages(self)
    }

    /// Where the pages are.
    pub const fn address(&self) -> u64 {
        self.address
    }

    /// How many bytes they have, a multiple of the page size.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Leaves the pages mapped for ever and returns where they are.
    pub const fn leak(self) -> u64 {
        let address = self.address;
        core::mem::forget(self);
        address
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let _ = sys::trap::vm_deallocate(task_self(), self.address, self.size);
    }
}

/// `VM_INHERIT_SHARE` of vm_inherit.h.
const VM_INHERIT_SHARE: i32 = 0;

/// So many words that this task shares with every child that inherits its memory from now on. They stay for ever.
pub fn shared_words(count: usize) -> Result<&'static [AtomicU64]> {
    let pages = Pages::allocate((count * size_of::<u64>()) as u64)?;
    stubs::mach::vm_inherit(task_self(), pages.address(), pages.size(), VM_INHERIT_SHARE)?;
    Ok(sys::memory::leaked_words(pages, count))
}

/// `VM_INHERIT_NONE` of vm_inherit.h.
const VM_INHERIT_NONE: i32 = 2;

/// Words of a memory object, which others may write at any time; unmapped when dropped. No child inherits them.
#[derive(Debug)]
pub struct Mapped {
    address: u64,
    size: u64,
}

impl Mapped {
    /// Maps so many bytes from the begin of a memory object, a multiple of the page size, with this protection for good. The right to the object may be
    /// given back then.
    pub fn map(object: &SendRight, size: u64, protection: i32) -> Result<Self> {
        let object = object.name();
        // For no object, and for one that is gone, the kernel would map zeros of our own.
        if !object.is_valid() || !size.is_multiple_of(PAGE_SIZE) {
            return Err(crate::error::KernReturn::KERN_INVALID_ARGUMENT);
        }
        let (inheritance, max_protection) = (VM_INHERIT_NONE, protection);
        let how = Mapping {
            mask: 0,
            anywhere: true,
            object,
            offset: 0,
            copy: false,
            protection,
            max_protection,
            inheritance,
        };
        sys::trap::vm_map(task_self(), 0, size, &how).map(|address| Self { address, size })
    }

    /// The words. A store to one that was mapped for reading alone is refused by the processor: an exception of the thread that tries.
    pub fn words(&self) -> &[AtomicU64] {
        sys::memory::mapped_words(self)
    }

    /// Where they are.
    pub const fn address(&self) -> u64 {
        self.address
    }

    /// How many bytes they have, a multiple of the page size.
    pub const fn size(&self) -> u64 {
        self.size
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        let _ = sys::trap::vm_deallocate(task_self(), self.address, self.size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_to_pages() {
        for (address, floor, ceiling) in [
            (0, 0, Some(0)),
            (1, 0, Some(4096)),
            (4096, 4096, Some(4096)),
            (8191, 4096, Some(8192)),
            (u64::MAX, u64::MAX - 4095, None),
        ] {
            assert_eq!((page_floor(address), page_ceiling(address)), (floor, ceiling), "{address:#x}");
        }
    }
}
