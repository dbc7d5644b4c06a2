// SPDX-License-Identifier: GPL-2.0-or-later
//! The front end in one call: a .defs file to its model, with the diagnostics and sources to explain it.

use std::path::Path;
use std::string::{String, ToString};
use std::vec::Vec;

use mach_abi::Format;

use crate::ast::{self, Statement};
use crate::diag::Diagnostics;
use crate::lex::lex;
use crate::model::Model;
use crate::parse::parse;
use crate::preprocess::{self, preprocess};
use crate::resolve::resolve;
use crate::source::{Files, SourceMap};

/// How to compile.
#[derive(Clone, Debug)]
pub struct Options {
    /// Include directories and macros.
    pub preprocess: preprocess::Options,
    /// The message format.
    pub format: Format,
}

impl Options {
    /// For 64-bit GNU Mach, user view: neither KERNEL_USER nor KERNEL_SERVER is defined.
    pub fn lp64(include: Vec<std::path::PathBuf>) -> Self {
        let define = ["__x86_64__", "__LP64__"].map(|name| (name.to_string(), "1".to_string())).to_vec();
        Self { preprocess: preprocess::Options { include, define }, format: Format::Lp64 }
    }

    /// For 32-bit GNU Mach, user view.
    pub fn ilp32(include: Vec<std::path::PathBuf>) -> Self {
        let define = ["__i386__", "__ILP32__"].map(|name| (name.to_string(), "1".to_string())).to_vec();
        Self { preprocess: preprocess::Options { include, define }, format: Format::Ilp32 }
    }

    /// Adds a macro, as `-DNAME=VALUE` does.
    pub fn define(mut self, name: &str, value: &str) -> Self {
        self.preprocess.define.push((name.to_string(), value.to_string()));
        self
    }
}

/// A compiled file.
#[derive(Clone, Debug)]
pub struct Compilation {
    /// Every file that was read, the named one first (after command-line macros).
    pub sources: SourceMap,
    /// What is wrong with it.
    pub diagnostics: Diagnostics,
    /// The syntax tree.
    pub syntax: ast::File,
    /// The resolved subsystem; `None` if the file has none (a file of types only).
    pub model: Option<Model>,
}

impl Compilation {
    /// The diagnostics as text.
    pub fn report(&self) -> String {
        self.diagnostics.render(&self.sources)
    }
}

/// Compiles one file. Never fails: what is wrong is in the diagnostics, what is sound is in the model.
pub fn compile(path: &Path, options: &Options, files: &dyn Files) -> Compilation {
    let mut sources = SourceMap::default();
    let mut diagnostics = Diagnostics::default();
    let tokens = preprocess(path, &options.preprocess, files, &mut sources, &mut diagnostics);
    let tokens = lex(tokens, &mut diagnostics);
    let syntax = parse(&tokens, &mut diagnostics);
    // A file without subsystem and routines is made to be included: its types are checked where that happens.
    let included_only = !syntax.statements.iter().any(|statement| {
        matches!(statement, Statement::Subsystem(_) | Statement::Routine(_) | Statement::BrokenRoutine(_))
    });
    let model = if included_only { None } else { resolve(&syntax, options.format, &mut diagnostics) };
    Compilation { sources, diagnostics, syntax, model }
}
