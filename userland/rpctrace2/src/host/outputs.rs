// SPDX-License-Identifier: GPL-2.0-or-later
//! Files that are to be written: none of them is one that is read, another one that is written, or one that somebody is using. That is asked
//! before any of them is opened.

use std::borrow::ToOwned;
use std::ffi::OsString;
use std::fmt::Display;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::vec::Vec;

use crate::options::{Host, Output};

/// As many links as Linux follows.
const LINKS: usize = 40;

/// What a capture is that is read.
pub const CAPTURE: &str = "the capture that is read";

/// An output that would destroy something.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Clash {
    /// It is an input, or another output.
    #[error("cannot write {}: it is {role}, {}", out.display(), other.display())]
    Same {
        /// The output.
        out: PathBuf,
        /// What the other file is.
        role: &'static str,
        /// The other file.
        other: PathBuf,
    },
    /// A machine runs on it.
    #[error("cannot write {}: it is the memory of a machine that runs", out.display())]
    Held {
        /// The output.
        out: PathBuf,
    },
}

/// A file, and what it is.
#[derive(Clone, Copy, Debug)]
pub struct Role<'a> {
    /// What it is, as a part of a sentence.
    pub role: &'static str,
    /// Where.
    pub path: &'a Path,
}

/// Refuses outputs that are inputs or each other, under whatever names, and those that somebody holds.
///
/// # Errors
/// The first one.
pub fn keep_apart(outputs: &[Role<'_>], inputs: &[Role<'_>]) -> Result<(), Clash> {
    for (index, output) in outputs.iter().enumerate() {
        let Some(identity) = Identity::of(output.path) else { continue };
        let others = inputs.iter().chain(&outputs[..index]);
        let mut same = others.filter(|other| Identity::of(other.path).is_some_and(|other| other == identity));
        let out = output.path.to_owned();
        if let Some(Role { role, path }) = same.next() {
            return Err(Clash::Same { out, role, other: path.to_path_buf() });
        }
        if is_held(output.path) {
            return Err(Clash::Held { out });
        }
    }
    Ok(())
}

/// What options name that is read: lists of ids, and these files, which are what is in their directories with interfaces ([`interfaces`]).
pub fn read<'a>(host: &'a Host, interfaces: &'a [PathBuf]) -> Vec<Role<'a>> {
    let lists = host.rpc_lists.iter().map(|path| Role { role: "a list of ids that is read", path: Path::new(path) });
    lists.chain(interfaces.iter().map(|path| Role { role: "an interface that is read", path })).collect()
}

/// What is in the directories with interfaces that options name. What cannot be read is said by who reads it.
pub fn interfaces(host: &Host) -> Vec<PathBuf> {
    let found = host.directories.iter().filter_map(|directory| fs::read_dir(directory).ok()).flatten();
    found.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// Where the trace goes, if that is a file.
pub fn trace(host: &Host) -> Option<Role<'_>> {
    match &host.output {
        Output::File(path) => Some(Role { role: "where the trace goes", path: Path::new(path) }),
        Output::Standard | Output::Error | Output::Command(_) => None,
    }
}

/// Keeps others from writing a file, as long as it is open: those that ask [`keep_apart`].
pub fn hold(file: &File) {
    // Where a file system knows no locks the file is as safe as any.
    let _ = file.try_lock();
}

/// An output that says its name where it cannot be written.
#[derive(Debug)]
pub struct Named<W> {
    name: String,
    output: W,
}

/// Why it cannot.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {name}: {source}")]
pub struct Unwritten {
    name: String,
    source: io::Error,
}

impl<W> Named<W> {
    /// An output with this name.
    pub fn new(name: impl Display, output: W) -> Self {
        Self { name: name.to_string(), output }
    }

    fn error(&self, source: io::Error) -> io::Error {
        io::Error::new(source.kind(), Unwritten { name: self.name.clone(), source })
    }
}

