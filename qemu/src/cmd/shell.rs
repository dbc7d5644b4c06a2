// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu shell`: the boot server's prompt on this terminal.

use anyhow::Result;
use protocol::archive::SHELL;
use qemu::setup::Choices;
use qemu::vm::Input;

use crate::cli::Options;
use crate::cmd::{Launch, boot};

pub(crate) fn run(options: &Options) -> Result<u8> {
    // Whoever types decides how long it takes.
    let choices = Choices { timeout: None, ..options.choices() };
    boot(options, &choices, Launch { input: Input::Keys, ..Launch::of(vec![SHELL.to_owned()]) })
}
