// SPDX-License-Identifier: GPL-2.0-or-later
//! What the plan takes for granted about a kernel, checked one by one: everything that is not so is a miss.

use std::collections::{BTreeSet, HashSet};

use crate::error::{InstrumentError, Miss};
use crate::kernel::{Declarations, KernelElf, Layouts, References};
use crate::payload_abi::{HOOKS, Hook, KERNELS_OWN_CALLS, NO_TRAP, Need, Others, PROTOTYPES, SLOTS, Site, TRAPS};
use crate::plan::reach::{Reach, target};
use crate::plan::site::FoundSite;
use crate::plan::traps::{TRAP_TABLE, Table};
use crate::plan::{places, prototypes, template};

/// The addresses of the hooked functions, to which every way has to be known.
pub(super) fn targets(kernel: &KernelElf) -> BTreeSet<u64> {
    let found = HOOKS.iter().filter_map(|hook| kernel.symbol(target(hook), hook.symbol).ok());
    found.map(|symbol| symbol.address).collect()
}

/// What is known of the kernel when the sites have been found.
pub(super) struct Found<'a> {
    pub(super) kernel: &'a KernelElf,
    pub(super) declared: &'a Declarations<'a>,
    pub(super) layouts: &'a Layouts,
    pub(super) references: &'a References,
    pub(super) hooks: &'a [Hook],
    pub(super) sites: &'a [FoundSite],
    /// Symbols of the kernel that the payload refers to.
    pub(super) imports: &'a BTreeSet<String>,
}

impl Found<'_> {
    /// Checks everything; what is not so is added to `misses`.
    pub(super) fn check(&self, misses: &mut Vec<Miss>) -> Result<(), InstrumentError> {
        let Self { kernel, layouts, .. } = *self;
        let mut prototypes: BTreeSet<&str> = self.imports.iter().map(String::as_str).collect();
        self.hooks.iter().for_each(|hook| _ = prototypes.insert(target(hook)));
        let mut places = prototypes.clone();
        named(self.hooks).for_each(|name| _ = places.insert(name));
        let functions: HashSet<&str> = places.iter().copied().collect();
        let routines = &self.declared.routines(&functions)?;
        Reach { kernel, references: self.references, routines }.check(self.hooks, self.sites, misses);
        places::check(&places, kernel, routines, misses);
        prototypes::check(&prototypes, kernel, routines, misses);
        // That there is none, every hook of the table says.
        if let Ok(table) = Table::find(kernel, layouts, TRAP_TABLE) {
            table.check(misses);
        }
        if let Err(miss) = template::check(kernel, layouts) {
            misses.push(miss);
        }
        Ok(())
    }
}

/// Every symbol of a kernel that a plan may ask for, whatever a payload refers to.
pub fn names() -> BTreeSet<&'static str> {
    let traps = TRAPS.iter().map(|trap| trap.function).chain(NO_TRAP.iter().copied());
    let own = KERNELS_OWN_CALLS.iter().map(|(caller, _)| *caller);
    let hooked = HOOKS.iter().map(target).chain(PROTOTYPES.iter().map(|known| known.name));
    named(HOOKS).chain(traps).chain(own).chain(hooked).chain(["_end"]).collect()
}

/// Symbols that sites and slots are found by.
fn named(hooks: &[Hook]) -> impl Iterator<Item = &'static str> {
    let callers = hooks.iter().flat_map(|hook: &Hook| match hook.site {
        Site::CallsIn { callers, others: Others::Only(others), .. } => [callers, others],
        Site::CallsIn { callers, others: Others::Any, .. } => [callers, &[]],
        Site::Calls { .. } | Site::Trap { .. } => [&[][..], &[]],
    });
    let arrays = SLOTS.iter().filter_map(|slot| match slot.need {
        Need::PerCpu { array, .. } => Some(array),
        _ => None,
    });
    callers.flatten().copied().chain(arrays).chain([TRAP_TABLE, template::TEMPLATE, template::MAKER, "memcpy"])
}
