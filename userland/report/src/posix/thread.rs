// SPDX-License-Identifier: GPL-2.0-or-later
//! What a thread has done that has no line yet, and how much of it is told.

use alloc::vec::Vec;

use super::chain::Chain;
use super::item::Item;

/// What a thread has done that has no line yet.
#[derive(Debug, Default)]
pub(super) struct Thread<'t> {
    /// Messages, in their order.
    pub(super) run: Vec<Item<'t>>,
    /// A lookup that goes on.
    pub(super) chain: Option<Chain<'t>>,
    /// Requests that wait for their answers.
    pub(super) open: usize,
}

/// How much of a run is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Over<'a, 't> {
    /// All of it: nothing more belongs to it.
    All,
    /// Calls to which nothing more belongs, whatever comes.
    Complete,
    /// Calls to which this does not belong, which comes next.
    Before(&'a Item<'t>),
}

impl Thread<'_> {
    /// Whether it has something to be told, and does nothing that could belong to it.
    pub(super) fn is_waiting(&self) -> bool {
        !self.run.is_empty() && self.open == 0 && self.chain.is_none()
    }
}
