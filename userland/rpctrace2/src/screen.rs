// SPDX-License-Identifier: GPL-2.0-or-later
//! A terminal on which figures are drawn over those before.

use alloc::string::String;

/// Columns and lines of a terminal that does not say.
pub(crate) const USUAL: (usize, usize) = (80, 24);
/// To the first place, and all that was there goes.
pub(crate) const CLEAR: &str = "\x1b[H\x1b[J";

/// To the first place; to the end of the line, and of the screen, all that was there goes.
const HOME: &str = "\x1b[H";
const TO_LINE_END: &str = "\x1b[K";
const TO_SCREEN_END: &str = "\x1b[J";

/// How many lines of figures have room under a head.
pub(crate) fn room((_, lines): (usize, usize)) -> usize {
    // The cursor stands in the last line.
    lines.saturating_sub(2)
}

/// What draws a head and figures on a terminal of so many columns and lines.
pub(crate) fn frame(head: &str, figures: &str, (columns, lines): (usize, usize)) -> String {
    let mut screen = String::from(HOME);
    for line in core::iter::once(head).chain(figures.lines()).take(lines.saturating_sub(1)) {
        let end = line.char_indices().nth(columns).map_or(line.len(), |(at, _)| at);
        screen.push_str(line.get(..end).unwrap_or(line));
        screen.push_str(TO_LINE_END);
        screen.push_str("\r\n");
    }
    screen.push_str(TO_SCREEN_END);
    screen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_cut_off() {
        let drawn = frame("heading", "one two\nä\nthree\nfour\n", (4, 4));
        assert_eq!(drawn, "\x1b[Hhead\x1b[K\r\none \x1b[K\r\nä\x1b[K\r\n\x1b[J");
        assert_eq!(room((4, 4)), 2);
        assert_eq!(frame("", "", (0, 0)), "\x1b[H\x1b[J");
    }
}
