// SPDX-License-Identifier: GPL-2.0-or-later
//! Interfaces of this project's own: somebody else's messages may have the same ids, so only messages of the right ports are of them.

use core::ops::RangeInclusive;

use mach_abi::header::REPLY_ID_OFFSET;
use mig_defs::table::{Routine, Tables};
use mig_defs::value::View;
use trace_port::{EventKind, Port, TRACE_RECORD_MSGH_ID};

use crate::event::Event;
use crate::names::Names;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interface {
    /// What the kernel sends to a trace port.
    Trace,
    /// What the boot server, at a task's bootstrap port, and whoever spawns programs by it are sent.
    Boot,
}

/// The name of the subsystem, and the ids of its requests.
const OURS: [(Interface, &str, RangeInclusive<u32>); 2] = [
    (Interface::Trace, "trace", TRACE_RECORD_MSGH_ID..=TRACE_RECORD_MSGH_ID + REPLY_ID_OFFSET - 1),
    (Interface::Boot, "boot", 5300..=5399),
];

/// Where all these ids are, replies included: most messages have others.
const FIRST: u32 = TRACE_RECORD_MSGH_ID;
const LAST: u32 = 5399 + REPLY_ID_OFFSET;

/// The one that a routine is of.
pub(crate) fn interface(routine: Routine<'_>) -> Option<Interface> {
    let of = OURS.iter().find(|(_, _, ids)| ids.contains(&routine.request_id()));
    of.filter(|(_, name, _)| routine.subsystem() == *name).map(|(interface, ..)| *interface)
}

impl Names {
    /// Messages to this port are of that interface.
    pub(crate) fn speaks(&mut self, port: &Port, interface: Interface) {
        if port.number.get() != 0 {
            self.ours.insert(port.number.get(), interface);
        }
    }

    /// Whether messages to this port are.
    pub(crate) fn is_spoken(&self, port: &Port, interface: Interface) -> bool {
        self.ours.get(&port.number.get()) == Some(&interface)
    }

    /// Whether a message has an id of an interface of ours and is not known to be of it. A reply is known by its request alone.
    pub(crate) fn is_foreign(&self, tables: Tables<'_>, event: &Event) -> bool {
        let Some(id) = event.mach_header.map(|header| header.id).filter(|_| event.kind == EventKind::Normal) else {
            return false;
        };
        if id.wrapping_sub(FIRST) > LAST - FIRST {
            return false;
        }
        let of = |id: u32| OURS.iter().find(|(_, _, ids)| ids.contains(&id));
        let is_of = |routine: Option<Routine<'_>>, name| routine.is_some_and(|routine| routine.subsystem() == name);
        let Some((interface, name, _)) = of(id) else {
            let reply = of(id.wrapping_sub(REPLY_ID_OFFSET));
            return reply.is_some_and(|(_, name, _)| is_of(tables.reply(id), *name));
        };
        if !is_of(tables.request(id), *name) {
            return false;
        }
        let port = match event.view() {
            View::Sent => event.remote_port(),
            View::Received => event.received_on(),
        };
        port.is_none_or(|port| !self.is_spoken(port, *interface))
    }
}
