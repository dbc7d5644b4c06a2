//! `cargo qemu`: hands the command line to one function per verb and ends with the guest's exit status.
#![forbid(unsafe_code)]

mod cli;
mod cmd;

use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            if is_broken_pipe(&error) {
                return ExitCode::from(BROKEN_PIPE);
            }
            eprintln!("error: {}", describe(&error));
            ExitCode::from(if error.is::<cmd::UnknownProgram>() { NOT_FOUND } else { cli::FAILURE })
        }
    }
}

/// What a shell answers for a command that is not there.
const NOT_FOUND: u8 = 127;

/// What a program has that a closed pipe ended: 128 and SIGPIPE.
const BROKEN_PIPE: u8 = 141;

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
    fn a_closed_pipe_is_recognised_below_other_causes() {
        let closed = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("printing");
        assert!(is_broken_pipe(&closed));
        assert!(!is_broken_pipe(&anyhow::anyhow!("something else")));
    }
}
