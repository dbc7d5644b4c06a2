// SPDX-License-Identifier: GPL-2.0-or-later
//! The options: every one a row, from which the parser, the help, the manual page, docs/options.md and the tests follow.

use super::row::Row;

mod files;
mod others;
mod reporting;
mod selecting;
mod style;
mod tracing;

/// All options, in the order in which the help lists them.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    [selecting::ROWS, reporting::ROWS, files::ROWS, tracing::ROWS, style::ROWS, others::ROWS].into_iter().flatten()
}
