// SPDX-License-Identifier: GPL-2.0-or-later
//! The heap: talc over regions from `vm_allocate`, which it asks for as it grows.

use core::alloc::Layout;

use talc::TalcLock;
use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;

use crate::lock::Lock;
use crate::memory::{PAGE_SIZE, page_ceiling};
use crate::{sys, task_self};

/// The least the heap grows by. Few, large regions keep the allocator's own calls out of a trace.
const REGION: u64 = 256 * 1024;

/// Room for talc's own bookkeeping in a region made for one large allocation.
const OVERHEAD: u64 = PAGE_SIZE;

#[global_allocator]
static HEAP: TalcLock<Lock<()>, Regions> = TalcLock::new(Regions);

/// Where talc's memory comes from.
#[derive(Debug)]
struct Regions;

// SAFETY: `acquire` does not touch the global allocator: the trap needs no memory, and the RPC it falls back to builds its
// message on the stack.
unsafe impl Source for Regions {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let wanted = (layout.size() as u64).checked_add(layout.align() as u64 + OVERHEAD).ok_or(())?;
        let size = page_ceiling(wanted.max(REGION)).ok_or(())?;
        let address = sys::trap::vm_allocate(task_self(), 0, size, true).map_err(|_| ())?;
        // SAFETY: the region is fresh from the kernel and known only to talc from here on.
        unsafe { talc.claim(address as *mut u8, size as usize) }.map(|_| ()).ok_or(())
    }
}
