// SPDX-License-Identifier: GPL-2.0-or-later
//! What is read is not written, whatever it is called.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::string::String;
use std::vec::Vec;

use anyhow::{Result, bail};

use crate::options::{Host, Output};

/// Refuses a file of `-o` that is one of those that are read: captures of these names, and what they are decoded with. Before it is opened, which
/// would empty it.
///
/// # Errors
/// If it is.
pub(super) fn spare<'a>(host: &'a Host, captures: impl IntoIterator<Item = &'a String>) -> Result<()> {
    let Output::File(name) = &host.output else { return Ok(()) };
    let Some(written) = place(Path::new(name)) else { return Ok(()) };
    let files = captures.into_iter().chain(&host.rpc_lists).map(PathBuf::from);
    // Who cannot read a directory is told where it is read.
    let entries = host.directories.iter().filter_map(|directory| fs::read_dir(directory).ok());
    let all: Vec<PathBuf> = files.chain(entries.flatten().filter_map(|entry| Some(entry.ok()?.path()))).collect();
    match all.iter().find(|path| place(path) == Some(written)) {
        Some(read) => bail!("cannot write {name}: it is a file that is read, {}", read.display()),
        None => Ok(()),
    }
}

/// Which file it is: links to it are no other ones.
fn place(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}
