// SPDX-License-Identifier: GPL-2.0-or-later
//! What rpctrace2 has on a host that it has nowhere else: files, a terminal, regular expressions. `cargo qemu rpctrace2` and `cargo rpctrace2` use it.

#![deny(clippy::print_stderr, clippy::print_stdout, reason = "what cannot be printed is no panic: `say`, and errors")]

use std::borrow::ToOwned;
use std::boxed::Box;
use std::fmt;
use std::format;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
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
mod out;
pub mod outputs;
mod paint;
pub mod perfetto;
pub mod replay;
pub mod ring;
pub mod show;
mod sink;
pub mod stop;
pub mod verbs;
pub mod view;
mod watch;
mod whole;

pub use out::{is_pipe, name_of};
pub use paint::Paint;
pub use sink::Sink;

/// Says something on standard error. Where that cannot be written there is nobody to be told.
pub fn say(line: impl fmt::Display) {
    let _ = io::stderr().write_all(format!("rpctrace2: {line}\n").as_bytes());
}

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

#[cfg(test)]
mod tests {
    use std::vec;

    use mig_defs::table::Tables;

    use super::*;

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
