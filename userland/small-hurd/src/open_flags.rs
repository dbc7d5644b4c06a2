// SPDX-License-Identifier: GPL-2.0-or-later
//! Flags of `dir_lookup` as a server sees them (fcntl.h of the Hurd).

pub use hurd::abi::open::{APPEND, CREAT, EXCL, EXEC, NOLINK, NOTRANS, READ, WRITE};

/// Refusing what is no directory.
pub const DIRECTORY: i32 = 0x20_0000;

/// What only matters while something is opened.
pub const ONLY_OPENING: i32 = CREAT | EXCL | NOLINK | NOTRANS;

/// The flags that a server keeps (`O_HURD`). `O_TRUNC` is none of them: it is for the client to make the file empty.
pub const KEPT: i32 = 0xffff;
