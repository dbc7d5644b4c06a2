//! What the program and the kernel hold, before and after: nothing may be left of a round.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use mach::port::PortName;
use mach::{println, task_self};
use programs::patience::pause;
use programs::{Mismatch, expect, left, processors};

/// Caches whose objects the kernel keeps for later or makes as it runs, and by how many they may grow. It has a kmem_slab for each page of
/// others that it keeps, also for one without objects.
const KEPT: &[(&str, u64)] =
    &[("kmem_slab", u64::MAX), ("rdxtree_node", 100), ("pv_entry", 200), ("thread_stack", 100)];
/// Caches with the port to which exceptions are answered, and the answer or, if who was to answer has ended, the notification of 64 bytes that
/// there will be none: GNU Mach leaves them behind, traced or not, when a thread ends that has raised exceptions.
const OF_EXCEPTIONS: &[&str] = &["ipc_port", "kalloc_4096", "kalloc_64"];
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

    /// The caches that have grown, and by how much. So many threads that had raised exceptions have ended meanwhile.
    fn grown(&self, after: &Self, hurt: u64) -> Vec<(String, u64)> {
        let growth = |(name, objects): &(String, u64)| {
            let kept = KEPT.iter().find(|(kept, _)| kept == name).map_or(0, |(_, most)| *most);
            let of_exceptions = if OF_EXCEPTIONS.contains(&name.as_str()) { hurt } else { 0 };
            let more = objects.saturating_sub(left::objects_of(&self.caches, name));
            (more > kept + of_exceptions).then(|| (name.clone(), more))
        };
        after.caches.iter().filter_map(growth).collect()
    }
}

/// Waits until there is no more than before: the kernel ends threads in a thread of its own.
pub(crate) fn settle(privileged: PortName, before: &Held, hurt: u64) -> Result<(), Mismatch> {
    let mut grown = Vec::new();
    for _ in 0..PATIENCE {
        let after = Held::now(privileged)?;
        expect("names of this task", before.names, after.names)?;
        grown = before.grown(&after, hurt);
        if grown.is_empty() {
            return Ok(());
        }
        pause(100);
    }
    report_names(privileged)?;
    let what = format!(
        "the kernel's caches, {hurt} threads that had raised exceptions having ended: expected no growth, found"
    );
    Err(Mismatch::new(&format!("{what} {grown:?}")))
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
