// SPDX-License-Identifier: GPL-2.0-or-later
//! Kernel objects behind ports, and the numbers of rights in messages.

use mach_abi::header::LP64;
pub(crate) use mach_abi::header::{MACH_MSGH_BITS_COMPLEX as COMPLEX, local as local_type, remote as remote_type};
pub(crate) use mach_abi::type_name::{MAKE_SEND_ONCE, MOVE_SEND_ONCE, PORT_SEND, PORT_SEND_ONCE};
use trace_port::record::{Prefix, TASK_TYPE};
use trace_port::{TRACE_RECORD_MSGH_ID, TRACE_RING_MSGH_ID};

use super::SendRight;

/// `msgh_bits` of a message to a trace port in transit: complex, and the destination is a send right.
pub(crate) const RECORD_BITS: u32 = COMPLEX | PORT_SEND;

/// What every message to a trace port begins with: its header, with the right to the port, and the right to the task, if there is one.
#[inline(always)]
pub(super) fn prefix(right: SendRight, task: Option<SendRight>) -> Prefix {
    let word = |right: SendRight| right.into_port().address() as u64;
    Prefix {
        bits: RECORD_BITS.into(),
        // As far as its rights go, so that they end with it.
        size: (size_of::<Prefix>() as u32).into(),
        remote_port: word(right).into(),
        local_port: 0.into(),
        seqno: 0.into(),
        id: TRACE_RECORD_MSGH_ID.into(),
        task_type: TASK_TYPE.into(),
        task: task.map_or(0, word).into(),
    }
}

/// The whole of a `trace_ring`, in the place of [`prefix`]: without a right to a task.
#[inline(always)]
pub(super) fn ring_message(right: SendRight) -> Prefix {
    let whole = prefix(right, None);
    Prefix { bits: PORT_SEND.into(), size: (LP64.end as u32).into(), id: TRACE_RING_MSGH_ID.into(), ..whole }
}

/// `IO_BITS_KOTYPE`.
#[cfg(target_os = "none")]
pub(crate) const IO_BITS_KOTYPE: u32 = 0xffff;
/// `IO_BITS_PROTECTED_PAYLOAD`.
#[cfg(target_os = "none")]
pub(crate) const IO_BITS_PROTECTED_PAYLOAD: u32 = 0x4000_0000;
/// `IO_BITS_ACTIVE`.
#[cfg(target_os = "none")]
pub(crate) const IO_BITS_ACTIVE: u32 = 0x8000_0000;
