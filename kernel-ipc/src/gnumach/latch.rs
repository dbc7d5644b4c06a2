// SPDX-License-Identifier: GPL-2.0-or-later
//! What one has at a time. As `spin::Mutex`, but that on a kernel for one processor it takes no instruction that locks the bus.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

use super::ForOne;

/// A value that one has at a time. All zero bytes if the value is.
#[derive(Debug)]
pub(crate) struct Latch<T> {
    is_held: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: who has the value has it alone, and gives it on with all that was done to it.
unsafe impl<T: Send> Sync for Latch<T> {}

/// Who has the value, as long as this is there.
#[must_use]
#[derive(Debug)]
pub(crate) struct Held<'a, T>(&'a Latch<T>);

impl<T> Latch<T> {
    /// Held by nobody.
    pub(crate) const fn new(value: T) -> Self {
        Self { is_held: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Waits until nobody has it.
    #[inline(always)]
    pub(crate) fn lock(&self) -> Held<'_, T> {
        while self.is_held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            while self.is_held.load(Ordering::Relaxed) {
                core::hint::spin_loop();
            }
        }
        Held(self)
    }

    /// [`Latch::lock`] where nobody else runs: none if it is held, which cannot change by waiting. Interrupt handlers take none.
    #[inline(always)]
    pub(crate) fn take(&self, _: ForOne) -> Option<Held<'_, T>> {
        // SAFETY: nobody else runs, so that a plain look, which is part of what it is compared with, sees what is there.
        if unsafe { self.is_held.as_ptr().read() } {
            return None;
        }
        self.is_held.store(true, Ordering::Relaxed);
        Some(Held(self))
    }
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: who has this has the value alone.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for Held<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: who has this has the value alone.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for Held<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.is_held.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn one_has_it_at_a_time() {
        let latch = Latch::new(0_u64);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..20_000).for_each(|_| *latch.lock() += 1));
            }
        });
        assert_eq!(*latch.lock(), 80_000);
    }

    #[test]
    fn what_is_held_is_not_taken_once_more() {
        let latch = Latch::new(1);
        let held = latch.take(ForOne::fake()).unwrap();
        assert!(latch.take(ForOne::fake()).is_none());
        drop(held);
        *latch.take(ForOne::fake()).unwrap() = 2;
        let held = latch.lock();
        assert!(latch.take(ForOne::fake()).is_none());
        assert_eq!(*held, 2);
    }
}
