//! The kernel's functions as the payload of a test build calls them: they fail when a test has asked for it.
//!
//! `mach` declares them under these names where the feature `faults` is on, so that no line of the payload itself differs.

use super::slots::slot;
use crate::faults::{Faults, Kind};
use crate::payload_abi::Slot;

/// The faults that a test has asked for.
pub static FAULTS: Faults = Faults::new();

/// `MACH_SEND_INVALID_DATA`.
const SEND_INVALID_DATA: u32 = 0x1000_0002;
/// `MACH_SEND_INTERRUPTED`.
const SEND_INTERRUPTED: u32 = 0x1000_0007;
/// Offset of `msgh_id`.
const MSGH_ID: usize = 28;

// SAFETY (of every call below): the caller's own arguments, passed on to the function that the caller means.
unsafe extern "C" {
    fn ipc_kmsg_get(msg: u64, size: u32, kmsg: *mut usize) -> u32;
    fn ipc_mqueue_send(kmsg: usize, option: u32, time_out: u32) -> u32;
    fn kalloc(size: usize) -> usize;
}

#[unsafe(no_mangle)]
extern "C" fn faulty_ipc_kmsg_get(msg: u64, size: u32, kmsg: *mut usize) -> u32 {
    if FAULTS.strikes(Kind::CopyIn) {
        return SEND_INVALID_DATA;
    }
    // SAFETY: the caller's own arguments.
    unsafe { ipc_kmsg_get(msg, size, kmsg) }
}

#[unsafe(no_mangle)]
extern "C" fn faulty_ipc_mqueue_send(kmsg: usize, option: u32, time_out: u32) -> u32 {
    // SAFETY: the caller owns the kmsg, whose header is 32 bytes.
    let id = unsafe { ((kmsg + slot(Slot::kmsg_header) + MSGH_ID) as *const u32).read() };
    if trace_port::is_record(id) && FAULTS.strikes(Kind::Queueing) {
        return SEND_INTERRUPTED;
    }
    // SAFETY: the caller's own arguments.
    unsafe { ipc_mqueue_send(kmsg, option, time_out) }
}

#[unsafe(no_mangle)]
extern "C" fn faulty_kalloc(size: usize) -> usize {
    if FAULTS.strikes(Kind::Allocation) {
        return 0;
    }
    // SAFETY: the caller's own argument.
    unsafe { kalloc(size) }
}

/// Whether a record may be put behind others, which counts as its queueing: not if that is to fail.
pub(super) fn append(append: impl FnOnce() -> bool) -> bool {
    !FAULTS.is_next(Kind::Queueing) && append() && {
        FAULTS.strikes(Kind::Queueing);
        true
    }
}
