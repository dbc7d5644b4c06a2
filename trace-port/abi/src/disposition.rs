// SPDX-License-Identifier: GPL-2.0-or-later
//! What a message does with a port right, by its names.

use crate::type_name;

/// Which right a message carries, as its type descriptor (or `msgh_bits`) says: a type name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disposition(pub u8);

impl Disposition {
    /// The name of the `MACH_MSG_TYPE_*` constant, without that prefix, in a message as it is sent.
    pub fn sent_name(self) -> &'static str {
        match u32::from(self.0) {
            type_name::MOVE_RECEIVE => "MOVE_RECEIVE",
            type_name::MOVE_SEND => "MOVE_SEND",
            type_name::MOVE_SEND_ONCE => "MOVE_SEND_ONCE",
            type_name::COPY_SEND => "COPY_SEND",
            type_name::MAKE_SEND => "MAKE_SEND",
            type_name::MAKE_SEND_ONCE => "MAKE_SEND_ONCE",
            type_name::PORT_NAME => "PORT_NAME",
            type_name::PROTECTED_PAYLOAD => "PROTECTED_PAYLOAD",
            0 => "NONE",
            _ => "UNKNOWN",
        }
    }

    /// The right that the receiver of a message has that was sent with it.
    pub const fn received(self) -> Self {
        Self(match self.0 as u32 {
            type_name::COPY_SEND | type_name::MAKE_SEND => type_name::PORT_SEND as u8,
            type_name::MAKE_SEND_ONCE => type_name::PORT_SEND_ONCE as u8,
            _ => self.0,
        })
    }

    /// Its name in a message as it is received: what the receiver now has.
    pub fn received_name(self) -> &'static str {
        match u32::from(self.0) {
            type_name::PORT_RECEIVE => "PORT_RECEIVE",
            type_name::PORT_SEND => "PORT_SEND",
            type_name::PORT_SEND_ONCE => "PORT_SEND_ONCE",
            _ => self.sent_name(),
        }
    }
}
