// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu doctor`: the table of what is here and what is missing.

use std::io::{self, Write};

use anyhow::{Context, Result};
use qemu::cache::Cache;
use qemu::doctor::{self, State};

use crate::cli::FAILURE;

pub(crate) fn run() -> Result<u8> {
    let cache = Cache::open().context("opening the cache")?;
    let findings = doctor::examine(&cache);
    write!(io::stdout(), "{}", doctor::table(&findings))?;
    let missing = findings.iter().any(|finding| matches!(finding.state, State::Missing(_)));
    Ok(if missing { FAILURE } else { 0 })
}
