// SPDX-License-Identifier: GPL-2.0-or-later
//! Under which names the first process puts rights into a server's task.

use mach::port::{PortName, ReceiveRight, SendRight};
use small_hurd::options::Role;

/// A right that a server starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The receive right of its own port.
    Served,
    /// The first process's task.
    Init,
    /// A send right to another server's port.
    Of(Role),
}

/// Where the names begin: above those that the kernel gives out first.
const FIRST: u32 = 0x1000;

/// The name of a right.
pub(crate) const fn place(place: Place) -> PortName {
    PortName(match place {
        Place::Served => FIRST,
        Place::Init => FIRST + 1,
        Place::Of(role) => FIRST + 2 + role as u32,
    })
}

/// A send right that this server has been given.
pub(crate) const fn given(which: Place) -> SendRight {
    SendRight::from_name(place(which))
}

/// The receive right of this server's own port.
pub(crate) const fn served() -> ReceiveRight {
    ReceiveRight::from_name(place(Place::Served))
}
