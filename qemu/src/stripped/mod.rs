// SPDX-License-Identifier: GPL-2.0-or-later
//! Names for a kernel without symbols: those of the `-dbg` kernel of the same version, found again.
//!
//! **What.** Debian's kernels that people boot are stripped, and built without the kernel's debugger; the `-dbg` kernel beside them is another
//! build of the same source. What both have in common leads from one to the other: the trap table and MIG's tables of routines
//! ([`anchors`]), strings that one function alone uses, the order of calls and of functions in the file ([`order`]), and what the
//! functions that are found refer to together ([`shared`]). [`evidence`] says for each name which of these rules agree.
//!
//! **Place in the flow.** `-dbg` kernel and stripped kernel -> [`Image`] -> [`Matching`] -> names with their evidence.
//!
//! **Invariants.** A rule places nothing twice, and what is out of the order of both files is taken back. A name counts only if two rules that do
//! not rest on each other agree.
//!
//! **Start reading at** [`Matching::find`].

mod anchors;
pub mod evidence;
pub mod image;
pub mod naming;
mod order;
pub mod shared;

use std::collections::BTreeMap;

pub use image::{Function, Image, Place};
pub use naming::Naming;

/// How a function was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// By its place in the trap table.
    Trap,
    /// By its place in a table of MIG's.
    Table,
    /// By a string that no other function uses.
    Text,
    /// By its place among the calls of functions that are found.
    CallOrder,
    /// By its place between functions that are found.
    LinkOrder,
    /// It is the one alone between two that are found which is like it.
    Likeness,
}

/// Which function of the stripped kernel each function of the named one is.
#[derive(Debug)]
pub struct Matching<'a> {
    /// The kernel with names.
    pub named: &'a Image,
    /// The kernel without.
    pub stripped: &'a Image,
    forth: BTreeMap<u64, (u64, Rule)>,
    back: BTreeMap<u64, u64>,
    /// What each function of the named kernel calls, and of the stripped, without what everybody calls.
    calls: [BTreeMap<u64, Vec<u64>>; 2],
    /// Entries of the trap table that both have, with the same name and count of arguments.
    pub traps: usize,
}

impl<'a> Matching<'a> {
    /// Finds what can be found.
    pub fn find(named: &'a Image, stripped: &'a Image) -> Self {
        let calls = [order::calls_of(named), order::calls_of(stripped)];
        let mut matching = Self { named, stripped, forth: BTreeMap::new(), back: BTreeMap::new(), calls, traps: 0 };
        anchors::traps(&mut matching);
        anchors::tables(&mut matching);
        anchors::strings(&mut matching);
        order::propagate(&mut matching);
        matching
    }

    /// The function of the stripped kernel that this one of the named is, and how that was found.
    pub fn of(&self, named: u64) -> Option<(u64, Rule)> {
        self.forth.get(&named).copied()
    }

    /// The function of the named kernel that this one of the stripped is.
    pub fn name_of(&self, stripped: u64) -> Option<u64> {
        self.back.get(&stripped).copied()
    }

    /// How many functions are found.
    pub fn len(&self) -> usize {
        self.forth.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.forth.is_empty()
    }

    /// Functions of the named kernel in order, with those of the stripped.
    pub fn pairs(&self) -> impl Iterator<Item = (u64, u64)> {
        self.forth.iter().map(|(named, (stripped, _))| (*named, *stripped))
    }

    /// Takes two functions for one, if neither is known yet.
    fn put(&mut self, named: u64, stripped: u64, rule: Rule) -> bool {
        let are_functions =
            self.named.functions.contains_key(&named) && self.stripped.functions.contains_key(&stripped);
        if !are_functions || self.forth.contains_key(&named) || self.back.contains_key(&stripped) {
            return false;
        }
        self.forth.insert(named, (stripped, rule));
        self.back.insert(stripped, named);
        true
    }

    fn take_back(&mut self, named: u64) {
        if let Some((stripped, _)) = self.forth.remove(&named) {
            self.back.remove(&stripped);
        }
    }
}
