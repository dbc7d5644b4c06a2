// SPDX-License-Identifier: GPL-2.0-or-later
//! Several records in one message: what the tracer has not received yet takes further records of the same task.
//!
//! While the tracer keeps up, its queue is empty and every record is a message at once. When it is behind, the next records
//! go into the messages that wait: fewer messages, no later than before, and bounded by [`MAX_BATCH`].
//!
//! Who holds a right to a trace port can queue any message there. So a message is taken for one of ours only by its memory,
//! [`Records::record_room`](crate::gnumach::Records::record_room), whose size no other message of the kernel has; then its rights are those that
//! [`emit`](crate::emit) gave it and everything behind them is plain bytes. That is what keeps rights and pointers out of what is
//! turned into bytes here. That nothing is written beyond the memory does not rest on it: all that is read from the message
//! is compared with the memory's size before it is used.

use mach_abi::header::LP64;
use trace_port::TRACE_RECORDS_MSGH_ID;
use trace_port::record::{self, MAX_BATCH, Part};

use crate::draft::FIRST;
use crate::gnumach::objects::RECORD_BITS;
use crate::gnumach::{Kernel, Record};

/// Puts a finished message's records behind those of the same task that wait in its trace port's queue. `false` if the last
/// message with such has no room for them, or there is none; the message is the caller's in either case.
#[inline(never)]
pub(crate) fn append(kernel: &impl Kernel, message: Record) -> bool {
    kernel.look_at_queue(message, |queued, room| {
        let room = room_beside(kernel, message, queued, room)?;
        let end = kernel.msgh_size(queued.kmsg()) as usize;
        let more = kernel.msgh_size(message.kmsg()) as usize - FIRST;
        let fits = (record::BODY_OFFSET..=room).contains(&end) && end.is_multiple_of(8) && more <= room - end;
        if fits {
            put(kernel, message, queued, end, more);
        }
        Some(fits)
    })
}

/// How long a queued message may get, if the rights of `message` are the same, so that those in the queue serve for both.
#[inline(always)]
fn room_beside(kernel: &impl Kernel, message: Record, queued: Record, room: usize) -> Option<usize> {
    let same = |offset| kernel.record_read(queued, offset) == kernel.record_read(message, offset);
    let is_ours =
        || kernel.msgh_bits(queued.kmsg()) == RECORD_BITS && same(LP64.remote_port) && same(record::TASK_TYPE_OFFSET);
    // First what differs where tasks take turns.
    (same(record::TASK_OFFSET) && is_ours()).then_some(room.min(MAX_BATCH))
}

#[inline(always)]
fn put(kernel: &impl Kernel, message: Record, queued: Record, end: usize, more: usize) {
    kernel.record_copy(queued, end, message.kmsg(), FIRST, more);
    // If the message has two records, its first one's descriptor is that of an array.
    kernel.record_part(queued, end, |part: &mut Part| part.header_type = record::HEADER_TYPE.into());
    let size = (end + more) as u32;
    kernel.record_part(queued, FIRST, |part: &mut Part| part.header_type = record::records_type(size).into());
    kernel.set_message(queued, size, TRACE_RECORDS_MSGH_ID);
}

#[cfg(test)]
mod tests;
