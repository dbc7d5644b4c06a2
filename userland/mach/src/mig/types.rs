//! Type descriptors: what stands before every item of a message.

use super::{DEALLOCATE, INLINE};
use crate::port::Disposition;

/// The longform bit of a type descriptor.
const LONG: u64 = 1 << 30;
/// The bits of a type descriptor that mean nothing.
const UNUSED: u64 = 0x1f << 24;

/// Which basic type an item is made of, of how many bits, how many there are of it, and where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Type(u64);

impl Type {
    /// One inline item of a `msgt_name` and `msgt_size`.
    pub const fn new(name: u8, bits: u16) -> Self {
        Self(name as u64 | (bits as u64) << 8 | INLINE | 1 << 32)
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
        let bits = if self.is_right() { 32 << 8 } else { self.0 & 0xff_ff00 };
        Self(self.0 & !INLINE & !0xff_ff00 | bits)
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

    /// The same inline, where nothing can be given away.
    pub(super) const fn inline(self) -> Self {
        Self((self.0 | INLINE) & !DEALLOCATE)
    }

    /// The same of another kind of right.
    pub(super) const fn kind(self, name: u8) -> Self {
        Self(self.0 & !0xff | name as u64)
    }

    /// The same with as many basic items as `bytes` bytes are.
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
        self.0 >> 8 & 0xffff
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
        matches!(self.name(), 16..=21 | 255)
    }
}

macro_rules! types {
    ($($name:ident = $number:literal, $bits:literal;)*) => {
        $(
            #[doc = concat!("`MACH_MSG_TYPE_", stringify!($name), "` of ", $bits, " bits, inline.")]
            pub const $name: Type = Type::new($number, $bits);
        )*
    };
}

types! {
    BOOLEAN = 0, 32;
    INTEGER_16 = 1, 16;
    INTEGER_32 = 2, 32;
    CHAR = 8, 8;
    BYTE = 9, 8;
    INTEGER_64 = 11, 64;
    STRING = 12, 8;
    PORT_NAME = 15, 32;
    MOVE_RECEIVE = 16, 64;
    MOVE_SEND = 17, 64;
    MOVE_SEND_ONCE = 18, 64;
    COPY_SEND = 19, 64;
    MAKE_SEND = 20, 64;
    MAKE_SEND_ONCE = 21, 64;
    POLYMORPHIC = 255, 64;
}
