//! `cargo qemu run PROGRAM [ARGUMENTS]`: a program, untraced.

use anyhow::Result;
use qemu::vm::{Input, Interrupt};

use crate::cli::Options;
use crate::cmd::{boot, take_host_program};

pub(crate) fn run(options: &Options, command: &[String]) -> Result<u8> {
    let mut arguments = command.to_vec();
    let program = match arguments.first_mut() {
        Some(first) => take_host_program(first)?,
        None => None,
    };
    boot(options, &options.choices(), &arguments, Some(0), program, (Input::Lines, Interrupt::EndsAll), None)
}
