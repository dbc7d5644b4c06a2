// SPDX-License-Identifier: GPL-2.0-or-later
//! A message of the trace port without its first record: a record that says that a thread has stopped may have others behind it in its message,
//! where the tracer was behind.

use alloc::vec::Vec;

use bytes::Bytes;
use mach_abi::header::LP64;
use trace_port::record::{HEADER_TYPE_OFFSET, part_size, records_type};
use trace_port::{Record, TRACE_RECORDS_MSGH_ID};

/// What is behind the first record of a message, which this is, as a message of its own; `None` if that is nothing.
pub fn behind_first(message: &[u8], first: &Record<'_>) -> Option<Bytes> {
    let id = message.get(LP64.id..)?.first_chunk().map(|id| u32::from_le_bytes(*id));
    if id != Some(TRACE_RECORDS_MSGH_ID) {
        return None;
    }
    let (before, parts) = message.split_at_checked(HEADER_TYPE_OFFSET)?;
    let rest = parts.get(part_size(first.message.len(), first.ports.len())..).filter(|rest| !rest.is_empty())?;
    let mut found: Vec<u8> = [before, rest].concat();
    let size = u32::try_from(found.len()).ok()?;
    // The first record of all has the descriptor of the array before it.
    found.get_mut(HEADER_TYPE_OFFSET..)?.first_chunk_mut().map(|word| *word = records_type(size).to_le_bytes())?;
    found.get_mut(LP64.size..)?.first_chunk_mut().map(|word| *word = size.to_le_bytes())?;
    Some(found.into())
}
