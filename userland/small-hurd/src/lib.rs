// SPDX-License-Identifier: GPL-2.0-or-later
//! A small Hurd for tests, as far as it is plain logic: what names lead to, which programs can be loaded, what ids may do.
//!
//! **What.** The servers that a Hurd program needs, in our own words and strict: they refuse what the Hurd's own refuse, with its errors,
//! and take only messages that are what the .defs say. The servers themselves are the binary beside this library, one task each.
//!
//! **Place in the flow.** The boot server starts `small-hurd PROGRAM`, which starts the servers, and PROGRAM as a Hurd program.
//! Programs and rpctrace2 are tested against it.
//!
//! **Invariants.** A rule that stands here is one that the Hurd's sources have; where a server does less, its file says so. Nothing panics
//! on bad input.
//!
//! **Unsafe.** None.
//!
//! **Start reading at** [`tree`], the filesystem's rules, then `src/main.rs`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod errno;
pub mod ids;
pub mod image;
pub mod open_flags;
pub mod options;
pub mod script;
pub mod tiny;
pub mod tree;
