// SPDX-License-Identifier: GPL-2.0-or-later
//! Handles to the kernel's structs, and what is owned of them.
//!
//! Who makes a handle answers for it, once: that there is such a struct, and that it lives as long as the handle or a copy of it is used.
//! What is done with it is safe then. `arch` makes handles of what a hook's caller holds as long as the hook runs; the other files here
//! of what they find under a lock, or with a reference. The table of traces alone keeps one for longer: an entry ends with its task.

#[cfg(target_os = "none")]
use core::num::NonZeroU32;
use core::num::NonZeroUsize;

#[cfg(target_os = "none")]
use super::{members::Struct, slots::slot};
#[cfg(target_os = "none")]
use crate::payload_abi::Slot;

macro_rules! handle {
    ($($(#[$doc:meta])* $name:ident: $tag:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(transparent)]
        pub(crate) struct $name(NonZeroUsize);

        impl $name {
            /// Where it is: tells it from others of its kind.
            #[inline(always)]
            pub(crate) const fn address(self) -> usize {
                self.0.get()
            }

            /// One of the fake kernel's.
            #[cfg(test)]
            pub(crate) const fn fake(address: usize) -> Self {
                Self(NonZeroUsize::new(address).expect("no struct is at 0"))
            }
        }

        // SAFETY: `at` is the only way to a handle here, and `address` gives back what it was told.
        #[cfg(target_os = "none")]
        unsafe impl Struct for $name {
            const TAG: &'static str = $tag;

            #[inline(always)]
            unsafe fn at(address: usize) -> Self {
                // SAFETY: no struct is at 0, the caller says.
                Self(unsafe { NonZeroUsize::new_unchecked(address) })
            }

            #[inline(always)]
            fn address(self) -> usize {
                $name::address(self)
            }
        }
    )*};
}

handle! {
    /// Corresponds to `thread_t`.
    Thread: "thread";
    /// Corresponds to `task_t`.
    Task: "task";
    /// Corresponds to `ipc_space_t`.
    Space: "ipc_space";
    /// Corresponds to `ipc_kmsg_t`.
    Kmsg: "ipc_kmsg";
    /// Corresponds to `ipc_port_t` where it is neither `IP_NULL` nor `IP_DEAD`. The port itself may be dead.
    Port: "ipc_port";
}

macro_rules! kept {
    ($($name:ident)*) => {$(
        impl $name {
            /// The handle whose address was kept as a plain word, or none at 0.
            ///
            /// # Safety
            /// There is such a struct at any other address, which lives as long as the handle is used.
            #[inline(always)]
            pub(super) unsafe fn kept(address: usize) -> Option<Self> {
                NonZeroUsize::new(address).map(Self)
            }
        }
    )*};
}

kept! { Port }

#[cfg(target_os = "none")]
handle! {
    /// Corresponds to `pcb_t`.
    Pcb: "pcb";
    /// Corresponds to `ipc_pset_t`.
    Pset: "ipc_pset";
    /// Corresponds to `ipc_entry_t`.
    Name: "ipc_entry";
    /// Corresponds to `struct rdxtree_node *`.
    Node: "rdxtree_node";
    /// Corresponds to `mach_device_t`.
    Device: "mach_device";
    /// Corresponds to `dev_ops_t`.
    DeviceOps: "dev_ops";
    /// Corresponds to `vm_object_t`.
    Object: "vm_object";
    /// Corresponds to `vm_page_t`.
    Page: "vm_page";
}

/// Corresponds to `ipc_port_t` where it may be `IP_NULL` or `IP_DEAD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct MaybePort(usize);

impl MaybePort {
    /// `IP_NULL`.
    pub(crate) const NULL: Self = Self(0);
    /// `IP_DEAD`.
    pub(crate) const DEAD: Self = Self(usize::MAX);

    /// What this word says.
    ///
    /// # Safety
    /// It is `IP_NULL`, `IP_DEAD`, or as for [`Struct::at`] of a [`Port`].
    #[cfg(target_os = "none")]
    #[inline(always)]
    pub(crate) const unsafe fn of(word: usize) -> Self {
        Self(word)
    }

    /// One of the fake kernel's.
    #[cfg(test)]
    pub(crate) const fn fake(word: usize) -> Self {
        Self(word)
    }

    /// Corresponds to `IP_VALID`.
    #[inline(always)]
    pub(crate) fn port(self) -> Option<Port> {
        NonZeroUsize::new(self.0).filter(|_| self != Self::DEAD).map(Port)
    }
}

impl From<Port> for MaybePort {
    #[inline(always)]
    fn from(port: Port) -> Self {
        Self(port.address())
    }
}

/// A send right that whoever has this owns. It ends with [`Ports::ipc_port_release_send`](super::Ports::ipc_port_release_send), or goes
/// on as a word of somebody else's.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct SendRight(Port);

impl SendRight {
    /// One that is counted in the fake kernel.
    #[cfg(test)]
    pub(crate) const fn fake(port: Port) -> Self {
        Self(port)
    }

    /// The port, as long as the right is there.
    #[inline(always)]
    pub(crate) const fn port(&self) -> Port {
        self.0
    }

    /// Somebody else owns the right from now on.
    #[inline(always)]
    pub(crate) const fn into_port(self) -> Port {
        self.0
    }
}

/// What the kernel gives as a send right, and is none where it is `IP_NULL` or `IP_DEAD`.
#[cfg(target_os = "none")]
#[must_use]
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct MaybeRight(MaybePort);

#[cfg(target_os = "none")]
impl MaybeRight {
    /// The caller's.
    ///
    /// # Safety
    /// The caller has a send right to the port, if it is one, that nobody else gives back.
    #[inline(always)]
    pub(super) const unsafe fn own(port: MaybePort) -> Self {
        Self(port)
    }

    /// The right, if it is one.
    #[inline(always)]
    pub(crate) fn right(self) -> Option<SendRight> {
        self.0.port().map(SendRight)
    }
}

impl Kmsg {
    /// The lower half of its message's address, whose lowest three bits are 0: tells it from others as long as they live.
    #[cfg(target_os = "none")]
    #[inline(always)]
    pub(crate) fn message_half(self) -> u32 {
        (self.address() + slot(Slot::kmsg_header)) as u32
    }

    /// The low half of the message's address in the fake kernel.
    #[cfg(not(target_os = "none"))]
    pub(crate) const fn message_half(self) -> u32 {
        self.address() as u32
    }
}

/// Where a kmsg's message begins.
#[cfg(target_os = "none")]
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct MessageOfKmsg(NonZeroUsize);

#[cfg(target_os = "none")]
impl MessageOfKmsg {
    /// That of which this is the [`Kmsg::message_half`].
    ///
    /// # Safety
    /// The kmsg lives as long as this is used.
    #[inline(always)]
    pub(crate) const unsafe fn of_half(half: NonZeroU32) -> Self {
        // The sign makes the upper half.
        // SAFETY: not 0, because the half is not.
        Self(unsafe { NonZeroUsize::new_unchecked(half.get().cast_signed() as usize) })
    }

    /// The kmsg.
    #[inline(always)]
    pub(crate) fn kmsg(self) -> Kmsg {
        // SAFETY: the kmsg is where its message is, and begins before it.
        unsafe { Kmsg::at(self.0.get() - slot(Slot::kmsg_header)) }
    }
}

macro_rules! kmsg {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(transparent)]
        pub(crate) struct $name(Kmsg);

        impl $name {
            /// The kmsg that it is in.
            #[inline(always)]
            pub(crate) const fn kmsg(self) -> Kmsg {
                self.0
            }

            /// One of the fake kernel's.
            #[cfg(test)]
            pub(crate) const fn fake(kmsg: Kmsg) -> Self {
                Self(kmsg)
            }
        }

        // SAFETY: those of a kmsg.
        #[cfg(target_os = "none")]
        unsafe impl Struct for $name {
            const TAG: &'static str = Kmsg::TAG;

            #[inline(always)]
            unsafe fn at(address: usize) -> Self {
                // SAFETY: the caller's promise.
                Self(unsafe { Kmsg::at(address) })
            }

            #[inline(always)]
            fn address(self) -> usize {
                self.0.address()
            }
        }
    )*};
}

