// SPDX-License-Identifier: GPL-2.0-or-later
//! End-to-end tests: programs run in a real GNU Mach under QEMU, and what the user sees of them.
//!
//! **What.** Runs `cargo qemu`'s own binary as a user would, normalises what it prints and compares it with goldens.
//!
//! **Place in the flow.** `qemu` binary -> stdout, stderr, exit status -> [`normalise`] -> [`golden`].
//!
//! **Invariants.** A test needs nothing but what `cargo qemu test` sets up; without it the test is ignored with a reason, never passed.
//!
//! **Unsafe.** None, and forbidden.
//!
//! **Start reading at** [`guest`].
//!
//! To add a scenario: write `userland/programs/src/bin/NAME.rs`, add NAME to `PROGRAMS` in tests/tests/programs.rs, run
//! `BLESS=1 cargo qemu test`, and *read* the golden that appears in userland/programs/golden before you commit it.
#![forbid(unsafe_code)]

pub mod browser;
pub mod documented;
pub mod golden;
pub mod guest;
pub mod normalise;
