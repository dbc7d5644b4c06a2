// SPDX-License-Identifier: GPL-2.0-or-later
//! `mach_msg_header_t` of mach/message.h, and what MIG's conventions add to it.

use crate::Format;
use crate::bytes::read_u32;

/// Where the fields of a message's header stand, in bytes from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// `msgh_bits`
    pub bits: usize,
    /// `msgh_size`
    pub size: usize,
    /// `msgh_remote_port`
    pub remote_port: usize,
    /// `msgh_local_port`, and in the same place `msgh_protected_payload`.
    pub local_port: usize,
    /// `msgh_seqno`
    pub seqno: usize,
    /// `msgh_id`
    pub id: usize,
    /// Where the header ends and the body begins.
    pub end: usize,
}

/// The header of the 64-bit format: both ports are as wide as a pointer.
pub const LP64: Layout = Layout { bits: 0, size: 4, remote_port: 8, local_port: 16, seqno: 24, id: 28, end: 32 };
/// The header of the 32-bit format.
pub const ILP32: Layout = Layout { bits: 0, size: 4, remote_port: 8, local_port: 12, seqno: 16, id: 20, end: 24 };

/// The header of the 64-bit format in words of 64 bits, for who builds messages of such.
pub mod word {
    use super::LP64;
    use crate::Format;

    const BYTES: usize = Format::Lp64.word();
    /// Lower half `msgh_bits`, upper half `msgh_size`.
    pub const BITS: usize = LP64.bits / BYTES;
    /// `msgh_remote_port`
    pub const REMOTE_PORT: usize = LP64.remote_port / BYTES;
    /// `msgh_local_port`
    pub const LOCAL_PORT: usize = LP64.local_port / BYTES;
    /// Lower half `msgh_seqno`, upper half `msgh_id`.
    pub const ID: usize = LP64.id / BYTES;
    /// Where the body begins.
    pub const BODY: usize = LP64.end / BYTES;
}

/// `MACH_MSGH_BITS_COMPLEX`: the body carries rights or out-of-line memory.
pub const MACH_MSGH_BITS_COMPLEX: u32 = 0x8000_0000;
/// `MACH_MSGH_BITS_REMOTE_MASK`: what kind of right `msgh_remote_port` is, a type name.
pub const MACH_MSGH_BITS_REMOTE_MASK: u32 = 0xff;
/// `MACH_MSGH_BITS_LOCAL_MASK`: what kind of right `msgh_local_port` is.
pub const MACH_MSGH_BITS_LOCAL_MASK: u32 = 0xff00;

/// A reply's `msgh_id` is its request's plus this, by MIG's convention.
pub const REPLY_ID_OFFSET: u32 = 100;

/// `MACH_MSGH_BITS (remote, local)`: the bits of two type names.
pub const fn bits(remote: u32, local: u32) -> u32 {
    remote | local << 8
}

/// `MACH_MSGH_BITS_REMOTE (bits)`: the type name of `msgh_remote_port`.
pub const fn remote(bits: u32) -> u32 {
    bits & MACH_MSGH_BITS_REMOTE_MASK
}

/// `MACH_MSGH_BITS_LOCAL (bits)`: the type name of `msgh_local_port`.
pub const fn local(bits: u32) -> u32 {
    (bits & MACH_MSGH_BITS_LOCAL_MASK) >> 8
}

impl Format {
    /// Where the header's fields stand.
    pub const fn header(self) -> Layout {
        match self {
            Self::Lp64 => LP64,
            Self::Ilp32 => ILP32,
        }
    }

    /// Bytes of the reply that carries nothing but a return code (`mig_reply_error_t`).
    pub const fn error_reply_size(self) -> usize {
        self.header().end + self.descriptor_size(false) + self.word()
    }
}

