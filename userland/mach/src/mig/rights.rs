// SPDX-License-Identifier: GPL-2.0-or-later
//! Rights whose kind only the message says, and arrays of rights out of line.

use mach_abi::type_name;

use super::Item;
use crate::memory::OutOfLine;
use crate::port::{PortName, ReceiveRight, SendOnceRight, SendRight};

/// A received right of a polymorphic argument.
#[derive(Debug, PartialEq, Eq)]
pub enum AnyRight {
    /// No right, or one that died on its way.
    None(PortName),
    /// A send right.
    Send(SendRight),
    /// A send-once right.
    SendOnce(SendOnceRight),
    /// A receive right.
    Receive(ReceiveRight),
}

impl AnyRight {
    /// Takes on the right that a received descriptor of type `msgt_name` gave `name` to.
    pub(crate) fn from_parts(msgt_name: u8, name: PortName) -> Self {
        match u32::from(msgt_name) {
            _ if !name.is_valid() => Self::None(name),
            type_name::PORT_RECEIVE => Self::Receive(ReceiveRight::from_name(name)),
            type_name::PORT_SEND => Self::Send(SendRight::from_name(name)),
            type_name::PORT_SEND_ONCE => Self::SendOnce(SendOnceRight::from_name(name)),
            _ => Self::None(name),
        }
    }

    /// Its name, still owned by this value.
    pub fn name(&self) -> PortName {
        match self {
            Self::None(name) => *name,
            Self::Send(right) => right.name(),
            Self::SendOnce(right) => right.name(),
            Self::Receive(right) => right.name(),
        }
    }

    /// Gives the right up without releasing it: someone else owns it now.
    pub fn into_name(self) -> PortName {
        match self {
            Self::None(name) => name,
            Self::Send(right) => right.into_name(),
            Self::SendOnce(right) => right.into_name(),
            Self::Receive(right) => right.into_name(),
        }
    }
}

/// What a right that is sent is called: its name, or the value that owns it.
pub trait Named {
    /// The name; an owned right goes with the message.
    fn into_sent_name(self) -> PortName;
}

impl Named for PortName {
    fn into_sent_name(self) -> PortName {
        self
    }
}

impl Named for &PortName {
    fn into_sent_name(self) -> PortName {
        *self
    }
}

/// A right that a received message brings.
pub trait Owned {
    /// Takes it on.
    fn received(name: PortName) -> Self;
}

macro_rules! rights {
    ($($right:ident)*) => {
        $(
            impl Named for $right {
                fn into_sent_name(self) -> PortName {
                    self.into_name()
                }
            }

            impl Owned for $right {
                fn received(name: PortName) -> Self {
                    Self::from_name(name)
                }
            }
        )*
    };
}

rights!(SendRight SendOnceRight ReceiveRight);

/// Rights that came out of line: an iterator that hands them out; the ones not taken are released with it.
#[derive(Debug)]
pub struct OutOfLinePorts {
    memory: OutOfLine,
    msgt_name: u8,
    taken: usize,
}

impl OutOfLinePorts {
    pub(super) fn from_parts(memory: OutOfLine, msgt_name: u8) -> Self {
        Self { memory, msgt_name, taken: 0 }
    }
}

impl Iterator for OutOfLinePorts {
    type Item = AnyRight;

    fn next(&mut self) -> Option<AnyRight> {
        let start = self.taken * PortName::SIZE;
        let name = self.memory.as_slice().get(start..start + PortName::SIZE).map(PortName::read)?;
        self.taken += 1;
        Some(AnyRight::from_parts(self.msgt_name, name))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.memory.len() / PortName::SIZE - self.taken;
        (left, Some(left))
    }
}

impl ExactSizeIterator for OutOfLinePorts {}

impl Drop for OutOfLinePorts {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}
