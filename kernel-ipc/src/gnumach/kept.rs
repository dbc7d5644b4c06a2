// SPDX-License-Identifier: GPL-2.0-or-later
//! Owned kmsgs where they are kept as plain words, in a hole of struct thread, and in a list; and a port that is looked at without a lock.

use core::sync::atomic::{AtomicUsize, Ordering};

use super::{OwnedKmsg, Port, Ports, Records, Reference, Space};

/// What a thread keeps of its call in a hole of its struct: an owned kmsg, by the lower half of its address, or none, and flags in the
/// lowest bits. [`Records::record_alloc`] sees to it that the half tells the whole, leaves room for the flags, and has its highest bit set.
///
/// Where there is no kmsg the bits between are those of the period: each time the path is led through the payload again, one begins.
/// Beside a period one more bit is a flag. Flags of an earlier period say nothing, as nobody has seen what came after them: on another processor a thread may be anywhere,
/// so that nobody can clear them for it. While there is a kmsg, the path is led through the payload, and the flags are right.
///
/// There is one for each thread. Who takes the kmsg out of it keeps another one for the thread.
#[must_use]
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CallWord(u32);

impl CallWord {
    /// The bits that flags may have.
    const FLAGS: u32 = 7;
    /// Set where there is a kmsg.
    const IS_KMSG: u32 = 1 << 31;

    /// Set where there is no kmsg and an outcome is owed to a ring; of no period.
    const TOLD: u32 = 1 << 30;

    /// What the first period is, before which there is none, and the next one after a period: odd, as the stub of `mach_msg_trap` writes
    /// it as a word with the lowest flag. None is that before the first.
    pub(crate) const fn next_period(period: u32) -> u32 {
        let next = period.wrapping_add(Self::FLAGS + 1) & !(Self::IS_KMSG | Self::TOLD) | 1;
        if next > Self::FLAGS { next } else { Self::next_period(next) }
    }

    /// Nothing.
    pub(crate) const NOTHING: Self = Self(0);

    /// Flags alone, of this period.
    #[inline(always)]
    pub(crate) const fn of_flags(flags: u32, period: u32) -> Self {
        Self(if flags == 0 { 0 } else { flags & Self::FLAGS | period & !Self::FLAGS })
    }

    /// With the lowest flag, of this period; with something owed besides; with another flag in that's place.
    #[inline(always)]
    pub(crate) const fn plain(period: u32, flag: u32) -> [Self; 3] {
        [Self(period), Self(period | Self::TOLD), Self(period | flag & Self::FLAGS)]
    }

    /// What a thread's hole holds.
    ///
    /// # Safety
    /// It is what another of these was kept as, or a period.
    #[cfg(target_os = "none")]
    #[inline(always)]
    pub(crate) const unsafe fn of(word: u32) -> Self {
        Self(word)
    }

    /// What a fake thread's holds.
    #[cfg(test)]
    pub(crate) const fn fake(word: u32) -> Self {
        Self(word)
    }

    /// For the hole; 0 is nothing.
    #[inline(always)]
    pub(crate) const fn word(&self) -> u32 {
        self.0
    }

    /// Whether its flags say something in this period.
    #[inline(always)]
    pub(crate) const fn is_of(&self, period: u32) -> bool {
        self.has_kmsg() || (self.0 ^ period) & !(Self::FLAGS | Self::TOLD) == 0
    }

    /// Whether it has no kmsg and is of this period, with the flags that it must have, and none but those that it may have, besides, if
    /// `may_be_told`, that something is owed.
    #[inline(always)]
    pub(crate) const fn is_flags(&self, must: u32, may: u32, may_be_told: bool, period: u32) -> bool {
        let told = if may_be_told { Self::TOLD } else { 0 };
        (self.0 ^ (period & !Self::FLAGS | must)) & !(may | told) == 0
    }

    /// Whether an outcome is owed to a ring, the machine's recorder's or a tracer's.
    #[inline(always)]
    pub(crate) const fn is_told(&self) -> bool {
        self.0 & (Self::IS_KMSG | Self::TOLD) == Self::TOLD
    }

    /// This word saying whether something is owed; one with a kmsg stays as it is.
    #[inline(always)]
    pub(crate) const fn with_told(self, told: bool) -> Self {
        if self.has_kmsg() {
            return self;
        }
        Self(if told { self.0 | Self::TOLD } else { self.0 & !Self::TOLD })
    }

    /// Whether a flag is set.
    #[inline(always)]
    pub(crate) const fn has(&self, flag: u32) -> bool {
        self.0 & flag & Self::FLAGS != 0
    }

    /// This word with a flag set.
    #[inline(always)]
    pub(crate) const fn with(self, flag: u32) -> Self {
        Self(self.0 | flag & Self::FLAGS)
    }

    /// This word without a flag.
    #[inline(always)]
    pub(crate) const fn without(self, flag: u32) -> Self {
        let left = self.0 & !(flag & Self::FLAGS);
        Self(if left & (Self::FLAGS | Self::IS_KMSG) == 0 { 0 } else { left })
    }

