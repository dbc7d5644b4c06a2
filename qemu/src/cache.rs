// SPDX-License-Identifier: GPL-2.0-or-later
//! The one directory outside of the repository that this tool writes to.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Overrides the place of the cache.
pub const VARIABLE: &str = "RPCTRACE2_CACHE";

/// The cache directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `RPCTRACE2_CACHE`, else `rpctrace2` in the user's cache directory; created if need be.
    pub fn open() -> io::Result<Self> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let root = set(VARIABLE)
            .or_else(|| set("XDG_CACHE_HOME").map(|base| base.join("rpctrace2")))
            .or_else(|| set("HOME").map(|home| home.join(".cache/rpctrace2")))
            .ok_or_else(|| io::Error::other(format!("no cache directory: set {VARIABLE}, XDG_CACHE_HOME or HOME")))?;
        // QEMU and cargo run in other directories.
        let root = std::path::absolute(root)?;
        fs::create_dir_all(&root)?;
        Ok(Self { root })
    }

    /// A cache in `root`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// A path in the cache.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the directory `name` with `fill`, under a temporary name until it is whole. Does nothing if it is there.
    pub fn directory<E>(&self, name: &str, fill: impl FnOnce(&Path) -> Result<(), E>) -> Result<PathBuf, E>
    where
        E: From<io::Error>,
    {
        let place = self.path(name);
        if place.is_dir() {
            return Ok(place);
        }
        let parent = place.parent().unwrap_or(&self.root);
        fs::create_dir_all(parent)?;
        let temporary = tempfile::Builder::new().prefix(".new-").tempdir_in(parent)?;
        fill(temporary.path())?;
        match fs::rename(temporary.path(), &place) {
            Ok(()) => {
                // It has its final name now; there is nothing left to remove.
                let _ = temporary.keep();
                Ok(place)
            }
            // Another process was faster, with the same contents.
            Err(_) if place.is_dir() => Ok(place),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_appears_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::at(root.path());
        let failed = cache.directory("a/b", |dir| {
            fs::write(dir.join("half"), "")?;
            Err(io::Error::other("no"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no");
        assert!(!cache.path("a/b").exists());
        let made = cache.directory("a/b", |dir| fs::write(dir.join("whole"), "1")).unwrap();
        assert_eq!(fs::read_to_string(made.join("whole")).unwrap(), "1");
        cache.directory("a/b", |_| Err(io::Error::other("made twice"))).unwrap();
        assert_eq!(fs::read_dir(cache.path("a")).unwrap().count(), 1);
    }
}
