// SPDX-License-Identifier: GPL-2.0-or-later
//! Tests with tables made to cost much: what checking them, and decoding with them, costs in records read.

extern crate std;

use std::cell::Cell;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::decode::Message;
use crate::value::{Value, View};

std::thread_local! {
    static STEPS: Cell<usize> = const { Cell::new(0) };
}

/// A record, or a field of one, was read.
pub(super) fn count_step() {
    STEPS.set(STEPS.get() + 1);
}

fn steps_of<T>(what: impl FnOnce() -> T) -> (T, usize) {
    STEPS.set(0);
    let result = what();
    (result, STEPS.get())
}

/// A table of these sections; string 0 is as long as strings can be.
fn table(sections: &[(usize, Vec<u32>)]) -> Vec<u8> {
    let mut body = vec![b'x'; 2 + STRING_MAX];
    (body[0], body[1]) = (STRING_MARK, STRING_MAX as u8);
    let mut directory = vec![PREFIX as u32, body.len() as u32];
    for (index, (_, words)) in SECTIONS.into_iter().enumerate().skip(1) {
        let section = sections.iter().find(|(section, _)| *section == index).map_or(&[][..], |(_, section)| section);
        directory.extend([(PREFIX + body.len()) as u32, (section.len() / words) as u32]);
        body.extend(section.iter().flat_map(|word| word.to_le_bytes()));
    }
    let head = [VERSION, 8, (PREFIX + body.len()) as u32, 0];
    let head = head.iter().chain(&directory).flat_map(|word| word.to_le_bytes());
    [&MAGIC[..], &head.collect::<Vec<_>>(), &body].concat()
}

/// `count` records that are alike but for what depends on their index.
fn records<const N: usize>(count: u32, record: impl Fn(u32) -> [u32; N]) -> Vec<u32> {
    (0..count).flat_map(record).collect()
}

const UNSIGNED: u32 = TypeKind::Unsigned as u32;
const STRUCT: u32 = TypeKind::Struct as u32;

/// A type of `size` bytes: an integer, or the struct with this index.
fn ty(kind: u32, a: u32, size: u32) -> [u32; 7] {
    [0, kind, a, 0, size, NONE, 0]
}

/// Tables of about a megabyte that refer to the same large things as often as they can.
fn tables() -> Vec<(&'static str, Vec<u8>, bool)> {
    let members = |count| (MEMBERS, records(count, |index| [0, 0, index * 4, 0]));
    let types_of_one_struct = |first: u32, size: u32| {
        records(20_000, move |index| if index == 0 { ty(UNSIGNED, 0, 4) } else { ty(STRUCT, first, size) })
    };
    vec![
        ("names", table(&[(TYPES, records(37_000, |_| ty(UNSIGNED, 0, 4)))]), true),
        (
            "types of one struct",
            table(&[(TYPES, types_of_one_struct(0, 1 << 20)), members(30_000), (STRUCTS, vec![0, 30_000, 1])]),
            true,
        ),
        (
            "structs of the same members",
            table(&[
                (TYPES, records(1, |_| ty(UNSIGNED, 0, 4))),
                members(30_000),
                (STRUCTS, records(40_000, |_| [0, 30_000, 1])),
            ]),
            false,
        ),
        (
            "structs in structs",
            table(&[
                (
                    TYPES,
                    records(14_000, |index| if index == 0 { ty(UNSIGNED, 0, 4) } else { ty(STRUCT, index - 1, 4) }),
                ),
                (MEMBERS, records(13_999, |index| [0, index, 0, 0])),
                (STRUCTS, records(13_999, |index| [index, 1, index + 1])),
            ]),
            true,
        ),
        (
            "sets of the same values",
            table(&[(VALUES, records(60_000, |index| [index, 0])), (SETS, records(30_000, |_| [0, 0, 0, 60_000]))]),
            false,
        ),
        (
            "a set of many flags",
            table(&[(VALUES, records(60_000, |index| [index, 0])), (SETS, vec![0, 1, 0, 60_000])]),
            false,
        ),
        (
            "choices of one list",
            table(&[
                (TYPES, records(1, |_| ty(UNSIGNED, 0, 4))),
                (CASES, records(60_000, |index| [index, 0])),
                (LISTS, vec![0, 60_000, NONE]),
                (CHOICES, records(60_000, |_| [NONE, 0])),
            ]),
            true,
        ),
        (
            "lists of the same cases",
            table(&[
                (TYPES, records(1, |_| ty(UNSIGNED, 0, 4))),
                (CASES, records(60_000, |index| [index, 0])),
                (LISTS, records(40_000, |_| [0, 60_000, NONE])),
            ]),
            false,
        ),
        (
            "routines of the same items",
            table(&[
                (TYPES, records(1, |_| ty(UNSIGNED, 0, 4))),
                (ITEMS, records(15_000, |_| [0, 0, 1, NONE, 0, 0, 0, NONE])),
                (SUBSYSTEMS, vec![0, 0, 1]),
                (ROUTINES, records(11_000, |_| [0, 0, 0, 0, 0, 15_000, 0, 15_000, 0, 0, 0])),
            ]),
            true,
        ),
        ("tables", std::iter::repeat_n(table(&[]), 2_600).collect::<Vec<_>>().concat(), true),
    ]
}

