// SPDX-License-Identifier: GPL-2.0-or-later
//! The synthetic kernel's DWARF: a struct for every fact the payload asks for.

use gimli::write::{
    Address, AttributeValue, CommonInformationEntry, DwarfUnit, EhFrame, EndianVec, FrameDescriptionEntry, FrameTable,
    Sections, Unit, UnitEntryId,
};
use gimli::{Encoding, Format, LittleEndian};
use qemu::payload_abi::{Need, SlotSpec};

use super::routines::{self, Routine};

/// A member of a synthetic struct.
#[derive(Clone, Debug)]
pub struct Member {
    /// `None` for an anonymous one.
    pub name: Option<String>,
    pub offset: u64,
    pub size: u64,
    /// First bit and number of bits, for a bit-field.
    pub bits: Option<(u64, u64)>,
    /// Its own members.
    pub inner: Vec<Member>,
}

impl Member {
    pub fn plain(name: &str, offset: u64, size: u64) -> Self {
        Self { name: Some(name.to_owned()), offset, size, bits: None, inner: Vec::new() }
    }
}

/// A synthetic struct.
#[derive(Clone, Debug)]
pub struct Struct {
    pub tag: String,
    pub size: u64,
    pub members: Vec<Member>,
}

/// Structs with everything `specs` ask for, and `mach_trap_t`; locks take room where there are several processors.
pub fn structs(specs: &[SlotSpec], several: bool) -> Vec<Struct> {
    let mut structs: Vec<Struct> = vec![Struct {
        tag: "mach_trap_t".to_owned(),
        size: 32,
        members: vec![Member::plain("mach_trap_arg_count", 0, 4), Member::plain("mach_trap_function", 8, 8)],
    }];
    for spec in specs {
        let (of, member) = match spec.need {
            Need::Member { of, member }
            | Need::Bit { of, member }
            | Need::Half { of, member }
            | Need::Lock { of, member }
            | Need::PerCpu { of, member, .. } => (of, member),
            Need::Padding { of } | Need::Size { of } => (of, ""),
        };
        let index = structs.iter().position(|s| s.tag == of).unwrap_or_else(|| {
            structs.push(Struct { tag: of.to_owned(), size: 0, members: Vec::new() });
            structs.len() - 1
        });
        let place = &mut structs[index];
        let offset = place.size;
        match spec.need {
            Need::Bit { .. } => {
                let bit = Member { bits: Some((3, 1)), ..Member::plain(member, 0, 4) };
                // As in the kernel: a bit-field in an anonymous struct.
                place.members.push(Member { name: None, offset, size: 8, bits: None, inner: vec![bit] });
                place.size += 8;
            }
            Need::Half { .. } => {
                let half = Member { bits: Some((16, 16)), ..Member::plain(member, 0, 4) };
                place.members.push(Member { name: None, offset, size: 8, bits: None, inner: vec![half] });
                place.size += 8;
            }
            Need::Padding { .. } => {
                place.members.push(Member::plain("before_hole", offset, 4));
                place.members.push(Member::plain("after_hole", offset + 8, 8));
                place.size += 16;
            }
            Need::Size { .. } => {}
            Need::Lock { .. } if several => {
                add_path(&mut place.members, offset, 4, member);
                place.size += 8;
            }
            Need::Lock { .. } => add_path(&mut place.members, offset, 0, member),
            Need::Member { .. } | Need::PerCpu { .. } => {
                add_path(&mut place.members, offset, 8, member);
                place.size += 8;
            }
        }
    }
    structs
}

/// Adds a member with nested structs for its path; those are as large as the struct so far.
fn add_path(members: &mut Vec<Member>, offset: u64, size: u64, path: &str) {
    let Some((head, tail)) = path.split_once('.') else {
        members.push(Member::plain(path, offset, size));
        return;
    };
    let index = members.iter().position(|member| member.name.as_deref() == Some(head)).unwrap_or_else(|| {
        members.push(Member::plain(head, offset, 0));
        members.len() - 1
    });
    let nested = &mut members[index];
    nested.size = nested.size.max(offset + size - nested.offset);
    add_path(&mut nested.inner, offset - nested.offset, size, tail);
}

