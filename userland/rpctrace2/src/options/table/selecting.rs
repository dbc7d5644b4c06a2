// SPDX-License-Identifier: GPL-2.0-or-later
//! What is printed of all that comes.

use alloc::format;

use crate::options::Status;
use crate::options::place::Place;
use crate::options::row::{Action, Row, SAME, nothing};
use crate::options::values::{add_expression, status_words};

pub(super) const ROWS: &[Row] = &[
    Row {
        letter: Some('e'),
        longs: &["expr"],
        action: Action::Value("[trace=]SET or status=SET", add_expression),
        place: Place::Everywhere,
        help: "trace=: only these routines, subsystems, msgh_ids, /regular expressions, %classes; mach_msg: failed calls; \
               !SET: all but these; ?NAME: if it is known. status=: successful, failed, unfinished",
        others: [SAME, "none", "--messages, --exclude-messages"],
        test: "expressions_select_lines",
        words: |options| options.expressions.iter().flat_map(|text| ["-e".into(), format!("trace={text}")]).collect(),
    },
    Row {
        letter: Some('z'),
        longs: &["successful-only"],
        action: Action::Set(|options| options.status = Status { successful: true, ..Status::NONE }),
        place: Place::Everywhere,
        help: "only calls that succeed",
        others: [SAME, "none", "none"],
        test: "only_calls_with_a_status_are_shown",
        words: status_words,
    },
    Row {
        letter: Some('Z'),
        longs: &["failed-only"],
        action: Action::Set(|options| options.status = Status { failed: true, ..Status::NONE }),
        place: Place::Everywhere,
        help: "only calls that fail",
        others: [SAME, "none", "none"],
        test: "only_calls_with_a_status_are_shown",
        words: nothing,
    },
    Row {
        letter: Some('f'),
        longs: &["follow-forks"],
        action: Action::Set(|_| ()),
        place: Place::Everywhere,
        help: "accepted: children are always followed",
        others: ["children are followed only with it", "none: always", "none: always"],
        test: "options_end_at_the_command",
        words: nothing,
    },
];
