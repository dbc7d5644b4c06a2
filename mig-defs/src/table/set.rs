// SPDX-License-Identifier: GPL-2.0-or-later
//! What the numbers of a type mean: views of sets and of the names in them.

use super::{SETS, Tables, VALUES};

/// What numbers of a type mean: an enumeration or a set of flags.
#[derive(Clone, Copy, Debug)]
pub struct Set<'a> {
    pub(super) tables: Tables<'a>,
    pub(super) index: usize,
}

impl<'a> Set<'a> {
    fn get(&self, field: usize) -> u32 {
        self.tables.section(SETS).get(self.index, field)
    }

    /// The set's name.
    pub fn name(&self) -> &'a str {
        self.tables.string(self.get(0))
    }

    /// Whether values are combined bit by bit.
    pub fn is_flags(&self) -> bool {
        self.get(1) == 1
    }

    /// Its numbers and their names, in the order of the table.
    pub fn values(&self) -> impl Iterator<Item = (u32, &'a str)> {
        let (tables, values) = (self.tables, self.tables.section(VALUES));
        let (first, count) = (self.get(2) as usize, self.get(3) as usize);
        (first..first + count).map(move |at| (values.get(at, 0), tables.string(values.get(at, 1))))
    }

    /// The name of exactly this number.
    pub fn name_of(&self, number: u32) -> Option<&'a str> {
        let values = self.tables.section(VALUES);
        let (first, count) = (self.get(2) as usize, self.get(3) as usize);
        let at = match self.is_flags() {
            true => (first..first + count).find(|at| values.get(*at, 0) == number),
            false => values.find(first, count, number),
        }?;
        Some(self.tables.string(values.get(at, 1)))
    }

    /// The names that make up `number`, in the order of the annotation file. [`Names::rest`] is what has no name.
    pub fn names_of(&self, number: u32) -> Names<'a> {
        let (mut first, mut count) = (self.get(2) as usize, self.get(3) as usize);
        if !self.is_flags() {
            let at = self.tables.section(VALUES).find(first, count, number);
            (first, count) = (at.unwrap_or(first), usize::from(at.is_some()));
        }
        Names { set: *self, next: first, end: first + count, rest: number, all: number, found: false }
    }
}

/// The names of the parts of a number.
#[derive(Clone, Debug)]
pub struct Names<'a> {
    set: Set<'a>,
    next: usize,
    end: usize,
    rest: u32,
    all: u32,
    found: bool,
}

impl Names<'_> {
    /// The bits (or, of an enumeration, the number) that no name so far stands for.
    pub fn rest(&self) -> u32 {
        self.rest
    }
}

impl<'a> Iterator for Names<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let values = self.set.tables.section(VALUES);
        while self.next < self.end && !(self.found && self.rest == 0) {
            let index = self.next;
            self.next += 1;
            let value = values.get(index, 0);
            let matches = match (self.set.is_flags(), value) {
                (false, _) | (true, 0) => value == self.all,
                // A combination may be named before its parts: it then takes all its bits at once.
                (true, _) => self.rest & value == value,
            };
            if matches {
                self.rest &= !value;
                self.found = true;
                return Some(self.set.tables.string(values.get(index, 1)));
            }
        }
        None
    }
}
