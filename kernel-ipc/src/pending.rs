// SPDX-License-Identifier: GPL-2.0-or-later
//! Records of senders that handed the processor to their receiver, until it queues them.
//!
//! At the hand-off ports and queues are locked, so that nothing can be queued there. The receiver runs on in the same call, on
//! the sender's stack, and queues what it finds here at its exit.

use crate::draft::Draft;
use crate::gnumach::{Kernel, KmsgList};

/// Finished drafts, the last one first.
#[derive(Debug, Default)]
pub(crate) struct Pending(KmsgList);

impl Pending {
    /// Nothing.
    pub(crate) const fn new() -> Self {
        Self(KmsgList::new())
    }

    /// Leaves a draft, whose outcome must be settled.
    pub(crate) fn push(&self, kernel: &impl Kernel, draft: Draft) {
        self.0.push(kernel, draft.into_memory());
    }

    /// Takes all drafts and gives them to `queue`, in the order in which they were left.
    pub(crate) fn take(&self, kernel: &impl Kernel, mut queue: impl FnMut(Draft)) {
        let mut last = self.0.take();
        let mut first = None;
        while let Some(kmsg) = last {
            last = kernel.swap_link(kmsg.record(), first);
            first = Some(kmsg);
        }
        while let Some(kmsg) = first {
            first = kernel.swap_link(kmsg.record(), None);
            queue(Draft::of(kmsg));
        }
    }
}

#[cfg(test)]
mod tests;
