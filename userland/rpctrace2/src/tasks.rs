// SPDX-License-Identifier: GPL-2.0-or-later
//! The traced tasks, by the rights to them that their records bring: the kernel says when one of them ends.

use alloc::vec::Vec;

use bytes::Bytes;
use mach::error::Result;
use mach::port::{Disposition, PortName, ReceiveRight, Right, SendRight};
use mach::{stubs, task_self};
use mach_abi::notify::MACH_NOTIFY_DEAD_NAME;
use mach_abi::port::MACH_PORT_TYPE_DEAD_NAME;
use trace_port::Records;

use crate::world::{Failure, doing};

/// Most references that are owed: the kernel counts up to 65,535.
const OWED_MAX: u32 = 1000;
/// Room for any reply of a notify.defs server.
const REPLY_MAX: usize = 128;

/// The tasks that are there.
pub(crate) struct Tasks {
    /// Where the kernel says it. Nobody else has a right to it.
    pub(crate) news: ReceiveRight,
    /// The task of the last record.
    last: PortName,
    /// Those that are there, and the kernel's number of each.
    alive: Vec<(SendRight, u32)>,
    /// References of a right that are still to be given back, and its name.
    owed: (PortName, u32),
    /// Numbers of those that have ended. Records of theirs may still be in the queue.
    gone: Vec<u32>,
}

impl Tasks {
    /// None yet.
    pub(crate) fn new() -> Result<Self> {
        let (last, owed) = (PortName::NULL, (PortName::NULL, 0));
        Ok(Self { news: ReceiveRight::allocate()?, last, alive: Vec::new(), owed, gone: Vec::new() })
    }

    /// Takes note of whose record this is, of which the right to the task has this name. The right stays the message's. If it is the task's
    /// first record, `is_new` is told the kernel's number of the task.
    #[inline]
    pub(crate) fn meet(&mut self, task: PortName, message: &Bytes, is_new: impl FnOnce(u32)) {
        if task == self.last && task.is_valid() || self.alive.iter().any(|(right, _)| right.name() == task) {
            self.last = task;
            return;
        }
        if let Some(number) = self.meet_new(task, message) {
            is_new(number);
        }
    }

    /// Takes note of a task that is not known to be there. The kernel's number of it.
    fn meet_new(&mut self, task: PortName, message: &Bytes) -> Option<u32> {
        // What is no record may bring any right.
        let mut records = Records::parse(message).ok()?;
        if !task.is_valid() {
            // Of tasks that are gone several may share a message.
            self.gone.extend(records.filter_map(|record| Some(record.ok()?.header.task.get())));
            return None;
        }
        let record = records.next()?.ok()?;
        let number = record.header.task.get();
        match self.ask(task) {
            Ok(right) => {
                self.alive.push((right, number));
                self.last = task;
            }
            // It has ended since this came, which may be its last message: the rest is in a ring.
            Err(_) if is_dead(task) => self.gone.push(number),
            // There was no room for the right: the end will not be told.
            Err(_) => {}
        }
        Some(number)
    }

    /// Gives back a reference of a task's right that a message has brought: many at once, as each takes a call.
    pub(crate) fn give_back(&mut self, task: PortName) {
        let (name, references) = self.owed;
        if name != task || references == OWED_MAX {
            self.settle();
            self.owed = (task, 0);
        }
        self.owed.1 += 1;
    }

    /// Gives back what is owed. While it is, the name cannot stand for another right.
    fn settle(&mut self) {
        let (name, references) = core::mem::take(&mut self.owed);
        if name.is_valid() && references > 0 {
            let all = -(references as i32);
            // The right to a task that has ended is a dead name.
            let _ = stubs::mach_port::mach_port_mod_refs(task_self(), name, Right::Send as u32, all)
                .or_else(|_| stubs::mach_port::mach_port_mod_refs(task_self(), name, Right::DeadName as u32, all));
        }
    }

    /// Asks to be told of the end of a task, at once if it is over. The answer keeps the name.
    fn ask(&self, task: PortName) -> Result<SendRight> {
        // The message owns the one that has come.
        let right = SendRight::copy_of(task)?;
        let (id, news) = (MACH_NOTIFY_DEAD_NAME as i32, self.news.name());
        let how = Disposition::MakeSendOnce;
        let before = stubs::mach_port::mach_port_request_notification(task_self(), task, id, 1, news, how)?;
        drop(before);
        Ok(right)
    }

    /// The number of the task of whose end a message to [`Tasks::news`] tells.
    pub(crate) fn ended(&mut self, message: &[u64]) -> Option<u32> {
        let mut news = News(None);
        // Nobody waits for an answer: notifications are one-way.
        let mut reply = [0; REPLY_MAX / 8];
        stubs::notify_server::demux(&mut news, message, &mut reply);
        // It brings a reference of the dead name.
        let dead = SendRight::from_name(news.0?);
        if self.owed.0 == dead.name() {
            self.settle();
        }
        let place = self.alive.iter().position(|(right, _)| right.name() == dead.name())?;
        if self.last == dead.name() {
            self.last = PortName::NULL;
        }
        Some(self.alive.swap_remove(place).1)
    }

    /// The task with this number has ended: its records are in the queue.
    pub(crate) fn bury(&mut self, number: u32) {
        self.gone.push(number);
    }

    /// Whether [`Tasks::gone`] has some.
    pub(crate) fn has_gone(&self) -> bool {
        !self.gone.is_empty()
    }

    /// The numbers of tasks that have ended of which no more records come, as the queue is empty.
    pub(crate) fn gone(&mut self) -> Vec<u32> {
        core::mem::take(&mut self.gone)
    }
}

/// Whether a name stands for a port that has died.
fn is_dead(name: PortName) -> bool {
    let kind = stubs::mach_port::mach_port_type(task_self(), name);
    kind.is_ok_and(|kind| kind & MACH_PORT_TYPE_DEAD_NAME != 0)
}

/// The tasks of this host, by its privileged port: every one, the kernel's and our own among them.
pub(crate) fn all(host: PortName) -> core::result::Result<Vec<SendRight>, Failure> {
    let mut found = Vec::new();
    for set in doing("host_processor_sets", stubs::mach_host::host_processor_sets(host))? {
        let set = stubs::mach_host::host_processor_set_priv(host, set.name());
        let set = doing("host_processor_set_priv", set)?;
        let tasks = doing("processor_set_tasks", stubs::mach_host::processor_set_tasks(set.name()))?;
        // Of one that has ended meanwhile there is no right.
        found.extend(tasks.filter(|task| task.name().is_valid()).map(|task| SendRight::from_name(task.into_name())));
    }
    Ok(found)
}

/// What a notification says.
struct News(Option<PortName>);

impl stubs::notify_server::Server for News {
    fn mach_notify_dead_name(&mut self, _notify: PortName, name: PortName) -> Result<()> {
        self.0 = Some(name);
        Ok(())
    }
}
