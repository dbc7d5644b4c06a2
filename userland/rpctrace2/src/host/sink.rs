// SPDX-License-Identifier: GPL-2.0-or-later
//! Where a trace goes while it is made.

use std::format;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::string::String;

use anyhow::{Context, Result, ensure};

use super::say;
use crate::options::Output;

/// Where the trace goes.
#[derive(Debug)]
pub enum Sink {
    /// Where the program's output goes: the trace is put between whole lines of it.
    Output,
    /// Standard error.
    Error(io::Stderr),
    /// A file.
    File(File),
    /// A command of the shell, and its text.
    Command(Child, String),
}

impl Sink {
    /// Opens it.
    ///
    /// # Errors
    /// If it cannot be written, or started.
    pub fn open(output: &Output, append: bool) -> Result<Self> {
        Ok(match output {
            Output::Standard => Self::Output,
            Output::Error if is_same_place(io::stdout().as_fd(), io::stderr().as_fd()) => Self::Output,
            Output::Error => Self::Error(io::stderr()),
            Output::File(path) => Self::File(open_file(Path::new(path), append)?),
            // Apart from this process, so that a Ctrl-C leaves it to read the end.
            Output::Command(command) => {
                let mut shell = Command::new("sh");
                let child = shell.args(["-c", command]).stdin(Stdio::piped()).process_group(0).spawn();
                Self::Command(child.with_context(|| format!("cannot start {command}"))?, command.clone())
            }
        })
    }

    /// Whether nobody sees the trace beside the program's output: a terminal or a pipe may be both.
    pub fn is_apart(&self) -> bool {
        match self {
            Self::Output | Self::Error(_) => false,
            Self::File(file) => file.metadata().is_ok_and(|metadata| metadata.is_file()),
            Self::Command(..) => true,
        }
    }

    /// Where lines are written that do not go among the program's own output.
    pub fn writer(&mut self) -> Option<&mut dyn Write> {
        match self {
            Self::Output => None,
            Self::Error(stderr) => Some(stderr),
            Self::File(file) => Some(file),
            Self::Command(child, _) => child.stdin.as_mut().map(|stdin| stdin as &mut dyn Write),
        }
    }

    /// Waits until a command has read everything. That it fails is only said: what was traced is not its doing.
    pub fn close(self) {
        if let Err(error) = self.end() {
            say(format_args!("{error:#}"));
        }
    }

    /// Waits until a command has read everything.
    ///
    /// # Errors
    /// If it cannot be waited for, or fails.
    pub(super) fn end(self) -> Result<()> {
        if let Self::Command(mut child, command) = self {
            drop(child.stdin.take());
            let status = child.wait().with_context(|| format!("cannot wait for `{command}`"))?;
            ensure!(status.success(), "option `-o`: expected command `{command}` to succeed, found {status}");
        }
        Ok(())
    }
}

fn open_file(path: &Path, append: bool) -> Result<File> {
    let mut how = File::options();
    how.create(true).write(true).append(append).truncate(!append);
    how.open(path).with_context(|| format!("cannot write {}", path.display()))
}

/// Whether two descriptors lead to the same file, terminal or pipe. Of what cannot be asked nothing is known.
fn is_same_place(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let place = |descriptor: BorrowedFd<'_>| {
        let metadata = File::from(descriptor.try_clone_to_owned().ok()?).metadata().ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    place(one).is_some_and(|one| Some(one) == place(other))
}

#[cfg(test)]
mod tests {
    use std::borrow::ToOwned;
    use std::fs;

    use super::*;

    #[test]
    fn two_descriptors_of_one_file_are_one_place() {
        let [one, other] = [(); 2].map(|()| tempfile::tempfile().unwrap());
        let again = one.try_clone().unwrap();
        assert!(is_same_place(one.as_fd(), again.as_fd()));
        assert!(!is_same_place(one.as_fd(), other.as_fd()));
    }

    #[test]
    fn the_trace_goes_where_it_is_to_go() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("trace");
        let name = path.to_str().unwrap().to_owned();
        let write = |output: &Output, append: bool, text: &str| {
            let mut sink = Sink::open(output, append).unwrap();
            assert!(sink.is_apart());
            sink.writer().unwrap().write_all(text.as_bytes()).unwrap();
            sink.close();
            fs::read_to_string(&path).unwrap()
        };
        let file = Output::File(name.clone());
        assert_eq!(write(&file, false, "one\n"), "one\n");
        assert_eq!(write(&file, true, "two\n"), "one\ntwo\n");
        assert_eq!(write(&file, false, "three\n"), "three\n");
        assert_eq!(write(&Output::Command(format!("tr a-z A-Z >{name}")), false, "four\n"), "FOUR\n");
        let mut standard = Sink::open(&Output::Standard, false).unwrap();
        assert!(standard.writer().is_none() && !standard.is_apart());
        assert!(!Sink::open(&Output::File("/dev/null".into()), true).unwrap().is_apart(), "no file of lines");
        assert!(Sink::open(&Output::File("/no/such/place".into()), false).is_err());
    }
}
