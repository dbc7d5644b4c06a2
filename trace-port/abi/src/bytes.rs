// SPDX-License-Identifier: GPL-2.0-or-later
//! Little-endian numbers in bytes that may end before them.

/// The `u32` at `at`.
pub fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

/// The `u64` at `at`.
pub fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}
