// SPDX-License-Identifier: GPL-2.0-or-later
//! The routines of process.defs.

use alloc::vec::Vec;

use hurd::stubs::process_server::{
    ProcGetArgLocationsOut, ProcGetexecdataOut, ProcGetpidsOut, ProcGetprivportsOut, ProcGetprocinfoOut, ProcWaitOut,
    ProcWaitidOut, Server, rusage_t,
};
use mach::error::{KernReturn, Result};
use mach::mig::{AnyRight, Received};
use mach::port::{Disposition, PortName, SendRight};
use small_hurd::errno::{EBUSY, EINVAL, EOPNOTSUPP, EPERM, ESRCH};

use super::letters::Ended;
use super::table::{CLD_CONTINUED, CLD_STOPPED, Table};
use super::wait::{Of, WEXITED, Waiter};
use super::{Proc, info};
use crate::server::reply::ReplyTo;

/// The status of a process that has stopped by a signal has this in its lowest byte.
const STOPPED: i32 = 0x7f;
/// The status of a process that goes on.
const CONTINUED: i32 = 0xffff;

/// One request.
pub(super) struct Serving<'a> {
    pub(super) proc: &'a Proc,
    pub(super) request: &'a [u64],
}

/// A right that goes with the reply, if there is one.
fn moved(right: Option<SendRight>) -> (PortName, Disposition) {
    (right.map_or(PortName::NULL, SendRight::into_name), Disposition::MoveSend)
}

impl Serving<'_> {
    /// Does something for the process whose port the request came to.
    fn as_caller<T>(&self, port: PortName, what: impl FnOnce(&mut Table, i32) -> Result<T>) -> Result<T> {
        self.proc.with(|table| {
            let caller = table.caller(port)?;
            what(table, caller)
        })
    }

    /// Waits as `wait` does, here or later.
    fn wait(&self, port: PortName, pid: i32, options: i32, is_waitid: bool) -> Result<Ended> {
        self.as_caller(port, |table, caller| {
            if let Some(ended) = table.wait(caller, pid, options)? {
                return Ok(ended);
            }
            let reply = ReplyTo::of(self.request);
            table.waiters.push(Waiter { caller, reply, of: Of::Child { pid, options, is_waitid } });
            Err(KernReturn::MIG_NO_REPLY)
        })
    }

    /// What only the owner of a process may be given of it; nothing of a dead one.
    fn of_owned<T>(
        &self,
        port: PortName,
        pid: i32,
        what: impl FnOnce(&Table, &super::process::Process) -> Result<T>,
    ) -> Result<Option<T>> {
        self.as_caller(port, |table, caller| {
            let process = table.get(pid)?;
            if process.is_dead {
                return Ok(None);
            }
            if caller != pid && !table.get(caller)?.owns(process) {
                return Err(EPERM);
            }
            what(table, process).map(Some)
        })
    }

    fn reauthenticate(&self, port: PortName, rendezvous: &SendRight, new: Option<SendRight>) -> Result<()> {
        let pid = self.as_caller(port, |_, caller| Ok(caller))?;
        let new = new.map(|new| self.proc.with(|table| table.find(new.name()))).transpose()?;
        if new == Some(pid) {
            return Err(EINVAL);
        }
        self.proc.reauthenticate(pid, rendezvous, new)
    }
}

