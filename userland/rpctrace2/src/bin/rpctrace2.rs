// SPDX-License-Identifier: GPL-2.0-or-later
//! rpctrace2 on Linux: what is done with a capture (`cargo rpctrace2`).

use std::io::ErrorKind;
use std::process::ExitCode;

use rpctrace2::Question;
use rpctrace2::host::{diff, explain, export, info, show, view};

/// Exit status when rpctrace2 itself fails, as it is where it traces.
const FAILURE: u8 = 125;

/// What is done with captures, beside questions: the words, and what for.
const VERBS: [(&str, &str); 7] = [
    ("show FILE", "its lines, as they were or would have been printed"),
    ("view FILE", "in the terminal, to look around in"),
    ("view --perfetto FILE", "in the Perfetto page of a browser"),
    ("info FILE", "what it is of, and how much is in it"),
    ("export --to FORM FILE", "in a form that other tools read, or as a page for a browser"),
    ("diff FIRST SECOND", "where two differ, but for names of ports, addresses and times"),
    ("explain WORD... FILE", "what routines, msgh_ids, codes, constants and ports in it mean"),
];

fn usage() -> String {
    let questions = Question::ALL.map(|question| {
        let files = if question.takes_several() { "FILE..." } else { "FILE" };
        (format!("{} {files}", question.name()), question.help())
    });
    let verbs = VERBS.map(|(words, help)| (words.to_owned(), help));
    let lines = verbs.into_iter().chain(questions).map(|(words, help)| format!("  rpctrace2 {words:<22} {help}\n"));
    format!(
        "usage: rpctrace2 VERB [OPTION]... FILE, where FILE is a capture:\n{}\
         `rpctrace2 show -h` lists the options, `cargo qemu rpctrace2` traces",
        lines.collect::<String>()
    )
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let result = match words.split_first() {
        Some((verb, words)) if verb == "show" => show::run(words),
        Some((verb, words)) if verb == "view" => view::run(words),
        Some((verb, words)) if verb == "info" => info::run(words),
        Some((verb, words)) if verb == "explain" => explain::by_capture(words),
        Some((verb, words)) if verb == "export" => export::run(words),
        Some((verb, words)) if verb == "diff" => diff::run(words),
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
