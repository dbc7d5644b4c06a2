// SPDX-License-Identifier: GPL-2.0-or-later
//! A place where the host's debugger stops: `cargo qemu bench` follows, instruction by instruction, what runs between two of them.

/// Tells a breakpoint here from the same address in another program.
const MAGIC: u64 = u64::from_le_bytes(*b"rpc2mark");

/// Part `number` begins here; 0 ends it.
pub fn mark(number: u32) {
    rpctrace2_mark(number.into(), MAGIC);
}

// The name by which the host finds the place in the program's symbol table.
// SAFETY: no other symbol of the program has this name, which begins with ours.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn rpctrace2_mark(number: u64, magic: u64) {
    core::hint::black_box((number, magic));
}
