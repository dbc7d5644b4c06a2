// SPDX-License-Identifier: GPL-2.0-or-later
//! What the program and the kernel hold, before and after: nothing may be left of a round.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use mach::port::PortName;
use mach::{println, task_self};
use programs::patience::pause;
use programs::{Mismatch, expect, left, processors};

use crate::world::Fixed;

/// Caches whose objects the kernel keeps for later or makes as it runs, and by how many they may grow. It has a kmem_slab for each page of
/// others that it keeps, also for one without objects.
const KEPT: &[(&str, u64)] =
    &[("kmem_slab", u64::MAX), ("rdxtree_node", 100), ("pv_entry", 200), ("thread_stack", 100)];
/// Caches with the port to which exceptions are answered, and the answer or, if who was to answer has ended, the notification of 64 bytes that
/// there will be none: GNU Mach leaves them behind, traced or not, when a thread ends that has raised exceptions.
const OF_EXCEPTIONS: &[&str] = &["ipc_port", "kalloc_4096", "kalloc_64"];
/// Caches with the list of a task's threads that comes out of line. With several processors GNU Mach, traced or not, leaves it behind if the
/// memory that it is to be written to goes meanwhile, with the task of the thread that receives it (docs/differences.md).
const OF_RECEIVERS: &[&str] = &["kalloc_32", "kalloc_64"];
/// The cache of what is mapped. With several processors the program's own memory may be in more objects than before: what it writes once it has
/// made a child is in an object before the one that both have, until a fault that copies a page finds the child gone (vm_object_collapse of
/// vm/vm_object.c). It has no more regions of memory than this.
const OBJECTS: (&str, u64) = ("vm_object", 10);
/// The cache of the messages of a page of which each processor keeps one for the next (`ipc_kmsg_cache` of ipc_kmsg.c).
const OF_PROCESSORS: &str = "kalloc_4096";
/// Tenths of a second that the kernel has to end what was ended.
const PATIENCE: u32 = 100;

/// How many names, and the objects of the kernel.
pub(crate) struct Held {
    /// Not told with several processors, where the kernel may never answer (docs/differences.md); it has an `ipc_entry` for each.
    names: Option<usize>,
    caches: Vec<(String, u64)>,
}

/// How many threads and tasks have ended in a while.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ended {
    /// Players.
    pub(crate) players: u64,
    /// Their threads that had raised exceptions.
    pub(crate) hurt: u64,
}

impl core::ops::AddAssign for Ended {
    fn add_assign(&mut self, more: Self) {
        self.players += more.players;
        self.hurt += more.hurt;
    }
}

impl Held {
    /// What there is now.
    pub(crate) fn now(fixed: &Fixed) -> Result<Self, Mismatch> {
        let names = if fixed.processors == 1 { Some(left::names()?) } else { None };
        Ok(Self { names, caches: left::caches_beside_maps(fixed.privileged)? })
    }

    /// The caches that have grown, and by how much.
    fn grown(&self, after: &Self) -> Vec<(String, u64)> {
        let growth = |(name, objects): &(String, u64)| {
            let more = objects.saturating_sub(left::objects_of(&self.caches, name));
            (more > 0).then(|| (name.clone(), more))
        };
        after.caches.iter().filter_map(growth).collect()
    }
}

/// By how much a cache may grow.
fn allowed(name: &str, processors: usize, ended: Ended) -> u64 {
    let kept = KEPT.iter().find(|(kept, _)| *kept == name).map_or(0, |(_, most)| *most);
    let of_exceptions = if OF_EXCEPTIONS.contains(&name) { ended.hurt } else { 0 };
    let of_receivers = if processors > 1 && OF_RECEIVERS.contains(&name) { ended.players } else { 0 };
    let of_processors = if name == OF_PROCESSORS { processors as u64 } else { 0 };
    let of_children = if processors > 1 && name == OBJECTS.0 { OBJECTS.1 } else { 0 };
    kept.saturating_add(of_exceptions + of_receivers + of_processors + of_children)
}

/// Waits until there is no more than before: the kernel ends threads in a thread of its own. So many have ended meanwhile.
pub(crate) fn settle(fixed: &Fixed, before: &Held, ended: Ended) -> Result<(), Mismatch> {
    let mut grown = Vec::new();
    for _ in 0..PATIENCE {
        let after = Held::now(fixed)?;
        expect("names of this task", before.names, after.names)?;
        grown = before.grown(&after);
        if grown.iter().all(|(name, more)| *more <= allowed(name, fixed.processors, ended)) {
            return Ok(());
        }
        pause(100);
    }
    if fixed.processors == 1 {
        report_names(fixed.privileged)?;
    }
    let list: Vec<String> = grown
        .iter()
        .map(|(name, more)| format!("{name} by {more} (at most {})", allowed(name, fixed.processors, ended)))
        .collect();
    let after = format!("after the end of {} players, {} with exceptions", ended.players, ended.hurt);
    Err(Mismatch::new(&format!("the kernel's caches: expected no growth {after}, found {}", list.join(", "))))
}

/// Prints the names that each task of the machine has, and what kind of right each is.
fn report_names(privileged: PortName) -> Result<(), Mismatch> {
    for task in processors::tasks(privileged)? {
        let mut list = Vec::new();
        // The kernel's own task has no names, and one may just have ended.
        let _ = left::each_name(task.name(), |name, kind| list.push(format!("{:#x}:{kind:x}", name.0)));
        println!(
            "soak: names and types of {}: {}",
            if task.name() == task_self() { "soak" } else { "a task" },
            list.join(" ")
        );
    }
    Ok(())
}
