//! The kernel's simple locks, which are there on kernels for several processors only.

use core::sync::atomic::{AtomicU32, Ordering, Ordering::Relaxed};

use super::slots::fact;
use crate::payload_abi::{ABSENT, Slot};

/// A held `simple_lock` of the kernel; nothing on a kernel for one processor.
pub(super) struct SimpleLock(Option<&'static AtomicU32>);

impl SimpleLock {
    /// Corresponds to `simple_lock`: a word that is 1 while held.
    #[inline(always)]
    pub(super) fn take(base: usize, offset: Slot) -> Self {
        let lock = Self::taken(base, offset);
        let Some(word) = lock.0 else { return lock };
        while word.swap(1, Ordering::Acquire) != 0 {
            while word.load(Relaxed) != 0 {
                core::hint::spin_loop();
            }
        }
        lock
    }

    /// The guard of a lock that the kernel has taken for us already.
    #[inline(always)]
    pub(super) fn taken(base: usize, offset: Slot) -> Self {
        let place = fact(offset);
        if place as u64 == ABSENT {
            return Self(None);
        }
        // SAFETY: `base` is a live struct that outlives the guard, and the slot its aligned 4-byte lock word.
        Self(Some(unsafe { &*((base + place) as *const AtomicU32) }))
    }

    /// Whether other processors are kept out, there being others.
    pub(super) fn is_real(&self) -> bool {
        self.0.is_some()
    }
}

impl Drop for SimpleLock {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(word) = self.0 {
            word.store(0, Ordering::Release);
        }
    }
}
