// SPDX-License-Identifier: GPL-2.0-or-later
//! The records of the task's own threads, and which there should be.

use alloc::vec::Vec;

use trace_port::event::{Direction, EventKind};
use trace_port::record::Record;

use crate::board::{DATA, Situation};

/// Ids of exc.defs and mach_port.defs, and what a reply's is more.
const EXCEPTION_RAISE: i32 = 2400;
const MACH_PORT_MOD_REFS: i32 = 3208;
const REPLY: i32 = 100;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Own {
    direction: Direction,
    kind: EventKind,
    id: i32,
    /// What `mach_msg` returned, or what became of the exception.
    result: u32,
    /// The first integer of a message of the program's and of a reply; 0 of others.
    first: u32,
}

impl Own {
    /// What a record says, with its thread and its place; nothing if it is of a request of somebody else's.
    pub(crate) fn of(record: &Record<'_>) -> Option<(u32, u64, Self)> {
        if matches!(record.kind, EventKind::Task | EventKind::Thread) {
            return None;
        }
        let word = |offset| {
            let bytes = record.message.get(offset..offset + 4).and_then(|bytes| bytes.first_chunk());
            bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
        };
        let id = word(28) as i32;
        let shows = (DATA..DATA + REPLY).contains(&id) || [EXCEPTION_RAISE, MACH_PORT_MOD_REFS].contains(&(id - REPLY));
        let own = Self {
            direction: record.direction,
            kind: record.kind,
            id,
            result: record.header.retval.get(),
            first: if shows { word(40) } else { 0 },
        };
        Some((record.header.thread.get(), record.header.sequence.get(), own))
    }

    fn new(direction: Direction, kind: EventKind, id: i32, first: u32) -> Self {
        Self { direction, kind, id, result: 0, first }
    }
}

/// The record of a message with a number.
pub(crate) fn of_message(id: i32, number: u64) -> Own {
    Own::new(Direction::Send, EventKind::Normal, id, number as u32)
}

/// The records that are in the way of a step.
pub(crate) fn in_the_way(situation: Situation, number: u64) -> Vec<Own> {
    use Direction::{Receive, Send};
    use EventKind::{Normal, TaskException};
    match situation {
        Situation::Message => alloc::vec![of_message(DATA, number)],
        Situation::Exception => alloc::vec![Own::new(Send, TaskException, EXCEPTION_RAISE, 0)],
        Situation::Kernel => alloc::vec![
            Own::new(Send, Normal, MACH_PORT_MOD_REFS, 0),
            Own::new(Receive, Normal, MACH_PORT_MOD_REFS + REPLY, 0)
        ],
    }
}

/// The records that are made of a step after that.
pub(crate) fn behind(situation: Situation) -> Vec<Own> {
    match situation {
        Situation::Exception => {
            alloc::vec![Own::new(Direction::Receive, EventKind::TaskException, EXCEPTION_RAISE + REPLY, 0)]
        }
        _ => Vec::new(),
    }
}