    /// The flags alone: of this period if there was a kmsg, else of theirs.
    #[inline(always)]
    pub(crate) const fn flags(&self, period: u32) -> Self {
        if self.has_kmsg() { Self::of_flags(self.0 & Self::FLAGS, period) } else { Self(self.0) }
    }

    /// Whether there is a kmsg.
    #[inline(always)]
    pub(crate) const fn has_kmsg(&self) -> bool {
        self.0 & Self::IS_KMSG != 0
    }

    /// Takes it out.
    #[inline(always)]
    pub(crate) fn into_kmsg(self) -> Option<OwnedKmsg> {
        let half = if self.has_kmsg() { self.0 & !Self::FLAGS } else { 0 };
        // SAFETY: the half is that of a kmsg which the word owned, and the kernel's addresses are those that the sign extends.
        unsafe { OwnedKmsg::own(half.cast_signed() as isize as usize) }
    }

    /// The flags for [`CallWord::with_kmsg`], which alone says of when they are.
    #[inline(always)]
    pub(crate) const fn bare(&self) -> Self {
        Self(self.0 & Self::FLAGS)
    }

    /// The flags with a kmsg, or of this period if there is none.
    #[inline(always)]
    pub(crate) fn with_kmsg(self, kmsg: Option<OwnedKmsg>, period: impl FnOnce() -> u32) -> Self {
        match kmsg {
            Some(kmsg) => Self(self.0 & Self::FLAGS | kmsg.into_address() as u32),
            None => Self::of_flags(self.0 & Self::FLAGS, period()),
        }
    }
}

/// Owned kmsgs, the last one first, by their links. A list without a lock: one instruction puts a kmsg there, one takes them all, on
/// whatever processor.
#[derive(Debug, Default)]
pub(crate) struct KmsgList(AtomicUsize);

impl KmsgList {
    /// Nothing.
    pub(crate) const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Puts a kmsg before all others.
    pub(crate) fn push(&self, kernel: &impl Records, kmsg: OwnedKmsg) {
        let record = kmsg.record();
        let address = kmsg.into_address();
        let mut first = self.0.load(Ordering::Relaxed);
        loop {
            // SAFETY: the list's own. If it no longer is when the exchange is tried, that fails, and this link is never followed.
            kernel.set_link(record, unsafe { OwnedKmsg::own(first) });
            // Release: who takes the list sees the records whole.
            match self.0.compare_exchange_weak(first, address, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(found) => first = found,
            }
        }
    }

    /// Takes the first one, and with it, by its link, all others.
    pub(crate) fn take(&self) -> Option<OwnedKmsg> {
        let first = self.0.swap(0, Ordering::Acquire);
        // SAFETY: the list's own until now.
        unsafe { OwnedKmsg::own(first) }
    }
}

/// A port that is kept by a reference, and the space that receives from it, for who looks at them without a lock.
#[derive(Debug)]
pub(crate) struct KeptPort {
    port: AtomicUsize,
    space: AtomicUsize,
    reference: AtomicUsize,
}

impl KeptPort {
    /// None.
    pub(crate) const fn new() -> Self {
        Self { port: AtomicUsize::new(0), space: AtomicUsize::new(0), reference: AtomicUsize::new(0) }
    }

    /// Keeps a port; where there is one already its reference is never given back.
    pub(crate) fn keep(&self, port: Reference<Port>, space: Space) {
        self.space.store(space.address(), Ordering::Relaxed);
        self.reference.store(port.get().address(), Ordering::Relaxed);
        // Who finds the port finds the space.
        self.port.store(port.into_kept().address(), Ordering::Release);
    }

    /// Keeps it no more: the reference.
    pub(crate) fn end(&self) -> Option<Reference<Port>> {
        self.port.store(0, Ordering::Relaxed);
        // SAFETY: the address of a port, if it is not 0, of which this has a reference.
        let port = unsafe { Port::kept(self.reference.swap(0, Ordering::Relaxed)) }?;
        // SAFETY: it was kept here, and whoever takes the word out takes it alone.
        Some(unsafe { Reference::of_kept(port) })
    }

    /// Whether it is this one.
    #[inline(always)]
    pub(crate) fn is(&self, port: Port) -> bool {
        self.port.load(Ordering::Relaxed) == port.address()
    }

    /// The port. It may end meanwhile on another processor.
    #[inline(always)]
    fn port(&self) -> Option<Port> {
        // SAFETY: the struct lives as long as it is kept here. On another processor that may end after the word was read: kernel memory stays
        // where it can be read, and what is found there says no more than that the port was received from, or not, of a port that is nobody's.
        unsafe { Port::kept(self.port.load(Ordering::Acquire)) }
    }

    /// Whether the space that it was kept with receives from it, which no space does from a dead one.
    #[inline(always)]
    pub(crate) fn is_received(&self, kernel: &impl Ports) -> bool {
        let Some(port) = self.port() else { return false };
        kernel.port_is_received_at(port, self.space.load(Ordering::Relaxed))
    }
}
