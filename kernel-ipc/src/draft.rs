//! A record that is not queued yet, by the address of its kmsg.

use core::num::NonZeroUsize;

use crate::gnumach::Kmsg;

/// A message for the trace port that lacks only the outcome. What it shows is copied and the rights are taken when the event
/// happens, because the call may end the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draft(NonZeroUsize);

impl Draft {
    /// The draft whose message is here, or none.
    #[inline(always)]
    pub fn from_address(kmsg: usize) -> Option<Self> {
        NonZeroUsize::new(kmsg).map(Self)
    }

    /// The same by the lower half of the address, which tells the whole: `record_alloc` sees to that.
    #[inline(always)]
    pub fn from_low_half(half: u32) -> Option<Self> {
        Self::from_address(half.cast_signed() as isize as usize)
    }

    /// See [`Draft::from_low_half`].
    #[inline(always)]
    pub fn low_half(self) -> u32 {
        self.0.get() as u32
    }

    /// The message.
    #[inline(always)]
    pub fn kmsg(self) -> Kmsg {
        Kmsg(self.0.get())
    }
}
