// SPDX-License-Identifier: GPL-2.0-or-later
//! All processes: how one begins, whose it is, how it ends.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use mach::error::Result;
use mach::mig::AnyRight;
use mach::port::{PortName, PortSet, ReceiveRight, SendRight};
use mach::stubs::mach_host;
use mach::{host_self, stubs, task_self};
use mach_abi::port::MACH_PORT_TYPE_DEAD_NAME;
use small_hurd::errno::{EACCES, EBUSY, EOPNOTSUPP, EPERM, ESRCH};
use small_hurd::ids::ROOT;

use super::letters::Letter;
use super::process::{INIT, KERNEL, PROC, Process};
use super::wait::Waiter;
use crate::server::objects::{Objects, tell_death};

/// `SIGCHLD`.
const SIGCHLD: i32 = 20;
/// `CLD_EXITED`, `CLD_STOPPED`, `CLD_CONTINUED`: what a `SIGCHLD` is of.
pub(super) const CLD_EXITED: u32 = 1;
pub(super) const CLD_STOPPED: u32 = 5;
pub(super) const CLD_CONTINUED: u32 = 6;

/// Every process, dead ones too until their parent has asked.
pub(crate) struct Table {
    /// Where the kernel says that a task is gone.
    notify: ReceiveRight,
    host: SendRight,
    pub(super) processes: BTreeMap<i32, Process>,
    /// The numbers of processes by their ports.
    pub(super) ports: Objects<i32>,
    next: i32,
    /// What programs get that may not bring their own ports.
    pub(super) standard: (Vec<SendRight>, Vec<i32>),
    pub(super) waiters: Vec<Waiter>,
    /// What is to be sent once nothing is locked.
    pub(super) letters: Vec<Letter>,
}

impl Table {
    /// The processes that there are when the server starts; `init` is the first one's task and the receive right of its port.
    pub(crate) fn new(set: &PortSet, host: SendRight, init: (SendRight, ReceiveRight)) -> Result<Self> {
        let notify = ReceiveRight::allocate()?;
        set.add(&notify)?;
        let mut table = Self {
            notify,
            host,
            processes: BTreeMap::new(),
            ports: Objects::new(set),
            next: 1,
            standard: (Vec::new(), Vec::new()),
            waiters: Vec::new(),
            letters: Vec::new(),
        };
        table.keep(INIT, init.0, init.1)?;
        let process = table.get_mut(INIT)?;
        process.ids = alloc::vec![ROOT];
        process.has_parent = true;
        table.add_tasks()?;
        Ok(table)
    }

    fn keep(&mut self, pid: i32, task: SendRight, port: ReceiveRight) -> Result<()> {
        tell_death(task.name(), self.notify.name()).map_err(|_| ESRCH)?;
        let process = Process::new(task, port.name());
        self.ports.keep(port, pid)?;
        self.processes.insert(pid, process);
        Ok(())
    }

    /// Takes in every task that the kernel has and this server does not know. The kernel's own is the first of them.
    fn add_tasks(&mut self) -> Result<()> {
        for set in mach_host::host_processor_sets(host_self())? {
            let set = mach_host::host_processor_set_priv(self.host.name(), set.name())?;
            for task in mach_host::processor_set_tasks(set.name())? {
                // A task may have ended while the list was made.
                let AnyRight::Send(task) = task else { continue };
                if self.by_task(task.name()).is_none() {
                    let pid = self.number_for(task.name());
                    let _ = self.keep(pid, task, ReceiveRight::allocate()?);
                }
            }
        }
        Ok(())
    }

    fn number_for(&mut self, task: PortName) -> i32 {
        if task == task_self() {
            return PROC;
        }
        if !self.processes.contains_key(&KERNEL) {
            return KERNEL;
        }
        while self.next <= PROC || self.processes.contains_key(&self.next) {
            self.next += 1;
        }
        self.next
    }

