// SPDX-License-Identifier: GPL-2.0-or-later
//! What the kernel and a task hold, for programs that check that nothing is left behind.

use alloc::string::String;
use alloc::vec::Vec;

use mach::error::KernReturn;
use mach::port::PortName;
use mach::stubs::mach_debug::host_slab_info;
use mach::{stubs, task_self};

use crate::{Doing, Mismatch, processors};

/// How many names this task has.
pub fn names() -> Result<usize, Mismatch> {
    Ok(stubs::mach_port::mach_port_names(task_self()).doing("mach_port_names")?.names.as_slice().len() / 4)
}

/// Shows every name of a task and the `MACH_PORT_TYPE_...` of what it stands for. Without the heap.
///
/// # Errors
/// Those of `mach_port_names`.
pub fn each_name(task: PortName, mut show: impl FnMut(PortName, u32)) -> Result<(), KernReturn> {
    let names = stubs::mach_port::mach_port_names(task)?;
    let word = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    let kinds = names.types.as_slice().chunks_exact(4).map(word);
    names.names.as_slice().chunks_exact(4).map(word).zip(kinds).for_each(|(name, kind)| show(PortName(name), kind));
    Ok(())
}

/// The kernel's caches and how many objects of each are in use.
pub fn caches(host: PortName) -> Result<Vec<(String, u64)>, Mismatch> {
    let caches = host_slab_info(host).doing("host_slab_info")?;
    Ok(caches.iter().map(|cache| (name(&cache.name), cache.nr_objs)).collect())
}

/// How many entries the maps of all tasks have, the kernel's own among them.
///
/// # Errors
/// As for [`processors::tasks`].
pub fn map_entries(host: PortName) -> Result<u64, Mismatch> {
    Ok(processors::tasks(host)?.iter().map(|task| regions(task.name())).sum())
}

/// One may just have ended: it has none.
fn regions(task: PortName) -> u64 {
    let (mut address, mut count) = (0, 0);
    while let Ok(region) = stubs::mach::vm_region(task, &mut address) {
        count += 1;
        let Some(end) = address.checked_add(region.size) else { break };
        address = end;
    }
    count
}

/// How many objects a cache has; 0 if there is none of that name.
pub fn objects_of(caches: &[(String, u64)], name: &str) -> u64 {
    caches.iter().find(|cache| cache.0 == name).map_or(0, |cache| cache.1)
}

/// The caches of `after` that have more than `growth` objects more than in `before`.
pub fn grown<'a>(before: &[(String, u64)], after: &'a [(String, u64)], growth: u64) -> Vec<&'a (String, u64)> {
    after.iter().filter(|(name, objects)| *objects > objects_of(before, name) + growth).collect()
}

fn name(bytes: &[u8]) -> String {
    bytes.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect()
}
