// SPDX-License-Identifier: GPL-2.0-or-later
//! All tests of the stages, from records to text, as one program.

mod allocation;
mod apart;
mod arrays;
mod common;
mod control;
mod coverage;
mod ending;
mod fate;
mod hurd;
mod inject;
mod items;
mod kept;
mod leaks;
mod lines;
mod loading;
mod memory;
mod mixture;
mod naming;
mod options;
mod ours;
mod posix;
mod property;
mod ring;
mod selecting;
mod strays;
mod stuck;
mod top;
mod tree;
mod usual;
mod words;
