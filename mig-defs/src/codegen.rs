// SPDX-License-Identifier: GPL-2.0-or-later
//! Model and layout to output: Rust stubs, decode tables.

use std::path::Path;

use crate::model::Model;
use crate::source::SourceMap;

mod names;
mod rights;
mod rust;
pub mod server;
mod shorten;
pub mod table;
pub mod user;

/// What a stub generator is given.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The subsystem.
    pub model: &'a Model,
    /// Its sources, for line numbers in the documentation.
    pub sources: &'a SourceMap,
    /// The file it was compiled from.
    pub file: &'a Path,
    /// Path of the runtime crate, such as `::mach`.
    pub runtime: &'a str,
}
