// SPDX-License-Identifier: GPL-2.0-or-later
//! What every generated stub needs to build a request and read a reply.
//!
//! A stub knows its descriptors and sizes; this module moves values, rights and memory in and out of message words and
//! checks what comes in, so that a stub is a straight line of `put` and `take`. A message that is not what its .defs say
//! is refused as MIG refuses it, and the rights and memory in the part that was not taken are given back.

mod incoming;
mod item;
mod outgoing;
mod rights;
mod server;
mod types;

/// For generated stubs, which are also included where `alloc` has another name.
pub use alloc::vec::Vec;

use mach_abi::Format;
use mach_abi::header::MACH_MSGH_BITS_COMPLEX;

pub use incoming::{Array, Incoming, Received};
pub use item::Item;
pub use outgoing::{Data, Outgoing};
pub use rights::{AnyRight, Named, OutOfLinePorts, Owned};
pub use server::{Call, Patience, not_served, request_id, send_reply};
pub use types::{
    BOOLEAN, BYTE, CHAR, COPY_SEND, INTEGER_16, INTEGER_32, INTEGER_64, MAKE_SEND, MAKE_SEND_ONCE, MOVE_RECEIVE,
    MOVE_SEND, MOVE_SEND_ONCE, POLYMORPHIC, PORT_NAME, STRING, Type,
};

/// Room for a message that is too large for a thread's stack.
pub fn buffer(words: usize) -> Vec<u64> {
    alloc::vec![0; words]
}

/// Bytes of a word.
const WORD: usize = Format::Lp64.word();
/// The complex bit in the word of `msgh_bits`.
pub(crate) const COMPLEX: u64 = MACH_MSGH_BITS_COMPLEX as u64;

/// Whether a message must, must not or may carry rights or out-of-line memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complexity {
    /// Must not.
    Simple,
    /// Must.
    Complex,
    /// Depends on its values.
    Varies,
}
