// SPDX-License-Identifier: GPL-2.0-or-later
//! Who asks for what how often, how long it takes and how it fails: by task, by subsystem, by routine.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use exchanges::exchange::{Exchange, Remark, Tally};
use exchanges::{Actor, Event, Names, Sink, TaskIndex};
use mig_defs::table::Tables;

use super::say;
use crate::analysis::{Analysis, Found};
use crate::figures::{Figures, Key};
use crate::number::{decimal, padded};
use crate::ports::label;
use crate::table::{Column, Layout, Row, Sort, write, write_first};

/// Routines whose times are drawn: those that take the most time.
const DRAWN: usize = 10;
/// Characters of the longest bar.
const BAR: u64 = 40;
/// What stands before a bar.
const BESIDE: usize = "  0.000000512 to 0.000001024         1 ".len();

/// Figures of all routines of each task.
#[derive(Debug)]
pub(crate) struct Top<'t> {
    tables: Tables<'t>,
    figures: BTreeMap<(TaskIndex, Key), Figures>,
    /// How often a routine failed with a code.
    errors: BTreeMap<(Key, i32), u64>,
    lost: u64,
    /// How wide the answer may be; 0 if that does not matter.
    width: usize,
}

impl<'t> Top<'t> {
    pub(crate) fn new(tables: Tables<'t>, width: usize) -> Self {
        Self { tables, figures: BTreeMap::new(), errors: BTreeMap::new(), lost: 0, width }
    }

    fn figures(&mut self, exchange: &Exchange<'_>) -> &mut Figures {
        self.figures.entry((exchange.actor.task, Key::of(exchange))).or_default()
    }

    /// Rows of what has the same name; `None` is left out.
    fn rows(&self, name: impl Fn(TaskIndex, Key) -> Option<String>) -> Vec<Row> {
        let mut rows: BTreeMap<String, Figures> = BTreeMap::new();
        for ((task, key), figures) in &self.figures {
            if let Some(name) = name(*task, *key) {
                rows.entry(name).or_default().add(figures);
            }
        }
        rows.into_iter().map(|(name, figures)| Row { name, figures }).collect()
    }

    /// Rows of tasks that ask, or that are asked.
    fn by_task(&self, names: &Names, served: bool) -> Vec<Row> {
        self.rows(|task, key| {
            let mut name = String::new();
            label(&mut name, names.label(task, 0));
            Some(name).filter(|_| key.served == served)
        })
    }

    fn write_lost(&self, out: &mut String) {
        if self.lost > 0 {
            let _ = writeln!(out, "{} records are lost: the figures are too low", self.lost);
        }
    }

    fn subsystem(&self, key: Key) -> String {
        let routine = key.msgh_id.filter(|_| key.has_routine).and_then(|id| self.tables.request(id));
        routine.map_or("unknown", |routine| routine.subsystem()).to_string()
    }

    fn write_errors(&self, out: &mut String) {
        let mut last = None;
        for ((key, code), count) in &self.errors {
            if last.replace(*key) == Some(*key) {
                out.push_str(", ");
            } else {
                out.push_str(if last.is_some() && !out.ends_with('\n') { "\n" } else { "" });
                out.push_str(if key.served { "errors of served " } else { "errors of " });
                out.push_str(&key.name(self.tables));
                out.push_str(": ");
            }
            match self.tables.error_name(*code) {
                Some(name) => out.push_str(name),
                None => drop(write!(out, "{code:#x}")),
            }
            out.push(' ');
            decimal(out, *count);
        }
        out.push_str(if last.is_some() { "\n" } else { "" });
    }

    /// Draws how long the answers took of what takes longest, each power of two a line.
    fn write_times(&self, mut rows: Vec<Row>, out: &mut String) {
        rows.retain(|row| row.figures.answers > 1);
        rows.sort_by_key(|row| u64::MAX - row.figures.total);
        let bar = if self.width == 0 { BAR } else { BAR.min(self.width.saturating_sub(BESIDE) as u64).max(1) };
        for Row { name, figures } in rows.iter().take(DRAWN) {
            out.push_str(name);
            out.push_str(": ");
            say::count(out, figures.answers, "answer", "answers");
            out.push('\n');
            let powers = figures.times.powers();
            let most = powers.iter().map(|power| power.2).max().unwrap_or(1);
            for (first, end, count) in powers {
                out.push_str("  ");
                time(out, first);
                out.push_str(" to ");
                time(out, end);
                let _ = write!(out, " {count:>9} ");
                let length = (u128::from(count) * u128::from(bar)).div_ceil(u128::from(most));
                (0..length).for_each(|_| out.push('#'));
                out.truncate(out.trim_end().len());
                out.push('\n');
            }
        }
    }
}

