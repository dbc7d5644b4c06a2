// SPDX-License-Identifier: GPL-2.0-or-later
//! A MIG compiler and message decoder for GNU Mach.
//!
//! **What.** With the feature `compiler` (std): reads .defs files and writes Rust stubs and binary decode tables. With the
//! feature `lists` (alloc): makes tables of lists of names. Without them (no_std, no alloc): opens decode tables and turns the bytes of Mach messages into named, typed fields.
//!
//! **Place in the flow.** `parse` decides what is grammar, `resolve` what has a meaning (and reports what has none),
//! `layout` where things stand in a message, `codegen` how they are called. The printers of rpctrace2 see only [`table`],
//! [`decode`] and [`value`].
//! ```text
//! x.defs -> preprocess -> lex -> parse -> ast -> resolve -> model -> layout -> codegen::{user, server, table}
//!                                                                                              |
//!                       message bytes + interfaces.mdt -> table, decode -> value <-------------+
//! ```
//!
//! **Invariants.** Layouts, ids and descriptors are those of the system's own MIG: tests/migcom.rs compares every
//! routine. A file's mistakes cost the declarations they are in and no others; a routine that is left out keeps its
//! number. Tables and decoder are for the messages of 64-bit and of 32-bit kernels alike; stubs for the former. Decode tables are checked once, in [`table::Tables::parse`]; after that nothing in them, and nothing in a
//! message, can make the decoder panic or read outside the message.
//!
//! **Unsafe.** None, and forbidden.
//!
//! **Start reading at** `compile.rs` for the compiler, [`decode`] (with an example) for the decoder, `bin/mig-defs`
//! for the commands.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "lists"))]
extern crate alloc;
#[cfg(any(test, feature = "compiler"))]
extern crate std;

#[cfg(feature = "compiler")]
pub mod annotations;
#[cfg(feature = "compiler")]
pub mod ast;
#[cfg(feature = "compiler")]
pub mod codegen;
#[cfg(feature = "compiler")]
pub mod compile;
pub mod decode;
#[cfg(feature = "compiler")]
pub mod diag;
pub mod dump;
pub mod encode;
#[cfg(feature = "compiler")]
pub mod interfaces;
#[cfg(feature = "compiler")]
pub mod layout;
#[cfg(feature = "compiler")]
pub mod lex;
#[cfg(feature = "compiler")]
pub mod model;
#[cfg(any(test, feature = "lists"))]
pub mod msgids;
#[cfg(feature = "compiler")]
pub mod parse;
#[cfg(feature = "compiler")]
pub mod preprocess;
pub mod raw;
#[cfg(feature = "compiler")]
pub mod resolve;
#[cfg(feature = "compiler")]
pub mod show;
#[cfg(feature = "compiler")]
pub mod source;
pub mod table;
pub mod value;
