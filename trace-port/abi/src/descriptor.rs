// SPDX-License-Identifier: GPL-2.0-or-later
//! `mach_msg_type_t` and `mach_msg_type_long_t` of mach/message.h: what stands before each item of a message.
//!
//! ```text
//! 64 bit, 8 bytes, both forms:  name 8, size 16, unused 5, inline, longform, deallocate; number 32
//! 32 bit, 4 bytes, short form:  name 8, size 8, number 12, inline, longform, deallocate, unused 1
//! 32 bit, 12 bytes, long form:  the flags of the short form; name 16, size 16; number 32
//! ```

use crate::bytes::{read_u32, read_u64};
use crate::{Format, type_name};

/// `msgt_inline` in the lower half of a 64-bit descriptor: the data stand in the message.
pub const INLINE: u32 = 1 << 29;
/// `msgt_longform` in the lower half of a 64-bit descriptor: no meaning to a 64-bit kernel, but MIG sets and checks it.
pub const LONGFORM: u32 = 1 << 30;
/// `msgt_deallocate` in the lower half of a 64-bit descriptor: the sender gives its memory, or right, away.
pub const DEALLOCATE: u32 = 1 << 31;
/// `msgt_unused` in the lower half of a 64-bit descriptor.
pub const UNUSED: u32 = 0x1f << 24;
/// `msgt_size` in the lower half of a 64-bit descriptor.
pub const SIZE: u32 = 0xffff << 8;
/// `msgt_name` in the lower half of a 64-bit descriptor.
pub const NAME: u32 = 0xff;

/// Bytes of the longest descriptor there is.
pub const MAX_SIZE: usize = 12;

/// The flags of the 32-bit format's first word are one bit below those of the 64-bit format's.
const ILP32_SHIFT: u32 = 1;
/// The largest `msgt_number` of the 32-bit format's short form.
const SHORT_NUMBER_MAX: u32 = 0xfff;

impl Format {
    /// Bytes of a type descriptor of the long or the short form.
    pub const fn descriptor_size(self, longform: bool) -> usize {
        match (self, longform) {
            (Self::Lp64, _) => 8,
            (Self::Ilp32, false) => 4,
            (Self::Ilp32, true) => MAX_SIZE,
        }
    }
}

/// A type descriptor, taken apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// `msgt_name`
    pub name: u8,
    /// `msgt_size`: bits of one element.
    pub size: u16,
    /// `msgt_number`: how many elements.
    pub number: u32,
    /// `msgt_inline`
    pub inline: bool,
    /// `msgt_longform`: no meaning to a 64-bit kernel, but MIG sets and checks it.
    pub longform: bool,
    /// `msgt_deallocate`
    pub deallocate: bool,
}

impl Descriptor {
    /// `number` inline elements of `size` bits each, short form.
    pub const fn inline(name: u32, size: u16, number: u32) -> Self {
        Self { name: name as u8, size, number, inline: true, longform: false, deallocate: false }
    }

    /// Reads the 64-bit form; unused bits are ignored.
    pub const fn from_word(word: u64) -> Self {
        let low = word as u32;
        Self {
            name: low as u8,
            size: (low >> 8) as u16,
            number: (word >> 32) as u32,
            inline: low & INLINE != 0,
            longform: low & LONGFORM != 0,
            deallocate: low & DEALLOCATE != 0,
        }
    }

    /// The 64-bit form.
    pub const fn to_word(self) -> u64 {
        let low = self.name as u32 | (self.size as u32) << 8 | self.flags();
        low as u64 | (self.number as u64) << 32
    }

    const fn flags(self) -> u32 {
        let mut flags = 0;
        if self.inline {
            flags |= INLINE;
        }
        if self.longform {
            flags |= LONGFORM;
        }
        if self.deallocate {
            flags |= DEALLOCATE;
        }
        flags
    }

    /// The 32-bit format's form: one word, or three in the long form.
    pub const fn to_words_ilp32(self) -> (u32, Option<[u32; 2]>) {
        let flags = self.flags() >> ILP32_SHIFT;
        if self.longform {
            return (flags, Some([self.name as u32 | (self.size as u32) << 16, self.number]));
        }
        let number = self.number & SHORT_NUMBER_MAX;
        (self.name as u32 | (self.size as u32 & 0xff) << 8 | number << 16 | flags, None)
    }

