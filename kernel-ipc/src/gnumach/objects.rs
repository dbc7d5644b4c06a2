//! Kernel objects behind ports, and the numbers of rights in messages.

use trace_port::TRACE_RECORD_MSGH_ID;
use trace_port::record::{Prefix, TASK_TYPE};

use super::SendRight;

/// `MACH_MSG_TYPE_PORT_SEND`: a send right in transit.
pub(crate) const PORT_SEND: u32 = 17;
/// `MACH_MSG_TYPE_PORT_SEND_ONCE`: a send-once right in transit.
pub(crate) const PORT_SEND_ONCE: u32 = 18;
/// `MACH_MSG_TYPE_MOVE_SEND_ONCE`, the same number: a message as its sender gives it.
pub(crate) const MOVE_SEND_ONCE: u32 = 18;
/// `MACH_MSG_TYPE_MAKE_SEND_ONCE`.
pub(crate) const MAKE_SEND_ONCE: u32 = 21;
/// `MACH_MSGH_BITS_COMPLEX`.
pub(crate) const COMPLEX: u32 = 0x8000_0000;
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

/// `MACH_MSGH_BITS_REMOTE`.
pub(crate) fn remote_type(bits: u32) -> u32 {
    bits & 0xff
}

/// `MACH_MSGH_BITS_LOCAL`.
pub(crate) fn local_type(bits: u32) -> u32 {
    bits >> 8 & 0xff
}

/// `IO_BITS_ACTIVE`.
#[cfg(target_os = "none")]
pub(crate) const IO_BITS_ACTIVE: u32 = 0x8000_0000;
