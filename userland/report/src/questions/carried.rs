// SPDX-License-Identifier: GPL-2.0-or-later
//! The rights that a message carries, by the names that its sender or its receiver has for them.

use alloc::vec::Vec;

use exchanges::{Event, pair::is_name};
use mach_abi::header::MACH_MSGH_BITS_COMPLEX;
use mach_abi::type_name::{COPY_SEND, MAKE_SEND, MAKE_SEND_ONCE, MOVE_RECEIVE, MOVE_SEND, MOVE_SEND_ONCE};
use mig_defs::value::{Value, View};
use trace_port::{Direction, Port};

/// A kind of right. A dead name counts as the send right that it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A send right, which has references.
    Send,
    /// A send-once right, which has a name of its own.
    SendOnce,
    /// A receive right.
    Receive,
    /// A port set.
    Set,
}

impl Kind {
    /// What it is called.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::SendOnce => "send-once",
            Self::Receive => "receive",
            Self::Set => "port set",
        }
    }

    /// What arrives where a right is sent with this disposition.
    pub(crate) fn of_disposition(disposition: u8) -> Option<Self> {
        match u32::from(disposition) {
            MOVE_RECEIVE => Some(Self::Receive),
            MOVE_SEND | COPY_SEND | MAKE_SEND => Some(Self::Send),
            MOVE_SEND_ONCE | MAKE_SEND_ONCE => Some(Self::SendOnce),
            _ => None,
        }
    }
}

/// A right in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Carried {
    /// By the name of the task whose record it is.
    pub(crate) name: u32,
    /// Which right arrives, or has.
    pub(crate) kind: Kind,
    /// The sender has it no more.
    pub(crate) moves: bool,
    /// In the header.
    pub(crate) in_header: bool,
    /// Which port, if the record says it.
    pub(crate) port: Option<Port>,
}

/// The rights in a message; of what is received without that of the port that it came to. `None` if the record does not hold all of it.
pub(crate) fn carried(event: &Event) -> Option<Vec<Carried>> {
    let mut found = Vec::new();
    let Some(header) = event.mach_header else { return Some(found) };
    let is_sent = event.direction == Direction::Send;
    let mut add = |name: u32, disposition: u8, in_header: bool, port: Option<Port>| {
        if let Some(kind) = Kind::of_disposition(disposition).filter(|_| is_name(name)) {
            let moves = matches!(u32::from(disposition), MOVE_RECEIVE | MOVE_SEND | MOVE_SEND_ONCE);
            found.push(Carried { name, kind, moves, in_header, port });
        }
    };
    let known = |name: u32| event.port(name).copied();
    add(header.remote_port, header.remote_disposition(), true, known(header.remote_port));
    if is_sent {
        add(header.local_port as u32, header.local_disposition(), true, known(header.local_port as u32));
    }
    if header.bits & MACH_MSGH_BITS_COMPLEX == 0 {
        return Some(found);
    }
    if event.not_captured() > 0 {
        return None;
    }
    let view = if is_sent { View::Sent } else { View::Received };
    let mut elements = event.elements();
    for item in event.items() {
        let disposition = item.descriptor.name;
        match item.value(view) {
            Value::Port(right) => add(right.name, disposition, false, known(right.name)),
            Value::Array(rights) => rights.iter().for_each(|right| {
                if let Value::Port(right) = right {
                    add(right.name, disposition, false, known(right.name));
                }
            }),
            // Nothing was received there.
            Value::OutOfLinePorts { address: 0, .. } if !is_sent => {}
            Value::OutOfLinePorts { count, .. } => {
                for _ in 0..count {
                    let element = elements.next()?;
                    add(element.name.get(), disposition, false, Some(*element).filter(Port::is_known));
                }
            }
            _ => {}
        }
    }
    Some(found)
}
