// SPDX-License-Identifier: GPL-2.0-or-later
//! The compiler, from text to tables: diagnostics, never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mig_defs_fuzz::compiler(data));
