// SPDX-License-Identifier: GPL-2.0-or-later
//! Which ports are the current directory and the root of a task, beyond what is known of ports: libc gives references back that it has just
//! taken, and `chdir` puts another port in the place of one.

use alloc::collections::BTreeMap;

use exchanges::names::TaskIndex;
use mig_defs::table::Tables;

use super::item::Item;

/// What a port is of these.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    is_current: bool,
    is_root: bool,
    /// References beside those that it is known by.
    spare: u32,
}

/// What becomes of a task's references to a port.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reference {
    /// It has one more.
    Taken(u32),
    /// It has one less.
    Given(u32),
}

impl Reference {
    /// Of a message that has done that.
    pub(super) fn of<'t>(tables: Tables<'t>, item: &Item<'t>) -> Option<Self> {
        let is_own = item.failed.is_none() && !item.asks_another_task();
        let port = || item.asked_port(tables, "name").filter(|_| is_own);
        match item.routine() {
            "mach_port_deallocate" => port().map(Self::Given),
            "mach_port_mod_refs" if item.asked_number(tables, "delta") == Some(1) => port().map(Self::Taken),
            _ => None,
        }
    }
}

/// Those that are known, by the kernel's numbers.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<(TaskIndex, u32), Place>);

/// How names begin that are looked up from what is called so; nothing if it is neither.
pub(super) fn start(label: &str) -> Option<&'static str> {
    let is = |role: &str| !label.contains(" of ") && label.split(" and ").any(|one| one == role);
    if is("root") { Some("/") } else { is("cwd").then_some("") }
}

impl Places {
    /// A port of a task is called so.
    pub(super) fn note(&mut self, port: (TaskIndex, u32), label: &str) {
        if let Some(start) = start(label) {
            let place = self.0.entry(port).or_default();
            (place.is_current, place.is_root) = (label.starts_with("cwd"), start == "/");
        }
    }

    /// What it is called, if it is one of these.
    pub(super) fn label(&self, port: (TaskIndex, u32)) -> Option<&'static str> {
        self.0.get(&port).map(|place| if place.is_root { "root" } else { "cwd" })
    }

    /// Whether the task has a reference to it beside those that it is known by.
    pub(super) fn has_spare(&self, port: (TaskIndex, u32)) -> bool {
        self.0.get(&port).is_some_and(|place| place.spare > 0)
    }

    /// The task has another reference to it.
    pub(super) fn refer(&mut self, port: (TaskIndex, u32)) {
        if let Some(place) = self.0.get_mut(&port) {
            place.spare += 1;
        }
    }

    /// The task has given a reference to it back.
    pub(super) fn give_back(&mut self, port: (TaskIndex, u32)) {
        match self.0.get_mut(&port) {
            Some(place) if place.spare > 0 => place.spare -= 1,
            _ => drop(self.0.remove(&port)),
        }
    }

    /// This port is the task's current directory now; the reference that it had to the one before comes back.
    pub(super) fn change(&mut self, port: (TaskIndex, u32)) {
        for (_, place) in self.0.iter_mut().filter(|((task, _), place)| *task == port.0 && place.is_current) {
            (place.is_current, place.spare) = (false, place.spare + 1);
        }
        self.0.retain(|(task, _), place| *task != port.0 || place.is_root || place.is_current);
        self.0.insert(port, Place { is_current: true, ..Place::default() });
    }

    /// The task is no more, or another program.
    pub(super) fn forget(&mut self, task: TaskIndex) {
        self.0.retain(|(of, _), _| *of != task);
    }
}
