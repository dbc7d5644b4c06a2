// SPDX-License-Identifier: GPL-2.0-or-later
//! Threads that wait, before their message is sent, until an engine says what becomes of it.

use crate::engines::EngineKey;
use crate::gnumach::{Key, Thread};
use crate::numbers::ThreadNumber;
use crate::slab::Slab;

/// Threads of a chunk.
const IN_CHUNK: usize = 32;
/// Most chunks.
const CHUNKS: usize = 64;

/// All of them.
pub(crate) type Stops = Slab<Stop, IN_CHUNK, CHUNKS>;

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// One of `trace_port::control::what`.
    pub(crate) what: u32,
    /// As in `trace_port::control::Action::value`.
    pub(crate) value: u32,
}

/// A thread that waits.
#[derive(Debug)]
pub(crate) struct Stop {
    /// For whom.
    pub(crate) engine: EngineKey,
    /// What its task's trace is known by.
    pub(crate) key: Key,
    /// What tracers call it.
    pub(crate) number: ThreadNumber,
    /// The thread, which waits here and so is alive.
    pub(crate) thread: Thread,
    /// Once it is there.
    pub(crate) answer: Option<Answer>,
}
