// SPDX-License-Identifier: GPL-2.0-or-later
//! What a terminal adds to the lines of a trace: colors, and results that stand in one column.

use std::borrow::ToOwned;
use std::format;
use std::string::String;
use std::vec::Vec;

/// How lines are changed before they are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paint {
    /// With colors.
    pub color: bool,
    /// The column that results are moved to, 0 if they stay.
    pub column: usize,
}

/// Escape sequences: whose line it is, what is called, a result that is an error, rpctrace2's own words, and back.
const WHO: &str = "\x1b[36m";
const CALL: &str = "\x1b[1m";
const ERROR: &str = "\x1b[31m";
const OWN: &str = "\x1b[33m";
const PLAIN: &str = "\x1b[0m";

/// What results that are no errors begin with.
const GOOD: [&str; 5] = ["0", "sent", "?", "KERN_SUCCESS", "MACH_MSG_SUCCESS"];

impl Paint {
    /// The lines, changed; they are whole.
    pub fn apply(self, lines: Vec<u8>) -> Vec<u8> {
        // What is no text is not rpctrace2's, whose lines are ASCII.
        match (self == Self::default(), std::str::from_utf8(&lines)) {
            (false, Ok(text)) => {
                text.split_inclusive('\n').map(|line| self.line(line)).collect::<String>().into_bytes()
            }
            _ => lines,
        }
    }

    fn line(self, line: &str) -> String {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        let color =
            |color: &str, text: &str| if self.color { format!("{color}{text}{PLAIN}") } else { text.to_owned() };
        if line.starts_with("--- ") || line.starts_with("+++ ") {
            return color(OWN, line) + end;
        }
        let Some((who, rest)) = whose(line) else { return line.to_owned() + end };
        let (call, result) = rest.split_at(result(rest).unwrap_or(rest.len()));
        let called = call.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(call.len());
        let mut text = color(WHO, who) + &color(CALL, &call[..called]) + &call[called..];
        if let Some(answer) = result.strip_prefix(" = ") {
            let length = who.len() + call.len();
            text += &" ".repeat(self.column.saturating_sub(length));
            text += " = ";
            let is_good = answer.split(' ').next().is_some_and(|word| GOOD.contains(&word));
            text += &if is_good { answer.to_owned() } else { color(ERROR, answer) };
        }
        text + end
    }
}

/// `name[1/2] ` with times before it, and what follows.
fn whose(line: &str) -> Option<(&str, &str)> {
    let end = line.find("] ")? + 2;
    let digits = line[..end - 2].rsplit('[').next()?;
    let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == '/');
    is_number.then(|| line.split_at(end))
}

/// Where the result begins: behind the parenthesis that ends the arguments, and not in a string.
fn result(rest: &str) -> Option<usize> {
    let mut depth = 0_i32;
    let mut in_string = false;
    let mut escaped = false;
    for (at, letter) in rest.bytes().enumerate() {
        if in_string {
            in_string = escaped || letter != b'"';
            escaped = !escaped && letter == b'\\';
            continue;
        }
        match letter {
            b'"' => in_string = true,
            b'(' | b'{' | b'[' => depth += 1,
            b')' | b'}' | b']' => depth -= 1,
            b' ' if depth == 0 && rest[at..].starts_with(" = ") => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;

    const LINES: &str = "hello[1] vm_map(a: \") = (\", b: {c: 1}) = KERN_SUCCESS {d: 5}\n\
                         02:03:04 (ping)[2/1] <... ping resumed> = KERN_FAILURE\n\
                         ping[1] <- ping(port: port 3)\n | 00000  13 15 00 00\n+++ ping[1] exited with 0 +++\n";

    fn painted(paint: Paint) -> String {
        String::from_utf8(paint.apply(LINES.as_bytes().to_vec())).unwrap()
    }

    #[test]
    fn colors_add_nothing_but_colors() {
        assert_eq!(painted(Paint::default()), LINES);
        let mut text = painted(Paint { color: true, column: 0 });
        assert!(text.starts_with("\x1b[36mhello[1] \x1b[0m\x1b[1mvm_map\x1b[0m(a: "), "{text:?}");
        assert!(
            text.contains(" = KERN_SUCCESS {d: 5}\n") && text.contains(" = \x1b[31mKERN_FAILURE\x1b[0m\n"),
            "{text:?}"
        );
        for color in [WHO, CALL, ERROR, OWN, PLAIN] {
            assert!(text.contains(color));
            text = text.replace(color, "");
        }
        assert_eq!(text, LINES);
    }

    #[test]
    fn results_stand_in_a_column() {
        let text = painted(Paint { color: false, column: 50 });
        let columns: Vec<usize> = text.lines().take(2).map(|line| line.find(" = KERN").unwrap()).collect();
        assert_eq!(columns, [50, 50]);
        assert_eq!(text.lines().skip(2).collect::<Vec<_>>(), LINES.lines().skip(2).collect::<Vec<_>>());
        assert!(painted(Paint { color: false, column: 10 }) == LINES, "what is longer stays");
    }

    #[test]
    fn what_is_no_text_stays() {
        let odd = vec![0xff, b'\n'];
        assert_eq!(Paint { color: true, column: 40 }.apply(odd.clone()), odd);
    }
}