impl<W: Write> Write for Named<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes).map_err(|error| self.error(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush().map_err(|error| self.error(error))
    }
}

fn is_held(path: &Path) -> bool {
    // Another kind of file may wait to be opened.
    let is_file = fs::metadata(path).is_ok_and(|found| found.is_file());
    is_file && File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// What two names of one file have in common.
#[derive(Debug, PartialEq, Eq)]
enum Identity {
    /// Device and inode.
    There(u64, u64),
    /// Device and inode of the directory, and the name in it, of what is not there yet.
    Absent(u64, u64, OsString),
}

impl Identity {
    /// None of what cannot be destroyed, as a terminal, or cannot be reached, which is another error.
    fn of(path: &Path) -> Option<Self> {
        let mut path = path.to_owned();
        for _ in 0..LINKS {
            match fs::metadata(&path) {
                Ok(found) => {
                    let kind = found.file_type();
                    let (device, inode) = (found.dev(), found.ino());
                    return (kind.is_file() || kind.is_block_device()).then_some(Self::There(device, inode));
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => return None,
                Err(_) => {}
            }
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            match fs::read_link(&path) {
                // To what is not there: that is what would be made.
                Ok(target) => path = folder.join(target),
                Err(_) => {
                    let found = fs::metadata(folder).ok()?;
                    return Some(Self::Absent(found.dev(), found.ino(), path.file_name()?.to_owned()));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::os::unix::fs::symlink;

    use super::*;

    const fn role<'a>(role: &'static str, path: &'a Path) -> Role<'a> {
        Role { role, path }
    }

    #[test]
    fn an_output_is_no_input_under_any_name() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let [memory, link, soft, other, folder] = ["memory", "link", "soft", "other", "folder"].map(path);
        fs::write(&memory, "memory").unwrap();
        fs::write(&other, "other").unwrap();
        fs::create_dir(&folder).unwrap();
        fs::hard_link(&memory, &link).unwrap();
        symlink(&memory, &soft).unwrap();
        let input = [role("the memory that is read", &memory)];
        for out in [memory.clone(), link, soft, folder.join("../memory")] {
            let error = keep_apart(&[role("the capture", &out)], &input).unwrap_err().to_string();
            let (out, memory) = (out.display(), memory.display());
            assert_eq!(error, format!("cannot write {out}: it is the memory that is read, {memory}"));
        }
        assert_eq!(keep_apart(&[role("the capture", &other)], &input), Ok(()));
        assert_eq!(fs::read(&memory).unwrap(), b"memory");
    }

    #[test]
    fn two_outputs_that_are_not_there_yet_are_not_one_file() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let (one, link) = (path("one"), path("link"));
        symlink("one", &link).unwrap();
        for (other, is_same) in [(&one, true), (&link, true), (&path("two"), false)] {
            let found = keep_apart(&[role("the trace", &one), role("the capture", other)], &[]);
            assert_eq!(found.is_err(), is_same, "{}", other.display());
        }
        let null = Path::new("/dev/null");
        assert_eq!(keep_apart(&[role("the trace", null), role("the capture", null)], &[]), Ok(()));
        assert!(!one.exists(), "nothing was made");
    }

    #[test]
    fn an_output_that_is_full_says_its_name() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let error = Named::new("/dev/full", full).write_all(b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(error.to_string(), "cannot write /dev/full: No space left on device (os error 28)");
    }

    #[test]
    fn what_a_machine_runs_on_is_nobodys_output() {
        let place = tempfile::tempdir().unwrap();
        let memory = place.path().join("memory");
        let file = File::create(&memory).unwrap();
        hold(&file);
        let error = keep_apart(&[role("the capture", &memory)], &[]).unwrap_err().to_string();
        assert_eq!(error, format!("cannot write {}: it is the memory of a machine that runs", memory.display()));
        drop(file);
        assert_eq!(keep_apart(&[role("the capture", &memory)], &[]), Ok(()));
    }
}
