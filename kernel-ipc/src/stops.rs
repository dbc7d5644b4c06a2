// SPDX-License-Identifier: GPL-2.0-or-later
//! Threads that engines stop: before a message is sent, until an engine says what becomes of it; anywhere else by the kernel's own count of
//! suspensions, of which each such stop has one.
//!
//! That count is the kernel's `thread_hold`, not `thread_suspend`: nobody but the payload takes a stop away. Whoever ends, aborts or suspends
//! a thread finds it as any other that is suspended. No reference to a thread is kept, as `task_terminate` waits until there is none: a
//! thread's stops go before it does.

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

/// How a thread is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It waits for an answer, which may be there.
    Waits(Option<Answer>),
    /// It will be held when its call is over.
    Due,
    /// It is held: it has one suspension for this.
    Held,
}

/// A thread that is stopped.
#[derive(Debug)]
pub(crate) struct Stop {
    /// For whom.
    pub(crate) engine: EngineKey,
    /// What its task's trace is known by.
    pub(crate) key: Key,
    /// What tracers call it.
    pub(crate) number: ThreadNumber,
    /// The thread: alive, as it waits, or as its stops go before it does.
    pub(crate) thread: Thread,
    /// Which stop this is: no other has this number.
    pub(crate) serial: u32,
    /// One of `trace_port::control::stop::place`.
    pub(crate) place: u32,
    /// How.
    pub(crate) how: How,
    /// Whether its engine has been told.
    pub(crate) is_told: bool,
    /// Whether its call had been brought to an end when the engine began to examine it.
    pub(crate) was_halted: bool,
}

impl Stop {
    /// Whether the thread is held, or will be.
    pub(crate) fn holds(&self) -> bool {
        matches!(self.how, How::Due | How::Held)
    }
}

/// Why a thread is not stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unstopped {
    /// There is no room.
    Full,
    /// The engine has let go of its task.
    Gone,
}
