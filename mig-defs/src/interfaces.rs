// SPDX-License-Identifier: GPL-2.0-or-later
//! Directories of interfaces, read at run time into one table file: .defs, .msgids, .annotations and compiled .mdt.

use std::format;
use std::io;
use std::path::{Path, PathBuf};
use std::string::String;
use std::vec::Vec;

use mach_abi::Format;
use thiserror::Error;

use crate::annotations::Annotations;
use crate::codegen::table::tables;
use crate::compile::{Options, compile};
use crate::diag::{Diagnostics, Severity};
use crate::model::Model;
use crate::msgids::{self, BadLine};
use crate::source::{Disk, Files as _, SourceMap};
use crate::table::{TableError, Tables};

/// Why a directory cannot be used.
#[derive(Debug, Error)]
pub enum InterfacesError {
    /// A file or the directory cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// There is nothing to read in it.
    #[error("{}: no .defs, .msgids, .mdt or .annotations file in it", .0.display())]
    Nothing(PathBuf),
    /// A .defs or .annotations file has errors.
    #[error("{report}{}", if *more == 0 { String::new() } else { format!("({more} more errors)") })]
    Source {
        /// The first one: place, text, the source line.
        report: String,
        /// How many others there are.
        more: usize,
    },
    /// A line of a .msgids file.
    #[error("{}:{line}: expected SUBSYSTEM BASE ROUTINE NUMBER REQUEST-ID REPLY-ID, found `{found}`", path.display())]
    MsgIds {
        /// The file.
        path: PathBuf,
        /// Which line.
        line: usize,
        /// What stands there.
        found: String,
    },
    /// A .mdt file.
    #[error("{}: {source}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TableError,
    },
}

/// The contents of one directory as tables.
#[derive(Debug, Default)]
struct Directory {
    /// Full definitions: these come before the built-in ones.
    full: Vec<u8>,
    /// Names only: these come after everything that knows more.
    names: Vec<u8>,
}

/// One table file: the directories in front of `builtin`, the later directory first, so that later definitions win.
/// `include` is where the #include of their .defs looks, after the directory and its parent.
///
/// # Errors
/// The first file that cannot be used.
pub fn with_directories(
    directories: &[PathBuf],
    include: &[PathBuf],
    builtin: &[u8],
) -> Result<Vec<u8>, InterfacesError> {
    let (mut full, mut names) = (Vec::new(), Vec::new());
    for directory in directories.iter().rev() {
        let found = read(directory, include)?;
        full.extend(found.full);
        names.extend(found.names);
    }
    full.extend(builtin);
    full.extend(names);
    Ok(full)
}

/// A table without routines: the names of errors and flags alone.
pub fn without_routines() -> Vec<u8> {
    tables(&[], &Annotations::builtin(Format::Lp64, &mut SourceMap::default(), &mut Diagnostics::default()))
}

fn text_of(path: &Path) -> Result<String, InterfacesError> {
    Disk.read(path).map_err(|source| InterfacesError::Io { path: path.to_path_buf(), source })
}

fn read(directory: &Path, include: &[PathBuf]) -> Result<Directory, InterfacesError> {
    let unreadable = |source| InterfacesError::Io { path: directory.to_path_buf(), source };
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        files.push(entry.map_err(unreadable)?.path());
    }
    files.sort();
    let with = |extension: &str| -> Vec<&PathBuf> {
        files.iter().filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
    };
    let [defs, lists, compiled, annotated] = ["defs", "msgids", "mdt", "annotations"].map(with);
    if [&defs, &lists, &compiled, &annotated].iter().all(|list| list.is_empty()) {
        return Err(InterfacesError::Nothing(directory.to_path_buf()));
    }
    let mut found = Directory::default();
    let annotations = annotations(&annotated)?;
    let mut places = Vec::from([directory.to_path_buf()]);
    places.extend(directory.parent().map(Path::to_path_buf));
    places.extend_from_slice(include);
    let mut models = Vec::new();
    for path in defs {
        let compilation = compile(path, &Options::lp64(places.clone()), &Disk);
        sound(&compilation.diagnostics, &compilation.sources)?;
        // A file of types alone is there to be included.
        models.extend(compilation.model);
    }
    // The first definition in a table wins, and of the files the last one should.
    let models: Vec<&Model> = models.iter().rev().collect();
    if !models.is_empty() || !annotated.is_empty() {
        found.full = tables(&models, &annotations);
    }
    for path in compiled.into_iter().rev() {
        let bytes = std::fs::read(path).map_err(|source| InterfacesError::Io { path: path.clone(), source })?;
        Tables::parse(&bytes).map_err(|source| InterfacesError::Table { path: path.clone(), source })?;
        found.full.extend(bytes);
    }
    let mut ids = Vec::new();
    for path in lists.into_iter().rev() {
        let list = msgids::read(&text_of(path)?);
        ids.extend(list.map_err(|BadLine { line, found }| InterfacesError::MsgIds {
            path: path.clone(),
            line,
            found,
        })?);
    }
    if !ids.is_empty() {
        found.names = msgids::table(&ids);
    }
    Ok(found)
}

fn annotations(files: &[&PathBuf]) -> Result<Annotations, InterfacesError> {
    let (mut sources, mut diagnostics) = (SourceMap::default(), Diagnostics::default());
    let mut annotations = Annotations::builtin(Format::Lp64, &mut sources, &mut diagnostics);
    for path in files {
        let file = sources.add(path.to_path_buf(), text_of(path)?);
        annotations.add(file, &sources, &mut diagnostics);
    }
    sound(&diagnostics, &sources)?;
    Ok(annotations)
}

/// The first error, if there is one.
fn sound(diagnostics: &Diagnostics, sources: &SourceMap) -> Result<(), InterfacesError> {
    match diagnostics.list().iter().find(|diagnostic| diagnostic.severity() == Severity::Error) {
        Some(first) => {
            Err(InterfacesError::Source { report: first.render(sources), more: diagnostics.errors().saturating_sub(1) })
        }
        None => Ok(()),
    }
}
