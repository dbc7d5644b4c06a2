// SPDX-License-Identifier: GPL-2.0-or-later
//! The word that may be meant by one that nobody knows.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// What may be meant, to stand behind what was found: `; did you mean ...?`, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suggestion(Option<String>);

impl Suggestion {
    /// Nothing is near.
    pub const fn none() -> Self {
        Self(None)
    }

    /// The nearest of the words that are known, if it is near enough to be meant; it is shown behind `prefix`.
    pub fn of<'a>(found: &str, known: impl IntoIterator<Item = &'a str>, prefix: &str) -> Self {
        let most = (found.chars().count() / 3).clamp(1, 3);
        let near = known.into_iter().map(|word| (distance(found, word), word)).filter(|(far, _)| *far <= most);
        Self(near.min_by_key(|(far, _)| *far).map(|(_, word)| prefix.to_string() + word))
    }
}

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(word) => write!(f, "; did you mean `{word}`?"),
            None => Ok(()),
        }
    }
}

/// How many letters have to be put in, taken out, replaced or exchanged with their neighbour to make `to` of `from`.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut older: Vec<usize> = Vec::new();
    let mut old: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.iter().enumerate() {
        let mut new = Vec::with_capacity(old.len());
        new.push(row + 1);
        for (column, other) in to.iter().enumerate() {
            let replaced = old[column] + usize::from(letter != other);
            let mut least = replaced.min(old[column + 1] + 1).min(new[column] + 1);
            if row > 0 && column > 0 && from[row - 1] == *other && to[column - 1] == *letter {
                least = least.min(older[column - 1] + 1);
            }
            new.push(least);
        }
        older = core::mem::replace(&mut old, new);
    }
    old.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn slips_of_the_fingers_are_near() {
        assert_eq!([distance("", "abc"), distance("abc", "abc"), distance("abc", "acb")], [3, 0, 1]);
        assert_eq!([distance("tarce", "trace"), distance("vm_alocate", "vm_allocate")], [1, 1]);
        let known = ["vm_allocate", "vm_deallocate", "vm_map"];
        let shown = |found: &str| Suggestion::of(found, known, "").to_string();
        assert_eq!(shown("vm_alocate"), "; did you mean `vm_allocate`?");
        assert_eq!(shown("task_create"), "");
        assert_eq!(shown("x"), "");
    }
}
