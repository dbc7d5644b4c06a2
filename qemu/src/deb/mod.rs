// SPDX-License-Identifier: GPL-2.0-or-later
//! Debian packages of what this tool makes: rpctrace2, and the instrumented kernel beside the stock one.
//!
//! A [`Package`] is data; [`write()`] makes files of it with `dpkg-deb`. The same contents give the same bytes.

mod contents;
mod package;
mod stock;
mod strip;

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

pub use contents::{Kernel, Tracer, kernel, tracer};
pub use package::Package;
pub use stock::Stock;

use crate::error::InstrumentError;
use crate::fetch::FetchError;
use crate::fetch::apt::run;
use crate::together;

/// The time of everything in a package where neither the environment nor a checkout says another: that of version 0.2.0.
const FIXED: u64 = 1_795_651_200;

/// Why there is no package.
#[derive(Debug, thiserror::Error)]
pub enum DebError {
    /// `dpkg-deb` is missing or failed.
    #[error(transparent)]
    Dpkg(#[from] FetchError),
    /// A package cannot be put where it is wanted.
    #[error(transparent)]
    Write(#[from] InstrumentError),
    /// A file that a package is made of.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The program cannot be made smaller.
    #[error("{}: {why}", path.display())]
    Program {
        /// The program.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The kernel has no name that a package could have.
    #[error("{}: expected a name `gnumach-VERSION`, or `GNU Mach VERSION` in the kernel, found neither", kernel.display())]
    Nameless {
        /// The stock kernel.
        kernel: PathBuf,
    },
    /// The environment has something else in place of a time.
    #[error("SOURCE_DATE_EPOCH: expected seconds since 1970, found {found:?}")]
    Epoch {
        /// What it has.
        found: String,
    },
}

/// What the source is, for those who want to build it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The time that everything in the packages has, in seconds since 1970.
    pub epoch: u64,
    /// The commit, if the source is a checkout.
    pub commit: Option<String>,
}

impl Source {
    /// That of the workspace: the time is that of `SOURCE_DATE_EPOCH`, else of the commit, else a fixed one.
    pub fn of(workspace: &Path) -> Result<Self, DebError> {
        let wanted = env::var("SOURCE_DATE_EPOCH").ok().filter(|text| !text.is_empty());
        let wanted = wanted.map(|found| found.parse().map_err(|_| DebError::Epoch { found })).transpose()?;
        let mut git = Command::new("git");
        let said = git.arg("-C").arg(workspace).args(["log", "-1", "--format=%H %ct"]);
        // Without git, or without a checkout, there is none.
        let said = run(said).ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let commit = said.as_deref().and_then(|text| text.trim().split_once(' '));
        let time = commit.and_then(|(_, time)| time.parse().ok());
        Ok(Self { epoch: wanted.or(time).unwrap_or(FIXED), commit: commit.map(|(name, _)| name.to_owned()) })
    }
}

/// Writes the packages into `directory`, which is made if it is not there: all of them appear, or none. Answers their paths.
pub fn write(
    packages: &[Package],
    source: &Source,
    dpkg_deb: &Path,
    directory: &Path,
) -> Result<Vec<PathBuf>, DebError> {
    let place = tempfile::tempdir().map_err(io_error("make a temporary directory"))?;
    let mut made = Vec::new();
    for package in packages {
        let file = place.path().join(package.file_name());
        package.build(source.epoch, dpkg_deb, &place.path().join(&package.name), &file)?;
        made.push((
            directory.join(package.file_name()),
            fs::read(&file).map_err(io_error("read what dpkg-deb wrote"))?,
        ));
    }
    fs::create_dir_all(directory).map_err(io_error(format!("write to {}", directory.display())))?;
    together::write(&made.iter().map(|(path, bytes)| (path.as_path(), &**bytes)).collect::<Vec<_>>())?;
    Ok(made.into_iter().map(|(path, _)| path).collect())
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> DebError {
    let what = what.into();
    move |source| DebError::Io { what, source }
}
