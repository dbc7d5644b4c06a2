// SPDX-License-Identifier: GPL-2.0-or-later
//! A table of figures: its columns and its order, by strace's names for them.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::fmt::Write;

use crate::figures::Figures;

/// Nanoseconds of a microsecond.
const MICROSECOND: u64 = 1000;
/// Microseconds of a second.
const SECOND: u64 = 1_000_000;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Share of all time.
    TimePercent,
    /// Seconds in all.
    TotalTime,
    /// The shortest call, in seconds.
    MinTime,
    /// The longest call, in seconds.
    MaxTime,
    /// Microseconds of a call on average.
    AverageTime,
    /// What half of the answers did not exceed, in seconds, to an eighth of itself.
    P50,
    /// What 99 of 100 answers did not exceed, likewise.
    P99,
    /// How many calls.
    Calls,
    /// How many of them failed.
    Errors,
    /// What is called.
    Name,
}

/// Columns by the names that strace's `-U` takes, the one that is written first; the last two are ours.
const COLUMNS: [(Column, &[&str]); 10] = [
    (Column::TimePercent, &["time-percent", "time"]),
    (Column::TotalTime, &["total-time", "time-total"]),
    (Column::MinTime, &["min-time", "shortest", "time-min"]),
    (Column::MaxTime, &["max-time", "longest", "time-max"]),
    (Column::AverageTime, &["avg-time", "time-avg"]),
    (Column::Calls, &["calls", "count"]),
    (Column::Errors, &["errors", "error"]),
    (Column::Name, &["name", "syscall", "syscall-name", "routine"]),
    (Column::P50, &["p50"]),
    (Column::P99, &["p99"]),
];

/// In which order rows stand: that of a column, largest first but for names, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// By a column.
    By(Column),
    /// By the numbers of the routines.
    None,
}

/// What a table looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// From left to right.
    pub columns: Vec<Column>,
    /// From top to bottom.
    pub sort: Sort,
    /// How wide it may be, which shortens names; 0 if that does not matter.
    pub width: usize,
}

/// Characters of a name that are shown however narrow a table is, and those that all columns are not worth.
const LEAST: usize = 8;
const USUAL: usize = 24;

impl Default for Layout {
    fn default() -> Self {
        use Column::{AverageTime, Calls, Errors, Name, TimePercent, TotalTime};
        let columns = Vec::from([TimePercent, TotalTime, AverageTime, Calls, Errors, Name]);
        Self { columns, sort: Sort::By(Column::TotalTime), width: 0 }
    }
}

impl Column {
    /// By a name of it.
    fn of(name: &str) -> Option<Self> {
        COLUMNS.iter().find(|column| column.1.contains(&name)).map(|column| column.0)
    }

    /// The name that is written.
    pub fn name(self) -> &'static str {
        COLUMNS.iter().find(|column| column.0 == self).and_then(|column| column.1.first()).map_or("", |name| name)
    }

    /// What stands above it.
    const fn head(self) -> &'static str {
        match self {
            Self::TimePercent => "% time",
            Self::TotalTime => "seconds",
            Self::MinTime => "shortest",
            Self::MaxTime => "longest",
            Self::AverageTime => "usecs/call",
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::Calls => "calls",
            Self::Errors => "errors",
            Self::Name => "",
        }
    }

    const fn width(self) -> usize {
        match self {
            Self::TimePercent => 6,
            Self::Calls | Self::Errors => 9,
            Self::Name => 16,
            _ => 11,
        }
    }

    /// By what rows are sorted that are sorted by it.
    fn measure(self, figures: &Figures) -> u64 {
        match self {
            Self::TimePercent | Self::TotalTime => figures.total,
            Self::MinTime => figures.min,
            Self::MaxTime => figures.max,
            Self::AverageTime => figures.mean(),
            Self::P50 => figures.quantile(500),
            Self::P99 => figures.quantile(990),
            Self::Calls => figures.calls,
            Self::Errors => figures.errors,
            Self::Name => 0,
        }
    }
}

impl Layout {
    /// Reads the columns that strace's `-U` takes, separated by commas; if none of them is the name that comes last.
    pub fn columns(text: &str) -> Option<Vec<Column>> {
        let mut columns = text.split(',').map(Column::of).collect::<Option<Vec<_>>>()?;
        let is_twice = |column: &Column| columns.iter().filter(|other| *other == column).count() > 1;
        if columns.iter().any(is_twice) {
            return None;
        }
        if !columns.contains(&Column::Name) {
            columns.push(Column::Name);
        }
        Some(columns)
    }

    /// What its width leaves for names that stand behind all other columns.
    fn room(&self) -> usize {
        let others = self.columns.iter().filter(|column| **column != Column::Name);
        let taken: usize = others.map(|column| column.width() + 1).sum();
        if self.width == 0 { usize::MAX } else { self.width.saturating_sub(taken) }
    }

