// SPDX-License-Identifier: GPL-2.0-or-later
//! Why a capture cannot be read, or no further.

use thiserror::Error;

/// What is wrong with a file, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CaptureError {
    /// It does not begin as captures do.
    #[error("no capture: it begins with {0:02x?}")]
    NotACapture([u8; 8]),
    /// A later rpctrace2 has written it.
    #[error("a capture of version {found}; this rpctrace2 reads versions 1 to {latest}")]
    Future {
        /// Its version.
        found: u16,
        /// The latest that this build reads.
        latest: u16,
    },
    /// No rpctrace2 has written it.
    #[error("damaged in block 0 at offset {offset}: expected version 1 or {latest}, found {found}")]
    Version {
        /// Where in the file its version stands, in bytes.
        offset: u64,
        /// The latest that this build reads.
        latest: u16,
        /// What stands there.
        found: u16,
    },
    /// It ends within something.
    #[error("cut in block {block} at offset {offset}: expected {need} bytes of {item}, found {have}")]
    Cut {
        /// Number of the block that is not whole, from 0.
        block: u32,
        /// Where in the file the item begins, in bytes.
        offset: u64,
        /// What is cut.
        item: &'static str,
        /// Bytes that the item has.
        need: u64,
        /// Bytes that are there.
        have: u64,
    },
    /// Something has not the value that it must have.
    #[error("damaged in block {block} at offset {offset}: expected {item} {expected:#x}, found {found:#x}")]
    Damaged {
        /// Number of the block, from 0.
        block: u32,
        /// Where in the file the item stands, in bytes; in a block's contents where the block begins.
        offset: u64,
        /// What is damaged.
        item: &'static str,
        /// The value that it must have.
        expected: u64,
        /// The value that it has.
        found: u64,
    },
    /// A number is larger than any that is written.
    #[error("damaged in block {block} at offset {offset}: expected {item} of {limit} at most, found {found}")]
    TooLarge {
        /// Number of the block, from 0.
        block: u32,
        /// Where in the file the item stands, in bytes; in a block's contents where the block begins.
        offset: u64,
        /// What is too large.
        item: &'static str,
        /// The largest that there is.
        limit: u64,
        /// The value that it has.
        found: u64,
    },
    /// The contents of a whole block are none.
    #[error(
        "damaged in block {block} at offset {offset}: expected {item}, found something else at byte {at} of its contents"
    )]
    Contents {
        /// Number of the block, from 0.
        block: u32,
        /// Where in the file the block begins, in bytes.
        offset: u64,
        /// What was to stand there.
        item: &'static str,
        /// Where in the uncompressed contents, in bytes.
        at: u64,
    },
}
