// SPDX-License-Identifier: GPL-2.0-or-later
//! The kernel's functions as the payload of a test build calls them: they fail when a test has asked for it.
//!
//! `messages`, `records` and `kernel` declare them under these names where the feature `faults` is on, so that no line of the payload itself differs.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use super::mach::Mach;
use super::members::Struct;
use super::{Messages, Ports, Record, Records, mr};
use crate::faults::{Faults, Kind};

/// The faults that a test has asked for.
pub(crate) static FAULTS: Faults = Faults::new();

/// The message of the present call cannot be copied in.
static FAILING: AtomicBool = AtomicBool::new(false);

/// The kmsg of a record that could not be queued, and cannot be either when that is tried again.
static UNQUEUED: AtomicUsize = AtomicUsize::new(0);

// SAFETY (of every call below): the caller's own arguments, passed on to the function that the caller means.
unsafe extern "C" {
    fn copyinmsg(user: u64, kernel: usize, size: usize, room: usize) -> i32;
    fn ipc_mqueue_send(kmsg: usize, option: u32, time_out: u32) -> u32;
    safe fn kalloc(size: usize) -> usize;
}

/// A message that cannot be copied in at first is tried again in the same call, and must not be then either.
#[unsafe(no_mangle)]
unsafe extern "C" fn faulty_copyinmsg(user: u64, kernel: usize, size: usize, room: usize) -> i32 {
    if FAILING.load(Relaxed) || FAULTS.strikes(Kind::CopyIn) {
        FAILING.store(true, Relaxed);
        return 1;
    }
    // SAFETY: the caller's own arguments.
    unsafe { copyinmsg(user, kernel, size, room) }
}

/// A call of a traced thread is over.
pub(crate) fn call_ends() {
    FAILING.store(false, Relaxed);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn faulty_ipc_mqueue_send(kmsg: usize, option: u32, time_out: u32) -> u32 {
    // SAFETY: the payload queues nothing but records.
    let record = unsafe { Record::at(kmsg) };
    if trace_port::is_record(Mach.msgh_id(record.kmsg())) {
        if UNQUEUED.swap(0, Relaxed) == kmsg {
            return mr::MACH_SEND_INTERRUPTED;
        }
        if FAULTS.strikes(Kind::Queueing) {
            // Whose wait is interrupted queues it beyond the limit.
            let waits = time_out != 0 && Mach.port_is_full(Mach.record_port(record));
            UNQUEUED.store(if waits { kmsg } else { 0 }, Relaxed);
            return mr::MACH_SEND_INTERRUPTED;
        }
    }
    // SAFETY: the caller's own arguments.
    unsafe { ipc_mqueue_send(kmsg, option, time_out) }
}

#[unsafe(no_mangle)]
extern "C" fn faulty_kalloc(size: usize) -> usize {
    if FAULTS.strikes(Kind::Allocation) {
        return 0;
    }
    kalloc(size)
}

/// Whether memory that is asked for ahead is to be refused: what is lost is lost where it is needed, and counted there.
pub(super) fn refuses_ahead() -> bool {
    FAULTS.is_next(Kind::Allocation)
}

/// Whether a record may be put behind others, which counts as its queueing: not if that is to fail.
pub(super) fn append(append: impl FnOnce() -> bool) -> bool {
    !FAULTS.is_next(Kind::Queueing) && append() && {
        FAULTS.strikes(Kind::Queueing);
        true
    }
}
