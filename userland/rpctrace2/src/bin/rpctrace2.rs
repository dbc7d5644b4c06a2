// SPDX-License-Identifier: GPL-2.0-or-later
//! rpctrace2 on Linux: what is done with a capture (`cargo rpctrace2`).

use std::process::ExitCode;

use rpctrace2::host::{is_pipe, say, stop, verbs};

/// Exit status when rpctrace2 itself fails, as it is where it traces.
const FAILURE: u8 = 125;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let result = verbs::run(&words);
    stop::leave();
    match result {
        Ok(status) => status.into(),
        // Who reads it has seen enough.
        Err(error) if is_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("{error:#}"));
            FAILURE.into()
        }
    }
}