/// A message's header, taken apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// `msgh_bits`
    pub bits: u32,
    /// `msgh_size`: bytes of the whole message.
    pub size: u32,
    /// `msgh_remote_port`
    pub remote_port: u32,
    /// `msgh_local_port`; as wide as a pointer, because a protected payload can stand there.
    pub local_port: u64,
    /// `msgh_seqno`
    pub seqno: u32,
    /// `msgh_id`
    pub id: u32,
}

impl Header {
    /// Reads the header at the start of `message`; `None` if it is shorter.
    pub fn read(format: Format, message: &[u8]) -> Option<Self> {
        let layout = format.header();
        Some(Self {
            bits: read_u32(message, layout.bits)?,
            size: read_u32(message, layout.size)?,
            remote_port: read_u32(message, layout.remote_port)?,
            local_port: format.read_word(message, layout.local_port)?,
            seqno: read_u32(message, layout.seqno)?,
            id: read_u32(message, layout.id)?,
        })
    }

    /// Writes it to the start of `message`; `None` if that is shorter, which then stays as it is.
    pub fn write(self, format: Format, message: &mut [u8]) -> Option<()> {
        let layout = format.header();
        let place = message.get_mut(..layout.end)?;
        place.fill(0);
        for (at, value) in [
            (layout.bits, self.bits),
            (layout.size, self.size),
            (layout.remote_port, self.remote_port),
            (layout.seqno, self.seqno),
            (layout.id, self.id),
        ] {
            place[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        let word = format.word();
        place[layout.local_port..layout.local_port + word].copy_from_slice(&self.local_port.to_le_bytes()[..word]);
        Some(())
    }

    /// What kind of right `msgh_remote_port` is: a type name.
    pub const fn remote_disposition(self) -> u8 {
        remote(self.bits) as u8
    }

    /// What kind of right `msgh_local_port` is: a type name.
    pub const fn local_disposition(self) -> u8 {
        local(self.bits) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_and_a_prefix_of_it_does_not() {
        let header = Header { bits: 0x8000_1513, size: 48, remote_port: 7, local_port: 9, seqno: 3, id: 2021 };
        for format in [Format::Lp64, Format::Ilp32] {
            let mut bytes = [0xaa; 32];
            assert_eq!(header.write(format, &mut bytes), Some(()));
            assert_eq!(Header::read(format, &bytes), Some(header));
            for length in 0..format.header().end {
                assert_eq!(Header::read(format, &bytes[..length]), None);
                assert_eq!(header.write(format, &mut bytes[..length]), None);
            }
        }
        assert_eq!((header.remote_disposition(), header.local_disposition()), (0x13, 0x15));
        assert_eq!(bits(0x13, 0x15), header.bits & !MACH_MSGH_BITS_COMPLEX);
    }

    #[test]
    fn the_fields_follow_one_another() {
        // bits, size, two ports, seqno, id: what C makes of the struct.
        for format in [Format::Lp64, Format::Ilp32] {
            let (layout, word) = (format.header(), format.word());
            assert_eq!((layout.bits, layout.size, layout.remote_port), (0, 4, 8));
            assert_eq!((layout.local_port, layout.seqno), (8 + word, 8 + 2 * word));
            assert_eq!((layout.id, layout.end), (layout.seqno + 4, layout.seqno + 8));
        }
        assert_eq!((Format::Lp64.error_reply_size(), Format::Ilp32.error_reply_size()), (48, 32));
    }

    #[test]
    fn a_protected_payload_is_as_wide_as_a_pointer() {
        let header = Header { local_port: 0x1234_5678_9abc_def0, ..Header::default() };
        let mut bytes = [0; 32];
        header.write(Format::Lp64, &mut bytes).expect("room");
        assert_eq!(Header::read(Format::Lp64, &bytes), Some(header));
        header.write(Format::Ilp32, &mut bytes).expect("room");
        assert_eq!(Header::read(Format::Ilp32, &bytes).map(|found| found.local_port), Some(0x9abc_def0));
    }
}