/// The DWARF sections of one unit with these structs, functions and variables.
pub fn sections(structs: &[Struct], routines: &[Routine]) -> Vec<(String, Vec<u8>)> {
    let encoding = Encoding { format: Format::Dwarf32, version: 5, address_size: 8 };
    let mut dwarf = DwarfUnit::new(encoding);
    let root = dwarf.unit.root();
    for spec in structs {
        let unit = &mut dwarf.unit;
        // mach_trap_t is a typedef of a struct without a tag, as in the kernel.
        let typedef = spec.tag.ends_with("_t");
        let tag = (!typedef).then_some(spec.tag.as_str());
        let die = add_struct(unit, root, tag, spec.size, &spec.members);
        if typedef {
            let typedef = unit.add(root, gimli::DW_TAG_typedef);
            unit.get_mut(typedef).set(gimli::DW_AT_name, AttributeValue::String(spec.tag.clone().into_bytes()));
            unit.get_mut(typedef).set(gimli::DW_AT_type, AttributeValue::UnitRef(die));
        }
    }
    routines::add(&mut dwarf.unit, routines);
    let mut sections = Sections::new(EndianVec::new(LittleEndian));
    dwarf.write(&mut sections).unwrap();
    let mut found = Vec::new();
    sections
        .for_each(|id, data| -> Result<(), gimli::write::Error> {
            if !data.slice().is_empty() {
                found.push((id.name().to_owned(), data.slice().to_vec()));
            }
            Ok(())
        })
        .unwrap();
    found
}

fn add_struct(unit: &mut Unit, parent: UnitEntryId, tag: Option<&str>, size: u64, members: &[Member]) -> UnitEntryId {
    let die = unit.add(parent, gimli::DW_TAG_structure_type);
    if let Some(tag) = tag {
        unit.get_mut(die).set(gimli::DW_AT_name, AttributeValue::String(tag.as_bytes().to_vec()));
    }
    unit.get_mut(die).set(gimli::DW_AT_byte_size, AttributeValue::Udata(size));
    for member in members {
        let root = unit.root();
        let kind = if member.inner.is_empty() {
            let base = unit.add(root, gimli::DW_TAG_base_type);
            unit.get_mut(base).set(gimli::DW_AT_byte_size, AttributeValue::Udata(member.size));
            base
        } else {
            add_struct(unit, root, None, member.size, &member.inner)
        };
        let child = unit.add(die, gimli::DW_TAG_member);
        let entry = unit.get_mut(child);
        if let Some(name) = &member.name {
            entry.set(gimli::DW_AT_name, AttributeValue::String(name.clone().into_bytes()));
        }
        entry.set(gimli::DW_AT_type, AttributeValue::UnitRef(kind));
        match member.bits {
            Some((first, size)) => {
                entry.set(gimli::DW_AT_bit_size, AttributeValue::Udata(size));
                entry.set(gimli::DW_AT_data_bit_offset, AttributeValue::Udata(member.offset * 8 + first));
            }
            None => entry.set(gimli::DW_AT_data_member_location, AttributeValue::Udata(member.offset)),
        }
    }
    die
}

/// `.eh_frame` with an entry for each of these functions, by address and size.
pub fn unwind(functions: &[(u64, u32)]) -> Vec<u8> {
    let encoding = Encoding { format: Format::Dwarf32, version: 1, address_size: 8 };
    let mut table = FrameTable::default();
    // The return address is register 16.
    let common = table.add_cie(CommonInformationEntry::new(encoding, 1, -8, gimli::Register(16)));
    for &(address, size) in functions {
        table.add_fde(common, FrameDescriptionEntry::new(Address::Constant(address), size));
    }
    let mut section = EhFrame(EndianVec::new(LittleEndian));
    table.write_eh_frame(&mut section).unwrap();
    section.0.into_vec()
}
