// SPDX-License-Identifier: GPL-2.0-or-later
//! The running kernel. What it does is beside this, a file for each trait, by the members of its structs that are in `members`.
//!
//! Every function here is called from a hook at spl0, on a kernel without kernel preemption, with nothing locked but the
//! payload's own table. On a kernel for one processor nothing else runs between two calls that may block but interrupt
//! handlers, which touch no IPC state. On a kernel for several, members that other processors change are read under the
//! kernel's own simple locks (`state` has the order); the rest belongs to the current thread or never changes.

use core::marker::PhantomData;

use mach_abi::header::LP64;
use zerocopy::FromBytes;

use super::members::{KMSG_HEADER, Struct};
use super::{InTransit, Kmsg, Port};

/// The kernel this payload is part of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mach;

/// A member of `mach_msg_header_t`, whose layout is the same in every kernel.
pub(crate) struct Header<T> {
    offset: usize,
    of: PhantomData<fn() -> T>,
}

/// `msgh_bits`.
pub(crate) const MSGH_BITS: Header<u32> = Header::at(LP64.bits);
/// `msgh_size`.
pub(super) const MSGH_SIZE: Header<u32> = Header::at(LP64.size);
/// `msgh_remote_port`; a name where the message is not in transit.
pub(crate) const MSGH_REMOTE_PORT: Header<usize> = Header::at(LP64.remote_port);
/// The name that it is then, and that of `msgh_local_port`.
pub(super) const MSGH_REMOTE_NAME: Header<u32> = Header::at(LP64.remote_port);
/// See [`MSGH_REMOTE_NAME`].
pub(super) const MSGH_LOCAL_NAME: Header<u32> = Header::at(LP64.local_port);
/// `msgh_id`.
pub(crate) const MSGH_ID: Header<u32> = Header::at(LP64.id);

impl<T> Header<T> {
    const fn at(offset: usize) -> Self {
        assert!(offset + size_of::<T>() <= LP64.end, "within the header");
        Self { offset, of: PhantomData }
    }

    /// Where it is in the message.
    pub(crate) const fn offset(&self) -> usize {
        self.offset
    }
}

impl Kmsg {
    /// Reads a member of its message's header.
    #[inline(always)]
    pub(super) fn header<T: FromBytes>(self, member: Header<T>) -> T {
        // SAFETY: every kmsg has room for a header, and whatever is there is a `T`.
        unsafe { ((self.place(KMSG_HEADER) + member.offset) as *const T).read_unaligned() }
    }
}

impl InTransit {
    /// The port that the message goes to.
    #[inline(always)]
    pub(super) fn destination(self) -> Port {
        // SAFETY: the message has a right to it.
        unsafe { Port::at(self.kmsg().header(MSGH_REMOTE_PORT)) }
    }
}
