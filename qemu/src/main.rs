// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu`: hands the command line to one function per verb and ends with the guest's exit status.
#![forbid(unsafe_code)]
// They panic where nobody can hear them: `ui::say`, and errors of `writeln!`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod cli;
mod cmd;

use std::io;
use std::process::ExitCode;

use qemu::archive::ProgramError;
use qemu::autopsy::AutopsyError;
use qemu::ui::say;
use qemu::vm::Failure;

fn main() -> ExitCode {
    match cli::run() {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            if is_broken_pipe(&error) {
                return ExitCode::from(BROKEN_PIPE);
            }
            if let Some(status) = ended(&error) {
                return ExitCode::from(status);
            }
            say(format_args!("error: {}", describe(&error)));
            ExitCode::from(if is_not_found(&error) { NOT_FOUND } else { cli::FAILURE })
        }
    }
}

/// What a shell answers for a command that is not there.
const NOT_FOUND: u8 = 127;

/// The program that was to run is not there.
fn is_not_found(error: &anyhow::Error) -> bool {
    let no_file = error.downcast_ref().is_some_and(
        |error: &ProgramError| matches!(error, ProgramError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound),
    );
    no_file || error.is::<cmd::UnknownProgram>()
}

/// What a program has that a closed pipe ended: 128 and SIGPIPE.
const BROKEN_PIPE: u8 = 141;

/// The status of what a signal has ended, as a shell says it.
fn ended(error: &anyhow::Error) -> Option<u8> {
    let by_autopsy = error.downcast_ref().and_then(|error| match error {
        AutopsyError::Ended(signal) => Some(*signal),
        _ => None,
    });
    let signal = by_autopsy.or(match error.downcast_ref() {
        Some(Failure::Interrupted(signal)) => Some(*signal),
        _ => None,
    });
    signal.and_then(|signal| u8::try_from(128 + signal).ok())
}

/// `cargo qemu … | head` is no failure worth a word.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io_errors = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    io_errors.into_iter().any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// The chain of causes in one line, without those that the error before them has named already.
fn describe(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_named_once() {
        let inner = anyhow::anyhow!("no such file");
        assert_eq!(describe(&inner), "no such file");
        assert_eq!(
            describe(&inner.context("cannot read x: no such file").context("starting")),
            "starting: cannot read x: no such file"
        );
    }

    #[test]
    fn a_program_that_is_no_file_is_not_found_and_one_that_cannot_run_is_refused() {
        let not_found = |path: &str| is_not_found(&qemu::archive::host_program(path.as_ref()).unwrap_err().into());
        assert!(not_found("/no/such/program"));
        assert!(!not_found("/") && !not_found("src/main.rs"));
    }

    #[test]
    fn a_closed_pipe_is_recognised_below_other_causes() {
        let closed = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("printing");
        assert!(is_broken_pipe(&closed));
        assert!(!is_broken_pipe(&anyhow::anyhow!("something else")));
    }
}
