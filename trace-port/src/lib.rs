// SPDX-License-Identifier: GPL-2.0-or-later
//! The trace port: what the kernel copies out about one message, and how a reader takes it apart.
//!
//! **What.** The wire format of a trace record, the kinds of event, and the pure logic both ends share.
//!
//! **Place in the flow.** `kernel-ipc::observe` -> [`RecordHeader`] bytes -> trace port -> [`Record::parse`] -> `rpctrace2`.
//!
//! **Invariants.** Little-endian, sized integers, version first; a reader refuses another version and prints both;
//! seen = emitted + dropped.
//!
//! **Unsafe.** None, and forbidden.
//!
//! **Start reading at** [`record`].
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod control;
pub mod event;
pub mod port;
pub mod record;
pub mod ring;

pub use event::{Direction, EventKind};
pub use port::Port;
pub use record::{Record, RecordError, RecordHeader, Records};

/// `msgh_id` of `trace_record` (trace-port/defs/trace.defs): one record.
pub const TRACE_RECORD_MSGH_ID: u32 = 5000;

/// `msgh_id` of `trace_records`: several records of one task.
pub const TRACE_RECORDS_MSGH_ID: u32 = 5001;

/// `msgh_id` of `trace_ring`: there are records in the ring of the trace port, whose reader sleeps.
pub const TRACE_RING_MSGH_ID: u32 = 5002;

/// Whether a message with this `msgh_id` is one that a kernel sends to a trace port.
pub const fn is_of_trace_port(msgh_id: u32) -> bool {
    is_record(msgh_id) || msgh_id == TRACE_RING_MSGH_ID
}

/// Whether a message with this `msgh_id` that comes to a trace port holds records.
pub const fn is_record(msgh_id: u32) -> bool {
    matches!(msgh_id, TRACE_RECORD_MSGH_ID | TRACE_RECORDS_MSGH_ID)
}
