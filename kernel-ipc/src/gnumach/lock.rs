// SPDX-License-Identifier: GPL-2.0-or-later
//! The kernel's simple locks, which are there on kernels for several processors only.

use core::marker::PhantomData;
use core::sync::atomic::{AtomicU32, Ordering, Ordering::Relaxed};

use super::handles::Pset;
use super::members::{Struct, need, same};
use super::slots::fact;
use super::{Port, Task, Thread};
use crate::payload_abi::{ABSENT, Need, Slot};

/// A lock in the struct `S`.
pub(super) struct Lock<S> {
    slot: Slot,
    of: PhantomData<fn(S)>,
}

/// `thread->lock`.
pub(super) const THREAD_LOCK: Lock<Thread> = Lock::new(Slot::thread_lock);
/// `task->lock`.
pub(super) const TASK_LOCK: Lock<Task> = Lock::new(Slot::task_lock);
/// `ip_lock`.
pub(super) const PORT_LOCK: Lock<Port> = Lock::new(Slot::port_lock);
/// `imq_lock` of a port's queue.
pub(super) const PORT_MESSAGES_LOCK: Lock<Port> = Lock::new(Slot::port_messages_lock);
/// `imq_lock` of a set's queue.
pub(super) const PSET_MESSAGES_LOCK: Lock<Pset> = Lock::new(Slot::pset_messages_lock);

/// Whether the kernel has no such locks: it is for one processor.
#[inline(always)]
pub(super) fn is_absent() -> bool {
    fact(Slot::port_lock) as u64 == ABSENT
}

impl<S: Struct> Lock<S> {
    const fn new(slot: Slot) -> Self {
        assert!(matches!(need(slot), Need::Lock { of, .. } if same(of, S::TAG)), "not a lock of this struct");
        Self { slot, of: PhantomData }
    }

    /// That of one struct.
    #[inline(always)]
    pub(super) fn of(self, of: S) -> SimpleLock {
        let place = fact(self.slot);
        if place as u64 == ABSENT {
            return SimpleLock(None);
        }
        // SAFETY: the struct lives as long as what is made of its handle is used, and has an aligned 4-byte lock word there.
        SimpleLock(Some(unsafe { &*((of.address() + place) as *const AtomicU32) }))
    }
}

/// A `simple_lock` of the kernel; nothing on a kernel for one processor.
pub(super) struct SimpleLock(Option<&'static AtomicU32>);

/// A held one.
#[must_use]
pub(super) struct Held(SimpleLock);

impl SimpleLock {
    /// Corresponds to `simple_lock`: a word that is 1 while held.
    #[inline(always)]
    pub(super) fn take(self) -> Held {
        let Some(word) = self.0 else { return Held(self) };
        while word.swap(1, Ordering::Acquire) != 0 {
            while word.load(Relaxed) != 0 {
                core::hint::spin_loop();
            }
        }
        Held(self)
    }

    /// One that the kernel has taken for us already.
    ///
    /// # Safety
    /// It has, and nobody else gives it back.
    #[inline(always)]
    pub(super) unsafe fn taken(self) -> Held {
        Held(self)
    }
}

impl Held {
    /// Whether other processors are kept out, there being others.
    pub(super) fn is_real(&self) -> bool {
        self.0.0.is_some()
    }
}

impl Drop for Held {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(word) = self.0.0 {
            word.store(0, Ordering::Release);
        }
    }
}
