// SPDX-License-Identifier: GPL-2.0-or-later
//! What answers each question, a file each.

mod carried;
pub(crate) mod coverage;
pub(crate) mod leaks;
pub(crate) mod ports;
mod rights;
mod say;
pub(crate) mod stuck;
pub(crate) mod top;
pub(crate) mod tree;
