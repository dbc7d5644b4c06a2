// SPDX-License-Identifier: GPL-2.0-or-later
//! A trace in a terminal: its calls in a list, what is in the selected one below, and jumps between them. docs/view.md.
//!
//! **What.** [`Collect`] is a form of `export` that keeps a trace's calls in few bytes each. [`App`] is what is shown of them and what keys do with it: it knows
//! no terminal, and [`mod@draw`] draws it in any. [`run()`] is a terminal's keys and screens.
//!
//! **Place in the flow.** `exchanges` -> `export`'s model -> [`Collect`] -> [`Store`] -> [`App`] -> [`mod@draw`].
//!
//! **Invariants.** Nothing but printable ASCII goes to the terminal, whatever names and texts a trace has. A message is decoded when it is seen, with
//! what is known of ports then; later it is only unpacked. The terminal is restored whatever ends it: the user, an error, a panic, SIGTERM.
//!
//! **Unsafe.** None, and forbidden.
//!
//! **Start reading at** [`App`].
#![forbid(unsafe_code)]

mod app;
mod console;
mod draw;
mod find;
mod jumps;
mod pack;
mod panes;
mod rights;
mod run;
mod store;
#[cfg(test)]
mod tests;
mod words;

pub use app::{About, App, Effect, STEP};
pub use draw::{KEYS, draw};
pub use find::{Parse, Parsed, Test};
pub use run::{Fed, run, size};
pub use store::{Collect, Store};
