//! `cargo qemu`: hands the command line to one function per verb and ends with the guest's exit status.
#![forbid(unsafe_code)]

mod cli;
mod cmd;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            // `{:#}` is the whole chain of causes; a backtrace of this tool helps nobody.
            eprintln!("error: {error:#}");
            ExitCode::from(cli::FAILURE)
        }
    }
}
