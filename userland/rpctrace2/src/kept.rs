// SPDX-License-Identifier: GPL-2.0-or-later
//! Bytes that wait to be written, up to a bound: what is more of a text is counted, and said where it is missing.

use alloc::format;
use alloc::vec::Vec;
use core::mem;

/// Text, or other bytes, of whole calls of [`Kept::add`] and [`Kept::add_all`], in their order.
#[derive(Debug)]
pub(crate) struct Kept {
    bytes: Vec<u8>,
    /// Most of them.
    bound: usize,
    /// Bytes that there was no room for since text was added last.
    lost: usize,
}

impl Kept {
    /// Nothing yet, and at most so many bytes of it.
    pub(crate) const fn new(bound: usize) -> Self {
        Self { bytes: Vec::new(), bound, lost: 0 }
    }

    /// Keeps this text, all of it or nothing.
    pub(crate) fn add(&mut self, text: &[u8]) {
        if !self.has_room(text) {
            self.lost += text.len();
            return;
        }
        self.say_lost();
        self.bytes.extend_from_slice(text);
    }

    /// Keeps these bytes, among which nothing may be missing or said; `false` if there is no room for all of them.
    pub(crate) fn add_all(&mut self, bytes: &[u8]) -> bool {
        let has_room = self.has_room(bytes);
        if has_room {
            self.bytes.extend_from_slice(bytes);
        }
        has_room
    }

    fn has_room(&self, bytes: &[u8]) -> bool {
        self.bytes.len() + bytes.len() <= self.bound
    }

    /// All that is kept. If nothing comes after what was lost, that is said now: the trace may be over.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.say_lost();
        mem::take(&mut self.bytes)
    }

    /// Whether there is nothing to be written.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.lost == 0
    }

    fn say_lost(&mut self) {
        if self.lost > 0 {
            let lost = mem::take(&mut self.lost);
            let line = format!("--- {lost} bytes of the trace are lost: they were not taken ---\n");
            self.bytes.extend_from_slice(line.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_in_time_is_all_there() {
        let mut kept = Kept::new(16);
        for _ in 0..100 {
            kept.add(b"one\n");
            kept.add(b"two\n");
            assert_eq!(kept.take(), b"one\ntwo\n");
            assert!(kept.is_empty());
        }
        kept.add(b"sixteen bytes ..");
        assert_eq!(kept.take(), b"sixteen bytes ..");
    }

    #[test]
    fn what_there_is_no_room_for_is_counted_and_said_where_it_is_missing() {
        let mut kept = Kept::new(16);
        kept.add(b"0123456789\n");
        // Neither fits, and no half of either is kept.
        kept.add(b"abcdef\n");
        kept.add(b"ghijkl\n");
        // A shorter one does.
        kept.add(b"mno\n");
        let said = "--- 14 bytes of the trace are lost: they were not taken ---\n";
        assert_eq!(kept.take(), ["0123456789\n", said, "mno\n"].concat().into_bytes());
        kept.add(b"after\n");
        assert_eq!(kept.take(), b"after\n");
    }

    #[test]
    fn what_is_lost_last_is_said_too() {
        let mut kept = Kept::new(8);
        kept.add(b"01234567");
        kept.add(b"x");
        assert_eq!(kept.take(), b"01234567--- 1 bytes of the trace are lost: they were not taken ---\n");
        assert!(kept.is_empty());
        kept.add(b"a line longer than all that is kept\n");
        assert!(!kept.is_empty());
        assert_eq!(kept.take(), b"--- 36 bytes of the trace are lost: they were not taken ---\n");
    }

    #[test]
    fn bytes_are_all_there_or_refused() {
        let mut kept = Kept::new(8);
        assert!(kept.add_all(&[0xff; 5]) && !kept.add_all(&[1; 4]) && kept.add_all(&[2; 3]));
        assert_eq!(kept.take(), [0xff, 0xff, 0xff, 0xff, 0xff, 2, 2, 2]);
        assert!(kept.is_empty());
    }
}
