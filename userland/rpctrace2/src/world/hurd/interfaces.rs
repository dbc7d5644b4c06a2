// SPDX-License-Identifier: GPL-2.0-or-later
//! What messages are decoded with on a Hurd: tables and lists of names, from files and from inside.
//!
//! As `mig_defs::interfaces` does it where there is a compiler: what the user names comes first, the later one before the earlier one, and
//! lists of names after everything that knows more.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use hurd::abi::open;
use hurd::errno::{ENOENT, ENOTDIR};
use hurd::names::Here as Names;
use mach::error::KernReturn;
use mig_defs::msgids::{self, BadLine, MsgId};
use mig_defs::table::{MAGIC, Tables};

use super::embedded;
use crate::options::Host;
use crate::world::Failure;

/// Decode tables to be used instead of those inside.
pub(super) const TABLES: &str = "/usr/share/rpctrace2/interfaces.mdt";
/// The Hurd's own lists of routines, which its rpctrace reads.
const LISTS: &str = "/usr/share/msgids";

/// What the user wants to be decoded with.
#[derive(Default)]
pub(super) struct Interfaces {
    /// `-I`.
    directories: Vec<String>,
    /// `-i`.
    files: Vec<String>,
    /// `--nostdinc`.
    alone: bool,
}

/// Tables, and lists of routines that come after them.
#[derive(Default)]
struct Found {
    tables: Vec<u8>,
    ids: Vec<MsgId>,
}

impl Interfaces {
    pub(super) fn of(host: &Host) -> Self {
        Self { directories: host.directories.clone(), files: host.rpc_lists.clone(), alone: host.nostdinc }
    }

    /// One table file of all.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub(super) fn read(&self, names: Names) -> Result<Vec<u8>, Failure> {
        let mut found = Found::default();
        for directory in self.directories.iter().rev() {
            found.add_directory(names, directory)?;
        }
        for file in self.files.iter().rev() {
            found.add_file(file, &contents(names, file).map_err(not_read(file))?)?;
        }
        if self.alone {
            found.tables.extend(embedded::WITHOUT_ROUTINES);
        } else {
            match contents(names, TABLES) {
                Ok(bytes) => found.add_table(TABLES, &bytes)?,
                // Nobody has put others there.
                Err(ENOENT | ENOTDIR) => found.tables.extend(embedded::TABLES),
                Err(error) => return Err(not_read(TABLES)(error)),
            }
            found.add_lists_of_the_hurd(names)?;
        }
        if !found.ids.is_empty() {
            found.tables.extend(msgids::table(&found.ids));
        }
        Ok(found.tables)
    }
}

impl Found {
    fn add_directory(&mut self, names: Names, directory: &str) -> Result<(), Failure> {
        let files = entries(names, directory).map_err(not_read(directory))?;
        let with = |end: &str| files.iter().filter(|file| file.ends_with(end)).rev().collect::<Vec<_>>();
        let wanted = [with(".mdt"), with(".msgids")].concat();
        if wanted.is_empty() {
            let is_source = !with(".defs").is_empty();
            return Err(Failure::Interfaces(if is_source {
                format!(
                    "{directory}: no .mdt or .msgids file in it, and .defs are not compiled on a Hurd: on Linux, `cargo mig-defs table -I \
                     DIRECTORY -o interfaces.mdt FILE.defs...` makes an .mdt file of them"
                )
            } else {
                format!("{directory}: no .mdt or .msgids file in it")
            }));
        }
        for name in wanted {
            let file = format!("{directory}/{name}");
            self.add_file(&file, &contents(names, &file).map_err(not_read(&file))?)?;
        }
        Ok(())
    }

    /// The Hurd's own, if they are there.
    fn add_lists_of_the_hurd(&mut self, names: Names) -> Result<(), Failure> {
        match entries(names, LISTS) {
            Err(ENOENT | ENOTDIR) => Ok(()),
            Err(error) => Err(not_read(LISTS)(error)),
            Ok(files) if files.iter().any(|file| file.ends_with(".msgids")) => self.add_directory(names, LISTS),
            Ok(_) => Ok(()),
        }
    }

    /// Tables or a list: what it begins with says which.
    fn add_file(&mut self, file: &str, bytes: &[u8]) -> Result<(), Failure> {
        if bytes.starts_with(&MAGIC) || file.ends_with(".mdt") {
            return self.add_table(file, bytes);
        }
        let list = msgids::read(&String::from_utf8_lossy(bytes));
        self.ids.extend(list.map_err(|BadLine { line, found }| {
            let expected = "expected SUBSYSTEM BASE ROUTINE NUMBER REQUEST-ID REPLY-ID";
            Failure::Interfaces(format!("{file}:{line}: {expected}, found `{found}`"))
        })?);
        Ok(())
    }

    fn add_table(&mut self, file: &str, bytes: &[u8]) -> Result<(), Failure> {
        Tables::parse(bytes).map_err(|error| Failure::Interfaces(format!("{file}: {error}")))?;
        self.tables.extend(bytes);
        Ok(())
    }
}

fn not_read(file: &str) -> impl Fn(KernReturn) -> Failure + use<> {
    let file = file.to_string();
    move |error| Failure::File { file: file.clone(), error }
}

fn contents(names: Names, file: &str) -> Result<Vec<u8>, KernReturn> {
    names.open(file, open::READ, 0)?.read_to_end()
}

/// What is in a directory, sorted.
fn entries(names: Names, directory: &str) -> Result<Vec<String>, KernReturn> {
    let mut entries = names.open(directory, open::READ, 0)?.entries()?;
    entries.sort();
    Ok(entries)
}
