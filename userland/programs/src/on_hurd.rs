// SPDX-License-Identifier: GPL-2.0-or-later
//! Starting programs of a Hurd, for programs that watch them.

use hurd::abi::open;
use hurd::names::Here;
use hurd::spawn::{Child, Program, block};
use hurd::startup::Startup;
use mach::error::Result;

/// Starts the program in this file with these words, the first of which is its name.
pub fn start(startup: &'static Startup, file_name: &str, words: &[&str]) -> Result<Child> {
    let file = Here(startup).open(file_name, open::EXEC, 0)?;
    let child = Child::create(startup)?;
    let arguments = block(words.iter().map(|word| word.as_bytes()));
    let program = Program {
        file: &file,
        name: file_name,
        absolute: file_name,
        arguments: &arguments,
        environment: b"PATH=/bin\0",
    };
    child.exec(startup, &program).inspect_err(|_| child.kill())?;
    Ok(child)
}
