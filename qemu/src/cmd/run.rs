// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu run PROGRAM [ARGUMENTS]`: a program, untraced.

use anyhow::Result;
use qemu::setup::Prepared;
use qemu::vm::Input;

use crate::cli::Options;
use crate::cmd::{Launch, boot, spelled_out, take_host_program};

pub(crate) fn run(options: &Options, command: &[String]) -> Result<u8> {
    let mut arguments: Vec<String> = command.iter().map(|argument| spelled_out(argument)).collect();
    let program = take_host_program(&mut arguments)?;
    let all = |_: &Prepared| Ok(arguments.clone());
    let launch =
        Launch { named: arguments.first().map(String::as_str), program, input: Input::Lines, ..Launch::of(&all) };
    boot(options, &options.choices(), launch)
}
