// SPDX-License-Identifier: GPL-2.0-or-later
//! What the kernel and a task hold, for programs that check that nothing is left behind.

use alloc::string::String;
use alloc::vec::Vec;

use mach::error::KernReturn;
use mach::port::PortName;
use mach::stubs::mach_debug::host_slab_info;
use mach::{stubs, task_self};

use crate::{Doing, Mismatch, processors};

/// The cache of what is in the maps of tasks.
const OF_MAPS: &str = "vm_map_entry";

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

/// [`caches`], but of what is in the maps of tasks only what is in no map, for only that can be left: an entry is cut in two, and stays so,
/// where something is asked of a part of it, as where a request of no shape sends what is at address 0 out of line (vm_map_copyin of vm/vm_map.c),
/// and the kernel's own map has entries for what its caches keep.
///
/// # Errors
/// As for [`caches`] and [`processors::tasks`].
pub fn caches_beside_maps(host: PortName) -> Result<Vec<(String, u64)>, Mismatch> {
    let mut caches = caches(host)?;
    let in_maps: u64 = processors::tasks(host)?.iter().map(|task| regions(task.name())).sum();
    for (_, objects) in caches.iter_mut().filter(|(name, _)| name == OF_MAPS) {
        *objects = objects.saturating_sub(in_maps);
    }
    Ok(caches)
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
