// SPDX-License-Identifier: GPL-2.0-or-later
//! `mach_msg_type_name_t` of mach/message.h: what the elements of an item are. The names lack `MACH_MSG_TYPE_`.

numbers! {
    /// Every type name with its number, in the order of the header.
    ALL: u32;

    /// `MACH_MSG_TYPE_BOOLEAN`, and the same number `_UNSTRUCTURED` and `_BIT`.
    BOOLEAN = 0;
    /// `MACH_MSG_TYPE_INTEGER_16`
    INTEGER_16 = 1;
    /// `MACH_MSG_TYPE_INTEGER_32`
    INTEGER_32 = 2;
    /// `MACH_MSG_TYPE_CHAR`
    CHAR = 8;
    /// `MACH_MSG_TYPE_BYTE`, and the same number `_INTEGER_8`.
    BYTE = 9;
    /// `MACH_MSG_TYPE_REAL`
    REAL = 10;
    /// `MACH_MSG_TYPE_INTEGER_64`
    INTEGER_64 = 11;
    /// `MACH_MSG_TYPE_STRING`, and the same number `_STRING_C`.
    STRING = 12;
    /// `MACH_MSG_TYPE_PORT_NAME`: a name without a right.
    PORT_NAME = 15;
    /// `MACH_MSG_TYPE_MOVE_RECEIVE`
    MOVE_RECEIVE = 16;
    /// `MACH_MSG_TYPE_MOVE_SEND`
    MOVE_SEND = 17;
    /// `MACH_MSG_TYPE_MOVE_SEND_ONCE`
    MOVE_SEND_ONCE = 18;
    /// `MACH_MSG_TYPE_COPY_SEND`
    COPY_SEND = 19;
    /// `MACH_MSG_TYPE_MAKE_SEND`
    MAKE_SEND = 20;
    /// `MACH_MSG_TYPE_MAKE_SEND_ONCE`
    MAKE_SEND_ONCE = 21;
    /// `MACH_MSG_TYPE_PORT_RECEIVE`: a receive right in transit, or received.
    PORT_RECEIVE = MOVE_RECEIVE;
    /// `MACH_MSG_TYPE_PORT_SEND`: a send right in transit, or received.
    PORT_SEND = MOVE_SEND;
    /// `MACH_MSG_TYPE_PORT_SEND_ONCE`: a send-once right in transit, or received.
    PORT_SEND_ONCE = MOVE_SEND_ONCE;
    /// `MACH_MSG_TYPE_PROTECTED_PAYLOAD`: in a header, what the receiver has set in place of the port's name.
    PROTECTED_PAYLOAD = 23;
    /// `MACH_MSG_TYPE_POLYMORPHIC`: any port right; the descriptor says which. No message has it.
    POLYMORPHIC = u32::MAX;
}

/// `MACH_MSG_TYPE_PORT_ANY (name)`: whether an item of this type transfers port rights.
pub const fn is_port(name: u32) -> bool {
    name >= MOVE_RECEIVE && name <= MAKE_SEND_ONCE
}

/// `MACH_MSG_TYPE_PORT_ANY_RIGHT (name)`: whether an item of this type, received or in transit, holds port rights.
pub const fn is_right(name: u32) -> bool {
    name >= PORT_RECEIVE && name <= PORT_SEND_ONCE
}
