// SPDX-License-Identifier: GPL-2.0-or-later
//! The interfaces that `cargo qemu` has fetched, for whoever names none.
//!
//! Where they are is for qemu/src/cache.rs and qemu/src/fetch/packages.rs to say; that they are found here is tested where both
//! are there (tests/command.rs).

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// Overrides the place of the cache.
const VARIABLE: &str = "RPCTRACE2_CACHE";
/// The package with the .defs.
const PACKAGE: &str = "gnumach-dev";

/// The include directory of the interfaces in the cache.
pub(crate) fn include(ilp32: bool) -> anyhow::Result<PathBuf> {
    let (packages, triplet, how) = match ilp32 {
        false => ("debian", "x86_64-linux-gnu", "cargo qemu run hello"),
        true => ("i386/debian", "i386-linux-gnu", "cargo qemu test --all"),
    };
    let root = root()?;
    let note = root.join(packages).join(format!("{PACKAGE}.version"));
    let found = std::fs::read_to_string(&note).ok().map(|version| {
        let name = format!("{PACKAGE}_{}", version.trim().replace(':', "%3a"));
        root.join(packages).join(name).join("usr/include").join(triplet)
    });
    match found.filter(|include| include.is_dir()) {
        Some(include) => Ok(include),
        None => bail!(
            "no interfaces: expected .defs files, or those that `{how}` fetches into {}, found none there",
            root.display()
        ),
    }
}

fn root() -> anyhow::Result<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let root = set(VARIABLE)
        .or_else(|| set("XDG_CACHE_HOME").map(|base| base.join("rpctrace2")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/rpctrace2")));
    root.with_context(|| {
        format!(
            "no interfaces: expected .defs files, or {VARIABLE}, XDG_CACHE_HOME or HOME to find them by, found none"
        )
    })
}

/// All .defs files of these directories.
pub(crate) fn defs_of(directories: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for directory in directories {
        found.extend(defs_below(directory)?);
    }
    if found.is_empty() {
        let directories: Vec<_> = directories.iter().map(|directory| directory.display().to_string()).collect();
        bail!("no .defs file in {}", directories.join(", "));
    }
    Ok(found)
}

/// All .defs files below a directory, sorted; links (`mach/machine`) would only lead to files that are found anyway.
fn defs_below(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let unreadable = || format!("cannot read {}", directory.display());
    let entries = std::fs::read_dir(directory).with_context(unreadable)?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>().with_context(unreadable)?;
    entries.sort_by_key(std::fs::DirEntry::path);
    let mut found = Vec::new();
    for entry in entries {
        let (kind, path) = (entry.file_type().with_context(unreadable)?, entry.path());
        if kind.is_dir() {
            found.extend(defs_below(&path)?);
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "defs") {
            found.push(path);
        }
    }
    Ok(found)
}
