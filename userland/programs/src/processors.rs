// SPDX-License-Identifier: GPL-2.0-or-later
//! Processor sets: a kernel for several processors keeps all but the first in a set of their own.

use alloc::vec::Vec;

use mach::mig::AnyRight;
use mach::port::{PortName, SendRight};
use mach::stubs::mach_host;

use crate::{Doing, Mismatch};

/// The control ports of all processor sets, the default one first. `host` is the host's privileged port.
pub fn sets(host: PortName) -> Result<Vec<SendRight>, Mismatch> {
    let mut sets = Vec::new();
    for name in mach_host::host_processor_sets(host).doing("host_processor_sets")? {
        sets.push(mach_host::host_processor_set_priv(host, name.name()).doing("host_processor_set_priv")?);
    }
    Ok(sets)
}

/// Every task of the machine.
pub fn tasks(host: PortName) -> Result<Vec<SendRight>, Mismatch> {
    let mut tasks = Vec::new();
    for set in sets(host)? {
        // The second set is there even if it has no processors; it cannot be asked then.
        let Ok(members) = mach_host::processor_set_tasks(set.name()) else { continue };
        tasks.extend(members.filter_map(|task| if let AnyRight::Send(task) = task { Some(task) } else { None }));
    }
    Ok(tasks)
}

/// Assigns a task to the last processor set. False if there is only one with processors.
pub fn move_elsewhere(host: PortName, task: PortName) -> Result<bool, Mismatch> {
    let mut sets = sets(host)?;
    let last = sets.pop().filter(|_| !sets.is_empty());
    // The second set is there even if it has no processors; nothing assigned to it would run.
    let processors = mach_host::host_processors(host).doing("host_processors")?.count();
    let Some(last) = last.filter(|_| processors > 1) else { return Ok(false) };
    mach_host::task_assign(task, last.name(), true).doing("task_assign")?;
    Ok(true)
}
