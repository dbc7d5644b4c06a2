// SPDX-License-Identifier: GPL-2.0-or-later
//! Whether the kernel is one for one processor, so that nothing else runs as long as the current thread does not wait: messages are
//! written quickly there.

#[cfg(target_os = "none")]
use core::sync::atomic::AtomicBool;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::{Task, Thread};
#[cfg(target_os = "none")]
use super::{lock, names};

/// What the stubs of [`arch`](crate::arch) look at: set before anybody can ask for a trace.
#[cfg(target_os = "none")]
pub(crate) static IS_ONE: AtomicBool = AtomicBool::new(false);

/// The kernel is one for one processor, whose spaces' trees are as they are known: who has this has looked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForOne(());

impl ForOne {
    /// What a word holds, by a plain look, which can be part of the instruction that uses it.
    #[inline(always)]
    pub(crate) const fn look_at(self, word: &AtomicU32) -> u32 {
        // SAFETY: nobody else runs, so that nobody writes it meanwhile.
        unsafe { word.as_ptr().read() }
    }

    /// Counts a word up by one; what it comes to be.
    #[inline(always)]
    pub(crate) fn count_up(self, word: &AtomicU64) -> u64 {
        let count = word.load(Relaxed).wrapping_add(1);
        word.store(count, Relaxed);
        count
    }

    /// The fake kernel is one.
    #[cfg(test)]
    pub(crate) const fn fake() -> Self {
        Self(())
    }
}

/// The current thread and its task, on such a kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Current {
    /// Whoever has this has looked.
    pub(crate) one: ForOne,
    /// The thread.
    pub(crate) thread: Thread,
    /// `thread->task`
    pub(crate) task: Task,
}

#[cfg(target_os = "none")]
impl Current {
    /// For who has looked at [`IS_ONE`].
    ///
    /// # Safety
    /// It is set, and these are the current thread and its task.
    #[inline(always)]
    pub(crate) const unsafe fn on_one(thread: Thread, task: Task) -> Self {
        Self { one: ForOne(()), thread, task }
    }
}

/// Looks what kernel it is.
#[cfg(target_os = "none")]
pub(crate) fn look() {
    IS_ONE.store(lock::is_absent() && names::is_as_known(), Relaxed);
}

/// What there is of it.
#[cfg(target_os = "none")]
#[inline(always)]
pub(super) fn find() -> Option<ForOne> {
    IS_ONE.load(Relaxed).then_some(ForOne(()))
}
