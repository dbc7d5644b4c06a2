// SPDX-License-Identifier: GPL-2.0-or-later
//! What lines look like.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use report::{Stamp, Strings};

use crate::options::place::Place;
use crate::options::row::{Action, Row, SAME, nothing, word_if};
use crate::options::values::{add_stamp, set_color, set_column, set_form, set_string_size, set_strings};

pub(super) const ROWS: &[Row] = &[
    Row {
        letter: Some('s'),
        longs: &["string-limit"],
        action: Action::Value("SIZE", set_string_size),
        place: Place::Everywhere,
        help: "print at most SIZE bytes of a string (80)",
        others: ["the same (32)", SAME, "none"],
        test: "mistakes_are_named",
        words: |options| match options.style.string_size {
            size if size == report::Style::default().string_size => Vec::new(),
            size => vec!["-s".into(), size.to_string()],
        },
    },
    Row {
        letter: Some('x'),
        longs: &["strings-in-hex"],
        action: Action::Optional("WHEN", set_strings),
        place: Place::Everywhere,
        help: "strings with other than ASCII in hexadecimal; -xx all strings. WHEN is non-ascii or all",
        others: [SAME, "none", "none"],
        test: "strings_in_hexadecimal",
        words: |options| match options.style.strings {
            Strings::Escaped => Vec::new(),
            Strings::OtherHexadecimal => word_if(true, "-x"),
            Strings::Hexadecimal => word_if(true, "-xx"),
        },
    },
    Row {
        letter: None,
        longs: &["dump-messages"],
        action: Action::Set(|options| options.style.dump = true),
        place: Place::Everywhere,
        help: "the bytes of each message",
        others: ["-e read=, -e write=", "none", SAME],
        test: "a_dump_shows_both_messages",
        words: |options| word_if(options.style.dump, "--dump-messages"),
    },
    Row {
        letter: Some('v'),
        longs: &["no-abbrev"],
        action: Action::Set(|options| options.style.verbose = true),
        place: Place::Everywhere,
        help: "abbreviate nothing; names of ports, traps that give rights, options of failed mach_msg calls",
        others: [SAME, "none", "none"],
        test: "verbose_abbreviates_nothing",
        words: |options| word_if(options.style.verbose, "-v"),
    },
    Row {
        letter: Some('X'),
        longs: &["form"],
        action: Action::Value("FORM", set_form),
        place: Place::Everywhere,
        help: "raw: in each line what is otherwise left out, as with -v: the caller's own port, KERN_SUCCESS; calls that give back \
               rights and those of exec, a line each. abbrev: as usual",
        others: ["how constants are written", "none", "none"],
        test: "the_raw_form_repeats_what_is_usually_left_out",
        words: |options| word_if(options.style.raw, "-Xraw"),
    },
    Row {
        letter: Some('q'),
        longs: &["quiet", "silent"],
        action: Action::Set(|options| options.style.quiet = true),
        place: Place::Everywhere,
        help: "no lines about exits",
        others: ["no lines about attaching; exits with -qq", "none", "none"],
        test: "the_exit_is_a_line_unless_quiet",
        words: |options| word_if(options.style.quiet, "-q"),
    },
    Row {
        letter: Some('t'),
        longs: &["absolute-timestamps"],
        action: Action::Set(add_stamp),
        place: Place::Everywhere,
        help: "time of day (UTC) before each line; -tt with microseconds; -ttt seconds since the epoch",
        others: ["the same, in local time", SAME, "none"],
        test: "times_stand_before_lines",
        words: |options| match options.style.stamp {
            Stamp::None | Stamp::Relative => Vec::new(),
            Stamp::Day => word_if(true, "-t"),
            Stamp::DayMicroseconds => word_if(true, "-tt"),
            Stamp::Epoch => word_if(true, "-ttt"),
        },
    },
    Row {
        letter: Some('r'),
        longs: &["relative-timestamps"],
        action: Action::Set(|options| options.style.stamp = Stamp::Relative),
        place: Place::Everywhere,
        help: "time since the line before",
        others: [SAME, "none", "none"],
        test: "times_stand_before_lines",
        words: |options| word_if(options.style.stamp == Stamp::Relative, "-r"),
    },
    Row {
        letter: Some('T'),
        longs: &["syscall-times"],
        action: Action::Set(|options| options.style.durations = true),
        place: Place::Everywhere,
        help: "how long each RPC took",
        others: [SAME, "none", "none"],
        test: "durations_stand_behind_results",
        words: |options| word_if(options.style.durations, "-T"),
    },
    Row {
        letter: Some('a'),
        longs: &["columns"],
        action: Action::Value("COLUMN", set_column),
        place: Place::Host,
        help: "move results to this column (0: leave them where they are); all tasks of a Hurd are -p all",
        others: ["the same (40)", "none", "none: its --columns is the width of lines"],
        test: "results_stand_in_a_column",
        words: nothing,
    },
    Row {
        letter: None,
        longs: &["color"],
        action: Action::Optional("WHEN", set_color),
        place: Place::Host,
        help: "colors on a terminal; WHEN is auto, always or never",
        others: [SAME, "none", "none: on a terminal"],
        test: "colors_add_nothing_but_colors",
        words: nothing,
    },
];
