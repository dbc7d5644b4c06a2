//! Records of senders that handed the processor to their receiver, until it queues them.
//!
//! At the hand-off ports and queues are locked, so that nothing can be queued there. The receiver runs on in the same call, on
//! the sender's stack, and queues what it finds here at its exit. A list without a lock: one instruction puts a record
//! there, one takes them all, on whatever processor.

use core::sync::atomic::{AtomicUsize, Ordering};

use crate::draft::Draft;
use crate::gnumach::{Kernel, Kmsg};

/// Finished drafts, the last one first, by their links.
#[derive(Debug, Default)]
pub(crate) struct Pending(AtomicUsize);

impl Pending {
    /// Nothing.
    pub(crate) const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Leaves a draft, whose outcome must be settled.
    pub(crate) fn push(&self, kernel: &impl Kernel, draft: Draft) {
        let kmsg = Kmsg(draft.into_memory().into_address());
        let mut first = self.0.load(Ordering::Relaxed);
        loop {
            kernel.set_link(kmsg, first);
            // Release: who takes the list sees the records whole.
            match self.0.compare_exchange_weak(first, kmsg.0, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(found) => first = found,
            }
        }
    }

    /// Takes all drafts and gives them to `queue`, in the order in which they were left.
    pub(crate) fn take(&self, kernel: &impl Kernel, mut queue: impl FnMut(Draft)) {
        let mut last = self.0.swap(0, Ordering::Acquire);
        let mut first = 0;
        while last != 0 {
            let next = kernel.link(Kmsg(last));
            kernel.set_link(Kmsg(last), first);
            first = last;
            last = next;
        }
        while let Some(draft) = Draft::from_address(first) {
            first = kernel.link(draft.kmsg());
            kernel.set_link(draft.kmsg(), 0);
            queue(draft);
        }
    }
}

#[cfg(test)]
mod tests;
