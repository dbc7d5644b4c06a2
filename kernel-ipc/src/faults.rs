// SPDX-License-Identifier: GPL-2.0-or-later
//! Faults on demand, in test builds only (feature `faults`): the Nth allocation of a record fails, the Nth queueing of a
//! record is interrupted, the Nth message of a traced task cannot be copied in.
//!
//! They are asked for by `task_set_special_port` with a `which` that no kernel knows; see [`Faults::command`].

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Bits of `which` that make it a command: `COMMAND | kind << 24 | n`.
const COMMAND: u32 = 0x4000_0000;
/// What is added to the number that a question is answered with, so that it cannot be taken for success.
const ANSWER: u32 = 0x0100_0000;

/// What can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `kalloc` of a record.
    Allocation = 1,
    /// `ipc_mqueue_send` of a record.
    Queueing = 2,
    /// `copyinmsg` of a traced task's message.
    CopyIn = 3,
}

/// How far away the next faults are. Counters start at 0: no fault is due.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Of each kind, how many more times it goes well, plus one; 0 if no fault is due.
    due: [AtomicU32; 4],
    struck: AtomicU32,
}

impl Faults {
    /// No fault is due.
    pub(crate) const fn new() -> Self {
        Self { due: [const { AtomicU32::new(0) }; 4], struck: AtomicU32::new(0) }
    }

    /// Does what `which` asks for and returns the answer; `None` if it is an ordinary special port.
    ///
    /// Kinds 1 to 3: from now on the nth of that kind fails, once; n = 0 takes the fault back. Kind 0: how many have failed
    /// since the last such question.
    pub(crate) fn command(&self, which: u32) -> Option<u32> {
        if which & 0xf000_0000 != COMMAND {
            return None;
        }
        let (kind, n) = ((which >> 24 & 0xf) as usize, which & 0x00ff_ffff);
        if kind == 0 {
            return Some(ANSWER + self.struck.swap(0, Relaxed));
        }
        self.due.get(kind)?.store(n, Relaxed);
        Some(0)
    }

    /// Whether the next one fails.
    pub(crate) fn is_next(&self, kind: Kind) -> bool {
        self.due.get(kind as usize).is_some_and(|due| due.load(Relaxed) == 1)
    }

    /// Whether this one fails.
    pub(crate) fn strikes(&self, kind: Kind) -> bool {
        let Some(due) = self.due.get(kind as usize) else { return false };
        match due.load(Relaxed) {
            0 => false,
            n => {
                due.store(n - 1, Relaxed);
                if n == 1 {
                    self.struck.fetch_add(1, Relaxed);
                }
                n == 1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_fails_once_and_is_counted() {
        let faults = Faults::new();
        assert_eq!(faults.command(0x4100_0003), Some(0));
        assert!(!faults.is_next(Kind::Allocation));
        let struck: std::vec::Vec<bool> = (0..5).map(|_| faults.strikes(Kind::Allocation)).collect();
        assert_eq!(struck, [false, false, true, false, false]);
        assert!([Kind::Queueing, Kind::CopyIn].into_iter().all(|kind| !faults.strikes(kind)));
        assert_eq!(faults.command(0x4000_0000), Some(ANSWER + 1));
        assert_eq!(faults.command(0x4000_0000), Some(ANSWER));
    }

    #[test]
    fn special_ports_are_not_commands() {
        for which in [0, 1, 5, 0x3fff_ffff, 0x5000_0000, u32::MAX, 0x4400_0001] {
            assert_eq!(Faults::new().command(which), None, "{which:#x}");
        }
    }
}