#[test]
fn a_table_is_checked_in_time_proportional_to_its_size() {
    for (name, bytes, is_sound) in tables() {
        assert!(bytes.len() > 450_000, "{name}: {} bytes", bytes.len());
        let (result, steps) = steps_of(|| Tables::parse(&bytes).err());
        assert_eq!(result.is_none(), is_sound, "{name}: {result:?}");
        // A record is looked at field by field, a few times; a field is four bytes.
        assert!(steps <= bytes.len(), "{name}: {steps} steps for {} bytes", bytes.len());
    }
}

/// As many items as fit, each of a type that the request's number chooses among many, and named in a large set.
#[test]
fn decoding_with_a_hostile_table_is_bounded_by_the_message() {
    const ITEM_COUNT: u32 = 4_000;
    let item = |_| [0, 0, ItemRole::Argument as u32, 0, 0x2000_2002, 0x2000_2002, 0, 0];
    for maker in [MAKERS_MAX as u32 - 1, MAKERS_MAX as u32, ITEM_COUNT - 1] {
        let bytes = table(&[
            (TYPES, [ty(UNSIGNED, 0, 4), ty(STRUCT, 0, 1 << 20)].concat()),
            (MEMBERS, records(30_000, |index| [0, 0, index * 4, 0])),
            (STRUCTS, vec![0, 30_000, 1]),
            (ITEMS, records(ITEM_COUNT, item)),
            (SUBSYSTEMS, vec![0, 0, 1]),
            (ROUTINES, vec![0, 0, 7, 0, 0, ITEM_COUNT, 0, 0, 0, 0, 0]),
            (REQUESTS, vec![7, 0]),
            (VALUES, records(FLAGS_MAX, |index| [1 << (index % 32), 0])),
            (SETS, vec![0, 1, 0, FLAGS_MAX]),
            (CHOICES, vec![maker, 0]),
            (CASES, records(20_000, |index| [index, 1])),
            (LISTS, vec![0, 20_000, 1]),
        ]);
        let mut message = vec![0; 32];
        message[28] = 7;
        message.extend([0x02, 0x20, 0x00, 0x20, 1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0].repeat(ITEM_COUNT as usize));
        let tables = Tables::parse(&bytes).expect("sound");
        let (found, steps) = steps_of(|| {
            let fields = Message::new(tables, mach_abi::Format::Lp64, &message, View::Sent).expect("known").fields();
            fields.map(|field| names_and_members(&field.expect("sound"))).sum::<usize>()
        });
        assert!(found >= ITEM_COUNT as usize, "{found} names and members");
        assert!(steps <= 20 * message.len(), "{steps} steps for {} bytes", message.len());
    }
}

fn names_and_members(field: &crate::value::Field<'_>) -> usize {
    match field.value {
        Value::Struct(members) => members.fields().count(),
        Value::Unsigned { value, .. } => field.set.map_or(0, |set| set.names_of(value as u32).count()),
        _ => 0,
    }
}