    /// Reads the descriptor at `at`, whose size is [`Descriptor::bytes`]; `None` if the message ends before it does.
    pub fn read(format: Format, message: &[u8], at: usize) -> Option<Self> {
        if format == Format::Lp64 {
            return read_u64(message, at).map(Self::from_word);
        }
        let first = read_u32(message, at)?;
        let flags = first << ILP32_SHIFT;
        let (inline, longform, deallocate) = (flags & INLINE != 0, flags & LONGFORM != 0, flags & DEALLOCATE != 0);
        let (name, size, number) = match longform {
            false => (first as u8, (first >> 8 & 0xff) as u16, first >> 16 & SHORT_NUMBER_MAX),
            true => {
                let second = read_u32(message, at.checked_add(4)?)?;
                (second as u8, (second >> 16) as u16, read_u32(message, at.checked_add(8)?)?)
            }
        };
        Some(Self { name, size, number, inline, longform, deallocate })
    }

    /// Writes it to the start of `place` and returns how many bytes it took; `None` if there are fewer.
    pub fn write(self, format: Format, place: &mut [u8]) -> Option<usize> {
        let size = self.bytes(format);
        let place = place.get_mut(..size)?;
        match (format, self.to_words_ilp32()) {
            (Format::Lp64, _) => place.copy_from_slice(&self.to_word().to_le_bytes()),
            (Format::Ilp32, (word, rest)) => {
                let words = [Some(word), rest.map(|[second, _]| second), rest.map(|[_, third]| third)];
                for (place, word) in place.chunks_mut(4).zip(words.into_iter().flatten()) {
                    place.copy_from_slice(&word.to_le_bytes());
                }
            }
        }
        Some(size)
    }

    /// Bytes it takes in a message itself.
    pub const fn bytes(self, format: Format) -> usize {
        format.descriptor_size(self.longform)
    }

    /// Bytes of data it describes, without padding.
    pub const fn data_size(self) -> u64 {
        (self.size as u64 * self.number as u64).div_ceil(8)
    }

    /// Whether the data are port rights.
    pub const fn is_port(self) -> bool {
        type_name::is_port(self.name as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_of_the_trace_record() {
        // The constants that Debian's MIG compiles trace.defs to.
        let port = Descriptor::inline(17, 64, 1);
        assert_eq!(port.to_word(), 0x0000_0001_2000_4011);
        let data = Descriptor { longform: true, ..Descriptor::inline(8, 8, 5) };
        assert_eq!(data.to_word(), 0x0000_0005_6000_0808);
        for descriptor in [port, data, Descriptor { deallocate: true, ..port }] {
            assert_eq!(Descriptor::from_word(descriptor.to_word()), descriptor);
        }
    }

    #[test]
    fn descriptors_of_the_32_bit_format() {
        // The bit fields of mach/message.h for i386: name 8, size 8, number 12, inline, longform, deallocate.
        let port = Descriptor::inline(19, 32, 1);
        assert_eq!(port.to_words_ilp32(), (0x1001_2013, None));
        let memory = Descriptor { name: 9, size: 8, number: 0x12345, inline: false, longform: true, deallocate: true };
        assert_eq!(memory.to_words_ilp32(), (0x6000_0000, Some([0x0008_0009, 0x12345])));
    }

    #[test]
    fn a_descriptor_reads_back_and_a_prefix_of_it_does_not() {
        let short = Descriptor { deallocate: true, ..Descriptor::inline(19, 32, 4095) };
        let far = Descriptor { name: 9, size: 8, number: 1000, inline: false, longform: false, deallocate: true };
        let long = Descriptor { name: 8, size: 8, number: u32::MAX, inline: true, longform: true, deallocate: false };
        for format in [Format::Lp64, Format::Ilp32] {
            for descriptor in [short, far, long, Descriptor::default()] {
                let mut bytes = [0xaa; MAX_SIZE + 3];
                let size = descriptor.write(format, &mut bytes[3..]).expect("room");
                assert_eq!(size, descriptor.bytes(format));
                assert_eq!(Descriptor::read(format, &bytes, 3), Some(descriptor));
                for length in 0..size {
                    assert_eq!(Descriptor::read(format, &bytes[..3 + length], 3), None, "{format:?} {descriptor:?}");
                    assert_eq!(descriptor.write(format, &mut bytes[..length]), None);
                }
            }
            assert_eq!(Descriptor::read(format, &[0; 16], usize::MAX), None);
        }
    }
}
