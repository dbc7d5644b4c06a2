// SPDX-License-Identifier: GPL-2.0-or-later
//! The capture file: a trace that is kept, as the kernel made it.
//!
//! **What.** What came to a trace port, byte by byte, and what else its receiver knew, in blocks with checksums. docs/capture.md
//! has the format.
//!
//! **Place in the flow.** `rpctrace2::trace` -> [`Writer`] -> a file -> [`Reader`] -> `rpctrace2::trace`, later and elsewhere.
//!
//! **Invariants.** A file is only appended to, and whole up to the last whole block wherever it is cut. No number of a file is used before it
//! has been compared with a limit. What has been written stays readable: a file of each version is in tests/captures.
//!
//! **Unsafe.** None, and forbidden.
//!
//! **Start reading at** [`format`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod entry;
mod error;
mod facts;
pub mod format;
mod index;
mod memory;
#[cfg(feature = "std")]
mod reader;
mod writer;

pub use entry::{Entries, Entry, Injected, Lost, Note, Untraced};
pub use error::CaptureError;
pub use facts::{Fact, Facts};
pub use index::{Index, Place};
pub use memory::{Found, MAX_READ, Memory};
#[cfg(feature = "std")]
pub use reader::{Block, Contents, ReadError, Reader, index};
pub use writer::Writer;
