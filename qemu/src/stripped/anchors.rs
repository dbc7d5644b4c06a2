// SPDX-License-Identifier: GPL-2.0-or-later
//! Functions that are found without others: by tables, and by strings of their own.

use std::collections::{BTreeMap, BTreeSet};

use super::{Image, Matching, Rule};

/// Bytes of an entry of `mach_trap_table`: count of arguments, function, a truth value, name.
const ENTRY: u64 = 32;
/// Where in it the function is, and the name.
const FUNCTION: u64 = 8;
const NAME: u64 = 24;
/// The trap that the table is found by, and its number.
const MACH_MSG: (&[u8], u64) = (b"\0mach_msg_trap\0", 25);
/// Entries of the table.
const TRAPS: u64 = 130;
/// Least functions in a table of MIG's that is worth looking for.
const ROUTINES_MIN: usize = 3;
/// Least characters of a string that a function is known by.
const TEXT_MIN: usize = 6;

/// The trap table of a kernel, found by the name of one trap.
pub(super) fn trap_table(image: &Image) -> Option<u64> {
    let names = image.find(MACH_MSG.0).into_iter().map(|place| place + 1);
    let tables = names.flat_map(|name| image.find(&name.to_le_bytes())).filter_map(|place| {
        let table = place.checked_sub(NAME + MACH_MSG.1 * ENTRY)?;
        let function = image.word(table + MACH_MSG.1 * ENTRY + FUNCTION)?;
        (table % 8 == 0 && image.functions.contains_key(&function)).then_some(table)
    });
    let tables: BTreeSet<u64> = tables.collect();
    tables.first().copied().filter(|_| tables.len() == 1)
}

/// A trap: count of arguments, function, name.
fn trap(image: &Image, table: u64, number: u64) -> Option<(u32, u64, String)> {
    let entry = table + number * ENTRY;
    let arguments = image.bytes_at(entry, 4)?.first_chunk().map(|word| u32::from_le_bytes(*word))?;
    Some((arguments, image.word(entry + FUNCTION)?, image.text(image.word(entry + NAME)?)?))
}

/// Traps with the same number, name and count of arguments are the same.
pub(super) fn traps(matching: &mut Matching<'_>) {
    let Some((named, stripped)) = trap_table(matching.named).zip(trap_table(matching.stripped)) else { return };
    for number in 0..TRAPS {
        let one = trap(matching.named, named, number);
        let Some((one, other)) = one.zip(trap(matching.stripped, stripped, number)) else { continue };
        if (one.0, &one.2) == (other.0, &other.2) {
            matching.traps += 1;
            matching.put(one.1, other.1, Rule::Trap);
        }
    }
}

/// Tables of MIG's: functions and zeros in the same order, which data of the stripped kernel have in one place alone.
pub(super) fn tables(matching: &mut Matching<'_>) {
    let (named, stripped) = (matching.named, matching.stripped);
    let words: Vec<u64> = stripped.data_words().map(|(_, word)| word).collect();
    let is_function: Vec<Option<bool>> = words
        .iter()
        .map(|word| match word {
            0 => Some(false),
            word => stripped.functions.contains_key(word).then_some(true),
        })
        .collect();
    let mut tables: Vec<_> = named.symbols.iter().filter(|(name, _)| name.ends_with("_server_routines")).collect();
    tables.sort();
    for (_, (address, size)) in tables {
        let routines: Vec<u64> = (0..size / 8).filter_map(|index| named.word(address + 8 * index)).collect();
        let pattern: Vec<Option<bool>> = routines.iter().map(|routine| Some(*routine != 0)).collect();
        let distinct = |routines: &[u64]| routines.iter().filter(|r| **r != 0).collect::<BTreeSet<_>>().len();
        if pattern.is_empty() || distinct(&routines) < ROUTINES_MIN {
            continue;
        }
        let places = is_function.windows(pattern.len()).enumerate().filter(|(at, window)| {
            *window == pattern && distinct(&words[*at..at + pattern.len()]) == distinct(&routines)
        });
        let places: Vec<usize> = places.map(|(at, _)| at).collect();
        if let [at] = places[..] {
            for (routine, other) in routines.iter().zip(&words[at..]).filter(|(routine, _)| **routine != 0) {
                matching.put(*routine, *other, Rule::Table);
            }
        }
    }
}

/// Strings that one function alone uses, in both kernels.
pub(super) fn strings(matching: &mut Matching<'_>) {
    let users = |image: &Image| {
        let mut users: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for (start, function) in &image.functions {
            for text in &function.strings {
                users.entry(text.clone()).or_default().insert(*start);
            }
        }
        users
    };
    let (named, stripped) = (users(matching.named), users(matching.stripped));
    for (text, one) in named.iter().filter(|(text, users)| text.len() >= TEXT_MIN && users.len() == 1) {
        let Some(other) = stripped.get(text).filter(|users| users.len() == 1) else { continue };
        if let Some((one, other)) = one.first().zip(other.first()) {
            matching.put(*one, *other, Rule::Text);
        }
    }
}
