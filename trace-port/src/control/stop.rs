// SPDX-License-Identifier: GPL-2.0-or-later
//! What an engine asks about single threads: to stop, to go on, what they do, and whether they have moved.
//!
//! A thread is named by its number, as in [`RecordHeader::thread`](crate::RecordHeader::thread). It must be one of a task of the engine's.
//! An engine stops a thread once, however often it says so; a thread goes on when no engine stops it any more.

use zerocopy::byteorder::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{INTEGER, Integer};

/// `msgh_id` of `trace_report`.
pub const REPORT_ID: u32 = 5103;
/// `msgh_id` of `trace_prepare`.
pub const PREPARE_ID: u32 = 5104;
/// `msgh_id` of `trace_finish`.
pub const FINISH_ID: u32 = 5105;
/// `msgh_id` of `trace_stop`.
pub const STOP_ID: u32 = 5117;
/// `msgh_id` of `trace_resume`.
pub const RESUME_ID: u32 = 5118;
/// `msgh_id` of `trace_interrupt`.
pub const INTERRUPT_ID: u32 = 5119;

/// In the place of a thread's number: all threads of all tasks of the engine.
pub const EVERY_THREAD: u32 = 0;

/// Where a thread has stopped: [`RecordHeader::sender`](crate::RecordHeader::sender) of a record of kind
/// [`Stopped`](crate::EventKind::Stopped), and [`Report::place`].
pub mod place {
    /// Before the message that it shows is sent.
    pub const BEFORE_SEND: u32 = 0;
    /// Before the `mach_msg` returns that has received the message that it shows. The message is in the task's memory, its rights are the
    /// task's.
    pub const BEFORE_RETURN: u32 = 1;
    /// Before its first instruction.
    pub const AT_BIRTH: u32 = 2;
    /// Where it was, as `trace_stop` has asked for: on its way to user mode, or asleep in the kernel, from where it comes no further.
    pub const ON_REQUEST: u32 = 3;
    /// The last of them.
    pub const LAST: u32 = ON_REQUEST;
}

/// What is true of a thread: bits of [`Report::flags`].
pub mod state {
    /// This engine stops it: [`Report::place`](super::Report::place) says where.
    pub const STOPPED: u32 = 1;
    /// It stands still: it is not running, and not about to, and will not until something wakes it.
    pub const STANDS: u32 = 2;
    /// Something is to end it, or to bring it to a clean point.
    pub const HALTING: u32 = 4;
    /// Its call has been brought to an end while it was stopped, as `thread_abort` does.
    pub const HALTED: u32 = 8;
}

/// What a thread does: `trace_report_t`, 16 bytes.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, PartialEq, Eq)]
#[repr(C)]
pub struct Report {
    /// Bits of [`state`].
    pub flags: U32,
    /// One of [`place`], where this engine stops it.
    pub place: U32,
    /// How many engines stop it.
    pub stops: U32,
    /// The number of this engine's stop, or 0: another one has another number.
    pub stop: U32,
}

/// Type descriptor of a [`Report`].
pub const REPORT: u64 = super::integers((size_of::<Report>() / 4) as u32);

/// What `trace_stop`, `trace_resume`, `trace_interrupt`, `trace_report` and `trace_prepare` have after their header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ThreadRequest {
    /// The thread's number, or [`EVERY_THREAD`] of the first three.
    pub thread: Integer,
}

/// What `trace_finish` has after its header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct FinishRequest {
    /// The thread's number.
    pub thread: Integer,
    /// What `trace_prepare` has answered.
    pub stop: Integer,
}

/// Type descriptor of what `trace_prepare` answers: the number of a stop.
pub const STOP: u64 = INTEGER;