    /// The process of a number, dead or not.
    pub(super) fn get(&self, pid: i32) -> Result<&Process> {
        self.processes.get(&pid).ok_or(ESRCH)
    }

    /// The process of a number, to change it.
    pub(super) fn get_mut(&mut self, pid: i32) -> Result<&mut Process> {
        self.processes.get_mut(&pid).ok_or(ESRCH)
    }

    /// The process of a number if it lives.
    pub(super) fn living(&self, pid: i32) -> Result<&Process> {
        self.get(pid).ok().filter(|process| !process.is_dead).ok_or(ESRCH)
    }

    /// Refuses who is not root.
    pub(super) fn check_root(&self, pid: i32) -> Result<()> {
        if self.get(pid)?.ids.contains(&ROOT) { Ok(()) } else { Err(EPERM) }
    }

    fn by_task(&self, task: PortName) -> Option<i32> {
        let is_it = |process: &Process| process.task.as_ref().is_some_and(|known| known.name() == task);
        self.processes.iter().find(|(_, process)| is_it(process)).map(|(pid, _)| *pid)
    }

    /// The process of a task; the kernel is asked about one that is not known.
    pub(super) fn find(&mut self, task: PortName) -> Result<i32> {
        if self.by_task(task).is_none() && task.is_valid() {
            self.add_tasks()?;
        }
        self.by_task(task).ok_or(ESRCH)
    }

    /// Who calls by this port.
    pub(super) fn caller(&self, port: PortName) -> Result<i32> {
        self.ports.get(port).copied().ok_or(EOPNOTSUPP)
    }

    /// Every number of a living or dead process, after a look for new ones.
    pub(super) fn all(&mut self) -> Result<Vec<i32>> {
        self.add_tasks()?;
        Ok(self.processes.keys().copied().collect())
    }

    /// The living processes of a group.
    pub(super) fn group(&self, group: i32) -> impl Iterator<Item = (i32, &Process)> {
        self.processes.iter().filter(move |(_, process)| process.group == group).map(|(pid, process)| (*pid, process))
    }

    /// Whether nobody in the group has a parent in another group of the session.
    pub(super) fn is_orphaned(&self, group: i32) -> bool {
        !self.group(group).any(|(_, process)| {
            let parent = self.processes.get(&process.parent);
            parent.is_some_and(|parent| parent.group != group && parent.session == process.session)
        })
    }

    /// `proc_child`: the task of `child` is a child of `parent`.
    pub(super) fn adopt(&mut self, parent: i32, child: PortName) -> Result<()> {
        let pid = self.find(child)?;
        if self.get(pid)?.has_parent {
            return Err(EBUSY);
        }
        let of = self.get(parent)?;
        let (ids, group, session) = (of.ids.clone(), of.group, of.session);
        let (exe, code) = (of.exe.clone(), of.code);
        let process = self.get_mut(pid)?;
        process.ids = ids;
        process.parent = parent;
        process.has_parent = true;
        process.group = group;
        process.session = session;
        // A program that nobody has said anything of is its parent's own.
        if process.code == (0, 0) {
            process.code = code;
        }
        if process.exe.is_empty() {
            process.exe = exe;
        }
        self.tell_new_ids(pid);
        Ok(())
    }

    /// `proc_setpgrp`.
    pub(super) fn set_group(&mut self, caller: i32, pid: i32, group: i32) -> Result<()> {
        let pid = if pid == 0 { caller } else { pid };
        let session = self.get(caller)?.session;
        let process = self.living(pid)?;
        if pid != caller && process.parent != caller {
            return Err(ESRCH);
        }
        if process.parent == caller && process.has_execed {
            return Err(EACCES);
        }
        let group = if group == 0 { pid } else { group };
        let is_there = self.group(group).any(|(_, other)| other.session == session);
        if process.session == pid || process.session != session || group != pid && !is_there {
            return Err(EPERM);
        }
        self.get_mut(pid)?.group = group;
        self.tell_new_ids(pid);
        Ok(())
    }

