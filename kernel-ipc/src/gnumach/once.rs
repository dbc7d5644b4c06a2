// SPDX-License-Identifier: GPL-2.0-or-later
//! A value that is set once. As `spin::Once`, but without a way to panic, which the payload may not have.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU8, Ordering};

const NOT_SET: u8 = 0;
const BEING_SET: u8 = 1;
const SET: u8 = 2;

/// The value, or none yet. All zero bytes.
#[derive(Debug)]
pub(crate) struct Once<T> {
    state: AtomicU8,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: who has claimed the value writes it alone, and all others only see it after that, and as long as it is not changed any more.
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    /// None yet.
    pub(crate) const fn new() -> Self {
        Self { state: AtomicU8::new(NOT_SET), value: UnsafeCell::new(MaybeUninit::zeroed()) }
    }

    /// The value.
    #[inline(always)]
    pub(crate) fn get(&self) -> Option<&T> {
        if self.state.load(Ordering::Acquire) != SET {
            return None;
        }
        // SAFETY: nobody writes it any more.
        let value = unsafe { &*self.value.get() };
        // SAFETY: it was written before it was said to be set.
        Some(unsafe { value.assume_init_ref() })
    }

    /// Sets it, unless somebody has, or is just doing so.
    pub(crate) fn set(&self, value: T) {
        if self.state.compare_exchange(NOT_SET, BEING_SET, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            // SAFETY: nobody else writes it, and nobody reads it yet.
            unsafe { &mut *self.value.get() }.write(value);
            self.state.store(SET, Ordering::Release);
        }
    }
}