kmsg! {
    /// A message in the kernel's form: what its header and its descriptors call rights are rights.
    InTransit;
    /// A message to a trace port, with its rights, in a kmsg of [`Records::record_begin`](super::Records::record_begin): the payload's own,
    /// or in a queue that is locked.
    ///
    /// Its size, and offsets into it, are the callers': within the size that the memory was asked for, or
    /// [`MAX_BATCH`](trace_port::record::MAX_BATCH) if that is more. They come from what [`emit`](crate::emit) and [`batch`](crate::batch)
    /// wrote there or have compared with its room, and are not looked at once more in the path of every message. The fake kernel looks
    /// at each.
    Record;
}

/// A reference to a task, a thread or a port that whoever has this owns: it keeps the struct alive. It ends with
/// [`Tasks::task_deallocate`](super::Tasks::task_deallocate), [`Threads::thread_deallocate`](super::Threads::thread_deallocate) or
/// [`Shared::port_release`](super::Shared::port_release).
#[must_use]
#[derive(Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Reference<H>(H);

impl<H: Copy> Reference<H> {
    /// The caller's.
    ///
    /// # Safety
    /// The caller has a reference that nobody else gives back.
    #[cfg(target_os = "none")]
    #[inline(always)]
    pub(super) const unsafe fn own(of: H) -> Self {
        Self(of)
    }

