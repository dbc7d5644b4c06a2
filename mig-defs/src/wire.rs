//! What a Mach message is made of: header fields, type descriptors, message type numbers.

/// Bytes of `mach_msg_header_t` in the 64-bit format.
pub const HEADER_SIZE: usize = 32;
/// Bytes of a type descriptor in the 64-bit format, long form or not.
pub const DESCRIPTOR_SIZE: usize = 8;
/// Bytes of the reply that carries nothing but a return code (`mig_reply_error_t`).
pub const ERROR_REPLY_SIZE: usize = 48;
/// `msgh_bits`: the body carries rights or out-of-line memory.
pub const MSGH_BITS_COMPLEX: u32 = 0x8000_0000;
/// A reply's `msgh_id` is the request's plus this.
pub const REPLY_ID_OFFSET: u32 = 100;

/// `msgt_name` values.
pub mod type_name {
    /// `MACH_MSG_TYPE_UNSTRUCTURED`, `_BIT` and `_BOOLEAN`.
    pub const BOOLEAN: u32 = 0;
    /// `MACH_MSG_TYPE_INTEGER_16`
    pub const INTEGER_16: u32 = 1;
    /// `MACH_MSG_TYPE_INTEGER_32`
    pub const INTEGER_32: u32 = 2;
    /// `MACH_MSG_TYPE_CHAR`
    pub const CHAR: u32 = 8;
    /// `MACH_MSG_TYPE_BYTE` and `_INTEGER_8`
    pub const BYTE: u32 = 9;
    /// `MACH_MSG_TYPE_REAL`
    pub const REAL: u32 = 10;
    /// `MACH_MSG_TYPE_INTEGER_64`
    pub const INTEGER_64: u32 = 11;
    /// `MACH_MSG_TYPE_STRING` and `_STRING_C`
    pub const STRING: u32 = 12;
    /// `MACH_MSG_TYPE_PORT_NAME`
    pub const PORT_NAME: u32 = 15;
    /// `MACH_MSG_TYPE_MOVE_RECEIVE` and `_PORT_RECEIVE`
    pub const MOVE_RECEIVE: u32 = 16;
    /// `MACH_MSG_TYPE_MOVE_SEND` and `_PORT_SEND`
    pub const MOVE_SEND: u32 = 17;
    /// `MACH_MSG_TYPE_MOVE_SEND_ONCE` and `_PORT_SEND_ONCE`
    pub const MOVE_SEND_ONCE: u32 = 18;
    /// `MACH_MSG_TYPE_COPY_SEND`
    pub const COPY_SEND: u32 = 19;
    /// `MACH_MSG_TYPE_MAKE_SEND`
    pub const MAKE_SEND: u32 = 20;
    /// `MACH_MSG_TYPE_MAKE_SEND_ONCE`
    pub const MAKE_SEND_ONCE: u32 = 21;
    /// `MACH_MSG_TYPE_PROTECTED_PAYLOAD`
    pub const PROTECTED_PAYLOAD: u32 = 23;
    /// Any port right; the descriptor says which.
    pub const POLYMORPHIC: u32 = u32::MAX;
}

/// Whether a `msgt_name` transfers a port right.
pub const fn is_port(name: u32) -> bool {
    name >= type_name::MOVE_RECEIVE && name <= type_name::MAKE_SEND_ONCE
}

/// `mach_msg_type_t` of the 64-bit format, taken apart.
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

const INLINE: u32 = 1 << 29;
const LONGFORM: u32 = 1 << 30;
const DEALLOCATE: u32 = 1 << 31;

