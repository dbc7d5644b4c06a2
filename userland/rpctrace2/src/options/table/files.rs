// SPDX-License-Identifier: GPL-2.0-or-later
//! Where it goes, and comes from.

use alloc::string::ToString;

use crate::options::place::Place;
use crate::options::row::{Action, Row, SAME, nothing};
use crate::options::values::set_output;

pub(super) const ROWS: &[Row] = &[
    Row {
        letter: Some('o'),
        longs: &["output"],
        action: Action::Value("FILE", set_output),
        place: Place::Files,
        help: "write the trace to FILE, to standard output if it is -, to a command if it begins with |",
        others: ["FILE, |COMMAND, !COMMAND", "FILE", "--to"],
        test: "the_trace_goes_where_it_is_to_go",
        words: nothing,
    },
    Row {
        letter: Some('A'),
        longs: &["output-append-mode"],
        action: Action::Set(|options| options.host.append = true),
        place: Place::Files,
        help: "append to the FILE of -o",
        others: [SAME, "none", "none"],
        test: "the_trace_goes_where_it_is_to_go",
        words: nothing,
    },
    Row {
        letter: None,
        longs: &["capture"],
        action: Action::Value("FILE", |options, value| {
            options.host.capture = Some(value.to_string());
            Ok(())
        }),
        place: Place::Files,
        help: "keep every message in FILE, too, whatever is printed; `cargo rpctrace2 show FILE` prints it again (docs/capture.md)",
        others: ["none", "none", "--save"],
        test: "what_is_shown_of_a_capture_is_what_was_printed",
        words: nothing,
    },
    Row {
        letter: None,
        longs: &["follow"],
        action: Action::Set(|options| options.host.follow = true),
        place: Place::Show,
        help: "wait for more where FILE ends, until its trace does",
        others: ["none", "none", "none"],
        test: "a_capture_that_grows_is_followed",
        words: nothing,
    },
    Row {
        letter: None,
        longs: &["to"],
        action: Action::Value("FORM", |options, value| {
            options.host.to = Some(value.to_string());
            Ok(())
        }),
        place: Place::Show,
        help: "with `cargo rpctrace2 export`: write what is selected of FILE in a form that other tools read, to the file of -o \
               (docs/export.md); `cargo rpctrace2 export` lists the forms",
        others: ["none", "none", "none"],
        test: "a_capture_is_written_in_each_form",
        words: nothing,
    },
];
