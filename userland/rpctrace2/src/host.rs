// SPDX-License-Identifier: GPL-2.0-or-later
//! What rpctrace2 has on a host that it has nowhere else: files, a terminal, regular expressions. `cargo qemu rpctrace2` and `cargo rpctrace2` use it.

use std::borrow::ToOwned;
use std::boxed::Box;
use std::format;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::string::{String, ToString};
use std::vec::Vec;

use anyhow::{Context, Result};
use mig_defs::table::MAGIC;
use tempfile::TempDir;

use crate::options::filter::Matcher;
use crate::options::{Color, Host, Output};

mod calls;
mod coverage;
pub mod diff;
pub mod explain;
pub mod export;
pub mod info;
mod open;
mod paint;
pub mod perfetto;
pub mod replay;
pub mod ring;
pub mod show;
pub mod view;
mod watch;

pub use paint::Paint;

/// A regular expression for the names of routines.
///
/// # Errors
/// What is wrong with it.
pub fn compile(pattern: &str) -> Result<Matcher, String> {
    let regex = regex_lite::Regex::new(pattern).map_err(|error| error.to_string())?;
    Ok(Box::new(move |name: &str| regex.is_match(name)))
}

/// The files of `-i` in a directory, where each has a name by which it is known as a list; none if there are none.
///
/// # Errors
/// If one cannot be read.
pub fn rpc_lists(files: &[String]) -> Result<Option<TempDir>> {
    if files.is_empty() {
        return Ok(None);
    }
    let place = tempfile::tempdir()?;
    for (index, file) in files.iter().enumerate() {
        let contents = fs::read(file).with_context(|| format!("cannot read {file}"))?;
        let kind = if contents.starts_with(&MAGIC) { "mdt" } else { "msgids" };
        fs::write(place.path().join(format!("{index}.{kind}")), contents)?;
    }
    Ok(Some(place))
}

/// Where interfaces are looked for.
pub fn directories(host: &Host, lists: Option<&TempDir>) -> Vec<PathBuf> {
    let lists = lists.map(|lists| lists.path().to_owned());
    lists.into_iter().chain(host.directories.iter().map(PathBuf::from)).collect()
}

/// Whether lines are colored.
pub fn is_colored(host: &Host) -> bool {
    let is_terminal = match host.output {
        Output::Error => io::stderr().is_terminal(),
        Output::Standard => io::stdout().is_terminal(),
        Output::File(_) | Output::Command(_) => false,
    };
    // https://no-color.org
    let is_wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    match host.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => is_terminal && is_wanted,
    }
}

/// Where the trace goes.
#[derive(Debug)]
pub enum Sink {
    /// Where the program's output goes: the trace is put between whole lines of it.
    Output,
    /// Standard error.
    Error(io::Stderr),
    /// A file.
    File(File),
    /// A command of the shell.
    Command(Child),
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
                Self::Command(child.with_context(|| format!("cannot start {command}"))?)
            }
        })
    }

    /// Whether nobody sees the trace beside the program's output: a terminal or a pipe may be both.
    pub fn is_apart(&self) -> bool {
        match self {
            Self::Output | Self::Error(_) => false,
            Self::File(file) => file.metadata().is_ok_and(|metadata| metadata.is_file()),
            Self::Command(_) => true,
        }
    }

    /// Where lines are written that do not go among the program's own output.
    pub fn writer(&mut self) -> Option<&mut dyn Write> {
        match self {
            Self::Output => None,
            Self::Error(stderr) => Some(stderr),
            Self::File(file) => Some(file),
            Self::Command(child) => child.stdin.as_mut().map(|stdin| stdin as &mut dyn Write),
        }
    }

    /// Waits until a command has read everything.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn close(self) -> Result<()> {
        if let Self::Command(mut child) = self {
            drop(child.stdin.take());
            child.wait()?;
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
    use std::vec;

    use mig_defs::table::Tables;

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
            sink.close().unwrap();
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

    #[test]
    fn a_list_of_routines_is_a_file() {
        let place = tempfile::tempdir().unwrap();
        let list = place.path().join("any name");
        fs::write(&list, "mine 6400 second 1 6401 0\n").unwrap();
        let copies = rpc_lists(&[list.to_str().unwrap().to_owned()]).unwrap().unwrap();
        let host = Host { directories: vec!["/a".into()], ..Host::default() };
        assert_eq!(directories(&host, Some(&copies)), [copies.path().to_owned(), "/a".into()]);
        let tables = mig_defs::interfaces::with_directories(&[copies.path().to_owned()], &[], &[]).unwrap();
        assert!(Tables::parse(&tables).unwrap().routines().any(|routine| routine.name() == "second"));
        fs::write(place.path().join("tables"), &tables).unwrap();
        let copies = rpc_lists(&[place.path().join("tables").to_str().unwrap().to_owned()]).unwrap().unwrap();
        let again = mig_defs::interfaces::with_directories(&[copies.path().to_owned()], &[], &[]).unwrap();
        assert_eq!(again, tables);
        assert!(rpc_lists(&["/no/such/file".into()]).is_err() && rpc_lists(&[]).unwrap().is_none());
    }

    #[test]
    fn expressions_have_regular_expressions() {
        let matcher = compile("^vm_.*cate$").unwrap();
        assert!(matcher("vm_allocate") && !matcher("vm_map") && compile("(").is_err());
    }
}
