// SPDX-License-Identifier: GPL-2.0-or-later
//! Ports that stand for something of a server's: who holds a send right to one may use what it stands for.

use alloc::collections::BTreeMap;

use mach::error::Result;
use mach::port::{Disposition, PortName, PortSet, ReceiveRight, SendRight};
use mach::{stubs, task_self};
use mach_abi::notify::{MACH_NOTIFY_DEAD_NAME, MACH_NOTIFY_NO_SENDERS};

/// The ports of one kind, by the names of their receive rights.
#[derive(Debug)]
pub(crate) struct Objects<T> {
    set: PortName,
    all: BTreeMap<PortName, Object<T>>,
}

#[derive(Debug)]
struct Object<T> {
    port: ReceiveRight,
    value: T,
}

impl<T> Objects<T> {
    /// None yet; their messages will come to `set`.
    pub(crate) const fn new(set: &PortSet) -> Self {
        Self { set: set.name(), all: BTreeMap::new() }
    }

    /// A port that goes with its last send right.
    pub(crate) fn make(&mut self, value: T) -> Result<SendRight> {
        let port = ReceiveRight::allocate()?;
        self.request_no_senders(&port, 1)?;
        let right = port.make_send()?;
        self.keep(port, value)?;
        Ok(right)
    }

    /// A port that stays, whoever holds rights to it.
    pub(crate) fn keep(&mut self, port: ReceiveRight, value: T) -> Result<()> {
        stubs::mach_port::mach_port_move_member(task_self(), port.name(), self.set)?;
        self.all.insert(port.name(), Object { port, value });
        Ok(())
    }

    fn request_no_senders(&self, port: &ReceiveRight, count: u32) -> Result<()> {
        stubs::mach_port::mach_port_request_notification(
            task_self(),
            port.name(),
            MACH_NOTIFY_NO_SENDERS as i32,
            count,
            port.name(),
            Disposition::MakeSendOnce,
        )
        .map(drop)
    }

    /// What a port stands for.
    pub(crate) fn get(&self, name: PortName) -> Option<&T> {
        self.all.get(&name).map(|object| &object.value)
    }

    /// What a port stands for, to change it.
    pub(crate) fn get_mut(&mut self, name: PortName) -> Option<&mut T> {
        self.all.get_mut(&name).map(|object| &mut object.value)
    }

    /// Takes a port away; it dies.
    pub(crate) fn remove(&mut self, name: PortName) -> Option<T> {
        self.all.remove(&name).map(|object| object.value)
    }

    /// Puts another port in the place of one, which dies: what it stands for stays.
    pub(crate) fn replace(&mut self, name: PortName, port: ReceiveRight) -> Result<()> {
        match self.remove(name) {
            Some(value) => self.keep(port, value),
            None => Ok(()),
        }
    }

    /// A new send right to a port.
    pub(crate) fn send_right(&self, name: PortName) -> Option<Result<SendRight>> {
        self.all.get(&name).map(|object| object.port.make_send())
    }
}

/// Has the kernel tell `notify` when the port dies that `name` is a right to; an error if it is dead already.
pub(crate) fn tell_death(name: PortName, notify: PortName) -> Result<()> {
    stubs::mach_port::mach_port_request_notification(
        task_self(),
        name,
        MACH_NOTIFY_DEAD_NAME as i32,
        0,
        notify,
        Disposition::MakeSendOnce,
    )
    .map(drop)
}
