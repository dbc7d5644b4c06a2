// SPDX-License-Identifier: GPL-2.0-or-later
//! The processes of `-p`: by their ids, or by the names of their programs, as ps shows both.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use hurd::abi::pid;
use hurd::errno::ESRCH;
use hurd::startup::Startup;
use hurd::stubs::process;
use mach::error::KernReturn;
use mach::port::{PortName, SendRight};

use super::node;
use crate::options::ALL;
use crate::tasks;
use crate::world::{Failure, Target};

/// The tasks of these processes. They are looked up before anything is traced: proc itself may be one of them.
pub(super) fn find(startup: &'static Startup, wanted: &[String]) -> Result<Vec<Target>, Failure> {
    let proc = startup.proc().map_err(asked("proc"))?;
    let own = startup.process_id().map_err(asked("proc_getpids"))?;
    let mut targets = Vec::new();
    for who in wanted {
        if who == ALL {
            targets.extend(all(proc, own)?);
            continue;
        }
        let id = match who.parse() {
            Ok(id) => id,
            Err(_) if who.starts_with('/') => node::process(startup, proc, own, who)?,
            Err(_) => by_name(proc, who)?,
        };
        if id == own {
            return Err(Failure::NoProcess(format!("process {id} is rpctrace2 itself")));
        }
        let task = process::proc_pid2task(proc, id).map_err(|error| match error {
            ESRCH => Failure::NoProcess(format!("no process {id}")),
            error => Failure::NotAttached { name: format!("process {id}"), error },
        })?;
        if !task.name().is_valid() {
            return Err(Failure::NoProcess(format!("process {id} has ended, and nobody has waited for it")));
        }
        let name = program(proc, id).unwrap_or_default();
        targets.push(Target { task, name: format!("{name}({id})") });
    }
    Ok(targets)
}

/// Every task of the machine but the kernel's and our own; those that proc knows by their processes' names.
fn all(proc: PortName, own: i32) -> Result<Vec<Target>, Failure> {
    let host = privileged_host(proc).map_err(asked("option `-p all`: proc_getprivports"))?;
    let mut targets = Vec::new();
    for task in tasks::all(host.name())? {
        let id = process::proc_task2pid(proc, task.name()).ok();
        if id == Some(own) || id == Some(pid::KERNEL) {
            continue;
        }
        let program = id.and_then(|id| program(proc, id).ok()).unwrap_or_default();
        let name = id.map_or_else(String::new, |id| format!("{program}({id})"));
        targets.push(Target { task, name });
    }
    Ok(targets)
}

/// The host's privileged port, which takes a privileged user.
pub(super) fn privileged_host(proc: PortName) -> Result<SendRight, KernReturn> {
    Ok(process::proc_getprivports(proc)?.host_priv)
}

fn asked(what: &'static str) -> impl Fn(KernReturn) -> Failure {
    move |error| Failure::Kernel { what, error }
}

/// The one process whose program is called so.
fn by_name(proc: PortName, name: &str) -> Result<i32, Failure> {
    let all = process::proc_getallpids(proc).map_err(|error| Failure::Kernel { what: "proc_getallpids", error })?;
    let mut found = Vec::new();
    for id in all.iter() {
        // One that has ended meanwhile is not the one.
        if program(proc, id).is_ok_and(|program| program == name) {
            found.push(id);
        }
    }
    match found[..] {
        [id] => Ok(id),
        [] => Err(Failure::NoProcess(format!("no process whose program is called {name}"))),
        _ => {
            let ids = found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            Err(Failure::NoProcess(format!("several processes whose program is called {name}: {ids}; say which")))
        }
    }
}

/// What a process's program is called: the end of its first argument.
fn program(proc: PortName, id: i32) -> Result<String, KernReturn> {
    let arguments = process::proc_getprocargs(proc, id)?;
    let first = arguments.as_bytes().split(|byte| *byte == 0).next().unwrap_or(&[]);
    let base = first.rsplit(|byte| *byte == b'/').next().unwrap_or(first);
    Ok(String::from_utf8_lossy(base).into_owned())
}
