// SPDX-License-Identifier: GPL-2.0-or-later
//! Runs one virtual machine: its command line as data, its console taken apart, and what came of it.

pub mod command;
pub mod console;
pub mod followed;
pub mod gdb;
mod input;
mod line;
pub mod outcome;
pub mod pit;
pub mod run;
mod socket;
pub mod typist;

pub use command::Machine;
pub use console::Sinks;
pub use followed::run_followed;
pub use input::Input;
pub use outcome::{Failure, Outcome};
pub use rpctrace2::host::Paint;
pub use run::{Interrupt, Limits, run, run_typed, run_until};
