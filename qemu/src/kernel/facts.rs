//! The answers to everything the payload asks of a kernel (`payload_abi::SLOTS`), as plain data with their evidence.

use std::collections::HashMap;

use crate::error::{InstrumentError, Miss};
use crate::kernel::dwarf::{Field, Layout, Layouts};
use crate::kernel::elf::KernelElf;
use crate::payload_abi::{Need, SLOTS, SlotSpec};

/// C name of a trap table entry's type.
pub const TRAP_TYPE: &str = "mach_trap_t";

/// Member of [`TRAP_TYPE`] that holds the function.
pub const TRAP_FUNCTION: &str = "mach_trap_function";

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

/// Tags of all structs the slots and hooks ask about.
pub fn wanted_structs(specs: &[SlotSpec]) -> Vec<&'static str> {
    let mut tags: Vec<&'static str> = specs
        .iter()
        .map(|spec| match spec.need {
            Need::Member { of, .. }
            | Need::Bit { of, .. }
            | Need::Size { of }
            | Need::Padding { of }
            | Need::PerCpu { of, .. } => of,
        })
        .collect();
    tags.push(TRAP_TYPE);
    tags.sort_unstable();
    tags.dedup();
    tags
}

/// Fills [`SLOTS`]; what is not found is added to `misses`.
pub fn slots(kernel: &KernelElf, layouts: &Layouts, misses: &mut Vec<Miss>) -> Result<Vec<SlotValue>, InstrumentError> {
    fill(SLOTS, kernel, layouts, misses)
}

/// Fills any list of slots; what is not found is added to `misses`.
pub fn fill(
    specs: &[SlotSpec],
    kernel: &KernelElf,
    layouts: &Layouts,
    misses: &mut Vec<Miss>,
) -> Result<Vec<SlotValue>, InstrumentError> {
    let mut holes = HashMap::new();
    let mut values = Vec::new();
    for spec in specs {
        match answer(spec, kernel, layouts, &mut holes)? {
            Ok((value, evidence)) => values.push(SlotValue { name: spec.name, value, evidence }),
            // One ambiguous struct has one line, however many slots ask about it.
            Err(miss) if !same_struct(misses, &miss) => misses.push(miss),
            Err(_) => {}
        }
    }
    Ok(values)
}

type Answer = Result<(u64, String), Miss>;

fn answer(
    spec: &SlotSpec,
    kernel: &KernelElf,
    layouts: &Layouts,
    holes: &mut HashMap<&'static str, usize>,
) -> Result<Answer, InstrumentError> {
    let name = format!("slot {}", spec.name);
    Ok(match spec.need {
        Need::Member { of, member } => byte_member(layouts, of, member, &name),
        Need::Bit { of, member } => bit_member(layouts, of, member, &name),
        Need::Size { of } => layouts.layout(of, &name).map(|layout| (layout.size, whole(layout))),
        Need::Padding { of } => layouts.layout(of, &name).and_then(|layout| {
            let used = holes.entry(of).or_default();
            let hole = layout.holes().get(*used).copied();
            *used += 1;
            match hole {
                Some(hole) => Ok((hole, format!("hole {used} of {}", whole(layout)))),
                None => Err(Miss::NoPadding { of: of.to_owned(), wanted_by: name.clone() }),
            }
        }),
        Need::PerCpu { array, of, member } => return per_cpu(kernel, layouts, array, of, member, &name),
    })
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

fn per_cpu(
    kernel: &KernelElf,
    layouts: &Layouts,
    array: &str,
    of: &str,
    member: &str,
    wanted_by: &str,
) -> Result<Answer, InstrumentError> {
    let found = kernel.symbol(array, wanted_by).and_then(|symbol| Ok((symbol, layouts.layout(of, wanted_by)?)));
    let (symbol, layout) = match found {
        Ok(found) => found,
        Err(miss) => return Ok(Err(miss)),
    };
    if layout.size == 0 || symbol.size != layout.size {
        let elements = symbol.size.checked_div(layout.size).unwrap_or(0);
        return Err(InstrumentError::Smp { array: array.to_owned(), elements });
    }
    Ok(byte_member(layouts, of, member, wanted_by)
        .map(|(offset, why)| (symbol.address + offset, format!("{array} at {:#x} + {why}", symbol.address))))
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
