// SPDX-License-Identifier: GPL-2.0-or-later
//! Questions that a whole trace answers, live, from a capture or from a machine's memory alike.

use alloc::boxed::Box;
use core::fmt::Debug;

use alloc::string::String;

use exchanges::{Names, Sink};
use mig_defs::table::Tables;

use crate::stuck::Stuck;

/// What makes an answer of all exchanges of a trace.
pub trait Analysis<'t>: Sink<'t> + Debug {
    /// Nothing comes any more, and all exchanges are closed: appends the answer. Returns what was found.
    fn finish(&mut self, names: &Names, out: &mut String) -> Found;
}

/// What an answer comes to, for an exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// What nobody needs to look at.
    Nothing,
    /// What the question is about: a fault.
    Something,
}

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Who waits for whom when the records end.
    Stuck,
}

impl Question {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 1] = [Self::Stuck];

    /// What it is called by the user.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stuck => "stuck",
        }
    }

    /// What it asks, to the user.
    pub const fn help(self) -> &'static str {
        match self {
            Self::Stuck => "who waits for whom at the end of the trace, cycles first, then who has waited longest",
        }
    }

    /// What answers it.
    pub fn begin<'t>(self, _tables: Tables<'t>) -> Box<dyn Analysis<'t> + 't> {
        match self {
            Self::Stuck => Box::new(Stuck::default()),
        }
    }
}
