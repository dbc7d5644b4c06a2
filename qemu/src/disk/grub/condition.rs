// SPDX-License-Identifier: GPL-2.0-or-later
//! `[ ... ]` and `test` of GRUB's configuration language.

use std::cmp::Ordering;

/// What can be asked about a file, by its name as GRUB writes it.
pub(super) enum Question {
    /// Whether it is there: `-e`.
    There,
    /// Whether it is a file: `-f`.
    File,
    /// Whether it is a directory: `-d`.
    Directory,
    /// Whether it is a file with something in it: `-s`.
    NotEmpty,
}

/// Whether an expression holds: comparisons and questions with `!`, joined by `-a` and `-o`, of which `-a` binds closer. What cannot be
/// understood does not hold.
pub(super) fn holds(words: &[Vec<u8>], ask: &dyn Fn(Question, &[u8]) -> bool) -> bool {
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).filter(|word| !matches!(*word, b"(" | b")")).collect();
    words.split(|word| *word == b"-o").any(|all| all.split(|word| *word == b"-a").all(|one| term(one, ask)))
}

fn term(words: &[&[u8]], ask: &dyn Fn(Question, &[u8]) -> bool) -> bool {
    match words {
        [b"!", rest @ ..] => !term(rest, ask),
        [left, operator, right] => compare(left, operator, right),
        [b"-z", word] => word.is_empty(),
        [b"-n", word] => !word.is_empty(),
        [b"-e", file] => ask(Question::There, file),
        [b"-f", file] => ask(Question::File, file),
        [b"-d", file] => ask(Question::Directory, file),
        [b"-s", file] => ask(Question::NotEmpty, file),
        [word] => !word.is_empty(),
        _ => false,
    }
}

fn compare(left: &[u8], operator: &[u8], right: &[u8]) -> bool {
    let number = |word: &[u8]| std::str::from_utf8(word).ok().and_then(|word| word.parse::<i64>().ok()).unwrap_or(0);
    let numbers = || number(left).cmp(&number(right));
    match operator {
        b"=" | b"==" => left == right,
        b"!=" => left != right,
        b"-eq" => numbers() == Ordering::Equal,
        b"-ne" => numbers() != Ordering::Equal,
        b"-lt" => numbers() == Ordering::Less,
        b"-le" => numbers() != Ordering::Greater,
        b"-gt" => numbers() == Ordering::Greater,
        b"-ge" => numbers() != Ordering::Less,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_hold_or_not() {
        let ask = |question: Question, name: &[u8]| matches!(question, Question::NotEmpty) && name == b"/there";
        for (text, expected) in [
            ("xy = xy", true),
            ("xy = x", false),
            ("x != y", true),
            ("-s /there", true),
            ("-e /there", false),
            ("! -s /there", false),
            ("-z x", false),
            ("-z", true),
            ("", false),
            ("2 -lt 10", true),
            ("a = a -a b = c", false),
            ("a = b -a b = b -o c = c", true),
            ("a b c d", false),
            ("a ~ a", false),
        ] {
            let words: Vec<Vec<u8>> = text.split_whitespace().map(|word| word.as_bytes().to_vec()).collect();
            assert_eq!(holds(&words, &ask), expected, "[ {text} ]");
        }
        assert!(holds(&[b"-z".to_vec(), vec![]], &ask));
    }
}
