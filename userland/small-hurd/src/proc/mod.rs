// SPDX-License-Identifier: GPL-2.0-or-later
//! The process server: numbers for tasks, whose child each is, how it ended, where it hears of signals.
//!
//! It does without what the Hurd's own has for logins, task namespaces and exceptions, and does not know what a process has used.

mod info;
mod letters;
mod process;
mod reauthenticate;
mod serve;
mod table;
mod wait;

use mach::error::Result;
use mach::port::{PortName, PortSet, ReceiveRight, SendRight};

use hurd::stubs::process_server;

use crate::server::Lock;
use crate::server::pool::Server;
use serve::Serving;
use table::Table;

/// The rights that the server starts with.
pub(crate) struct Rights {
    /// The host control port.
    pub(crate) host: SendRight,
    /// The device master port.
    pub(crate) device: SendRight,
    /// Root's authentication handle.
    pub(crate) auth: SendRight,
    /// The first process's task.
    pub(crate) init: SendRight,
    /// The port by which the first process is known.
    pub(crate) port: ReceiveRight,
}

/// The server.
pub(crate) struct Proc {
    host: SendRight,
    device: SendRight,
    auth: SendRight,
    table: Lock<Table>,
}

impl Proc {
    /// A server that knows the tasks that there are.
    pub(crate) fn new(set: &PortSet, rights: Rights) -> Result<Self> {
        let Rights { host, device, auth, init, port } = rights;
        let table = Table::new(set, host.try_clone()?, (init, port))?;
        Ok(Self { host, device, auth, table: Lock::new(table) })
    }

    /// Does something to the table, answers who can be answered then, and sends what there is to be said.
    fn with<T>(&self, what: impl FnOnce(&mut Table) -> T) -> T {
        let mut table = self.table.lock();
        let answer = what(&mut table);
        table.settle();
        let letters = core::mem::take(&mut table.letters);
        drop(table);
        letters.into_iter().for_each(letters::Letter::send);
        answer
    }
}

impl Server for Proc {
    fn serve(&self, request: &[u64], reply: &mut [u64], _held: &mut alloc::vec::Vec<SendRight>) -> bool {
        process_server::demux(&mut Serving { proc: self, request }, request, reply)
    }

    fn died(&self, name: PortName) {
        self.with(|table| table.died(name));
    }
}
