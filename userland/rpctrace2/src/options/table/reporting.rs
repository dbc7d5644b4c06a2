// SPDX-License-Identifier: GPL-2.0-or-later
//! What is made of it: lines, a table, the answer to a question.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use crate::options::Report;
use crate::options::place::Place;
use crate::options::posix::POSIX;
use crate::options::row::{Action, Row, SAME, nothing, word_if};
use crate::options::values::{column_words, set_columns, set_min, set_question, set_sort, sort_words};

pub(super) const ROWS: &[Row] = &[
    Row {
        letter: Some('c'),
        longs: &["summary-only"],
        action: Action::Set(|options| options.report = Report::Summary),
        place: Place::Everywhere,
        help: "count, errors and time by routine instead of lines",
        others: [SAME, "none", "--with=top"],
        test: "the_summary_counts_by_routine",
        words: |options| word_if(options.report == Report::Summary, "-c"),
    },
    Row {
        letter: Some('C'),
        longs: &["summary"],
        action: Action::Set(|options| options.report = Report::Both),
        place: Place::Everywhere,
        help: "the same after the lines",
        others: [SAME, "none", "--with=top"],
        test: "the_summary_counts_by_routine",
        words: |options| word_if(options.report == Report::Both, "-C"),
    },
    POSIX,
    Row {
        letter: Some('S'),
        longs: &["summary-sort-by"],
        action: Action::Value("COLUMN", set_sort),
        place: Place::Everywhere,
        help: "the table's order: by a column of -U, largest first, or none",
        others: [SAME, "none", "none"],
        test: "the_table_has_the_columns_and_the_order_that_are_asked_for",
        words: sort_words,
    },
    Row {
        letter: Some('U'),
        longs: &["summary-columns"],
        action: Action::Value("COLUMNS", set_columns),
        place: Place::Everywhere,
        help: "the table's columns: time-percent, total-time, min-time, max-time, avg-time, p50, p99, calls, errors, name",
        others: ["the same, but for p50 and p99", "none", "none"],
        test: "the_table_has_the_columns_and_the_order_that_are_asked_for",
        words: column_words,
    },
    Row {
        letter: Some('w'),
        longs: &["summary-wall-clock"],
        action: Action::Set(|_| ()),
        place: Place::Everywhere,
        help: "accepted: times are always from request to answer, by the clock",
        others: ["not the processor's time, but the clock's", "none", "none"],
        test: "the_table_has_the_columns_and_the_order_that_are_asked_for",
        words: nothing,
    },
    Row {
        letter: None,
        longs: &["ask"],
        action: Action::Value("QUESTION", set_question),
        place: Place::Everywhere,
        help: "no lines, but at the end the answer to a question: stuck, who waits for whom; top, figures of calls; leaks, rights that come and \
               never go; ports, where each comes from; tree, which calls a call has led to; \
               coverage, which routines, codes and values were reached, with -v in full (docs/questions.md)",
        others: ["none", "none", "none"],
        test: "a_deadlock_is_found_in_the_memory_that_is_left",
        words: |options| match options.report {
            Report::Answer(question) => vec!["--ask".into(), question.name().into()],
            _ => Vec::new(),
        },
    },
    Row {
        letter: None,
        longs: &["live"],
        action: Action::Set(|options| options.live = true),
        place: Place::Everywhere,
        help: "of --ask=top: the figures so far, too, drawn anew on the terminal every second; of a capture --follow does so",
        others: ["none", "none", "none"],
        test: "figures_are_drawn_while_they_come",
        words: |options| word_if(options.live, "--live"),
    },
    Row {
        letter: None,
        longs: &["min"],
        action: Action::Value("TIME", set_min),
        place: Place::Everywhere,
        help: "of --ask=tree: only calls that took so long, such as 500us or 1ms",
        others: ["none", "none", "none"],
        test: "calls_are_told_with_what_they_led_to",
        words: |options| match options.min {
            0 => Vec::new(),
            min => vec!["--min".into(), format!("{min}ns")],
        },
    },
];
