// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu run PROGRAM [ARGUMENTS]`: a program, untraced.

use anyhow::Result;
use qemu::vm::Input;

use crate::cli::Options;
use crate::cmd::{Launch, attend, prepare, spelled_out, take_host_program};

pub(crate) fn run(options: &Options, command: &[String]) -> Result<u8> {
    let mut arguments: Vec<String> = command.iter().map(|argument| spelled_out(argument)).collect();
    let program = take_host_program(&mut arguments)?;
    let choices = options.choices();
    let prepared = prepare(&choices, arguments.first().filter(|_| program.is_none()))?;
    attend(options, &choices, &prepared, Launch { program, input: Input::Lines, ..Launch::of(arguments) })
}
