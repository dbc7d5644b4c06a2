// SPDX-License-Identifier: GPL-2.0-or-later
//! GRUB's configuration file: which entry of its menu is started, and which kernel and modules that loads with which words.
//!
//! The file is a program: [`menu`] does what GRUB does with it up to the menu, and [`Menu::entry`] what it does when an entry is chosen.
//! Both are bounded, whatever the file says.

mod condition;
mod lexer;
mod parser;
mod run;

use std::fmt;

pub use run::{Loads, Menu, menu};

/// A file that GRUB would not understand, or that goes on for ever.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: expected {expected}, found {found}")]
pub struct GrubError {
    /// The line.
    pub line: usize,
    /// What was expected there.
    pub expected: &'static str,
    /// What is there.
    pub found: String,
}

/// Where GRUB looks for files.
pub trait Drives {
    /// What is at `path` of a device such as `hd0,msdos2`.
    fn kind(&self, device: &[u8], path: &[u8]) -> Option<Kind>;
    /// The contents of a text file; `None` if it cannot be read or is larger than such a file is.
    fn text(&self, device: &[u8], path: &[u8]) -> Option<Vec<u8>>;
    /// The device with the file system of this UUID, label, or file.
    fn search(&self, by: Search, what: &[u8]) -> Option<Vec<u8>>;
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// Anything else, of so many bytes.
    File(u64),
}

/// What a file system is looked for by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// Its UUID.
    Uuid,
    /// Its label.
    Label,
    /// A file in it.
    File,
}

/// A file as GRUB names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName {
    /// The device, without brackets.
    pub device: Vec<u8>,
    /// The path, which begins with a slash.
    pub path: Vec<u8>,
}

impl FileName {
    /// Takes `(device)/path` apart; without a device it is on `root`.
    pub fn of(name: &[u8], root: &[u8]) -> Self {
        let end = name.iter().position(|byte| *byte == b')').filter(|_| name.starts_with(b"("));
        match end {
            Some(end) => Self { device: name[1..end].to_vec(), path: name[end + 1..].to_vec() },
            None => Self { device: root.to_vec(), path: name.to_vec() },
        }
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}){}", String::from_utf8_lossy(&self.device), String::from_utf8_lossy(&self.path))
    }
}

/// One file that an entry loads, and the words for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// The line of the command.
    pub line: usize,
    /// The file.
    pub file: FileName,
    /// What follows the file's name.
    pub words: Vec<Vec<u8>>,
    /// Whether the file is loaded as it is, even if it is packed.
    pub is_raw: bool,
}

impl Load {
    /// The text that GRUB hands over with the file: its words, with quotation marks of their own and backslashes before some bytes.
    pub fn text(&self) -> Vec<u8> {
        let words: Vec<Vec<u8>> = self.words.iter().map(|word| quoted(word)).collect();
        words.join(&b' ')
    }
}

/// A word as GRUB hands it over: spaces bring quotation marks, and quotation marks and backslashes a backslash, unless that begins `\xHH`.
fn quoted(word: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let is_code =
        |at: usize| matches!(&word[at..], [b'\\', b'x', a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
    let mut at = 0;
    while at < word.len() {
        if is_code(at) {
            text.extend(&word[at..at + 4]);
            at += 4;
            continue;
        }
        if matches!(word[at], b'\\' | b'\'' | b'"') {
            text.push(b'\\');
        }
        text.push(word[at]);
        at += 1;
    }
    if word.contains(&b' ') { [b"\"", &*text, b"\""].concat() } else { text }
}

#[cfg(test)]
mod tests;
