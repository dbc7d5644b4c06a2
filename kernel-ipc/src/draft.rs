//! A record that is not queued yet.

use crate::gnumach::{Kmsg, OwnedKmsg};

/// A message for the trace port that lacks only the outcome. What it shows is copied and the rights are taken when the event
/// happens, because the call may end the task.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Draft(OwnedKmsg);

impl Draft {
    /// A draft in memory that has all its parts.
    #[inline(always)]
    pub(crate) fn of(memory: OwnedKmsg) -> Self {
        Self(memory)
    }

    /// The draft whose message is here, or none.
    #[inline(always)]
    pub(crate) fn from_address(kmsg: usize) -> Option<Self> {
        OwnedKmsg::own(kmsg).map(Self)
    }

    /// The same by the lower half of the address, which tells the whole: `record_alloc` sees to that.
    #[inline(always)]
    pub(crate) fn from_low_half(half: u32) -> Option<Self> {
        Self::from_address(half.cast_signed() as isize as usize)
    }

    /// See [`Draft::from_low_half`]: who has that owns it from now on.
    #[inline(always)]
    pub(crate) fn into_low_half(self) -> u32 {
        self.0.into_address() as u32
    }

    /// The message.
    #[inline(always)]
    pub(crate) fn kmsg(&self) -> Kmsg {
        self.0.kmsg()
    }

    /// Its memory, with the rights in it.
    #[inline(always)]
    pub(crate) fn into_memory(self) -> OwnedKmsg {
        self.0
    }
}
