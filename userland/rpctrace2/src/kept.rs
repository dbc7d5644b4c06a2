// SPDX-License-Identifier: GPL-2.0-or-later
//! Text that waits to be written, up to a bound: what is more is counted, and said where it is missing.

use alloc::format;
use alloc::string::String;
use core::mem;

/// Text of whole calls of [`Kept::add`], in their order.
#[derive(Debug)]
pub(crate) struct Kept {
    text: String,
    /// Most bytes of text.
    bound: usize,
    /// Bytes that there was no room for since text was added last.
    lost: usize,
}

impl Kept {
    /// Nothing yet, and at most so many bytes of it.
    pub(crate) const fn new(bound: usize) -> Self {
        Self { text: String::new(), bound, lost: 0 }
    }

    /// Keeps this text, all of it or nothing.
    pub(crate) fn add(&mut self, text: &str) {
        if self.text.len() + text.len() > self.bound {
            self.lost += text.len();
            return;
        }
        self.say_lost();
        self.text += text;
    }

    /// All that is kept. If nothing comes after what was lost, that is said now: the trace may be over.
    pub(crate) fn take(&mut self) -> String {
        self.say_lost();
        mem::take(&mut self.text)
    }

    /// Whether there is nothing to be written.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.lost == 0
    }

    fn say_lost(&mut self) {
        if self.lost > 0 {
            let lost = mem::take(&mut self.lost);
            self.text += &format!("--- {lost} bytes of the trace are lost: they were not taken ---\n");
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
            kept.add("one\n");
            kept.add("two\n");
            assert_eq!(kept.take(), "one\ntwo\n");
            assert!(kept.is_empty());
        }
        kept.add("sixteen bytes ..");
        assert_eq!(kept.take(), "sixteen bytes ..");
    }

    #[test]
    fn what_there_is_no_room_for_is_counted_and_said_where_it_is_missing() {
        let mut kept = Kept::new(16);
        kept.add("0123456789\n");
        // Neither fits, and no half of either is kept.
        kept.add("abcdef\n");
        kept.add("ghijkl\n");
        // A shorter one does.
        kept.add("mno\n");
        let said = "--- 14 bytes of the trace are lost: they were not taken ---\n";
        assert_eq!(kept.take(), ["0123456789\n", said, "mno\n"].concat());
        kept.add("after\n");
        assert_eq!(kept.take(), "after\n");
    }

    #[test]
    fn what_is_lost_last_is_said_too() {
        let mut kept = Kept::new(8);
        kept.add("01234567");
        kept.add("x");
        assert_eq!(kept.take(), "01234567--- 1 bytes of the trace are lost: they were not taken ---\n");
        assert!(kept.is_empty());
        kept.add("a line longer than all that is kept\n");
        assert!(!kept.is_empty());
        assert_eq!(kept.take(), "--- 36 bytes of the trace are lost: they were not taken ---\n");
    }
}
