// SPDX-License-Identifier: GPL-2.0-or-later
//! What makes an answer of all exchanges of a trace.

use alloc::string::String;
use core::fmt::Debug;

use exchanges::{Names, Sink};

/// What makes an answer of all exchanges of a trace.
pub trait Analysis<'t>: Sink<'t> + Debug {
    /// Nothing comes any more, and all exchanges are closed: appends the answer. Returns what was found.
    fn finish(&mut self, names: &Names, out: &mut String) -> Found;

    /// Appends the answer as it stands, in so many lines at most; nothing if it cannot be told before the end.
    fn so_far(&self, _names: &Names, _lines: usize, _out: &mut String) {}
}

/// What an answer comes to, for an exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// What nobody needs to look at.
    Nothing,
    /// What the question is about: a fault.
    Something,
}
