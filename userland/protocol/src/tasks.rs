// SPDX-License-Identifier: GPL-2.0-or-later
//! The task list that `boot_list` answers: one line a task, `ID STATE ENGINES NAME`. ENGINES is the name of each engine that traces the task, as
//! [`engine_name`] writes it, with a comma behind each; nothing if there is none.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// An engine's name, which is up to 32 bytes of any value, in printable ASCII without a space or a comma: what is none of it, and a backslash, by an
/// escape as in Rust. `name` ends at its first NUL.
pub fn engine_name(name: &[u8]) -> String {
    let name = name.split(|byte| *byte == 0).next().unwrap_or(&[]);
    let mut text = String::new();
    for byte in name {
        match byte {
            b' ' => text.push_str("\\x20"),
            b',' => text.push_str("\\x2c"),
            byte => text.extend(byte.escape_ascii().map(char::from)),
        }
    }
    text
}

/// What a task is doing, as far as the boot server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Started, not told to stop.
    Running,
    /// Spawned suspended, or suspended since.
    Suspended,
    /// Has told its exit status but its task is still there.
    Exiting,
}

impl State {
    const ALL: [(State, &'static str); 3] =
        [(Self::Running, "running"), (Self::Suspended, "suspended"), (Self::Exiting, "exiting")];

    /// The word for it.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("", |(_, word)| word)
    }
}

/// A task that the boot server started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Counts up from 1 in the order in which tasks were started.
    pub id: u32,
    /// What it is doing.
    pub state: State,
    /// The engines that trace it, in the order of their attaching, as [`engine_name`] writes them. None as well where the kernel has not said.
    pub engines: Vec<String>,
    /// The program it was started from.
    pub name: String,
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.id, self.state.word())?;
        self.engines.iter().try_for_each(|engine| write!(f, "{engine},"))?;
        write!(f, " {}", self.name)
    }
}

/// The list that `text` is.
pub fn parse(text: &[u8]) -> Result<Vec<Task>, TasksError> {
    let text = str::from_utf8(text).map_err(|error| TasksError { line: 0, at: error.valid_up_to() })?;
    text.lines()
        .enumerate()
        .map(|(line, text)| {
            let error = TasksError { line, at: 0 };
            let mut words = text.splitn(4, ' ');
            let id = words.next().and_then(|word| word.parse().ok()).ok_or(error)?;
            let word = words.next().ok_or(error)?;
            let (state, _) = State::ALL.into_iter().find(|(_, known)| *known == word).ok_or(error)?;
            let engines = words.next().ok_or(error)?;
            let engines = match engines.strip_suffix(',') {
                Some(names) => names.split(',').map(String::from).collect(),
                None if engines.is_empty() => Vec::new(),
                None => return Err(error),
            };
            let name = words.next().filter(|name| !name.is_empty()).ok_or(error)?;
            Ok(Task { id, state, engines, name: name.into() })
        })
        .collect()
}

/// A task list that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TasksError {
    /// The line, from 0.
    pub line: usize,
    /// The byte in the text at which it stopped being UTF-8, if that is the reason.
    pub at: usize,
}

impl fmt::Display for TasksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task list, line {}, byte {}: expected \"ID STATE ENGINES NAME\"", self.line, self.at)
    }
}

impl core::error::Error for TasksError {}

#[cfg(test)]
mod tests {
    use std::format;
    use std::vec;

    use super::*;

    #[test]
    fn lists_survive() {
        let tasks = vec![
            Task { id: 1, state: State::Running, engines: vec![], name: "rpctrace2".into() },
            Task { id: 2, state: State::Suspended, engines: vec!["one".into()], name: "a name with spaces".into() },
            Task { id: 3, state: State::Exiting, engines: vec![String::new(), "two".into()], name: "hello".into() },
        ];
        let text: String = tasks.iter().map(|task| format!("{task}\n")).collect();
        assert_eq!(parse(text.as_bytes()), Ok(tasks));
        assert_eq!(parse(b""), Ok(vec![]));
    }

    #[test]
    fn names_of_engines_keep_their_place_in_a_line() {
        let mut name = [0; 32];
        name[..9].copy_from_slice(b"a b,c\\\n\xff-");
        assert_eq!(engine_name(&name), r"a\x20b\x2cc\\\n\xff-");
        assert_eq!((engine_name(&[b'x'; 32]), engine_name(&[0; 32])), ("x".repeat(32), String::new()));
    }

    #[test]
    fn damage_is_refused() {
        for (text, line) in [
            ("x running  a\n", 0),
            ("1 running  a\n2 sleeping  b\n", 1),
            ("1 running one a\n", 0),
            ("1 running one,\n", 0),
            ("1 running  \n", 0),
            ("1 running\n", 0),
            ("1\n", 0),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(TasksError { line, at: 0 }), "{text:?}");
        }
        assert_eq!(parse(b"1 running  \xff"), Err(TasksError { line: 0, at: 11 }));
    }
}
