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
use mach::stubs as kernel;

use super::node;
use crate::world::{Failure, Target};

/// What `-p` names if it is to be every task.
const ALL: &str = "all";

/// The tasks of these processes. They are looked up before anything is traced: proc itself may be one of them.
pub(super) fn find(startup: &'static Startup, wanted: &[String]) -> Result<Vec<Target>, Failure> {
    let asked = |what: &'static str| move |error| Failure::Kernel { what, error };
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
    let asked = |what: &'static str| move |error| Failure::Kernel { what, error };
    let host = process::proc_getprivports(proc).map_err(asked("option `-p all`: proc_getprivports"))?.host_priv;
    let sets = kernel::mach_host::host_processor_sets(host.name()).map_err(asked("host_processor_sets"))?;
    let mut targets = Vec::new();
    for set in sets {
        let set = kernel::mach_host::host_processor_set_priv(host.name(), set.name());
        let set = set.map_err(asked("host_processor_set_priv"))?;
        let tasks = kernel::mach_host::processor_set_tasks(set.name()).map_err(asked("processor_set_tasks"))?;
        // Of one that has ended meanwhile there is no right.
        for task in tasks.filter(|task| task.name().is_valid()) {
            let task = SendRight::from_name(task.into_name());
            let id = process::proc_task2pid(proc, task.name()).ok();
            if id == Some(own) || id == Some(pid::KERNEL) {
                continue;
            }
            let program = id.and_then(|id| program(proc, id).ok()).unwrap_or_default();
            let name = id.map_or_else(String::new, |id| format!("{program}({id})"));
            targets.push(Target { task, name });
        }
    }
    Ok(targets)
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
