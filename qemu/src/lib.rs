// SPDX-License-Identifier: GPL-2.0-or-later
//! The host side: everything between a clean machine and a traced program on a booted GNU Mach.
//!
//! **What.** Fetches Debian's stock kernel, instruments its binary with the payload, builds the guest programs, boots
//! QEMU, sorts out the console. The binary `qemu` (`cargo qemu`) is a thin command line over this library.
//!
//! **Place in the flow.** stock kernel -> [`kernel`] facts -> [`plan`] -> [`rewrite`] -> [`verify`] -> QEMU.
//!
//! **Invariants.** A plan is complete before a byte is written; outputs are re-read and compared with it; whatever is
//! missing in a kernel is one error; files appear under their final name only when they are whole.
//!
//! **Unsafe.** None, and forbidden.
//!
//! **Start reading at** [`instrument::instrument`].
#![forbid(unsafe_code)]
// They panic where nobody can hear them: `ui::say`, and errors of `writeln!`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod archive;
pub mod autopsy;
pub mod bench;
pub mod cache;
pub mod deb;
pub mod disk;
pub mod doctor;
pub mod elf32;
pub mod ending;
pub mod error;
pub mod fetch;
pub mod guest;
pub mod image;
pub mod instrument;
pub mod kernel;
pub mod link;
pub mod plan;
pub mod profile;
pub mod recorder;
pub mod rewrite;
pub mod setup;
pub mod stripped;
pub mod stubs;
mod together;
pub mod toolchain;
pub mod ui;
pub mod verify;
pub mod vm;

pub use kernel_ipc::payload_abi;
