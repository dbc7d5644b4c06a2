// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu explain WORD...`: what words of a trace mean, by the interfaces of the kernel that would be booted and the Hurd's.

use anyhow::Result;
use qemu::setup;
use qemu::ui::Progress;
use rpctrace2::host::explain::explain;

use crate::cli::Options;

/// Steps of the preparation, for the progress bar.
const STEPS: u64 = 3;

pub(crate) fn run(options: &Options, words: &[String]) -> Result<u8> {
    explain(&setup::decode_tables(&options.choices(), &mut Progress::new(STEPS))?, words)
}