    /// One that was kept as a plain word.
    ///
    /// # Safety
    /// As for `own`.
    pub(super) const unsafe fn of_kept(of: H) -> Self {
        Self(of)
    }

    /// Somebody else keeps it from now on.
    pub(super) fn into_kept(self) -> H {
        self.0
    }

    /// One that is counted in the fake kernel.
    #[cfg(test)]
    pub(super) const fn fake(of: H) -> Self {
        Self(of)
    }

    /// What is kept alive, as long as this is there.
    #[inline(always)]
    pub(crate) const fn get(&self) -> H {
        self.0
    }
}

/// Memory for a [`Record`], of [`Records::record_alloc`](super::Records::record_alloc), that whoever has this owns. Its message has nothing
/// yet.
#[must_use]
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Blank(Kmsg);

impl Blank {
    /// The caller's.
    ///
    /// # Safety
    /// There is such memory in this kmsg, and nobody else owns it.
    #[cfg(target_os = "none")]
    #[inline(always)]
    pub(super) const unsafe fn own(kmsg: Kmsg) -> Self {
        Self(kmsg)
    }

    /// One of the fake kernel's.
    #[cfg(test)]
    pub(super) const fn fake(kmsg: Kmsg) -> Self {
        Self(kmsg)
    }

    /// The kmsg that it is.
    #[inline(always)]
    pub(super) const fn kmsg(&self) -> Kmsg {
        self.0
    }

    /// A record.
    ///
    /// # Safety
    /// Its message has its header and rights.
    #[cfg(target_os = "none")]
    #[inline(always)]
    pub(super) const unsafe fn begun(self) -> OwnedKmsg {
        OwnedKmsg(Record(self.0))
    }
}

/// A [`Record`]'s kmsg that whoever has this owns, until it is sent or destroyed.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct OwnedKmsg(Record);

impl OwnedKmsg {
    /// The kmsg at this address, from now on the caller's, or none at 0.
    ///
    /// # Safety
    /// There is a record at any other address, and nobody else owns it.
    #[inline(always)]
    pub(crate) unsafe fn own(address: usize) -> Option<Self> {
        NonZeroUsize::new(address).map(|address| Self(Record(Kmsg(address))))
    }

    /// One of the fake kernel's.
    #[cfg(test)]
    pub(crate) const fn fake(kmsg: Kmsg) -> Self {
        Self(Record(kmsg))
    }

    /// What is in it, as long as this is there.
    #[inline(always)]
    pub(crate) const fn record(&self) -> Record {
        self.0
    }

    /// Somebody else owns it from now on: its address.
    #[inline(always)]
    pub(crate) const fn into_address(self) -> usize {
        self.0.0.address()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_dead_are_no_ports() {
        assert_eq!((MaybePort::NULL.port(), MaybePort::DEAD.port()), (None, None));
        let port = Port::fake(0xffff_ffff_8123_4560);
        assert_eq!(MaybePort::from(port).port(), Some(port));
    }
}
