// SPDX-License-Identifier: GPL-2.0-or-later
//! What it is decoded with, the command's environment, and what is only printed.

use alloc::string::ToString;

use crate::options::place::Place;
use crate::options::row::{Action, Row, SAME, nothing};

pub(super) const ROWS: &[Row] = &[
    Row {
        letter: Some('I'),
        longs: &[],
        action: Action::Value("DIR", |options, value| {
            options.host.directories.push(value.to_string());
            Ok(())
        }),
        place: Place::Files,
        help: "decode with .defs, .msgids, .annotations, .mdt of DIR too; the last DIR wins. On a Hurd with .msgids and .mdt",
        others: ["none: it says what Ctrl-C does", "the same, .msgids alone", "--fidl-ir-path"],
        test: "messages_decode_with_definitions_of_the_user",
        words: nothing,
    },
    Row {
        letter: Some('i'),
        longs: &["rpc-list"],
        action: Action::Value("FILE", |options, value| {
            options.host.rpc_lists.push(value.to_string());
            Ok(())
        }),
        place: Place::Files,
        help: "names of routines from FILE too, as `mig -list` writes them (.msgids), or decode tables (.mdt)",
        others: ["none: it prints the instruction pointer", SAME, "--fidl-ir-path"],
        test: "a_list_of_routines_is_a_file",
        words: nothing,
    },
    Row {
        letter: None,
        longs: &["nostdinc"],
        action: Action::Set(|options| options.host.nostdinc = true),
        place: Place::Files,
        help: "decode with -I and -i alone",
        others: ["none", SAME, "none"],
        test: "the_hosts_options_stay_there",
        words: nothing,
    },
    Row {
        letter: Some('E'),
        longs: &["env"],
        action: Action::Value("VAR[=VALUE]", |options, value| {
            options.host.environment.push(value.to_string());
            Ok(())
        }),
        place: Place::Host,
        help: "put VAR=VALUE into the command's environment, which is empty otherwise; VAR alone takes it out",
        others: [SAME, SAME, "none"],
        test: "variables_are_put_in_and_taken_out",
        words: nothing,
    },
    Row {
        letter: Some('V'),
        longs: &["version"],
        action: Action::Version,
        place: Place::Everywhere,
        help: "the version",
        others: [SAME, SAME, "not looked at"],
        test: "help_lists_every_option",
        words: nothing,
    },
    Row {
        letter: Some('h'),
        longs: &["help"],
        action: Action::Help,
        place: Place::Everywhere,
        help: "this text",
        others: [SAME, "--help", "not looked at"],
        test: "help_lists_every_option",
        words: nothing,
    },
];
