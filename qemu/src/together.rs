// SPDX-License-Identifier: GPL-2.0-or-later
//! Writes several files so that either all of them appear or none does.

use std::io;
use std::path::{Path, PathBuf};
use std::{fs, mem};

use tempfile::{NamedTempFile, TempPath};

use crate::error::InstrumentError;
use crate::instrument::temporary;

/// Writes all files under temporary names, then renames them, the first one last; if one cannot be, the others are taken back.
pub(crate) fn write(files: &[(&Path, &[u8])]) -> Result<(), InstrumentError> {
    let mut staged: Vec<(&Path, NamedTempFile)> = Vec::new();
    for (path, contents) in files {
        staged.push((path, temporary(path, contents).map_err(io_error(path))?));
    }
    let mut appeared = Appeared::default();
    for (path, file) in staged.into_iter().rev() {
        appeared.add(path, file).map_err(io_error(path))?;
    }
    // All are there: nothing is taken back.
    mem::take(&mut appeared.files);
    Ok(())
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> InstrumentError {
    let path = path.to_owned();
    move |source| InstrumentError::Io { what: "write", path, source }
}

/// Files that have their names, with what had them before. Dropped, they are taken back.
#[derive(Default)]
struct Appeared {
    files: Vec<(PathBuf, Option<TempPath>)>,
}

impl Appeared {
    fn add(&mut self, path: &Path, file: NamedTempFile) -> io::Result<()> {
        let before = previous(path)?;
        file.persist(path)?;
        self.files.push((path.to_owned(), before));
        Ok(())
    }
}

impl Drop for Appeared {
    fn drop(&mut self) {
        for (path, before) in self.files.drain(..) {
            // What fails here leaves a file that a later run replaces; the error that led here is the one to tell.
            let _ = match before {
                Some(before) => before.persist(&path).map_err(|error| error.error),
                None => fs::remove_file(&path),
            };
        }
    }
}

/// A second name for what is at `path`, or a copy where the file system has no links; none if nothing is there.
fn previous(path: &Path) -> io::Result<Option<TempPath>> {
    if fs::symlink_metadata(path).is_err() {
        return Ok(None);
    }
    let second = temporary(path, &[])?.into_temp_path();
    fs::remove_file(&second)?;
    if fs::hard_link(path, &second).is_err() {
        fs::copy(path, &second)?;
    }
    Ok(Some(second))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn all_appear_and_replace_what_was_there() {
        let root = tempfile::tempdir().unwrap();
        let (one, two) = (root.path().join("1"), root.path().join("2"));
        fs::write(&one, "old").unwrap();
        write(&[(&one, b"new"), (&two, b"other")]).unwrap();
        assert_eq!((fs::read(&one).unwrap(), fs::read(&two).unwrap()), (b"new".to_vec(), b"other".to_vec()));
        assert_eq!(names(root.path()), ["1", "2"]);
    }

    #[test]
    fn none_appears_if_one_cannot() {
        let root = tempfile::tempdir().unwrap();
        let [taken, new, old] = ["3", "2", "1"].map(|name| root.path().join(name));
        fs::write(&old, "old").unwrap();
        // A directory cannot be replaced by a file.
        fs::create_dir(&taken).unwrap();
        let error = write(&[(&taken, b"new"), (&new, b"new"), (&old, b"new")]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot write {}: ", taken.display())), "{error}");
        assert_eq!(fs::read(&old).unwrap(), b"old");
        assert_eq!(names(root.path()), ["1", "3"]);
    }

    #[test]
    fn nothing_changes_if_a_directory_is_missing() {
        let root = tempfile::tempdir().unwrap();
        let (one, two) = (root.path().join("1"), root.path().join("none/2"));
        write(&[(&one, b"new"), (&two, b"new")]).unwrap_err();
        assert_eq!(names(root.path()), [""; 0]);
    }
}
