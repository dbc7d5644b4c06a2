// SPDX-License-Identifier: GPL-2.0-or-later
//! A file that is written whole or not at all.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use tempfile::{Builder, NamedTempFile};

use super::stop;

/// What a new file may be, less what the user's mask takes away.
const MODE: u32 = 0o666;

/// A file that a user has named.
#[derive(Debug)]
pub(super) enum Whole {
    /// What is no file, such as a pipe, nothing takes the place of.
    Other(File),
    /// Where it is written first, and where it belongs.
    Beside(NamedTempFile, PathBuf),
}

impl Whole {
    /// Opens it. What a link leads to is what is meant.
    pub(super) fn open(name: &str) -> Result<Self> {
        // Descriptors by name: who has opened them goes on with the file that is there.
        if ["/dev", "/proc"].iter().any(|place| Path::new(name).starts_with(place)) {
            return Ok(Self::Other(File::options().write(true).create(true).truncate(true).open(name)?));
        }
        let path = fs::canonicalize(name).unwrap_or_else(|_| PathBuf::from(name));
        let before = fs::metadata(&path).ok();
        if let Some(metadata) = &before {
            // What may not be written is not replaced, either.
            let file = File::options().write(true).open(&path)?;
            if !metadata.is_file() {
                return Ok(Self::Other(file));
            }
        }
        let place = path.parent().filter(|place| !place.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mode = fs::Permissions::from_mode(MODE);
        stop::catch();
        let file = match Builder::new().prefix(".rpctrace2-").permissions(mode).tempfile_in(place) {
            // A file that may be written, where nothing else may be made.
            Err(error) if error.kind() == ErrorKind::PermissionDenied && before.is_some() => {
                return Ok(Self::Other(File::create(&path)?));
            }
            file => file?,
        };
        if let Some(metadata) = before {
            file.as_file().set_permissions(metadata.permissions())?;
        }
        Ok(Self::Beside(file, path))
    }

    pub(super) fn file(&self) -> &File {
        match self {
            Self::Other(file) => file,
            Self::Beside(file, _) => file.as_file(),
        }
    }

    /// It is whole.
    pub(super) fn keep(self) -> io::Result<()> {
        if let Self::Beside(mut file, path) = self {
            file.flush()?;
            file.persist(path)?;
        }
        Ok(())
    }
}
