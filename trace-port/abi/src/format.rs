// SPDX-License-Identifier: GPL-2.0-or-later
//! The two message formats of mach/message.h.

use crate::bytes::{read_u32, read_u64};

/// The format of the messages of a kernel and all its tasks: its C compiler's data model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// 64-bit kernels: pointers, port names in messages and the alignment of items have 8 bytes.
    Lp64,
    /// 32-bit kernels: 4 bytes.
    Ilp32,
}

impl Format {
    /// Bytes of a pointer, of an inline port right, and of what items are aligned to.
    pub const fn word(self) -> usize {
        match self {
            Self::Lp64 => 8,
            Self::Ilp32 => 4,
        }
    }

    /// The format with words of so many bytes.
    pub const fn of_word(bytes: u32) -> Option<Self> {
        match bytes {
            8 => Some(Self::Lp64),
            4 => Some(Self::Ilp32),
            _ => None,
        }
    }

    /// `size` rounded up to the alignment of items.
    pub const fn align(self, size: usize) -> usize {
        size.next_multiple_of(self.word())
    }

    /// The word at `at`, zero-extended: an address, or a port's name.
    pub fn read_word(self, bytes: &[u8], at: usize) -> Option<u64> {
        match self {
            Self::Lp64 => read_u64(bytes, at),
            Self::Ilp32 => read_u32(bytes, at).map(u64::from),
        }
    }
}