impl Server for Serving<'_> {
    fn proc_getprivports(&mut self, process: PortName) -> Result<ProcGetprivportsOut> {
        self.as_caller(process, |table, caller| table.check_root(caller))?;
        Ok(ProcGetprivportsOut { host_priv: self.proc.host.name(), device_master: self.proc.device.name() })
    }

    fn proc_getallpids(&mut self, _process: PortName) -> Result<impl AsRef<[i32]>> {
        self.proc.with(Table::all)
    }

    fn proc_setexecdata(&mut self, process: PortName, ports: Vec<AnyRight>, ints: Received<'_, i32>) -> Result<()> {
        // A port that has died is none.
        let right = |right| match right {
            AnyRight::Send(right) => right,
            _ => SendRight::from_name(PortName::NULL),
        };
        let new = (ports.into_iter().map(right).collect(), ints.iter().collect());
        self.as_caller(process, |table, caller| {
            table.check_root(caller)?;
            table.standard = new;
            Ok(())
        })
    }

    fn proc_getexecdata(&mut self, _process: PortName) -> Result<ProcGetexecdataOut> {
        self.proc.with(|table| {
            let (ports, ints) = &table.standard;
            let copies = ports.iter().map(SendRight::try_clone).collect::<Result<Vec<_>>>()?;
            let names = copies.into_iter().map(SendRight::into_name).collect();
            Ok(ProcGetexecdataOut { ports: (names, Disposition::MoveSend), ints: ints.clone() })
        })
    }

    fn proc_reauthenticate(&mut self, process: PortName, rendezvous: SendRight) -> Result<()> {
        self.reauthenticate(process, &rendezvous, None)
    }

    fn proc_reauthenticate_reassign(
        &mut self,
        process: PortName,
        rendezvous: SendRight,
        new_task: SendRight,
    ) -> Result<()> {
        self.reauthenticate(process, &rendezvous, Some(new_task))
    }

    /// It means something only to a port that somebody has got by reauthentication, and not yet answered.
    fn proc_reauthenticate_complete(&mut self, _process: PortName) -> Result<()> {
        Err(EOPNOTSUPP)
    }

    fn proc_child(&mut self, process: PortName, child: SendRight) -> Result<()> {
        self.as_caller(process, |table, caller| table.adopt(caller, child.name()))
    }

    fn proc_setmsgport(
        &mut self,
        process: PortName,
        _reply: PortName,
        port: SendRight,
    ) -> Result<(PortName, Disposition)> {
        self.as_caller(process, |table, caller| {
            let process = table.get_mut(caller)?;
            process.has_lost_message_port = false;
            let new = port.name().is_valid().then_some(port);
            Ok(moved(core::mem::replace(&mut process.message_port, new)))
        })
    }

    fn proc_getmsgport(&mut self, process: PortName, _reply: PortName, pid: i32) -> Result<(PortName, Disposition)> {
        self.as_caller(process, |table, caller| match table.message_port(pid)? {
            Some(port) => Ok(moved(port)),
            None => {
                let reply = ReplyTo::of(self.request);
                table.waiters.push(Waiter { caller, reply, of: Of::MessagePort { pid } });
                Err(KernReturn::MIG_NO_REPLY)
            }
        })
    }

    fn proc_reassign(&mut self, process: PortName, new_task: SendRight) -> Result<()> {
        self.as_caller(process, |table, caller| match table.find(new_task.name())? {
            new if new == caller => Err(EINVAL),
            new => table.reassign(caller, new),
        })
    }

    fn proc_getpids(&mut self, process: PortName) -> Result<ProcGetpidsOut> {
        self.as_caller(process, |table, caller| {
            let process = table.get(caller)?;
            let orphaned = i32::from(table.is_orphaned(process.group));
            Ok(ProcGetpidsOut { pid: caller, ppid: process.parent, orphaned })
        })
    }

    fn proc_set_arg_locations(&mut self, process: PortName, argv: u64, envp: u64) -> Result<()> {
        self.as_caller(process, |table, caller| {
            let process = table.get_mut(caller)?;
            (process.argv, process.envp) = (argv, envp);
            Ok(())
        })
    }

    fn proc_get_arg_locations(&mut self, process: PortName) -> Result<ProcGetArgLocationsOut> {
        self.as_caller(process, |table, caller| {
            let process = table.get(caller)?;
            Ok(ProcGetArgLocationsOut { argv: process.argv, envp: process.envp })
        })
    }

    fn proc_wait(&mut self, process: PortName, _reply: PortName, pid: i32, options: i32) -> Result<ProcWaitOut> {
        let Ended { pid, status, sigcode } = self.wait(process, pid, options | WEXITED, false)?;
        Ok(ProcWaitOut { status, sigcode, rusage: rusage_t::default(), pid_status: pid })
    }

    fn proc_waitid(&mut self, process: PortName, _reply: PortName, pid: i32, options: i32) -> Result<ProcWaitidOut> {
        let Ended { pid, status, sigcode } = self.wait(process, pid, options, true)?;
        Ok(ProcWaitidOut { status, sigcode, rusage: rusage_t::default(), pid_status: pid })
    }

    fn proc_mark_stop(&mut self, process: PortName, signal: i32, sigcode: i32) -> Result<()> {
        self.as_caller(process, |table, caller| {
            let process = table.get_mut(caller)?;
            (process.is_stopped, process.is_continued, process.is_waited) = (true, false, false);
            (process.status, process.sigcode) = (signal << 8 | STOPPED, sigcode);
            table.tell_parent(caller, CLD_STOPPED);
            Ok(())
        })
    }

    fn proc_mark_cont(&mut self, process: PortName) -> Result<()> {
        self.as_caller(process, |table, caller| {
            let process = table.get_mut(caller)?;
            (process.is_stopped, process.is_continued, process.is_waited) = (false, true, false);
            process.status = CONTINUED;
            table.tell_parent(caller, CLD_CONTINUED);
            Ok(())
        })
    }

    fn proc_mark_exit(&mut self, process: PortName, status: i32, sigcode: i32) -> Result<()> {
        self.as_caller(process, |table, caller| {
            let process = table.get_mut(caller)?;
            if status & 0xff == STOPPED {
                return Err(EINVAL);
            }
            if process.is_exiting {
                return Err(EBUSY);
            }
            process.is_exiting = true;
            (process.status, process.sigcode) = (status, sigcode);
            Ok(())
        })
    }

    fn proc_mark_exec(&mut self, process: PortName) -> Result<()> {
        self.as_caller(process, |table, caller| {
            table.get_mut(caller)?.has_execed = true;
            Ok(())
        })
    }

    fn proc_mark_important(&mut self, process: PortName) -> Result<()> {
        self.as_caller(process, |table, caller| {
            table.check_root(caller)?;
            table.get_mut(caller)?.is_important = true;
            Ok(())
        })
    }

    fn proc_pid2task(&mut self, process: PortName, pid: i32) -> Result<PortName> {
        let task = self.of_owned(process, pid, |_, process| Ok(process.task_name()))?;
        Ok(task.unwrap_or(PortName::NULL))
    }

    fn proc_task2pid(&mut self, _process: PortName, task: SendRight) -> Result<i32> {
        self.proc.with(|table| table.find(task.name()))
    }

    fn proc_task2proc(&mut self, _process: PortName, task: SendRight) -> Result<(PortName, Disposition)> {
        self.proc.with(|table| {
            let pid = table.find(task.name())?;
            let port = table.get(pid)?.port;
            table.ports.send_right(port).ok_or(ESRCH)?.map(|right| moved(Some(right)))
        })
    }

    fn proc_proc2task(&mut self, process: PortName) -> Result<PortName> {
        self.as_caller(process, |table, caller| Ok(table.get(caller)?.task_name()))
    }

    fn proc_pid2proc(&mut self, process: PortName, pid: i32) -> Result<(PortName, Disposition)> {
        let port =
            self.of_owned(process, pid, |table, process| table.ports.send_right(process.port).ok_or(ESRCH)?)?;
        Ok(moved(port))
    }

    fn proc_getprocinfo(&mut self, _process: PortName, which: i32, flags: i32) -> Result<ProcGetprocinfoOut> {
        // The kernel is asked when nothing is locked.
        let (words, task) = self.proc.with(|table| {
            table.check_message_port(which);
            table.state(which)
        })?;
        let info = info::complete(words, &task, flags)?;
        Ok(ProcGetprocinfoOut { flags: info.flags, procinfo: info.words, threadwaits: Vec::new() })
    }

    fn proc_getprocargs(&mut self, _process: PortName, which: i32) -> Result<impl AsRef<[u8]>> {
        let (task, argv) = self.proc.with(|table| {
            let process = table.living(which)?;
            Ok((process.task.as_ref().ok_or(ESRCH)?.try_clone()?, process.argv))
        })?;
        info::strings(task.name(), argv)
    }

    fn proc_setsid(&mut self, process: PortName) -> Result<()> {
        self.as_caller(process, Table::set_session)
    }

    fn proc_setpgrp(&mut self, process: PortName, pid: i32, group: i32) -> Result<()> {
        self.as_caller(process, |table, caller| table.set_group(caller, pid, group))
    }

    fn proc_getpgrp(&mut self, _process: PortName, pid: i32) -> Result<i32> {
        self.proc.with(|table| Ok(table.living(pid)?.group))
    }

    fn proc_getpgrppids(&mut self, process: PortName, group: i32) -> Result<impl AsRef<[i32]>> {
        self.as_caller(process, |table, caller| {
            let group = if group == 0 { table.get(caller)?.group } else { group };
            if table.group(group).next().is_none() {
                return Err(ESRCH);
            }
            Ok(table.group(group).filter(|(_, process)| !process.is_important).map(|(pid, _)| pid).collect::<Vec<_>>())
        })
    }

    fn proc_set_code(&mut self, process: PortName, start: u64, end: u64) -> Result<()> {
        self.as_caller(process, |table, caller| {
            table.get_mut(caller)?.code = (start, end);
            Ok(())
        })
    }

    fn proc_set_entry(&mut self, process: PortName, entry: u64) -> Result<()> {
        self.as_caller(process, |table, caller| {
            table.get_mut(caller)?.entry = entry;
            Ok(())
        })
    }

    fn proc_set_exe(&mut self, process: PortName, path: &[u8]) -> Result<()> {
        self.as_caller(process, |table, caller| {
            table.get_mut(caller)?.exe = path.to_vec();
            Ok(())
        })
    }

    fn proc_get_exe(&mut self, _process: PortName, which: i32) -> Result<[u8; 1024]> {
        self.proc.with(|table| {
            let mut path = [0; 1024];
            let exe = &table.living(which)?.exe;
            path.iter_mut().zip(exe).for_each(|(place, byte)| *place = *byte);
            Ok(path)
        })
    }
}
