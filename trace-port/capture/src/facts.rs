// SPDX-License-Identifier: GPL-2.0-or-later
//! What a file says of itself before the first record.

use alloc::string::String;
use alloc::vec::Vec;

use crate::format::u32_at;

/// What a fact is about. A reader passes over those that it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Fact {
    /// What wrote the file, and its version.
    Writer = 1,
    /// The kernel's own words on its version.
    Kernel = 2,
    /// How records are laid out: the record's version and its sizes.
    Layout = 3,
    /// What times are.
    Clock = 4,
    /// The options that it was recorded with, one a line.
    Options = 5,
    /// The command, a word a line. None where processes were traced.
    Command = 6,
    /// Where the tables in the file are from.
    Tables = 7,
}

impl Fact {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Writer, Self::Kernel, Self::Layout, Self::Clock, Self::Options, Self::Command, Self::Tables];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Writer => "writer",
            Self::Kernel => "kernel",
            Self::Layout => "layout",
            Self::Clock => "clock",
            Self::Options => "options",
            Self::Command => "command",
            Self::Tables => "tables",
        }
    }
}

/// The facts of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts(Vec<(u16, String)>);

impl Facts {
    /// With this one, too.
    #[must_use]
    pub fn with(mut self, fact: Fact, text: &str) -> Self {
        self.0.push((fact as u16, text.into()));
        self
    }

    /// What is said about something.
    pub fn get(&self, fact: Fact) -> Option<&str> {
        self.0.iter().find(|(key, _)| *key == fact as u16).map(|(_, text)| text.as_str())
    }

    /// The contents of the block: of each fact its key, the size of its text and the text, padded to a multiple of 8.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (key, text) in &self.0 {
            bytes.extend((text.len() as u32).to_le_bytes());
            bytes.extend(u32::from(*key).to_le_bytes());
            bytes.extend(text.as_bytes());
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        bytes
    }

    /// Reads the contents of the block; or where they are wrong.
    #[cfg_attr(not(feature = "std"), expect(dead_code, reason = "readers have files"))]
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, usize> {
        let mut facts = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let (size, key) = (u32_at(bytes, at) as usize, u32_at(bytes, at + 4));
            let text = bytes.get(at + 8..).and_then(|rest| rest.get(..size)).ok_or(at)?;
            let text = core::str::from_utf8(text).map_err(|_| at)?;
            facts.push((u16::try_from(key).map_err(|_| at)?, text.into()));
            at += 8 + size.next_multiple_of(8);
        }
        if at == bytes.len() { Ok(Self(facts)) } else { Err(bytes.len()) }
    }
}
