// SPDX-License-Identifier: GPL-2.0-or-later
//! rpctrace2 on Linux: what is done with a capture (`cargo rpctrace2`).

use std::io::ErrorKind;
use std::process::ExitCode;

use rpctrace2::Question;
use rpctrace2::host::{explain, export, info, show};

/// Exit status when rpctrace2 itself fails, as it is where it traces.
const FAILURE: u8 = 125;

fn usage() -> String {
    let questions =
        Question::ALL.map(|question| format!("  rpctrace2 {:<8} FILE   {}\n", question.name(), question.help()));
    format!(
        "usage: rpctrace2 VERB [OPTION]... FILE, where FILE is a capture and VERB one of\n\
         \x20 rpctrace2 show     FILE   its lines, as they were or would have been printed\n\
         \x20 rpctrace2 info     FILE   what it is of, and how much is in it\n\
         \x20 rpctrace2 export   FILE   in a form that other tools read (--to FORM)\n\
         \x20 rpctrace2 explain WORD... FILE   what routines, ids, codes, constants and ports in it mean\n{}\
         `rpctrace2 show -h` lists the options, `cargo qemu rpctrace2` traces",
        questions.concat()
    )
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let result = match words.split_first() {
        Some((verb, words)) if verb == "show" => show::run(words),
        Some((verb, words)) if verb == "info" => info::run(words),
        Some((verb, words)) if verb == "explain" => explain::by_capture(words),
        Some((verb, words)) if verb == "export" => export::run(words),
        Some((verb, words)) if Question::ALL.iter().any(|question| question.name() == verb) => {
            show::run(&[&["--ask".into(), verb.clone()], words].concat())
        }
        _ => Err(anyhow::Error::msg(usage())),
    };
    match result {
        Ok(status) => status.into(),
        // Who reads it has seen enough.
        Err(error) if is_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rpctrace2: {error:#}");
            FAILURE.into()
        }
    }
}

fn is_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
