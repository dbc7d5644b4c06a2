// SPDX-License-Identifier: GPL-2.0-or-later
//! Makes a profile of a kernel whose names have been found by its `-dbg` kernel.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use super::{Kind, Named, Profile, Says};
use crate::bench::steps::ACTIVE_STACK;
use crate::error::InstrumentError;
use crate::kernel::dwarf::Layout;
use crate::kernel::{Declarations, KernelElf, Routines, Symbol, facts};
use crate::payload_abi::{Need, PROTOTYPES, SLOTS, What};
use crate::plan::{self, Plan};
use crate::stripped::Naming;
use crate::stripped::image::functions;

impl Profile {
    /// The profile of `kernel`, whose names `naming` has found, and which has been planned as `plan` says: all that a plan may ask for, whatever
    /// the payload; and the names of the functions that places of the plan are in, so that a plan made by it has the same words.
    ///
    /// # Errors
    /// If the kernel or its debugging information cannot be read.
    pub fn of(kernel: &KernelElf, naming: &Naming, plan: &Plan, path: &Path) -> Result<Self, InstrumentError> {
        let declared = Declarations::of(kernel)?;
        let known = functions(kernel.bytes())?;
        let wanted = wanted(kernel, naming, plan, &known);
        let names: HashSet<&str> = wanted.keys().copied().collect();
        let routines = declared.routines(&names)?;
        let symbols = wanted.values().map(|symbol| (symbol.name.clone(), named(symbol, &routines, &known)));
        Ok(Self {
            path: path.to_owned(),
            version: plan.kernel_version.clone(),
            kernel: plan.kernel_hash.clone(),
            is_for_several: kernel.is_for_several().unwrap_or(false),
            symbols: symbols.collect(),
            structs: structs(&declared)?,
        })
    }
}

/// The symbols that a profile has.
fn wanted<'k>(
    kernel: &'k KernelElf,
    naming: &Naming,
    plan: &Plan,
    known: &BTreeMap<u64, u64>,
) -> BTreeMap<&'k str, &'k Symbol> {
    let names = plan::names();
    let places = plan.patches.iter().map(|patch| patch.address).chain(plan.switches.iter().map(|row| row.address));
    let places: BTreeSet<u64> = places.filter_map(|place| Some(kernel.function(place)?.address)).collect();
    let is_wanted = |symbol: &Symbol| {
        // What the compiler has split off is looked for by the name of the whole.
        let whole = symbol.name.split_once('.').map_or(symbol.name.as_str(), |(whole, _)| whole);
        names.contains(whole) || symbol.code && places.contains(&symbol.address)
    };
    let found = kernel.symbols().iter().filter(|symbol| naming.evidence.contains_key(&symbol.name));
    let (wanted, others): (Vec<_>, Vec<_>) = found.partition(|symbol| is_wanted(symbol));
    let mut symbols: BTreeMap<&str, &Symbol> = wanted.iter().map(|symbol| (symbol.name.as_str(), *symbol)).collect();
    // Code that has only a label ends where the next label is: one of those at each place, the first by name.
    let taken: BTreeSet<u64> = wanted.iter().map(|symbol| symbol.address).collect();
    let mut labels: BTreeMap<u64, &Symbol> = BTreeMap::new();
    for symbol in others {
        if symbol.code && !known.contains_key(&symbol.address) && !taken.contains(&symbol.address) {
            let label = labels.entry(symbol.address).or_insert(symbol);
            if symbol.name < label.name {
                *label = symbol;
            }
        }
    }
    symbols.extend(labels.values().map(|symbol| (symbol.name.as_str(), *symbol)));
    symbols
}

fn named(symbol: &Symbol, routines: &Routines, known: &BTreeMap<u64, u64>) -> Named {
    let kind = match symbol.code {
        true if known.get(&symbol.address) == Some(&symbol.size) => Kind::Function,
        true => Kind::Label,
        false => Kind::Data,
    };
    Named { kind, global: symbol.global, address: symbol.address, size: symbol.size, says: says(symbol, routines) }
}

/// What is declared of a symbol, if the payload takes it for something.
fn says(symbol: &Symbol, routines: &Routines) -> Says {
    let Some(known) = PROTOTYPES.iter().find(|known| known.name == symbol.name) else { return Says::Nothing };
    if let What::Variable(_) = known.what {
        let value = routines.variables(&symbol.name).first().and_then(|variable| variable.value);
        return value.map_or(Says::Nothing, Says::Type);
    }
    // The plan has compared all that are said with one.
    let said = routines.routines(&symbol.name).iter().filter(|routine| routine.external);
    let prototype = said.filter_map(|routine| {
        let (result, parameters) = routine.prototype.as_ref()?;
        let parameters: Option<Vec<_>> = parameters.iter().copied().collect();
        Some(Says::Prototype { result: (*result)?, parameters: parameters?, variadic: routine.variadic })
    });
    prototype.into_iter().next().unwrap_or(Says::Nothing)
}

/// The structs with the members that slots, the bench and the trap table ask for.
fn structs(declared: &Declarations<'_>) -> Result<BTreeMap<String, Layout>, InstrumentError> {
    let specs: Vec<_> = SLOTS.iter().chain([&ACTIVE_STACK]).collect();
    let asked = specs.into_iter().map(facts::asked).chain([(plan::TRAP_TYPE, Some(plan::TRAP_FUNCTION))]);
    let mut members: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (of, member) in asked {
        members.entry(of).or_default().extend(member);
    }
    let tags: Vec<&str> = members.keys().copied().collect();
    let layouts = declared.layouts(&tags)?;
    let mut structs = BTreeMap::new();
    for (tag, members) in members {
        // What is ambiguous or missing the plan has refused.
        let Ok(layout) = layouts.layout(tag, "a profile") else { continue };
        let fields = members.iter().filter_map(|member| layout.field(member, "a profile").ok()).cloned().collect();
        let is_filled = SLOTS.iter().any(|slot| matches!(slot.need, Need::Padding { of } if of == tag));
        let holes = if is_filled { layout.holes.clone() } else { Vec::new() };
        structs.insert(tag.to_owned(), Layout { fields, holes, ..layout.clone() });
    }
    Ok(structs)
}
