// SPDX-License-Identifier: GPL-2.0-or-later
//! How often each routine was called, how often it failed, how long it took.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use exchanges::exchange::{Exchange, Outcome, Role, Tally};
use mig_defs::table::Tables;

use crate::lines::subject;
use crate::remarks;

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// Others ask a traced task, or the kernel about it.
    served: bool,
    /// `msgh_id` of the request; `None` of a `mach_msg` that failed without a known one.
    msgh_id: Option<u32>,
    /// It is a routine's that has this id.
    has_routine: bool,
}

/// Figures of one routine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Figures {
    calls: u64,
    errors: u64,
    nanoseconds: u64,
}

/// Figures of all routines.
#[derive(Debug, Default)]
pub struct Summary {
    routines: BTreeMap<Key, Figures>,
    lost: u64,
}

impl Summary {
    /// A request was seen.
    pub fn opened(&mut self, exchange: &Exchange<'_>) {
        self.figures(exchange).calls += 1;
    }

    /// Nothing more will be known of it.
    pub fn closed(&mut self, exchange: &Exchange<'_>) {
        let took = exchange.duration().filter(|_| matches!(exchange.role, Role::Client | Role::Server));
        let figures = self.figures(exchange);
        figures.calls += u64::from(matches!(exchange.outcome, Outcome::Failed(_)));
        figures.errors += u64::from(exchange.has_failed());
        figures.nanoseconds = figures.nanoseconds.saturating_add(took.unwrap_or(0));
    }

    /// A step of an exchange of a known routine that is not told otherwise.
    pub fn counted(&mut self, tally: Tally) {
        let (Tally::Asked { msgh_id } | Tally::Answered { msgh_id, .. }) = tally;
        let key = Key { served: false, msgh_id: Some(msgh_id), has_routine: true };
        let figures = self.routines.entry(key).or_default();
        match tally {
            Tally::Asked { .. } => figures.calls += 1,
            Tally::Answered { failed, nanoseconds, .. } => {
                figures.errors += u64::from(failed);
                figures.nanoseconds = figures.nanoseconds.saturating_add(nanoseconds);
            }
        }
    }

    /// Records were lost: the figures are too low.
    pub fn lost(&mut self, records: u32) {
        self.lost += u64::from(records);
    }

    fn figures(&mut self, exchange: &Exchange<'_>) -> &mut Figures {
        let served = !matches!(exchange.role, Role::Client | Role::Failed);
        let is_known = exchange.role != Role::Failed || exchange.subject.routine.is_some();
        let msgh_id = exchange.subject.msgh_id.filter(|_| is_known);
        let has_routine = exchange.subject.routine.is_some();
        self.routines.entry(Key { served, msgh_id, has_routine }).or_default()
    }

    /// Appends the tables: what the traced tasks asked for, and, where there is any, what they were asked for, which takes the same time
    /// once more.
    pub fn write(&self, tables: Tables<'_>, out: &mut String) {
        let has = |served| self.routines.keys().any(|key| key.served == served);
        if has(false) || !has(true) {
            self.table(tables, false, out);
        }
        if has(true) {
            self.table(tables, true, out);
        }
        if self.lost > 0 {
            out.push_str("--- ");
            remarks::lost(out, self.lost);
            out.push_str(" ---\n");
        }
    }

    /// Most time first, then most calls, then by name.
    fn table(&self, tables: Tables<'_>, served: bool, out: &mut String) {
        let of_table = self.routines.iter().filter(|(key, _)| key.served == served);
        let mut rows: Vec<(String, Figures)> = of_table.map(|(key, figures)| (name(tables, *key), *figures)).collect();
        rows.sort_by(|(one, first), (other, second)| {
            let more = |figures: &Figures| (u64::MAX - figures.nanoseconds, u64::MAX - figures.calls);
            (more(first), one).cmp(&(more(second), other))
        });
        let total = rows.iter().fold(Figures::default(), |sum, (_, figures)| Figures {
            calls: sum.calls + figures.calls,
            errors: sum.errors + figures.errors,
            nanoseconds: sum.nanoseconds.saturating_add(figures.nanoseconds),
        });
        let rule = "------ ----------- ----------- --------- --------- ----------------\n";
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "% time     seconds  usecs/call     calls    errors {}",
            if served { "served" } else { "routine" }
        );
        out.push_str(rule);
        for (name, figures) in rows {
            row(out, &name, figures, total.nanoseconds);
        }
        out.push_str(rule);
        row(out, "total", total, total.nanoseconds);
    }
}

fn name(tables: Tables<'_>, Key { msgh_id, has_routine, .. }: Key) -> String {
    let mut name = String::new();
    let routine = msgh_id.filter(|_| has_routine).and_then(|id| tables.request(id));
    subject(&mut name, exchanges::Subject { msgh_id, routine, failed: false });
    name
}

fn row(out: &mut String, name: &str, figures: Figures, total: u64) {
    let Figures { calls, errors, nanoseconds } = figures;
    // In hundredths of a percent, in wider numbers than can overflow; there is no floating point in the guest.
    let share = (u128::from(nanoseconds) * 10_000).checked_div(u128::from(total)).unwrap_or(0);
    let (seconds, micros) = (nanoseconds / 1_000_000_000, nanoseconds / 1000 % 1_000_000);
    let each = (nanoseconds / 1000).checked_div(calls).unwrap_or(0);
    let _ = write!(out, "{:>3}.{:02} {seconds:>4}.{micros:06} {each:>11} {calls:>9} ", share / 100, share % 100);
    let _ = match errors {
        0 => writeln!(out, "{:>9} {name}", ""),
        _ => writeln!(out, "{errors:>9} {name}"),
    };
}
