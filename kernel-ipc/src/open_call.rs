// SPDX-License-Identifier: GPL-2.0-or-later
//! The `mach_msg` that a thread is in, as one word in a hole of its struct.
//!
//! 0 is a thread that is in no observed call, and 1 one that is looked at lightly ([`crate::light`]): that is all the stubs look at. The word
//! belongs to the thread itself; whoever else changes it knows that the thread stands still
//! ([`Threads::look_at_threads`](crate::gnumach::Threads::look_at_threads), `mach_msg_interrupt`), or changes 1 to 3, with one instruction, which
//! the thread itself may overlook: it looks again ([`crate::light`]). What a call has left there whose end nobody saw, because nobody was
//! traced any more, is of another period ([`CallWord`]), and nothing.
//!
//! ```text
//! bits 31..3  the draft, by the lower half of its address, or the period
//! bit 30      TOLD      beside a period: a record of the send half is in the recorder's ring, which lacks its outcome (see `direct`)
//! bit 2       RECEIVED  the receive half has its record, in the draft or in another's message; or needs none
//! bit 1       FLUSH     drafts of others wait to be queued by this thread, or something is put aside for its call
//! bit 0       OPEN      the thread is in an observed call
//! ```

use crate::draft::Draft;
use crate::gnumach::{CallWord, Kernel, Task, Thread};

/// What may be noted of an observed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    /// [`OpenCall::has_received`].
    Received,
    /// [`OpenCall::is_told`].
    Told,
}

/// A thread's word, and the draft in it: who takes that out must keep another word for the thread.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct OpenCall(CallWord);

impl OpenCall {
    /// In no observed call.
    pub(crate) const NONE: Self = Self(CallWord::NOTHING);
    /// In no observed call, of a thread that is looked at lightly: the flag of an open call of a period before the first.
    pub(crate) const LIGHT: Self = Self(CallWord::of_flags(Self::IS_OPEN, 0));
    /// In no observed call, of a thread that was looked at lightly: the stubs lead to the payload whatever the message is.
    const STIRRED: Self = Self(CallWord::of_flags(Self::IS_OPEN | Self::FLUSH, 0));
    const IS_OPEN: u32 = 1;
    const FLUSH: u32 = 2;
    pub(crate) const RECEIVED: u32 = 4;

    /// In a call of which nothing is known yet.
    pub(crate) fn open(kernel: &impl Kernel) -> Self {
        Self(CallWord::of_flags(Self::IS_OPEN, kernel.period()))
    }

    /// In a call of which nothing is known yet; in one of which a ring has the request, whose outcome is owed; in one that has received, too, with nothing
    /// owed.
    #[inline(always)]
    pub(crate) fn plain(kernel: &impl Kernel) -> [Self; 3] {
        CallWord::plain(kernel.period(), Self::RECEIVED).map(Self)
    }

    /// That of the current thread.
    #[inline(always)]
    pub(crate) fn current(kernel: &impl Kernel) -> (Thread, Self) {
        let thread = kernel.current_thread();
        (thread, Self::of(kernel, thread))
    }

    /// The threads of a task that are looked at lightly are looked at closely from their next call on, and the calls in which they are lead to
    /// the payload.
    pub(crate) fn stir(kernel: &impl Kernel, task: Task) {
        kernel.watch_threads_closely(task, (Self::LIGHT.0, Self::STIRRED.0));
    }

    /// That of a thread.
    #[inline(always)]
    pub(crate) fn of(kernel: &impl Kernel, thread: Thread) -> Self {
        Self(kernel.thread_call(thread))
    }

    /// Notes what has become of a thread's call.
    #[inline(always)]
    pub(crate) fn keep(self, kernel: &impl Kernel, thread: Thread) {
        kernel.set_thread_call(thread, self.0);
    }

    /// From the hole.
    #[cfg(test)]
    pub(crate) const fn from_word(word: u32) -> Self {
        Self(CallWord::fake(word))
    }

