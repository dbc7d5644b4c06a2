// SPDX-License-Identifier: GPL-2.0-or-later
//! The symbols of a kernel without any, from the `-dbg` kernel of the same version.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::evidence::{Evidence, Found, Why};
use super::{Image, Matching, Place, anchors};
use crate::error::InstrumentError;
use crate::kernel::elf::{KernelElf, Symbol, VERSION};
use crate::payload_abi::{HOOKS, Others, Site};

/// The end of the text of a `-dbg` kernel's version.
const DBG: &str = "-dbg";
/// Displacements of members that are compared, and how many of a hundred functions have to have the same ones: 83 to 88 have (measured).
const MEMBER_MAX: u64 = 0x400;
const SAME_MEMBERS: usize = 75;
/// Traps that have to be the same.
const TRAPS: usize = 130;

/// Symbols for a stripped kernel, and what speaks for them.
#[derive(Debug)]
pub struct Naming {
    /// Symbols with names that are certain, and functions without.
    pub symbols: Vec<Symbol>,
    /// Where functions of the `-dbg` kernel are, with their sizes, and its variables.
    pub moved: HashMap<u64, (u64, u64)>,
    /// For each name that is certain, why.
    pub evidence: BTreeMap<String, Found>,
    /// Names for which fewer than two rules speak, with what speaks for them.
    pub doubtful: BTreeMap<String, String>,
    /// Whether it is a kernel for several processors.
    pub is_for_several: bool,
}

impl Naming {
    /// Names what is in `stripped` by `dbg`, another build of the same source.
    ///
    /// # Errors
    /// If they are not of one version, or something that is to be changed is not alike in both.
    pub fn find(stripped: &[u8], dbg: &KernelElf) -> Result<Self, InstrumentError> {
        let (named, stripped) = (Image::read(dbg.bytes().to_vec())?, Image::read(stripped.to_vec())?);
        refuse_another_version(&named, &stripped)?;
        let matching = Matching::find(&named, &stripped);
        if matching.traps != TRAPS {
            let why = format!("expected {TRAPS} traps with the same names, found {}", matching.traps);
            return Err(InstrumentError::Unlike { why });
        }
        refuse_other_members(&matching)?;
        let evidence = Evidence::new(&matching);
        let (mut symbols, mut moved, mut found) = (Vec::new(), HashMap::new(), BTreeMap::new());
        let mut doubtful = BTreeMap::new();
        for symbol in dbg.symbols().iter().filter(|symbol| named.symbols.contains_key(&symbol.name)) {
            let known = where_it_is(symbol, &evidence, &named, &stripped);
            let Some((known, address)) = known.as_ref().and_then(certain) else {
                let found = known.map_or_else(|| "none".to_owned(), |known| known.to_string());
                doubtful.insert(symbol.name.clone(), found);
                continue;
            };
            let size = stripped.functions.get(&address).map_or(symbol.size, |function| function.size);
            moved.insert(symbol.address, (address, size));
            symbols.push(Symbol { address, size, ..symbol.clone() });
            found.insert(symbol.name.clone(), known.clone());
        }
        refuse_other_calls(&matching, &found)?;
        let known: BTreeSet<u64> = symbols.iter().map(|symbol| symbol.address).collect();
        for (address, function) in stripped.functions.iter().filter(|(address, _)| !known.contains(address)) {
            symbols.push(Symbol::without_name(*address, function.size));
        }
        let is_for_several = dbg.is_for_several().unwrap_or(false);
        Ok(Self { symbols, moved, evidence: found, doubtful, is_for_several })
    }
}

/// Structs are laid out as the `-dbg` kernel says if most functions use the same members: one that is shifted would change all that use it.
fn refuse_other_members(matching: &Matching<'_>) -> Result<(), InstrumentError> {
    let members = |image: &Image, start: u64| -> BTreeSet<u64> {
        image.functions[&start].members.keys().copied().filter(|member| (1..MEMBER_MAX).contains(member)).collect()
    };
    let pairs = matching.pairs().map(|(one, other)| (members(matching.named, one), members(matching.stripped, other)));
    let pairs: Vec<_> = pairs.filter(|(one, other)| !one.is_empty() || !other.is_empty()).collect();
    let same = pairs.iter().filter(|(one, other)| one == other).count();
    if same * 100 >= pairs.len() * SAME_MEMBERS {
        return Ok(());
    }
    let why = format!("expected {SAME_MEMBERS} % of {} functions to use the same members, found {same}", pairs.len());
    Err(InstrumentError::Unlike { why })
}

