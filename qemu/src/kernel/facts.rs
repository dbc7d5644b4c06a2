// SPDX-License-Identifier: GPL-2.0-or-later
//! The answers to everything the payload asks of a kernel (`payload_abi::SLOTS`), as plain data with their evidence.

use std::collections::HashMap;

use iced_x86::{Code, Decoder, DecoderOptions, Register};

use crate::error::Miss;
use crate::kernel::code::functions;
use crate::kernel::dwarf::{Field, Layout, Layouts};
use crate::kernel::elf::KernelElf;
use crate::payload_abi::{ABSENT, KERNEL_BASE, Need, SLOTS, SlotSpec};

/// Size of `simple_lock_data_t` on kernels for several processors.
const LOCK_BITS: u64 = 32;

/// Size of a [`Need::Half`].
const HALF_BITS: u64 = 16;

/// One filled slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotValue {
    /// The slot's name.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
    /// Where the value comes from.
    pub evidence: String,
}

/// The struct that a slot asks about, and its member, if it asks about one.
pub fn asked(spec: &SlotSpec) -> (&'static str, Option<&'static str>) {
    match spec.need {
        Need::Member { of, member }
        | Need::Bit { of, member }
        | Need::Half { of, member }
        | Need::Lock { of, member }
        | Need::PerCpu { of, member, .. } => (of, Some(member)),
        Need::Size { of } | Need::Padding { of } => (of, None),
    }
}

/// Tags of all structs the slots ask about.
pub fn wanted_structs(specs: &[SlotSpec]) -> Vec<&'static str> {
    let mut tags: Vec<&'static str> = specs.iter().map(|spec| asked(spec).0).collect();
    tags.sort_unstable();
    tags.dedup();
    tags
}

/// Fills [`SLOTS`]; what is not found is added to `misses`.
pub fn slots(kernel: &KernelElf, layouts: &Layouts, misses: &mut Vec<Miss>) -> Vec<SlotValue> {
    fill(SLOTS, kernel, layouts, misses)
}

/// Fills any list of slots; what is not found is added to `misses`.
pub fn fill(specs: &[SlotSpec], kernel: &KernelElf, layouts: &Layouts, misses: &mut Vec<Miss>) -> Vec<SlotValue> {
    let mut holes = HashMap::new();
    let mut values = Vec::new();
    for spec in specs {
        match answer(spec, kernel, layouts, &mut holes) {
            Ok((value, evidence)) => values.push(SlotValue { name: spec.name, value, evidence }),
            // One ambiguous struct has one line, however many slots ask about it.
            Err(miss) if !same_struct(misses, &miss) => misses.push(miss),
            Err(_) => {}
        }
    }
    agree_on_locks(specs, &values, misses);
    values
}

type Answer = Result<(u64, String), Miss>;

fn answer(spec: &SlotSpec, kernel: &KernelElf, layouts: &Layouts, holes: &mut HashMap<&'static str, usize>) -> Answer {
    let name = format!("slot {}", spec.name);
    match spec.need {
        Need::Member { of, member } => byte_member(layouts, of, member, &name),
        Need::Bit { of, member } => bit_member(layouts, of, member, &name),
        Need::Half { of, member } => half_member(layouts, of, member, &name),
        Need::Size { of } => layouts.layout(of, &name).map(|layout| (layout.size, whole(layout))),
        Need::Padding { of } => layouts.layout(of, &name).and_then(|layout| {
            let used = holes.entry(of).or_default();
            let hole = layout.holes.get(*used).copied();
            *used += 1;
            match hole {
                Some(hole) => Ok((hole, format!("hole {used} of {}", whole(layout)))),
                None => Err(Miss::NoPadding { of: of.to_owned(), wanted_by: name.clone() }),
            }
        }),
        Need::Lock { of, member } => lock(layouts, of, member, &name),
        Need::PerCpu { array, of, member } => per_cpu(kernel, layouts, array, of, member, &name),
    }
}

fn byte_member(layouts: &Layouts, of: &str, member: &str, wanted_by: &str) -> Answer {
    let layout = layouts.layout(of, wanted_by)?;
    let field = layout.field(member, wanted_by)?;
    if field.bit_field {
        return Err(wrong(layout, member, wanted_by, "expected a whole member, found a bit-field"));
    }
    Ok((field.bit_offset / 8, evidence(layout, field)))
}

fn bit_member(layouts: &Layouts, of: &str, member: &str, wanted_by: &str) -> Answer {
    let layout = layouts.layout(of, wanted_by)?;
    let field = layout.field(member, wanted_by)?;
    if !field.bit_field || field.bit_size != 1 {
        let why = format!("expected a bit-field of 1 bit, found a member of {} bits", field.bit_size);
        return Err(wrong(layout, member, wanted_by, &why));
    }
    Ok(((field.bit_offset / 8) << 8 | (field.bit_offset % 8), evidence(layout, field)))
}

