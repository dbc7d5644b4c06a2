// SPDX-License-Identifier: GPL-2.0-or-later
//! Compares what the payload takes for the kernel's functions and variables with what the kernel's DWARF says of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::error::Miss;
use crate::kernel::routines::Routine;
use crate::kernel::{KernelElf, Routines};
use crate::payload_abi::{PROTOTYPES, Prototype, Source, Value, What};

/// Checks every symbol of `names`; what is not in [`PROTOTYPES`] is a miss itself.
pub(super) fn check(names: &BTreeSet<&str>, kernel: &KernelElf, routines: &Routines, misses: &mut Vec<Miss>) {
    for name in names {
        // That a symbol is missing is said where it is used.
        let Ok(symbol) = kernel.symbol(name, "") else { continue };
        match PROTOTYPES.iter().find(|known| known.name == *name) {
            None => misses.push(Miss::NoPrototype { name: (*name).to_owned() }),
            Some(Prototype { what: What::Variable(value), .. }) => {
                variable(name, symbol.address, *value, routines, misses);
            }
            Some(known) => function(known, routines, misses),
        }
    }
}

/// Compares every definition and declaration.
fn function(known: &Prototype, routines: &Routines, misses: &mut Vec<Miss>) {
    let What::Function { source, .. } = known.what else { return };
    let said = routines.routines(known.name).iter().filter(|routine| routine.external && routine.prototype.is_some());
    let expected = expected(&known.what);
    let miss = |found: String| Miss::Prototype { name: known.name.to_owned(), expected: expected.clone(), found };
    let mut none = true;
    let mut wrong: Vec<String> = Vec::new();
    for routine in said {
        none &= source == Source::C && routine.code.is_none();
        let found = found(routine);
        if found != expected && !wrong.contains(&found) {
            wrong.push(format!("{found}{}", at(routine.die)));
        }
    }
    if let Some(first) = wrong.into_iter().next() {
        misses.push(miss(first));
    } else if none && routines.routines(known.name).iter().all(|routine| routine.code.is_none() || source != Source::C)
    {
        misses.push(miss("nothing in the debugging information".to_owned()));
    }
}

fn variable(name: &str, address: u64, value: Value, routines: &Routines, misses: &mut Vec<Miss>) {
    let expected = format!("variable of type {value} at {address:#x}");
    let definitions = routines.variables(name);
    let right = |found: &&crate::kernel::routines::Variable| found.address == address && found.value == Some(value);
    let wrong = definitions.iter().find(|found| !right(found));
    let found = match (definitions.is_empty(), wrong) {
        (true, _) => "nothing in the debugging information".to_owned(),
        (false, Some(found)) => {
            format!("{} at {:#x}{}", show(found.value), found.address, at(found.die))
        }
        (false, None) => return,
    };
    misses.push(Miss::Prototype { name: name.to_owned(), expected, found });
}

/// Where that is said.
fn at(die: Option<usize>) -> String {
    die.map_or_else(|| " in the profile".to_owned(), |die| format!(" at DIE {die:#x}"))
}

fn expected(what: &What) -> String {
    match *what {
        What::Function { result, parameters, variadic, .. } => {
            signature(Some(result), parameters.iter().map(|&value| Some(value)), variadic)
        }
        What::Variable(value) => value.to_string(),
    }
}

fn found(routine: &Routine) -> String {
    let (result, parameters) = routine.prototype.clone().unwrap_or_default();
    signature(result, parameters.into_iter(), routine.variadic)
}

/// A prototype in words, which are equal if everything that matters to a caller is.
fn signature(result: Option<Value>, parameters: impl Iterator<Item = Option<Value>>, variadic: bool) -> String {
    let mut list: Vec<String> = parameters.map(show).collect();
    if variadic {
        list.push("...".to_owned());
    }
    let mut text = String::new();
    let _ = write!(text, "({}) -> {}", list.join(", "), show(result));
    text
}

fn show(value: Option<Value>) -> String {
    value.map_or_else(|| "something else".to_owned(), |value| value.to_string())
}
