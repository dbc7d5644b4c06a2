// SPDX-License-Identifier: GPL-2.0-or-later
//! Values that stand in a message as they are: integers, names, and structs and arrays of them.

use crate::error::KernReturn;
use crate::port::PortName;

/// A value of fixed size. Generated structs implement it member by member.
pub trait Item: Copy {
    /// Bytes it takes.
    const SIZE: usize;

    /// Writes it to the first [`Self::SIZE`] bytes of `to`, which are zero before.
    fn write(self, to: &mut [u8]);

    /// Reads it from the first [`Self::SIZE`] bytes of `from`.
    fn read(from: &[u8]) -> Self;

    /// The bytes of these items as they stand in a message, where that is what they are in memory.
    fn bytes_of(_: &[Self]) -> Option<&[u8]> {
        None
    }
}

impl Item for u8 {
    const SIZE: usize = 1;

    fn write(self, to: &mut [u8]) {
        to[0] = self;
    }

    fn read(from: &[u8]) -> Self {
        from[0]
    }

    fn bytes_of(values: &[Self]) -> Option<&[u8]> {
        Some(values)
    }
}

macro_rules! integers {
    ($($integer:ident)*) => {
        $(impl Item for $integer {
            const SIZE: usize = size_of::<Self>();

            fn write(self, to: &mut [u8]) {
                to[..Self::SIZE].copy_from_slice(&self.to_le_bytes());
            }

            fn read(from: &[u8]) -> Self {
                let mut bytes = [0; Self::SIZE];
                bytes.copy_from_slice(&from[..Self::SIZE]);
                Self::from_le_bytes(bytes)
            }
        })*
    };
}

integers!(i8 u16 i16 u32 i32 u64 i64);

impl Item for bool {
    const SIZE: usize = 4;

    fn write(self, to: &mut [u8]) {
        u32::from(self).write(to);
    }

    fn read(from: &[u8]) -> Self {
        u32::read(from) != 0
    }
}

impl Item for PortName {
    const SIZE: usize = 4;

    fn write(self, to: &mut [u8]) {
        self.0.write(to);
    }

    fn read(from: &[u8]) -> Self {
        Self(u32::read(from))
    }
}

impl Item for KernReturn {
    const SIZE: usize = 4;

    fn write(self, to: &mut [u8]) {
        self.0.write(to);
    }

    fn read(from: &[u8]) -> Self {
        Self(i32::read(from))
    }
}

impl<T: Item, const N: usize> Item for [T; N] {
    const SIZE: usize = T::SIZE * N;

    fn write(self, to: &mut [u8]) {
        for (value, place) in self.into_iter().zip(to.chunks_mut(T::SIZE)) {
            value.write(place);
        }
    }

    fn read(from: &[u8]) -> Self {
        core::array::from_fn(|index| T::read(&from[index * T::SIZE..]))
    }
}