/// The text of a kernel's version.
fn version(image: &Image) -> Option<String> {
    image.find(VERSION).into_iter().find_map(|place| image.text(place))
}

fn refuse_another_version(named: &Image, stripped: &Image) -> Result<(), InstrumentError> {
    let (one, other) = (version(named).unwrap_or_default(), version(stripped).unwrap_or_default());
    match !other.is_empty() && one.trim_end_matches(DBG) == other.trim_end_matches(DBG) {
        true => Ok(()),
        false => Err(InstrumentError::Unlike { why: format!("expected the -dbg kernel of {other:?}, found {one:?}") }),
    }
}

/// What is known of a place, and its address, if two rules agree on it.
fn certain(known: &Found) -> Option<(&Found, u64)> {
    Some((known, known.place.address()?)).filter(|(known, _)| known.is_certain())
}

/// A symbol's place, with all that speaks for it.
fn where_it_is(symbol: &Symbol, evidence: &Evidence<'_>, named: &Image, stripped: &Image) -> Option<Found> {
    match symbol.name.as_str() {
        // The linker's: both say the same by another way.
        "_end" if symbol.address == named.end => {
            Some(Found { place: Place::At(stripped.end), why: vec![Why::Section, Why::Segment] })
        }
        "mach_trap_table" => {
            Some(Found { place: Place::At(anchors::trap_table(stripped)?), why: vec![Why::Trap, Why::Traps(TRAPS)] })
        }
        name if symbol.code => evidence.of(name),
        name => evidence.data(name),
    }
}

/// Every hooked function is called as often, and by the same functions, as in the `-dbg` kernel.
fn refuse_other_calls(matching: &Matching<'_>, found: &BTreeMap<String, Found>) -> Result<(), InstrumentError> {
    let mut unlike = Vec::new();
    for hook in HOOKS {
        // Where only calls in some functions matter, the plan looks at these.
        let target = match hook.site {
            Site::Calls { target, .. } | Site::CallsIn { target, others: Others::Only(_), .. } => target,
            Site::Trap { original, .. } => original,
            Site::CallsIn { others: Others::Any, .. } => continue,
        };
        let Some(Found { place: Place::At(address), .. }) = found.get(target) else { continue };
        let Some((dbg, _)) = matching.named.symbols.get(target) else { continue };
        let calls = |image: &Image, target: u64, name: &dyn Fn(u64) -> Option<u64>| {
            // Compilers merge calls of one function as they like.
            let is_counted = matches!(hook.site, Site::Calls { .. });
            let mut calls: BTreeMap<Option<u64>, usize> = BTreeMap::new();
            for (start, function) in &image.functions {
                let count = function.calls.iter().filter(|call| call.1 == target).count();
                if count > 0 {
                    *calls.entry(name(*start)).or_default() += if is_counted { count } else { 1 };
                }
            }
            calls
        };
        let one = calls(matching.named, *dbg, &|start| Some(start));
        let other = calls(matching.stripped, *address, &|start| matching.name_of(start));
        if one != other {
            let names = |calls: &BTreeMap<Option<u64>, usize>| {
                let name = |start: &Option<u64>| match start.and_then(|start| matching.named.names.get(&start)) {
                    Some(name) => name.clone(),
                    None => "an unknown function".to_owned(),
                };
                calls.iter().map(|(start, count)| format!("{count} in {}", name(start))).collect::<Vec<_>>().join(", ")
            };
            unlike.push(format!("calls of {target}: expected {}, found {}", names(&one), names(&other)));
        }
    }
    unlike.sort();
    unlike.dedup();
    if unlike.is_empty() { Ok(()) } else { Err(InstrumentError::Unlike { why: unlike.join("\n  ") }) }
}