    /// Leaves columns out, the first ones first, until there is room for names.
    pub(crate) fn make_room(&mut self, spare: &[Column]) {
        for column in spare {
            if self.room() >= USUAL {
                return;
            }
            self.columns.retain(|kept| kept != column);
        }
    }

    /// Whether each time is to be kept.
    pub(crate) fn needs_times(&self) -> bool {
        let needs = |column: &Column| matches!(column, Column::P50 | Column::P99);
        self.columns.iter().any(needs) || matches!(&self.sort, Sort::By(column) if needs(column))
    }
}

impl Sort {
    /// Reads what strace's `-S` takes, or `p50` or `p99`.
    pub fn of(text: &str) -> Option<Self> {
        match text {
            "none" | "nothing" => Some(Self::None),
            _ => Column::of(text).map(Self::By),
        }
    }

    /// The name that is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::By(column) => column.name(),
            Self::None => "none",
        }
    }
}

/// A row of a table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) figures: Figures,
}

/// Appends a table with a line of sums; `title` is what stands above the names.
pub(crate) fn write(out: &mut String, layout: &Layout, title: &str, rows: Vec<Row>) {
    write_first(out, layout, title, rows, usize::MAX);
}

/// Appends the first so many rows of a table, with a line of the sums of all.
pub(crate) fn write_first(out: &mut String, layout: &Layout, title: &str, mut rows: Vec<Row>, most: usize) {
    match layout.sort {
        Sort::None => {}
        Sort::By(column) => rows.sort_by_cached_key(|Row { name, figures }| {
            (
                Reverse(column.measure(figures)),
                Reverse(if column == Column::Name { 0 } else { figures.calls }),
                name.clone(),
            )
        }),
    }
    let mut total = Row { name: String::from("total"), figures: Figures::default() };
    rows.iter().for_each(|row| total.figures.add(&row.figures));
    line(out, layout, |cell, column| cell.push_str(if column == Column::Name { title } else { column.head() }));
    let rule = |out: &mut String| {
        line(out, layout, |cell, column| (0..column.width()).for_each(|_| cell.push('-')));
    };
    rule(out);
    for row in rows.iter().take(most) {
        line(out, layout, |text, column| cell(text, column, row, total.figures.total));
    }
    if rows.len() > most {
        let _ = write!(total.name, " with {} more", rows.len() - most);
    }
    rule(out);
    line(out, layout, |text, column| cell(text, column, &total, total.figures.total));
}

/// Appends a line: its cells are as wide as their columns are, numbers to the right, the name to the left.
fn line(out: &mut String, layout: &Layout, cell: impl Fn(&mut String, Column)) {
    let mut text = String::new();
    for (place, column) in layout.columns.iter().enumerate() {
        text.clear();
        cell(&mut text, *column);
        let is_last = place + 1 == layout.columns.len();
        let _ = match column {
            Column::Name if is_last => write!(out, "{}", shortened(&mut text, layout.room().max(LEAST))),
            Column::Name => write!(out, "{text:<width$} ", width = column.width()),
            _ if is_last => write!(out, "{text:>width$}", width = column.width()),
            _ => write!(out, "{text:>width$} ", width = column.width()),
        };
    }
    out.push('\n');
}

/// A name in so many characters.
fn shortened(name: &mut String, room: usize) -> &str {
    const MORE: &str = "...";
    if name.chars().count() > room {
        let kept = name.char_indices().nth(room.saturating_sub(MORE.len())).map_or(0, |(at, _)| at);
        name.truncate(kept);
        name.push_str(MORE);
    }
    name
}

/// What stands in a column of a row. There is no floating point in the guest.
fn cell(out: &mut String, column: Column, row: &Row, total: u64) {
    let figures = &row.figures;
    let seconds = |out: &mut String, time: u64| {
        let micros = time / MICROSECOND;
        write!(out, "{}.{:06}", micros / SECOND, micros % SECOND)
    };
    // Writing to a String cannot fail.
    let _ = match column {
        Column::TimePercent => {
            // In hundredths of a percent, in wider numbers than can overflow.
            let share = (u128::from(figures.total) * 10_000).checked_div(u128::from(total)).unwrap_or(0);
            write!(out, "{}.{:02}", share / 100, share % 100)
        }
        Column::TotalTime => seconds(out, figures.total),
        Column::MinTime => seconds(out, figures.min),
        Column::MaxTime => seconds(out, figures.max),
        Column::P50 => seconds(out, figures.quantile(500)),
        Column::P99 => seconds(out, figures.quantile(990)),
        Column::AverageTime => write!(out, "{}", figures.mean() / MICROSECOND),
        Column::Calls => write!(out, "{}", figures.calls),
        Column::Errors if figures.errors == 0 => Ok(()),
        Column::Errors => write!(out, "{}", figures.errors),
        Column::Name => write!(out, "{}", row.name),
    };
}
