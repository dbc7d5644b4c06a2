// SPDX-License-Identifier: GPL-2.0-or-later
//! How often each routine was called, how often it failed, how long it took.

use alloc::collections::BTreeMap;
use alloc::string::String;

use exchanges::exchange::{Exchange, Tally};
use mig_defs::table::Tables;

use crate::figures::{Figures, Key};
use crate::remarks;
use crate::table::{Layout, Row, write};

/// Figures of all routines.
#[derive(Debug, Default)]
pub struct Summary {
    layout: Layout,
    keeps_times: bool,
    routines: BTreeMap<Key, Figures>,
    lost: u64,
}

impl Summary {
    /// One with these columns, in this order.
    pub fn new(layout: Layout) -> Self {
        Self { keeps_times: layout.needs_times(), layout, ..Self::default() }
    }

    /// A request was seen.
    pub fn opened(&mut self, exchange: &Exchange<'_>) {
        self.routines.entry(Key::of(exchange)).or_default().calls += 1;
    }

    /// Nothing more will be known of it.
    pub fn closed(&mut self, exchange: &Exchange<'_>) {
        self.routines.entry(Key::of(exchange)).or_default().closed(exchange, self.keeps_times);
    }

    /// A step of an exchange of a known routine that is not told otherwise.
    pub fn counted(&mut self, tally: Tally) {
        let (Tally::Asked { msgh_id } | Tally::Answered { msgh_id, .. }) = tally;
        self.routines.entry(Key::known(msgh_id)).or_default().counted(tally, self.keeps_times);
    }

    /// Records were lost: the figures are too low.
    pub fn lost(&mut self, records: u32) {
        self.lost += u64::from(records);
    }

    /// Appends the tables: what the traced tasks asked for, and, where there is any, what they were asked for, which takes the same time
    /// once more.
    pub fn write(&self, tables: Tables<'_>, out: &mut String) {
        let has = |served| self.routines.keys().any(|key| key.served == served);
        let table = |served, title, out: &mut String| {
            let of_table = self.routines.iter().filter(|(key, _)| key.served == served);
            let rows = of_table.map(|(key, figures)| Row { name: key.name(tables), figures: figures.clone() });
            write(out, &self.layout, title, rows.collect());
        };
        if has(false) || !has(true) {
            table(false, "routine", out);
        }
        if has(true) {
            table(true, "served", out);
        }
        if self.lost > 0 {
            out.push_str("--- ");
            remarks::lost(out, self.lost);
            out.push_str(" ---\n");
        }
    }
}
