//! The compiler, from text to tables: diagnostics, never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mig_defs_fuzz::compiler(data));
