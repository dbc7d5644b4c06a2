// SPDX-License-Identifier: GPL-2.0-or-later
//! The decoder: fields or an error for any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mig_defs_fuzz::decoder(data));
