//! `cargo qemu shell`: the boot server's prompt on this terminal.

use anyhow::Result;
use qemu::setup::Choices;
use qemu::vm::{Input, Interrupt};

use crate::cli::Options;
use crate::cmd::boot;

pub(crate) fn run(options: &Options) -> Result<u8> {
    // Whoever types decides how long it takes.
    let choices = Choices { timeout: None, ..options.choices() };
    boot(options, &choices, &[protocol::archive::SHELL.to_owned()], None, None, (Input::Keys, Interrupt::EndsAll), None)
}
