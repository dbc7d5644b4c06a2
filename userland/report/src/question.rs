// SPDX-License-Identifier: GPL-2.0-or-later
//! Questions that a whole trace answers, live, from a capture or from a machine's memory alike.

use alloc::boxed::Box;
use alloc::rc::Rc;

use mig_defs::table::Tables;

use crate::analysis::Analysis;
use crate::questions::coverage::{Amount, Coverage};
use crate::questions::leaks::Leaks;
use crate::questions::ports::Ports;
use crate::questions::stuck::Stuck;
use crate::questions::top::Top;
use crate::questions::tree::Tree;

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Who waits for whom when the records end.
    Stuck,
    /// How often what was asked, how long it took and how it failed.
    Top,
    /// Which rights come and never go.
    Leaks,
    /// Where each port comes from.
    Ports,
    /// Which calls a call has led to, and where its time went.
    Tree,
    /// What was reached of the interfaces: routines, codes, values.
    Coverage,
}

impl Question {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 6] = [Self::Stuck, Self::Top, Self::Leaks, Self::Ports, Self::Tree, Self::Coverage];

    /// What it is called by the user.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stuck => "stuck",
            Self::Top => "top",
            Self::Leaks => "leaks",
            Self::Ports => "ports",
            Self::Tree => "tree",
            Self::Coverage => "coverage",
        }
    }

    /// What it asks, to the user.
    pub const fn help(self) -> &'static str {
        match self {
            Self::Stuck => {
                "who waits for whom at the end, cycles first, then who has waited longest; messages in queues"
            }
            Self::Top => {
                "calls, errors by code, and times (least, p50, p99, most, mean, drawn) by task, subsystem, routine"
            }
            Self::Leaks => {
                "which port rights come and never go, or are given back twice; what came and went by routine"
            }
            Self::Ports => "who made each port, and by which messages rights to it came to whom",
            Self::Tree => {
                "which calls each call has led to, its time in queue, server and reply; who has the most to do"
            }
            Self::Coverage => {
                "which routines, return codes and values of arguments were reached, and which were not; of several files, in all"
            }
        }
    }

    /// Whether its answer may be false where messages are left out.
    pub const fn needs_all(self) -> bool {
        !matches!(self, Self::Top)
    }

    /// Whether it is asked of several captures together.
    pub const fn takes_several(self) -> bool {
        matches!(self, Self::Coverage)
    }

    /// What answers it. Of calls that took less than `min` nanoseconds [`Question::Tree`] says nothing; with `in_full`
    /// [`Question::Coverage`] says all of long lists; tables are `width` wide at most where that is not 0.
    pub fn begin<'t>(self, tables: Tables<'t>, min: u64, in_full: bool, width: usize) -> Box<dyn Analysis<'t> + 't> {
        match self {
            Self::Stuck => Box::new(Stuck::new(tables)),
            Self::Top => Box::new(Top::new(tables, width)),
            Self::Leaks => Box::new(Leaks::new(tables)),
            Self::Ports => Box::new(Ports::new(tables)),
            Self::Tree => Box::new(Tree::new(min)),
            Self::Coverage => {
                let told = if in_full { Amount::All } else { Amount::Begin };
                Box::new(Coverage::new(tables, Rc::default(), told))
            }
        }
    }
}
