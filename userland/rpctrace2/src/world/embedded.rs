// SPDX-License-Identifier: GPL-2.0-or-later
//! The decode tables that this program was built with, for places where there is no file with others.

/// Made by `cargo qemu` beside the stubs, of the kernel's interfaces and ours.
pub(super) static TABLES: &[u8] = include_bytes!(concat!(env!("MACH_STUBS"), "/../interfaces.mdt"));

/// Those that know names of errors and flags alone, for who brings his own.
pub(super) static WITHOUT_ROUTINES: &[u8] = include_bytes!(concat!(env!("MACH_STUBS"), "/../without-routines.mdt"));

/// What they are called where something is wrong with them.
pub(super) const NAME: &str = "the tables inside rpctrace2";
