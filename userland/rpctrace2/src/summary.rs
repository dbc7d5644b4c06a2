//! `-c`: how often each routine was called, how often it failed, how long it took.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

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
    routines: BTreeMap<String, Figures>,
    lost: u64,
}

impl Summary {
    /// A message of this routine was sent or served, or failed to be.
    pub fn count(&mut self, routine: &str) {
        self.figures(routine).calls += 1;
    }

    /// It failed.
    pub fn error(&mut self, routine: &str) {
        self.figures(routine).errors += 1;
    }

    /// It took so long.
    pub fn time(&mut self, routine: &str, nanoseconds: u64) {
        let figures = self.figures(routine);
        figures.nanoseconds = figures.nanoseconds.saturating_add(nanoseconds);
    }

    /// Records were lost: the figures are too low.
    pub fn lost(&mut self, records: u32) {
        self.lost += u64::from(records);
    }

    fn figures(&mut self, routine: &str) -> &mut Figures {
        if !self.routines.contains_key(routine) {
            self.routines.insert(routine.to_string(), Figures::default());
        }
        self.routines.entry(routine.to_string()).or_default()
    }

    /// The table: most time first, then most calls, then by name.
    pub fn write(&self, out: &mut String) {
        let mut rows: Vec<(&String, &Figures)> = self.routines.iter().collect();
        rows.sort_by_key(|(name, figures)| (u64::MAX - figures.nanoseconds, u64::MAX - figures.calls, name.as_str()));
        let total = rows.iter().fold(Figures::default(), |sum, (_, figures)| Figures {
            calls: sum.calls + figures.calls,
            errors: sum.errors + figures.errors,
            nanoseconds: sum.nanoseconds.saturating_add(figures.nanoseconds),
        });
        let rule = "------ ----------- ----------- --------- --------- ----------------\n";
        // Writing to a String cannot fail.
        let _ = writeln!(out, "% time     seconds  usecs/call     calls    errors routine");
        out.push_str(rule);
        for (name, figures) in rows {
            row(out, name, *figures, total.nanoseconds);
        }
        out.push_str(rule);
        row(out, "total", total, total.nanoseconds);
        if self.lost > 0 {
            let _ = writeln!(out, "--- {} records lost ---", self.lost);
        }
    }
}

fn row(out: &mut String, name: &str, figures: Figures, total: u64) {
    let Figures { calls, errors, nanoseconds } = figures;
    // In hundredths of a percent, in wider numbers than can overflow; there is no floating point in the guest.
    let share = (u128::from(nanoseconds) * 10_000).checked_div(u128::from(total)).unwrap_or(0);
    let (seconds, micros) = (nanoseconds / 1_000_000_000, nanoseconds / 1000 % 1_000_000);
    let each = (nanoseconds / 1000).checked_div(calls).unwrap_or(0);
    let errors = if errors == 0 { String::new() } else { errors.to_string() };
    let _ = writeln!(
        out,
        "{:>3}.{:02} {seconds:>4}.{micros:06} {each:>11} {calls:>9} {errors:>9} {name}",
        share / 100,
        share % 100
    );
}
