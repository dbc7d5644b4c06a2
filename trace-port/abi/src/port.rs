// SPDX-License-Identifier: GPL-2.0-or-later
//! Port names, rights and types of rights: mach/port.h.

numbers! {
    /// Every kind of right and every type with its number.
    ALL: u32;

    /// No port.
    MACH_PORT_NULL = 0;
    /// `mach_port_right_t`: a send right.
    MACH_PORT_RIGHT_SEND = 0;
    /// `mach_port_right_t`: a receive right.
    MACH_PORT_RIGHT_RECEIVE = 1;
    /// `mach_port_right_t`: a send-once right.
    MACH_PORT_RIGHT_SEND_ONCE = 2;
    /// `mach_port_right_t`: a port set.
    MACH_PORT_RIGHT_PORT_SET = 3;
    /// `mach_port_right_t`: a dead name.
    MACH_PORT_RIGHT_DEAD_NAME = 4;
    /// `mach_port_type_t`: send rights.
    MACH_PORT_TYPE_SEND = 1 << (MACH_PORT_RIGHT_SEND + 16);
    /// `mach_port_type_t`: a receive right.
    MACH_PORT_TYPE_RECEIVE = 1 << (MACH_PORT_RIGHT_RECEIVE + 16);
    /// `mach_port_type_t`: a send-once right.
    MACH_PORT_TYPE_SEND_ONCE = 1 << (MACH_PORT_RIGHT_SEND_ONCE + 16);
    /// `mach_port_type_t`: a port set.
    MACH_PORT_TYPE_PORT_SET = 1 << (MACH_PORT_RIGHT_PORT_SET + 16);
    /// `mach_port_type_t`: a dead name.
    MACH_PORT_TYPE_DEAD_NAME = 1 << (MACH_PORT_RIGHT_DEAD_NAME + 16);
    /// `mach_port_type_t`: a dead-name request stands.
    MACH_PORT_TYPE_DNREQUEST = 0x8000_0000;
    /// `mach_port_type_t`: a message-accepted request stands.
    MACH_PORT_TYPE_MAREQUEST = 0x4000_0000;
    /// `mach_port_type_t`: the name was made by a compatibility call.
    MACH_PORT_TYPE_COMPAT = 0x2000_0000;
    /// Messages that a new port's queue takes.
    MACH_PORT_QLIMIT_DEFAULT = 5;
    /// Most messages that a port's queue can be made to take.
    MACH_PORT_QLIMIT_MAX = 16;
}

/// `MACH_PORT_DEAD`: the name of a right that died on its way.
pub const MACH_PORT_DEAD: u32 = u32::MAX;
