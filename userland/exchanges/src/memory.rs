// SPDX-License-Identifier: GPL-2.0-or-later
//! What memory out of line held. It is no part of a record: it was read when a thread had stopped with its message, and waits here for that
//! message's record.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

/// Most items that wait for their records.
const ITEMS_MAX: usize = 1024;
/// Most bytes that wait for their records.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// Memory out of line of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Where it is, in the task whose record shows the message.
    pub address: u64,
    /// Bytes it has.
    pub size: u64,
    /// What became of reading it.
    pub found: Found,
}

/// What became of reading memory out of line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The first of its bytes, or all. In the record of a sender they were read when the kernel had copied them, before the message was sent;
    /// in that of a receiver when they were in its memory, before its call returned.
    Read(Bytes),
    /// The message took the memory out of its sender's task.
    GivenAway,
    /// The kernel answered this `kern_return_t`.
    Refused(i32),
    /// It was not read: a pager provides it, whoever that is, who might be waiting for this message.
    Paged,
}

/// Memory whose messages' records have not come.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    all: VecDeque<(u64, Memory)>,
    bytes: usize,
}

impl Waiting {
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Keeps memory of the message whose record has this sequence number, and forgets what has waited longest where it is too much.
    pub(crate) fn add(&mut self, sequence: u64, memory: Memory) {
        self.bytes += memory.kept();
        self.all.push_back((sequence, memory));
        while self.all.len() > ITEMS_MAX || self.bytes > BYTES_MAX {
            let Some((_, lost)) = self.all.pop_front() else { break };
            self.bytes -= lost.kept();
        }
    }

    /// The memory of a message.
    pub(crate) fn take(&mut self, sequence: u64) -> Option<Box<[Memory]>> {
        if !self.all.iter().any(|(of, _)| *of == sequence) {
            return None;
        }
        let (mut found, mut rest) = (Vec::new(), VecDeque::new());
        for (of, memory) in core::mem::take(&mut self.all) {
            if of == sequence {
                self.bytes -= memory.kept();
                found.push(memory);
            } else {
                rest.push_back((of, memory));
            }
        }
        self.all = rest;
        Some(found.into())
    }
}

impl Memory {
    fn kept(&self) -> usize {
        match &self.found {
            Found::Read(bytes) => bytes.len(),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(address: u64, bytes: usize) -> Memory {
        Memory { address, size: 1 << 30, found: Found::Read(alloc::vec![1; bytes].into()) }
    }

    #[test]
    fn memory_comes_with_its_record_once() {
        let mut waiting = Waiting::default();
        for (sequence, address) in [(5, 1), (6, 2), (5, 3)] {
            waiting.add(sequence, read(address, 3));
        }
        assert_eq!(waiting.take(4), None);
        assert_eq!(waiting.take(5).as_deref(), Some(&[read(1, 3), read(3, 3)][..]));
        assert_eq!((waiting.take(5), waiting.bytes), (None, 3));
        assert_eq!(waiting.take(6).as_deref(), Some(&[read(2, 3)][..]));
        assert!(waiting.is_empty() && waiting.bytes == 0);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut waiting = Waiting::default();
        for sequence in 0..=ITEMS_MAX as u64 {
            waiting.add(sequence, read(0, 1));
        }
        assert!(waiting.take(0).is_none() && waiting.take(1).is_some());
        waiting.add(7, read(0, BYTES_MAX));
        assert!(waiting.take(ITEMS_MAX as u64).is_none() && waiting.take(7).is_some());
        assert_eq!(waiting.bytes, 0);
    }
}
