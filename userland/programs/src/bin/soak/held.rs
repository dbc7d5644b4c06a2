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
/// The cache of the messages of a page of which each processor keeps one for the next (`ipc_kmsg_cache` of ipc_kmsg.c).
const OF_PROCESSORS: &str = "kalloc_4096";
/// Tenths of a second that the kernel has to end what was ended.
const PATIENCE: u32 = 100;

/// How many names, and the objects of the kernel.
pub(crate) struct Held {
    names: usize,
    caches: Vec<(String, u64)>,
}

impl Held {
    /// What there is now.
    pub(crate) fn now(privileged: PortName) -> Result<Self, Mismatch> {
        Ok(Self { names: left::names()?, caches: left::caches(privileged)? })
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
fn allowed(name: &str, processors: usize, hurt: u64) -> u64 {
    let kept = KEPT.iter().find(|(kept, _)| *kept == name).map_or(0, |(_, most)| *most);
    let of_exceptions = if OF_EXCEPTIONS.contains(&name) { hurt } else { 0 };
    let of_processors = if name == OF_PROCESSORS { processors as u64 } else { 0 };
    kept.saturating_add(of_exceptions + of_processors)
}

/// Waits until there is no more than before: the kernel ends threads in a thread of its own. So many threads that had raised
/// exceptions have ended meanwhile.
pub(crate) fn settle(fixed: &Fixed, before: &Held, hurt: u64) -> Result<(), Mismatch> {
    let privileged = fixed.privileged;
    let mut grown = Vec::new();
    for _ in 0..PATIENCE {
        let after = Held::now(privileged)?;
        expect("names of this task", before.names, after.names)?;
        grown = before.grown(&after);
        if grown.iter().all(|(name, more)| *more <= allowed(name, fixed.processors, hurt)) {
            return Ok(());
        }
        pause(100);
    }
    report_names(privileged)?;
    let list: Vec<String> = grown
        .iter()
        .map(|(name, more)| format!("{name} by {more} (at most {})", allowed(name, fixed.processors, hurt)))
        .collect();
    let after = format!("after the end of {hurt} threads that had raised exceptions");
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
