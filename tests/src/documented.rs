// SPDX-License-Identifier: GPL-2.0-or-later
//! Documents that show commands and what is answered: a line `    $ COMMAND`, and below it the answer, as far in.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};

/// What begins a command's line.
const COMMAND: &str = "    $ ";
/// What begins each line of an answer.
const ANSWER: &str = "    ";
/// A line of an answer in whose place any lines may be.
const LEFT_OUT: &str = "...";
/// A line that is typed, and not answered: where the reader presses these keys.
pub const CTRL_C: &str = "^C\n";

/// One at a time writes a document.
static WRITES: Mutex<()> = Mutex::new(());

/// A command of a document, and the answer that it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The heading that it stands under.
    pub heading: String,
    /// The command.
    pub command: String,
    /// The answer, with the ends of its lines.
    pub answer: String,
}

/// The file of a document in docs.
fn file(document: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(document)
}

/// The commands of a document in docs, in their order.
///
/// # Errors
/// If it cannot be read.
pub fn commands(document: &str) -> Result<Vec<Shown>> {
    let text = fs::read_to_string(file(document)).with_context(|| format!("reading docs/{document}"))?;
    let (mut found, mut heading) = (Vec::<Shown>::new(), "");
    let mut is_answer = false;
    for line in text.lines() {
        if let Some(command) = line.strip_prefix(COMMAND) {
            is_answer = true;
            found.push(Shown { heading: heading.into(), command: command.into(), answer: String::new() });
        } else if let Some(line) = line.strip_prefix(ANSWER).filter(|_| is_answer) {
            if let Some(last) = found.last_mut() {
                last.answer.extend([line, "\n"]);
            }
        } else {
            is_answer = false;
            heading = line.strip_prefix("## ").unwrap_or(heading);
        }
    }
    Ok(found)
}

/// Compares what is answered with what a document in docs shows below this command; `BLESS=1` writes it there.
///
/// # Errors
/// If it is not that, or there is no such command.
pub fn check(document: &str, command: &str, answer: &str) -> Result<()> {
    let _lock = WRITES.lock().unwrap_or_else(PoisonError::into_inner);
    let text = fs::read_to_string(file(document))?;
    let head = format!("{COMMAND}{command}\n");
    let (before, after) = text.split_once(&head).with_context(|| format!("docs/{document} has no `{command}`"))?;
    let lines = after.lines().map_while(|line| line.strip_prefix(ANSWER).filter(|line| !line.starts_with("$ ")));
    let shown: String = lines.map(|line| format!("{line}\n")).collect();
    if is_shown(&shown, answer) {
        return Ok(());
    }
    ensure!(std::env::var_os("BLESS").is_some(), "{command}: documented is\n{shown}answered is\n{answer}");
    let rest: String = after.lines().skip(shown.lines().count()).map(|line| format!("{line}\n")).collect();
    let block: String = answer.lines().map(|line| format!("{ANSWER}{line}\n")).collect();
    fs::write(file(document), [before, &head, &block, &rest].concat())?;
    Ok(())
}

/// Whether an answer is what is shown, but for what is [`alike`] and what is left out.
fn is_shown(shown: &str, answer: &str) -> bool {
    let (shown, answer) = (alike(&shown.replace(CTRL_C, "")), alike(answer));
    let left_out = format!("{LEFT_OUT}\n");
    let mut parts = shown.split(left_out.as_str());
    let Some(mut rest) = parts.next().and_then(|first| answer.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        // Where a line begins.
        let place = rest.match_indices(part).find(|(at, _)| *at == 0 || rest[..*at].ends_with('\n'));
        let Some((at, _)) = place else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.strip_suffix(last).is_some_and(|before| before.is_empty() || before.ends_with('\n'))
}

/// Without what differs from run to run: times, and numbers of ports.
#[must_use]
pub fn alike(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let end = from.find(|c: char| !(c.is_ascii_digit() || ".:".contains(c))).unwrap_or(from.len());
        let (number, after) = from.split_at(end);
        if number.contains('.') {
            out.push_str("TIME");
        } else if ["name ", "port ", "number "].iter().any(|word| out.ends_with(word)) {
            out.push_str("NUMBER");
            out.push_str(number.trim_start_matches(|c: char| c.is_ascii_digit()));
        } else {
            out.push_str(number);
        }
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers_of_ports_are_alike() {
        let text = "hello[1] waits since 01:02:03.000004 for port 17, name 3: 12 calls, 0.000130 = queue 1.5\n";
        assert_eq!(
            alike(text),
            "hello[1] waits since TIME for port NUMBER, name NUMBER: 12 calls, TIME = queue TIME\n"
        );
    }

    #[test]
    fn lines_may_be_left_out_where_it_says_so() {
        let answer = "a\nb\nc\nd\n";
        for shown in
            ["a\nb\nc\nd\n", "...\n", "a\n...\n", "...\nd\n", "a\n...\nd\n", "...\nb\n...\n", "a\n...\nb\nc\nd\n"]
        {
            assert!(is_shown(shown, answer), "{shown}");
        }
        for shown in ["", "a\nb\n", "b\n...\n", "...\nc\n", "a\n...\ne\n...\nd\n", "...\nc\n...\nb\n...\n"] {
            assert!(!is_shown(shown, answer), "{shown}");
        }
        assert!(!is_shown("...\nb\n", "a b\n"), "a part of a line");
    }

    #[test]
    fn a_document_has_commands_and_answers() {
        let found = commands("questions.md").unwrap();
        assert!(found.iter().any(|shown| shown.heading == "leaks" && shown.answer.starts_with("leak: ")), "{found:?}");
    }
}