impl Descriptor {
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
        let mut low = self.name as u32 | (self.size as u32) << 8;
        if self.inline {
            low |= INLINE;
        }
        if self.longform {
            low |= LONGFORM;
        }
        if self.deallocate {
            low |= DEALLOCATE;
        }
        low as u64 | (self.number as u64) << 32
    }

    /// The 32-bit format's form: one word, or three in the long form.
    pub const fn to_words_ilp32(self) -> (u32, Option<[u32; 2]>) {
        let flags = (self.inline as u32) << 28 | (self.longform as u32) << 29 | (self.deallocate as u32) << 30;
        if self.longform {
            return (flags, Some([self.name as u32 | (self.size as u32) << 16, self.number]));
        }
        (self.name as u32 | (self.size as u32 & 0xff) << 8 | (self.number & 0xfff) << 16 | flags, None)
    }

    /// Bytes of data it describes, without padding.
    pub const fn data_size(self) -> u64 {
        (self.size as u64 * self.number as u64).div_ceil(8)
    }

    /// Whether the data are port rights.
    pub const fn is_port(self) -> bool {
        is_port(self.name as u32)
    }
}

/// `mach_msg_header_t` of the 64-bit format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// `msgh_bits`
    pub bits: u32,
    /// `msgh_size`
    pub size: u32,
    /// `msgh_remote_port`
    pub remote_port: u32,
    /// `msgh_local_port`; all 64 bits, because a protected payload can stand there.
    pub local_port: u64,
    /// `msgh_seqno`
    pub seqno: u32,
    /// `msgh_id`
    pub id: u32,
}

impl Header {
    /// Reads the header at the start of `message`; `None` if it is shorter.
    pub fn read(message: &[u8]) -> Option<Self> {
        Some(Self {
            bits: read_u32(message, 0)?,
            size: read_u32(message, 4)?,
            remote_port: read_u32(message, 8)?,
            local_port: read_u64(message, 16)?,
            seqno: read_u32(message, 24)?,
            id: read_u32(message, 28)?,
        })
    }

    /// The header's bytes.
    pub fn to_bytes(self) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        for (at, word) in [(0, self.bits), (4, self.size), (8, self.remote_port), (24, self.seqno), (28, self.id)] {
            bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        bytes[16..24].copy_from_slice(&self.local_port.to_le_bytes());
        bytes
    }

    /// What kind of right `msgh_remote_port` is: a `msgt_name`.
    pub const fn remote_disposition(self) -> u8 {
        self.bits as u8
    }

    /// What kind of right `msgh_local_port` is: a `msgt_name`.
    pub const fn local_disposition(self) -> u8 {
        (self.bits >> 8) as u8
    }
}

/// Little-endian `u32` at `at`.
pub(crate) fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

/// Little-endian `u64` at `at`.
pub(crate) fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_of_the_trace_record() {
        // The constants that Debian's MIG compiles trace.defs to.
        let port = Descriptor { name: 17, size: 64, number: 1, inline: true, ..Descriptor::default() };
        assert_eq!(port.to_word(), 0x0000_0001_2000_4011);
        let data = Descriptor { name: 8, size: 8, number: 5, inline: true, longform: true, deallocate: false };
        assert_eq!(data.to_word(), 0x0000_0005_6000_0808);
        for descriptor in [port, data, Descriptor { deallocate: true, ..port }] {
            assert_eq!(Descriptor::from_word(descriptor.to_word()), descriptor);
        }
    }

    #[test]
    fn descriptors_of_the_32_bit_format() {
        // The bit fields of mach/message.h for i386: name 8, size 8, number 12, inline, longform, deallocate.
        let port = Descriptor { name: 19, size: 32, number: 1, inline: true, ..Descriptor::default() };
        assert_eq!(port.to_words_ilp32(), (0x1001_2013, None));
        let memory = Descriptor { name: 9, size: 8, number: 0x12345, inline: false, longform: true, deallocate: true };
        assert_eq!(memory.to_words_ilp32(), (0x6000_0000, Some([0x0008_0009, 0x12345])));
    }

    #[test]
    fn a_header_reads_back_and_a_prefix_of_it_does_not() {
        let header = Header { bits: 0x8000_1513, size: 48, remote_port: 7, local_port: 9, seqno: 3, id: 2021 };
        let bytes = header.to_bytes();
        assert_eq!(Header::read(&bytes), Some(header));
        assert_eq!((header.remote_disposition(), header.local_disposition()), (0x13, 0x15));
        for length in 0..HEADER_SIZE {
            assert_eq!(Header::read(&bytes[..length]), None);
        }
    }
}
