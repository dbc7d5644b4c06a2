// SPDX-License-Identifier: GPL-2.0-or-later
//! Refuses a kernel in which a hooked function is reached past the places that are redirected.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::error::Miss;
use crate::kernel::references::{Lead, Reference, References};
use crate::kernel::{KernelElf, Routines, bounds};
use crate::payload_abi::{Hook, KERNELS_OWN_CALLS, Others, Site};
use crate::plan::calls::split_off;
use crate::plan::site::FoundSite;

/// What is known of how functions are reached.
pub(super) struct Reach<'a> {
    pub(super) kernel: &'a KernelElf,
    pub(super) references: &'a References,
    pub(super) routines: &'a Routines,
}

/// The function that a hook stands before.
pub(super) fn target(hook: &Hook) -> &'static str {
    match hook.site {
        Site::Trap { original: target, .. } | Site::Calls { target, .. } | Site::CallsIn { target, .. } => target,
    }
}

/// Whose ways to the target matter: those of these functions, or everybody's.
fn callers(hook: &Hook) -> Option<&'static [&'static str]> {
    match hook.site {
        Site::CallsIn { callers, others: Others::Any, .. } => Some(callers),
        Site::CallsIn { .. } | Site::Calls { .. } | Site::Trap { .. } => None,
    }
}

fn concerns(hook: &Hook, function: &str) -> bool {
    callers(hook).is_none_or(|callers| callers.contains(&function) || split_off(function, callers))
}

impl Reach<'_> {
    /// Every way to a hooked function that is not one of `sites`.
    pub(super) fn check(&self, hooks: &[Hook], sites: &[FoundSite], misses: &mut Vec<Miss>) {
        let pointers: HashMap<u64, u64> = sites.iter().filter_map(FoundSite::pointer_to).collect();
        for hook in hooks {
            let name = target(hook);
            // That it is missing is said where the sites are looked for.
            let Ok(symbol) = self.kernel.symbol(name, hook.symbol) else { continue };
            self.other_leads(hook, (name, symbol.address), (sites, &pointers), misses);
            self.other_bodies(hook, name, symbol.address, misses);
            self.calls_agree(hook, name, symbol.address, misses);
        }
    }

    /// Jumps, addresses, and, of a trap, calls.
    fn other_leads(
        &self,
        hook: &Hook,
        (name, address): (&str, u64),
        (sites, pointers): (&[FoundSite], &HashMap<u64, u64>),
        misses: &mut Vec<Miss>,
    ) {
        let own = self.kernel.symbol(name, hook.symbol).and_then(|symbol| bounds(self.kernel, symbol, hook.symbol));
        let inside = |site: &u64| own.as_ref().is_ok_and(|own| own.contains(site));
        let trap = matches!(hook.site, Site::Trap { .. });
        let mut ways: BTreeMap<Lead, Vec<String>> = BTreeMap::new();
        for Reference { lead, site, function, .. } in self.references.to(address) {
            let by = function.map(|function| self.kernel.name(function));
            let is_kernels_own = |by: &String| KERNELS_OWN_CALLS.contains(&(by.as_str(), name));
            let known = match lead {
                Lead::Call => !trap || by.as_ref().is_some_and(is_kernels_own),
                // A loop that begins with the function.
                Lead::Jump => inside(site) || sites.iter().any(|found| found.is_at(*site)),
                Lead::Data => pointers.get(site) == Some(&address),
                Lead::Fall | Lead::Address => false,
            };
            if known || !by.is_none_or(|by| concerns(hook, &by)) {
                continue;
            }
            let place = if function.is_some() { self.kernel.describe(*site) } else { format!("{site:#x}") };
            ways.entry(*lead).or_default().push(place);
        }
        for (lead, places) in ways {
            let way = match lead {
                Lead::Call => "direct calls",
                Lead::Jump => "jumps",
                Lead::Fall => "functions that go on into it",
                Lead::Address => "instructions with its address",
                Lead::Data => "data with its address",
            };
            misses.push(other_way(hook, name, way, places));
        }
    }

    /// Bodies in other functions, and copies under other names.
    fn other_bodies(&self, hook: &Hook, name: &str, address: u64, misses: &mut Vec<Miss>) {
        let inlined = self.routines.inlined.iter().filter(|body| body.target == name && concerns(hook, &body.inside));
        let places: Vec<String> = inlined.map(|body| format!("{} at {:#x}", body.inside, body.address)).collect();
        if !places.is_empty() {
            misses.push(other_way(hook, name, "bodies inlined in other functions", places));
        }
        let instances = self.routines.routines(name).iter().filter(|routine| routine.prototype.is_none());
        let instances = instances.filter_map(|routine| routine.code).filter(|&(start, _)| start != address);
        let mut places: Vec<String> = instances.map(|(start, _)| self.kernel.describe(start)).collect();
        let copies = self.kernel.symbols().iter().filter(|symbol| {
            let copy = symbol.name.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
            symbol.code && symbol.address != address && copy.is_some_and(|copy| !copy.starts_with("cold"))
        });
        places.extend(copies.map(|symbol| self.kernel.describe(symbol.address)));
        places.sort_unstable();
        places.dedup();
        if !places.is_empty() {
            misses.push(other_way(hook, name, "copies of it", places));
        }
    }

    /// The calls that the compiler has noted are those in the text.
    fn calls_agree(&self, hook: &Hook, name: &str, address: u64, misses: &mut Vec<Miss>) {
        const CALL: u64 = 5;
        let noted = self.routines.calls.iter().filter(|call| call.target == name && concerns(hook, &call.inside));
        let noted: BTreeSet<u64> = noted.map(|call| call.address.wrapping_sub(CALL)).collect();
        let found: Vec<&Reference> = self.references.calls(address).collect();
        let sites: BTreeSet<u64> = found.iter().map(|call| call.site).collect();
        let gone: Vec<String> = noted.difference(&sites).map(|&site| self.kernel.describe(site)).collect();
        if !gone.is_empty() {
            misses.push(other_way(hook, name, "noted calls that are none in the text", gone));
        }
        let lists = |function: &str| self.routines.routines(function).iter().any(|routine| routine.lists_calls);
        let by = |call: &&&Reference| call.function.map(|function| self.kernel.name(function)).unwrap_or_default();
        let new = found.iter().filter(|call| {
            let by = by(call);
            concerns(hook, &by) && lists(&by) && !noted.contains(&call.site)
        });
        let new: Vec<String> = new.map(|call| self.kernel.describe(call.site)).collect();
        if !new.is_empty() {
            misses.push(other_way(hook, name, "calls that the compiler has not noted", new));
        }
    }
}

fn other_way(hook: &Hook, target: &str, way: &'static str, places: Vec<String>) -> Miss {
    Miss::OtherWay { target: target.to_owned(), wanted_by: hook.symbol.to_owned(), way, places }
}
