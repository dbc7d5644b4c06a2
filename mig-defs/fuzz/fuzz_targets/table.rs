// SPDX-License-Identifier: GPL-2.0-or-later
//! The reader of decode tables: refused, or safe to decode with.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mig_defs_fuzz::table(data));
