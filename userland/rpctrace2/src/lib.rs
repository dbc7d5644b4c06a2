// SPDX-License-Identifier: GPL-2.0-or-later
//! rpctrace2: prints every Mach message of a command and its children, decoded with MIG definitions.
//!
//! **What.** The command line, the sources of records, and what strings the stages together.
//!
//! **Place in the flow.** `session` (on Mach, feature `mach-task`) starts the command and receives what comes to the trace port ->
//! [`trace`] -> `exchanges` (records to exchanges) -> `report` (exchanges to text). [`options`] says what is wanted.
//!
//! On Linux the program `rpctrace2` (feature `host`) reads a capture, and [`replay`] makes the same calls of [`trace`].
//!
//! **Follow a record to the screen** from `session::Session::print_all` through [`Trace::message`] to `exchanges::Exchanges::message`; the
//! stages that it goes through are listed in that crate's first lines. It comes out at `report::Lines`, which writes the line.
//!
//! **Invariants.** A record goes through the stages once; message bytes are slices of the buffer that they were received in.
//!
//! **Unsafe.** None, and forbidden.
//!
//! **Start reading at** [`trace`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "host")]
extern crate std;

pub mod answers;
pub mod apart;
#[cfg(feature = "mach-task")]
mod buffer;
pub mod facts;
mod gate;
#[cfg(feature = "host")]
pub mod host;
pub mod injections;
#[cfg(any(test, feature = "mach-task"))]
mod kept;
pub mod options;
#[cfg(feature = "mach-task")]
mod pace;
pub mod replay;
pub mod ring;
#[cfg(any(test, feature = "host", feature = "mach-task"))]
mod screen;
#[cfg(feature = "mach-task")]
pub mod session;
#[cfg(feature = "mach-task")]
mod tasks;
pub mod trace;
#[cfg(feature = "mach-task")]
mod world;

pub use options::{Options, Request};
pub use report::Question;
pub use trace::Trace;
