// SPDX-License-Identifier: GPL-2.0-or-later
//! Type descriptors: what stands before every item of a message.

use mach_abi::{Descriptor, descriptor, type_name};

use crate::port::Disposition;

/// The inline bit.
const INLINE: u64 = descriptor::INLINE as u64;
/// The longform bit.
const LONG: u64 = descriptor::LONGFORM as u64;
/// The deallocate bit.
const DEALLOCATE: u64 = descriptor::DEALLOCATE as u64;
/// The bits that mean nothing.
const UNUSED: u64 = descriptor::UNUSED as u64;
/// The bits of the type name.
const NAME: u64 = descriptor::NAME as u64;
/// The bits of the size of one element.
const SIZE: u64 = descriptor::SIZE as u64;
/// The size of a right out of line: that of a name.
const OUT_OF_LINE_RIGHT: u64 = Descriptor::inline(0, 32, 0).to_word() & SIZE;

/// Which basic type an item is made of, of how many bits, how many there are of it, and where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Type(u64);

impl Type {
    /// One inline item of a `msgt_name` and `msgt_size`.
    pub const fn new(name: u8, bits: u16) -> Self {
        Self(Descriptor::inline(name as u32, bits, 1).to_word())
    }

    /// One right that is sent like this.
    pub const fn of(how: Disposition) -> Self {
        Self::new(how as u8, 64)
    }

    /// So many of it.
    #[must_use]
    pub const fn times(self, number: u32) -> Self {
        Self(self.0 & 0xffff_ffff | (number as u64) << 32)
    }

    /// Out of line, where rights are 32-bit names.
    #[must_use]
    pub const fn out_of_line(self) -> Self {
        let bits = if self.is_right() { OUT_OF_LINE_RIGHT } else { self.0 & SIZE };
        Self(self.0 & !INLINE & !SIZE | bits)
    }

    /// With the longform bit.
    #[must_use]
    pub const fn long(self) -> Self {
        Self(self.0 | LONG)
    }

    /// Memory that goes over to the receiver.
    #[must_use]
    pub const fn dealloc(self) -> Self {
        Self(self.0 | DEALLOCATE)
    }

    /// This type inline, where nothing can be given away.
    pub(super) const fn inline(self) -> Self {
        Self((self.0 | INLINE) & !DEALLOCATE)
    }

    /// This type with another kind of right.
    pub(super) const fn kind(self, name: u8) -> Self {
        Self(self.0 & !NAME | name as u64)
    }

    /// This type with as many basic items as `bytes` bytes are.
    pub(super) fn of_bytes(self, bytes: usize) -> Self {
        self.times((bytes as u64 * 8).checked_div(self.bits()).unwrap_or(0) as u32)
    }

    /// The descriptor as it stands in a message.
    pub(super) const fn word(self) -> u64 {
        self.0
    }

    /// A descriptor found in a message.
    pub(super) const fn found(word: u64) -> Self {
        Self(word)
    }

    /// Whether a found descriptor is this one in all but number, the deallocate bit and the unused ones.
    pub(super) const fn accepts(self, found: Self) -> bool {
        (self.0 ^ found.0) & 0xffff_ffff & !DEALLOCATE & !UNUSED == 0
    }

    /// Whether a found descriptor is this one. Of the long form, as MIG has it, these bits do not count.
    pub(super) const fn is(self, found: Self) -> bool {
        if self.0 & LONG == 0 { self.0 == found.0 } else { self.accepts(found) && self.number() == found.number() }
    }

    const fn bits(self) -> u64 {
        (self.0 & SIZE) >> 8
    }

    /// `msgt_name`
    pub(super) const fn name(self) -> u8 {
        self.0 as u8
    }

    /// `msgt_number`
    pub(super) const fn number(self) -> usize {
        (self.0 >> 32) as usize
    }

    /// Bytes of data.
    pub(super) const fn bytes(self) -> usize {
        (self.bits() * (self.0 >> 32)).div_ceil(8) as usize
    }

    /// Whether the data stand in the message.
    pub(super) const fn is_inline(self) -> bool {
        self.0 & INLINE != 0
    }

    /// Whether the receiver gets the memory itself.
    pub(super) const fn is_given(self) -> bool {
        self.0 & DEALLOCATE != 0
    }

    /// Whether it is a right of any kind.
    pub(super) const fn is_right(self) -> bool {
        type_name::is_port(self.name() as u32) || self.name() == POLYMORPHIC.name()
    }
}

macro_rules! types {
    ($($name:ident: $bits:literal;)*) => {
        $(
            #[doc = concat!("`MACH_MSG_TYPE_", stringify!($name), "` of ", $bits, " bits, inline.")]
            pub const $name: Type = Type::new(type_name::$name as u8, $bits);
        )*
    };
}

types! {
    BOOLEAN: 32;
    INTEGER_16: 16;
    INTEGER_32: 32;
    CHAR: 8;
    BYTE: 8;
    INTEGER_64: 64;
    STRING: 8;
    PORT_NAME: 32;
    MOVE_RECEIVE: 64;
    MOVE_SEND: 64;
    MOVE_SEND_ONCE: 64;
    COPY_SEND: 64;
    MAKE_SEND: 64;
    MAKE_SEND_ONCE: 64;
    POLYMORPHIC: 64;
}