    /// For the hole.
    #[cfg(test)]
    pub(crate) const fn word(&self) -> u32 {
        self.0.word()
    }

    /// Whether the thread is in an observed call.
    #[inline(always)]
    pub(crate) fn is_open(&self, kernel: &impl Kernel) -> bool {
        self.0.has(Self::IS_OPEN) && self.0.is_of(kernel.period())
    }

    /// Whether the thread is in an observed call of which there is no draft, with nothing noted but this, if that, and that drafts of others wait.
    #[inline(always)]
    pub(crate) fn is_open_and(&self, kernel: &impl Kernel, may: Noted) -> bool {
        match may {
            Noted::Received => self.0.is_flags(Self::IS_OPEN, Self::FLUSH | Self::RECEIVED, false, kernel.period()),
            Noted::Told => self.0.is_flags(Self::IS_OPEN, Self::FLUSH, true, kernel.period()),
        }
    }

    /// Whether the thread is looked at lightly: see [`crate::light`].
    #[inline(always)]
    pub(crate) fn is_light(&self) -> bool {
        self.0.has(Self::IS_OPEN) && !self.0.has_kmsg() && self.0.is_of(0)
    }

    /// This word, which is no open call, without what a call of an earlier period has left.
    pub(crate) const fn forgotten(&self) -> Self {
        if self.has_to_flush() { Self::NONE.flushing() } else { Self::NONE }
    }

    /// Whether drafts of others wait, or something is put aside.
    pub(crate) const fn has_to_flush(&self) -> bool {
        self.0.has(Self::FLUSH)
    }

    /// Whether the receive half has its record.
    pub(crate) const fn has_received(&self) -> bool {
        self.0.has(Self::RECEIVED)
    }

    /// Whether it has received, and has neither a draft nor anything else to do.
    #[inline(always)]
    pub(crate) fn has_only_received(&self, kernel: &impl Kernel) -> bool {
        *self == Self::open(kernel).received()
    }

    /// Whether there is a record, or two, whose outcome is not known yet.
    #[inline(always)]
    pub(crate) const fn has_draft(&self) -> bool {
        self.0.has_kmsg()
    }

    /// Whether the recorder's ring has a record of what is sent, and still lacks its outcome.
    #[inline(always)]
    pub(crate) const fn is_told(&self) -> bool {
        self.0.is_told()
    }

    /// This call, which has no draft, with such a record.
    #[inline(always)]
    pub(crate) const fn told(self) -> Self {
        Self(self.0.with_told(true))
    }

    /// This call with nothing owed to the recorder.
    #[inline(always)]
    pub(crate) const fn settled(self) -> Self {
        Self(self.0.with_told(false))
    }

    /// Takes it out.
    #[inline(always)]
    pub(crate) fn into_draft(self) -> Option<Draft> {
        self.0.into_kmsg().map(Draft::of)
    }

    /// An open call's flags, for [`OpenCall::with_draft`].
    #[inline(always)]
    pub(crate) const fn bare(&self) -> Self {
        Self(self.0.bare())
    }

    /// This call without its draft.
    #[inline(always)]
    pub(crate) fn without_draft(&self, kernel: &impl Kernel) -> Self {
        Self(self.0.flags(kernel.period()))
    }

    /// This word with the flag that the thread has to flush.
    pub(crate) const fn flushing(self) -> Self {
        Self(self.0.with(Self::FLUSH))
    }

    /// This call without such drafts.
    pub(crate) const fn without_flush(self) -> Self {
        Self(self.0.without(Self::FLUSH))
    }

    /// This call with the receive half recorded.
    pub(crate) const fn received(self) -> Self {
        Self(self.0.with(Self::RECEIVED))
    }

    /// This call, which has no draft, with this one, if there is one.
    #[inline(always)]
    pub(crate) fn with_draft(self, kernel: &impl Kernel, draft: Option<Draft>) -> Self {
        Self(self.0.with_kmsg(draft.map(Draft::into_memory), || kernel.period()))
    }
}

#[cfg(test)]
mod tests;
