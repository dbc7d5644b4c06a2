// SPDX-License-Identifier: GPL-2.0-or-later
//! Why bytes are no record.

use super::VERSION;
use crate::{TRACE_RECORD_MSGH_ID, TRACE_RECORDS_MSGH_ID};

/// Why bytes are not a record of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// The message ends before `item` does.
    Truncated {
        /// What was being read.
        item: &'static str,
        /// Where it starts.
        offset: usize,
        /// Bytes it needs.
        need: usize,
        /// Bytes there are from `offset`.
        have: usize,
    },
    /// Not a `trace_record`.
    WrongId {
        /// The `msgh_id` found.
        found: u32,
    },
    /// A type descriptor is not the one of trace.defs.
    WrongType {
        /// What it should describe.
        item: &'static str,
        /// Where it stands.
        offset: usize,
        /// The descriptor trace.defs gives.
        expected: u64,
        /// The descriptor found.
        found: u64,
    },
    /// Written by another version of the kernel payload.
    WrongVersion {
        /// The version found.
        found: u16,
    },
    /// A field has a value this version does not know.
    BadField {
        /// The field's name.
        field: &'static str,
        /// Its value.
        found: u32,
    },
}

impl core::fmt::Display for RecordError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Truncated { item, offset, need, have } => {
                write!(f, "trace record cut short: `{item}` at offset {offset} needs {need} bytes, found {have}")
            }
            Self::WrongId { found } => {
                write!(
                    f,
                    "not a trace record: expected msgh_id {TRACE_RECORD_MSGH_ID} or {TRACE_RECORDS_MSGH_ID}, found {found}"
                )
            }
            Self::WrongType { item, offset, expected, found } => write!(
                f,
                "trace record: type descriptor of `{item}` at offset {offset}: expected {expected:#x}, found {found:#x}"
            ),
            Self::WrongVersion { found } => write!(
                f,
                "trace record has version {found}, this reader knows version {VERSION}: use the rpctrace2 that came with the kernel's payload"
            ),
            Self::BadField { field, found } => write!(f, "trace record: field `{field}` has the unknown value {found}"),
        }
    }
}

impl core::error::Error for RecordError {}