    /// `proc_setsid`.
    pub(super) fn set_session(&mut self, pid: i32) -> Result<()> {
        if self.group(pid).next().is_some() {
            return Err(EPERM);
        }
        let process = self.get_mut(pid)?;
        process.group = pid;
        process.session = pid;
        self.tell_new_ids(pid);
        Ok(())
    }

    /// Tells a process that its parent or group is another.
    fn tell_new_ids(&mut self, pid: i32) {
        let Ok(process) = self.living(pid) else { return };
        let clone = |right: &Option<SendRight>| right.as_ref().and_then(|right| right.try_clone().ok());
        if let (Some(to), Some(task)) = (clone(&process.message_port), clone(&process.task)) {
            let (parent, group) = (process.parent, process.group);
            let orphaned = self.is_orphaned(group);
            self.letters.push(Letter::NewIds { to, task, parent, group, orphaned });
        }
    }

    /// Tells the parent of a process of its change.
    pub(super) fn tell_parent(&mut self, pid: i32, code: u32) {
        let parent = self.get(pid).and_then(|process| self.living(process.parent));
        let Ok(parent) = parent else { return };
        let clone = |right: &Option<SendRight>| right.as_ref().and_then(|right| right.try_clone().ok());
        if let (Some(to), Some(reference)) = (clone(&parent.message_port), clone(&parent.task)) {
            self.letters.push(Letter::Signal { to, signal: SIGCHLD, code, reference });
        }
    }

    /// A task is gone.
    pub(crate) fn died(&mut self, task: PortName) {
        let Some(pid) = self.by_task(task) else { return };
        let Some(process) = self.processes.get_mut(&pid) else { return };
        process.die();
        let port = process.port;
        self.ports.remove(port);
        self.tell_parent(pid, CLD_EXITED);
        let children: Vec<i32> =
            self.processes.iter().filter(|(_, other)| other.parent == pid).map(|(child, _)| *child).collect();
        for child in children {
            if let Some(process) = self.processes.get_mut(&child) {
                process.parent = INIT;
            }
            self.tell_new_ids(child);
        }
        // Nobody is there to hear what it waited for.
        self.waiters.retain(|waiter| waiter.caller != pid);
    }

    /// Forgets a dead process.
    pub(super) fn reap(&mut self, pid: i32) {
        self.processes.remove(&pid);
    }

    /// Whether a message port has died; then who asks for it waits for another.
    pub(super) fn check_message_port(&mut self, pid: i32) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let Some(port) = &process.message_port else { return };
        let kind = stubs::mach_port::mach_port_type(task_self(), port.name());
        if kind.is_ok_and(|kind| kind & MACH_PORT_TYPE_DEAD_NAME == 0) {
            return;
        }
        process.message_port = None;
        process.has_lost_message_port = true;
    }

    /// The port of a process moves to `port`, with these users.
    pub(super) fn reauthenticated(&mut self, pid: i32, port: ReceiveRight, ids: Vec<u32>) -> Result<()> {
        let process = self.get_mut(pid)?;
        process.ids = ids;
        let old = core::mem::replace(&mut process.port, port.name());
        self.ports.replace(old, port)
    }

    /// The process goes over to the task of `new`, whose own process ends unseen.
    pub(super) fn reassign(&mut self, pid: i32, new: i32) -> Result<()> {
        let stub = self.processes.remove(&new).ok_or(ESRCH)?;
        self.ports.remove(stub.port);
        let process = self.get_mut(pid)?;
        let old = core::mem::replace(&mut process.task, stub.task);
        (process.argv, process.envp) = (stub.argv, stub.envp);
        process.has_lost_message_port |= process.message_port.take().is_some();
        if let Some(old) = old {
            let _ = stubs::mach::task_terminate(old.name());
        }
        Ok(())
    }
}
