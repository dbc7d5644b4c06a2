// SPDX-License-Identifier: GPL-2.0-or-later
//! What the symbol table says of functions and variables, held against the DWARF: one of the two may be damaged.

use std::collections::BTreeSet;

use crate::error::Miss;
use crate::kernel::{KernelElf, Routines, Symbol};

/// Length of `call rel32`.
const CALL: u64 = 5;

/// Checks where every symbol of `names` is, and of functions how long they are.
pub(super) fn check(names: &BTreeSet<&str>, kernel: &KernelElf, routines: &Routines, misses: &mut Vec<Miss>) {
    for name in names {
        // That a symbol is missing is said where it is used.
        let Ok(symbol) = kernel.symbol(name, "") else { continue };
        let found = if symbol.code { function(symbol, kernel, routines) } else { variable(symbol, routines) };
        if let Err(found) = found {
            let expected = format!("{:#x} of {:#x} bytes, as in .symtab", symbol.address, symbol.size);
            misses.push(Miss::Place { name: (*name).to_owned(), expected, found });
        }
    }
}

/// The DWARF has the function at the same place, and every call of it leads there.
fn function(symbol: &Symbol, kernel: &KernelElf, routines: &Routines) -> Result<(), String> {
    let said = routines.routines(&symbol.name);
    let code: Vec<(u64, u64)> = said.iter().filter_map(|routine| routine.code).collect();
    let same = |&(start, size): &(u64, u64)| start == symbol.address && (symbol.size == 0 || size == symbol.size);
    if !code.is_empty() && !code.iter().any(same) {
        let places: Vec<String> = code.iter().map(|(start, size)| format!("{start:#x} of {size:#x} bytes")).collect();
        return Err(format!("{} in the debugging information", places.join(", ")));
    }
    let calls = routines.calls.iter().filter(|call| call.target == symbol.name);
    let sites: Vec<u64> = calls.map(|call| call.address.wrapping_sub(CALL)).collect();
    // Of a stripped kernel two rules have found it by its name in the other.
    if code.is_empty() && sites.is_empty() && !kernel.is_stripped() {
        return Err("neither code nor calls in the debugging information".to_owned());
    }
    for site in sites {
        let known = |target: u64| target == symbol.address || code.iter().any(|&(start, _)| start == target);
        match destination(kernel, site) {
            Some(target) if known(target) => {}
            Some(target) => return Err(format!("a call of it at {site:#x} that leads to {target:#x}")),
            None => return Err(format!("a call of it at {site:#x}, where no direct call is")),
        }
    }
    Ok(())
}

/// Where the `call rel32` at `site` leads.
fn destination(kernel: &KernelElf, site: u64) -> Option<u64> {
    let (&opcode, distance) = kernel.read(site, CALL)?.split_first()?;
    let distance = i32::from_le_bytes(distance.try_into().ok()?);
    (opcode == 0xe8).then(|| site.wrapping_add(CALL).wrapping_add_signed(distance.into()))
}

fn variable(symbol: &Symbol, routines: &Routines) -> Result<(), String> {
    let said = routines.variables(&symbol.name);
    match said.iter().find(|variable| variable.address != symbol.address) {
        Some(other) => Err(format!("{:#x} in the debugging information", other.address)),
        None if said.is_empty() => Err("nothing in the debugging information".to_owned()),
        None => Ok(()),
    }
}