/// Appends nanoseconds as seconds, to the nanosecond.
fn time(out: &mut String, nanoseconds: u64) {
    decimal(out, nanoseconds / 1_000_000_000);
    out.push('.');
    padded(out, nanoseconds % 1_000_000_000, 9);
}

/// All figures, or those that matter most where there is no room.
fn layout(width: usize) -> Layout {
    use Column::{AverageTime, Calls, Errors, MaxTime, MinTime, Name, P50, P99, TimePercent, TotalTime};
    let columns = Vec::from([TimePercent, TotalTime, MinTime, P50, P99, MaxTime, AverageTime, Calls, Errors, Name]);
    let mut layout = Layout { columns, sort: Sort::By(TotalTime), width };
    layout.make_room(&[AverageTime, MinTime, MaxTime, TimePercent, P50, P99]);
    layout
}

impl<'t> Analysis<'t> for Top<'t> {
    fn finish(&mut self, names: &Names, out: &mut String) -> Found {
        let layout = layout(self.width);
        for (served, title) in [(false, "task"), (true, "task that serves")] {
            let rows = self.by_task(names, served);
            if rows.is_empty() {
                continue;
            }
            write(out, &layout, title, rows);
            out.push('\n');
            let of = |title: &str| [title, if served { " served" } else { "" }].concat();
            write(
                out,
                &layout,
                &of("subsystem"),
                self.rows(|_, key| Some(self.subsystem(key)).filter(|_| key.served == served)),
            );
            out.push('\n');
            let rows = self.rows(|_, key| Some(key.name(self.tables)).filter(|_| key.served == served));
            write(out, &layout, &of("routine"), rows.clone());
            out.push('\n');
            self.write_times(rows, out);
        }
        self.write_errors(out);
        if self.figures.is_empty() {
            out.push_str("no call is recorded\n");
        }
        self.write_lost(out);
        Found::Nothing
    }

    fn so_far(&self, names: &Names, lines: usize, out: &mut String) {
        self.write_lost(out);
        let served = |wanted| move |key: &Key| key.served == wanted;
        let by_name = |wanted| self.rows(|_, key| Some(key.name(self.tables)).filter(|_| served(wanted)(&key)));
        let tables = [("task", self.by_task(names, false)), ("routine", by_name(false)), ("served", by_name(true))];
        let tables = tables.into_iter().filter(|(_, rows)| !rows.is_empty()).collect::<Vec<_>>();
        // Each has its head, two rules, the sums and an empty line. What one does not need others have.
        let mut room = lines.saturating_sub(1 + 5 * tables.len());
        let mut left = tables.len();
        let mut shown: Vec<usize> = tables.iter().map(|(_, rows)| rows.len()).collect();
        let mut order: Vec<usize> = (0..tables.len()).collect();
        order.sort_by_key(|place| tables.get(*place).map_or(0, |(_, rows)| rows.len()));
        for place in order {
            if let Some(count) = shown.get_mut(place) {
                *count = (*count).min(room.checked_div(left).unwrap_or(0));
                (room, left) = (room - *count, left - 1);
            }
        }
        for ((title, rows), most) in tables.into_iter().zip(shown) {
            write_first(out, &Layout::default(), title, rows, most);
            out.push('\n');
        }
    }
}

impl<'t> Sink<'t> for Top<'t> {
    fn opened(&mut self, _: &Names, exchange: &Exchange<'t>) {
        self.figures(exchange).calls += 1;
    }

    fn closed(&mut self, _: &Names, exchange: &Exchange<'t>) {
        self.figures(exchange).closed(exchange, true);
        // The news that the right to answer died has none.
        if let Some(code) = exchange.code().filter(|_| exchange.has_failed()) {
            *self.errors.entry((Key::of(exchange), code)).or_default() += 1;
        }
    }

    fn counted(&mut self, _: Tally) {}

    fn given(&mut self, _: &Names, _: Actor, _: &Event) {}

    fn remark(&mut self, _: &Names, _: u64, remark: &Remark) {
        if let Remark::Lost(count) = remark {
            self.lost = self.lost.saturating_add((*count).into());
        }
    }
}
