//! The running kernel: struct members by the offsets in the slot table. What it does is beside this, a file for each trait.
//!
//! Every function here is called from a hook at spl0, on a kernel without kernel preemption, with nothing locked but the
//! payload's own table. On a kernel for one processor nothing else runs between two calls that may block but interrupt
//! handlers, which touch no IPC state. On a kernel for several, members that other processors change are read under the
//! kernel's own simple locks (`state` has the order); the rest belongs to the current thread or never changes.

use super::Kmsg;
use super::slots::slot;
use crate::payload_abi::Slot;

/// The kernel this payload is part of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mach;

/// Reads a member of a kernel struct.
#[inline(always)]
pub(super) fn load<T: Copy>(base: usize, offset: Slot) -> T {
    // SAFETY: `base` is a live struct of the kernel that the handle's owner holds or that the current thread keeps alive, and
    // the slot is the offset DWARF gives for a member of that struct with this size. Another processor may change the member
    // where the caller says so; it is read with one instruction then.
    unsafe { ((base + slot(offset)) as *const T).read_volatile() }
}

/// Writes a member of a kernel struct.
#[inline(always)]
pub(super) fn store<T>(base: usize, offset: Slot, value: T) {
    // SAFETY: as for `load`; the members written are the payload's own holes and those the hook stands in for the kernel to write.
    unsafe { ((base + slot(offset)) as *mut T).write_volatile(value) }
}

/// Reads message bytes of a kmsg.
#[inline(always)]
pub(super) fn header<T: Copy>(kmsg: Kmsg, offset: usize) -> T {
    // SAFETY: the caller owns the kmsg; `offset` is that of a header member of this size, or within what a record was given.
    unsafe { ((kmsg.0 + slot(Slot::kmsg_header) + offset) as *const T).read_unaligned() }
}

impl Kmsg {
    /// The kmsg whose message begins here.
    #[inline(always)]
    pub(crate) fn of_header(header: usize) -> Self {
        Self(header - slot(Slot::kmsg_header))
    }
}

/// Offset of `msgh_bits`.
pub(super) const MSGH_BITS: usize = 0;
/// Offset of `msgh_size`.
pub(super) const MSGH_SIZE: usize = 4;
/// Offset of `msgh_remote_port`.
pub(crate) const MSGH_REMOTE_PORT: usize = 8;
/// Offset of `msgh_local_port`.
pub(super) const MSGH_LOCAL_PORT: usize = 16;
/// Offset of `msgh_id`.
pub(super) const MSGH_ID: usize = 28;
