// SPDX-License-Identifier: GPL-2.0-or-later
//! The reader of captures: refused, or read completely.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| capture_fuzz::read(data));
