// SPDX-License-Identifier: GPL-2.0-or-later
//! What is left out, to find out what a failure needs.

use programs::Mismatch;

use crate::names::Name;

/// What can be left out, by word.
pub(crate) const WORDS: &[&str] = &[
    "kernel-ports",
    "calls",
    "sends",
    "kernel-calls",
    "faults",
    "meddling",
    "trace",
    "read",
    "limit",
    "move",
    "mail",
    "set",
    "destroy",
    "kill",
    "abort",
    "suspend",
    "terminate-thread",
    "drain",
    "exceptions",
    "engines",
    "rings",
    "processors",
];

/// Some of them.
#[derive(Clone, Copy, Default)]
pub(crate) struct Without(u32);

impl Without {
    /// Leaves this out as well.
    pub(crate) fn and(self, word: &str) -> Result<Self, Mismatch> {
        let place = WORDS.iter().position(|known| *known == word);
        let place =
            place.ok_or_else(|| Mismatch::new(&alloc::format!("{word}: expected one of {}", WORDS.join(", "))))?;
        Ok(Self(self.0 | 1 << place))
    }

    /// Whether this is left out.
    pub(crate) fn has(self, word: &str) -> bool {
        WORDS.iter().enumerate().any(|(place, known)| *known == word && self.0 & 1 << place != 0)
    }

    /// The name, or none instead of one that the kernel receives from if these are left out.
    pub(crate) fn filter(self, name: Name) -> Name {
        if name.is_kernels() && self.has("kernel-ports") { Name::Absent } else { name }
    }
}
