// SPDX-License-Identifier: GPL-2.0-or-later
//! What things of a .defs file are called in Rust.
//!
//! As in the file, unless the name has another meaning in Rust or in generated code; then it ends in `_`. Names that differ in the
//! file, for which the system's MIG writes C that compiles, differ in Rust: whatever is renamed or made up here gets as many more
//! `_` as keep it apart from the names of the file that stand beside it.

use std::collections::BTreeSet;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use proc_macro2::{Ident, Span};

use crate::model::{Argument, Member, Model, Routine};

/// The words of edition 2024 that are no identifiers unless they are written `r#word`, sorted.
const KEYWORDS: [&str; 48] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else", "enum",
    "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move",
    "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Names that nothing can have: not even written `r#word`, or because a pattern would mean the variant.
const MEANT: [&str; 9] = ["self", "super", "crate", "Self", "_", "Ok", "Err", "Some", "None"];

/// Names that a type cannot have because generated code means something else by them.
const MEANT_TYPES: [&str; 16] = [
    "u8", "u16", "u32", "u64", "usize", "i16", "i32", "i64", "bool", "AsRef", "Default", "Server", "error", "memory",
    "mig", "port",
];

/// `name` with as many `_` behind it as it takes.
fn apart(mut name: String, is_taken: impl Fn(&str) -> bool) -> String {
    while is_taken(&name) {
        name.push('_');
    }
    name
}

/// A name as an identifier; a keyword is one that is written otherwise.
pub(super) fn ident(name: &str) -> Ident {
    match KEYWORDS.binary_search(&name) {
        Ok(_) => Ident::new_raw(name, Span::call_site()),
        Err(_) => Ident::new(name, Span::call_site()),
    }
}

/// A name of the file as an identifier; `stands_beside` says whether another of its names is this one.
fn named(name: &str, stands_beside: impl Fn(&str) -> bool) -> Ident {
    match MEANT.contains(&name) {
        true => ident(&apart(format!("{name}_"), stands_beside)),
        false => ident(name),
    }
}

/// An argument of `routine`.
pub(super) fn argument_ident(routine: &Routine, argument: &Argument) -> Ident {
    named(&argument.name, |name| has_argument(routine, name))
}

/// What goes with an argument: `NAME_poly`, `NAME_count`, `NAME_out`.
pub(super) fn beside_argument(routine: &Routine, argument: &Argument, what: &str) -> Ident {
    ident(&apart(format!("{}_{what}", argument.name), |name| has_argument(routine, name)))
}

/// A stub's own locals, beside those of the arguments that `is_local` says.
pub(super) fn locals<const N: usize>(
    names: [&str; N],
    routine: &Routine,
    is_local: impl Fn(&Argument) -> bool,
) -> [Ident; N] {
    let mut prefix = String::new();
    let arguments = || routine.arguments.iter().filter(|argument| is_local(argument));
    while arguments().any(|argument| names.iter().any(|name| *argument.name == format!("{prefix}{name}"))) {
        prefix += "mig_";
    }
    names.map(|name| ident(&format!("{prefix}{name}")))
}

fn has_argument(routine: &Routine, name: &str) -> bool {
    routine.arguments.iter().any(|argument| *argument.name == *name)
}

/// The user's stub of a routine.
pub(super) fn user_stub(model: &Model, routine: &Routine) -> Ident {
    named(&routine.user_name, |name| model.routines.iter().any(|other| other.user_name == name))
}

/// The server's method for a routine.
pub(super) fn method(model: &Model, routine: &Routine) -> Ident {
    named(&routine.name, |name| model.routines.iter().any(|other| *other.name == *name))
}

/// A struct's member.
pub(super) fn member(members: &[Member], name: &str) -> Ident {
    named(name, |name| members.iter().any(|other| *other.name == *name))
}

/// A struct of the file.
pub(super) fn struct_name(model: &Model, name: &str) -> String {
    match MEANT.contains(&name) || MEANT_TYPES.contains(&name) {
        true => apart(format!("{name}_"), |name| model.named.contains_key(name)),
        false => name.to_string(),
    }
}

/// The name of a struct for the results of `routine`: `vm_region` gives `VmRegionOut`. Adds it to the types that the generated file
/// has.
pub(super) fn result_name(routine: &str, types: &mut BTreeSet<String>) -> Ident {
    let capitalised = routine.split('_').map(|word| {
        let mut characters = word.chars();
        characters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + characters.as_str())
    });
    let name = capitalised.collect::<String>() + "Out";
    let digit = if name.starts_with(|first: char| first.is_ascii_digit()) { "_" } else { "" };
    let name = apart(format!("{digit}{name}"), |name| types.contains(name));
    types.insert(name.clone());
    ident(&name)
}

/// Everything that the file's functions and their arguments are called.
pub(super) fn values(model: &Model) -> Vec<String> {
    let routines = model.routines.iter();
    let names = routines.flat_map(|routine| {
        let arguments = routine.arguments.iter().map(|argument| argument.name.to_string());
        arguments.chain([routine.user_name.clone()])
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_can_be_looked_up_and_what_is_renamed_stays_apart() {
        assert!(KEYWORDS.is_sorted());
        assert_eq!(ident("match").to_string(), "r#match");
        let beside = ["self", "self_", "self___"];
        assert_eq!(named("self", |name| beside.contains(&name)).to_string(), "self__");
        assert_eq!(named("self_", |name| beside.contains(&name)).to_string(), "self_");
    }

    #[test]
    fn results_are_called_after_their_routine() {
        let mut types = BTreeSet::from([String::from("MineOut")]);
        let mut name = |routine| result_name(routine, &mut types).to_string();
        assert_eq!(
            ["vm_region", "VmRegion", "vm__region", "mine", "_1"].map(&mut name),
            ["VmRegionOut", "VmRegionOut_", "VmRegionOut__", "MineOut_", "_1Out"]
        );
    }
}
