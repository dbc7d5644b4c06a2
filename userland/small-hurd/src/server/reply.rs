// SPDX-License-Identifier: GPL-2.0-or-later
//! The right to answer a request, for a server that answers later.

use mach::port::{Disposition, PortName, SendOnceRight, SendRight};
use mach_abi::header::{remote, word};
use mach_abi::type_name;

/// Where an answer goes.
#[derive(Debug)]
pub(crate) enum ReplyTo {
    /// To who asked, once.
    Once(SendOnceRight),
    /// To a port that takes any number.
    Many(SendRight),
    /// To nobody: none was asked for.
    Nobody,
}

impl ReplyTo {
    /// Takes the right to answer `request` out of it. The routine answers `MIG_NO_REPLY` then.
    pub(crate) fn of(request: &[u64]) -> Self {
        let name = PortName(request[word::REMOTE_PORT] as u32);
        match remote(request[word::BITS] as u32) {
            type_name::PORT_SEND_ONCE => Self::Once(SendOnceRight::from_name(name)),
            type_name::PORT_SEND => Self::Many(SendRight::from_name(name)),
            _ => Self::Nobody,
        }
    }

    /// What a stub is told: the name, and what happens to the right.
    pub(crate) fn into_parts(self) -> (PortName, Disposition) {
        match self {
            Self::Once(right) => (right.into_name(), Disposition::MoveSendOnce),
            Self::Many(right) => (right.into_name(), Disposition::MoveSend),
            Self::Nobody => (PortName::NULL, Disposition::MoveSendOnce),
        }
    }
}