/// Two bytes that can be read and written as such; in the kernel they are a bit-field beside others.
fn half_member(layouts: &Layouts, of: &str, member: &str, wanted_by: &str) -> Answer {
    let layout = layouts.layout(of, wanted_by)?;
    let field = layout.field(member, wanted_by)?;
    if !field.bit_field || field.bit_size != HALF_BITS || field.bit_offset % HALF_BITS != 0 {
        let kind = if field.bit_field { "bit-field" } else { "member" };
        let why = format!(
            "expected a bit-field of {HALF_BITS} bits on a 2-byte boundary, \
             found a {kind} of {} bits at byte {} bit {}",
            field.bit_size,
            field.bit_offset / 8,
            field.bit_offset % 8,
        );
        return Err(wrong(layout, member, wanted_by, &why));
    }
    Ok((field.bit_offset / 8, evidence(layout, field)))
}

fn per_cpu(kernel: &KernelElf, layouts: &Layouts, array: &str, of: &str, member: &str, wanted_by: &str) -> Answer {
    let symbol = kernel.symbol(array, wanted_by)?;
    let layout = layouts.layout(of, wanted_by)?;
    let (offset, why) = byte_member(layouts, of, member, wanted_by)?;
    let elements =
        symbol.size.checked_div(layout.size).filter(|count| count.checked_mul(layout.size) == Some(symbol.size));
    let (place, segment, by) = match elements {
        Some(1) => (symbol.address.wrapping_add(offset), Register::None, format!("{array} at {:#x} +", symbol.address)),
        Some(2..) => (offset, Register::GS, "%gs,".to_owned()),
        _ => return Err(Miss::PerCpuSize { array: array.to_owned(), size: symbol.size, element: layout.size }),
    };
    match uses(kernel, segment, place) {
        0 => Err(Miss::Uses { segment: segment == Register::GS, place, wanted_by: wanted_by.to_owned() }),
        uses => Ok((place, format!("{by} {why}, {uses} instructions read it so"))),
    }
}

/// How many instructions of the kernel load a register from this place, of a segment or of all memory.
fn uses(kernel: &KernelElf, segment: Register, place: u64) -> usize {
    let count = |(address, code): (u64, &[u8])| {
        let instructions = Decoder::with_ip(64, code, address, DecoderOptions::NONE);
        instructions
            .into_iter()
            .filter(|found| {
                found.code() == Code::Mov_r64_rm64
                    && found.segment_prefix() == segment
                    && matches!(found.memory_base(), Register::None | Register::RIP)
                    && found.memory_index() == Register::None
                    && found.memory_displacement64() == place
            })
            .count()
    };
    functions(kernel).into_iter().map(count).sum()
}

/// A lock word, or none where the member takes no room.
fn lock(layouts: &Layouts, of: &str, member: &str, wanted_by: &str) -> Answer {
    let layout = layouts.layout(of, wanted_by)?;
    let field = layout.field(member, wanted_by)?;
    match field.bit_size {
        0 => Ok((ABSENT, format!("{}.{} takes no room, {}", layout.tag, field.path, whole(layout)))),
        LOCK_BITS => Ok((field.bit_offset / 8, evidence(layout, field))),
        bits => {
            Err(wrong(layout, member, wanted_by, &format!("expected a lock of {LOCK_BITS} bits or none, found {bits}")))
        }
    }
}

/// Whether `values` are those of a kernel for one processor, in which no lock takes room.
pub fn one_processor(values: &[SlotValue]) -> bool {
    let lock = |spec: &&SlotSpec| matches!(spec.need, Need::Lock { .. });
    let absent = |spec: &SlotSpec| values.iter().any(|value| value.name == spec.name && value.value == ABSENT);
    SLOTS.iter().filter(lock).any(absent)
}

/// A kernel for one processor has no locks, one for several has all of them.
fn agree_on_locks(specs: &[SlotSpec], values: &[SlotValue], misses: &mut Vec<Miss>) {
    let value = |spec: &SlotSpec| values.iter().find(|value| value.name == spec.name).map(|value| value.value);
    let per_cpu = specs.iter().filter(|spec| matches!(spec.need, Need::PerCpu { .. })).find_map(value);
    let Some(several) = per_cpu.map(|place| place < KERNEL_BASE) else { return };
    for spec in specs {
        if matches!(spec.need, Need::Lock { .. }) && value(spec).is_some_and(|place| (place != ABSENT) != several) {
            misses.push(Miss::Lock { slot: spec.name.to_owned(), several });
        }
    }
}

fn wrong(layout: &Layout, member: &str, wanted_by: &str, why: &str) -> Miss {
    Miss::Member {
        of: layout.tag.clone(),
        member: member.to_owned(),
        wanted_by: wanted_by.to_owned(),
        why: why.to_owned(),
    }
}

fn evidence(layout: &Layout, field: &Field) -> String {
    let bit = if field.bit_field { format!(" bit {}", field.bit_offset % 8) } else { String::new() };
    format!("{}.{} at byte {}{bit}, {}", layout.tag, field.path, field.bit_offset / 8, whole(layout))
}

fn whole(layout: &Layout) -> String {
    format!("struct {} of {} bytes, DIE {:#x}", layout.tag, layout.size, layout.die)
}

fn same_struct(misses: &[Miss], miss: &Miss) -> bool {
    let tag = |miss: &Miss| match miss {
        Miss::StructMissing { name, .. } | Miss::StructAmbiguous { name, .. } => Some(name.clone()),
        _ => None,
    };
    let wanted = tag(miss);
    wanted.is_some() && misses.iter().any(|other| tag(other) == wanted)
}
