//! Kernel objects behind ports, and the numbers of rights in messages.

/// `MACH_MSG_TYPE_PORT_SEND`: a send right in transit.
pub(crate) const PORT_SEND: u32 = 17;
/// `MACH_MSG_TYPE_PORT_SEND_ONCE`: a send-once right in transit.
pub(crate) const PORT_SEND_ONCE: u32 = 18;
/// `MACH_MSG_TYPE_MOVE_SEND_ONCE`, the same number: a message as its sender gives it.
pub(crate) const MOVE_SEND_ONCE: u32 = 18;
/// `MACH_MSG_TYPE_MAKE_SEND_ONCE`.
pub(crate) const MAKE_SEND_ONCE: u32 = 21;
/// `MACH_MSGH_BITS_COMPLEX`.
pub(crate) const COMPLEX: u32 = 0x8000_0000;
/// `msgh_bits` of a message to a trace port in transit: complex, and the destination is a send right.
pub(crate) const RECORD_BITS: u32 = COMPLEX | PORT_SEND;

/// `MACH_MSGH_BITS_REMOTE`.
pub(crate) fn remote_type(bits: u32) -> u32 {
    bits & 0xff
}

/// `MACH_MSGH_BITS_LOCAL`.
pub(crate) fn local_type(bits: u32) -> u32 {
    bits >> 8 & 0xff
}

/// `IO_BITS_ACTIVE`.
#[cfg(target_os = "none")]
pub(crate) const IO_BITS_ACTIVE: u32 = 0x8000_0000;
