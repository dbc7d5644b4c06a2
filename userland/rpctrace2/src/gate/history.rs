// SPDX-License-Identifier: GPL-2.0-or-later
//! `--history`: the last lines before something that is waited for.

use alloc::string::String;

/// What stands below a line begins with this.
const BELOW: &str = " |";
/// Lines beyond those that are wanted, of which the oldest are thrown away at once.
const SLACK: usize = 64;

/// The last lines of a text, each with what stands below it.
#[derive(Debug, Default)]
pub(crate) struct History {
    most: usize,
    /// Whole lines.
    pub(crate) text: String,
    /// Bytes and lines of it that have been counted.
    counted: usize,
    lines: usize,
}

impl History {
    /// Of so many lines.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Throws away what nobody will want, now and then.
    pub(crate) fn trim(&mut self) {
        let new = self.text.get(self.counted..).unwrap_or("").lines().filter(|line| !line.starts_with(BELOW));
        self.lines += new.count();
        if self.lines > 2 * self.most + SLACK {
            let end = start_of_last(&self.text, self.most);
            self.text.drain(..end);
            self.lines = self.most;
        }
        self.counted = self.text.len();
    }

    /// Appends the last lines, `own` more than are kept, and forgets them all.
    pub(crate) fn release(&mut self, own: usize, out: &mut String) {
        let start = start_of_last(&self.text, self.most.saturating_add(own));
        out.push_str(self.text.get(start..).unwrap_or(""));
        *self = Self::default();
    }
}

/// Where the last so many lines of a text of whole lines begin.
fn start_of_last(text: &str, count: usize) -> usize {
    let inner = text.strip_suffix('\n').unwrap_or(text);
    let starts = inner.rmatch_indices('\n').map(|(at, _)| at + 1).chain((!text.is_empty()).then_some(0));
    let is_line = |start: &usize| !text.get(*start..).is_some_and(|rest| rest.starts_with(BELOW));
    match count {
        0 => text.len(),
        count => starts.filter(is_line).nth(count - 1).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_with_what_stands_below_them() {
        let text = "a\n | 1\nb\n | 2\n | 3\nc\n";
        for (count, expected) in
            [(0, ""), (1, "c\n"), (2, "b\n | 2\n | 3\nc\n"), (3, text), (4, text), (usize::MAX, text)]
        {
            assert_eq!(&text[start_of_last(text, count)..], expected, "{count}");
        }
        assert_eq!(start_of_last("", 0) + start_of_last("", 1), 0);
    }

    #[test]
    fn what_nobody_wants_is_thrown_away() {
        let mut history = History::new(3);
        for number in 0..10_000 {
            history.text += &alloc::format!("line {number}\n | below\n");
            history.trim();
            assert!(history.text.lines().count() <= 2 * (2 * 3 + SLACK + 1), "{number}");
        }
        let mut out = String::new();
        history.release(1, &mut out);
        let lines: alloc::vec::Vec<&str> = out.lines().filter(|line| line.starts_with("line")).collect();
        assert_eq!(lines, ["line 9996", "line 9997", "line 9998", "line 9999"]);
    }
}
