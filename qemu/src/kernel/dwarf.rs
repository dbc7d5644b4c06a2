// SPDX-License-Identifier: GPL-2.0-or-later
//! Struct layouts from a kernel's DWARF: members by path, through anonymous unions and structs, and the holes between.

use std::collections::HashMap;

use gimli::{DebuggingInformationEntry as Die, UnitOffset};

use crate::error::{InstrumentError, Miss};
use crate::kernel::debug::{Debug, MAX_DEPTH, Reader, Slice};

/// How many members a struct may have, however deep, before its definition is taken for damaged: circles would have no end.
const MAX_FIELDS: usize = 4096;

/// How large a type and how far a member may be.
const MAX_BYTES: u64 = 1 << 32;

/// One member, however deep, of a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Names from the outermost struct, joined by dots; anonymous members add nothing.
    pub path: String,
    /// First bit from the start of the outermost struct.
    pub bit_offset: u64,
    /// Size in bits.
    pub bit_size: u64,
    /// Declared as a bit-field.
    pub bit_field: bool,
    /// First byte and end of the storage the member occupies (for a bit-field, its whole declared type).
    pub storage: (u64, u64),
    /// A direct member of the struct (named or not).
    pub direct: bool,
}

/// One struct definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Tag, or the typedef's name for a struct without one.
    pub tag: String,
    /// Size in bytes.
    pub size: u64,
    /// Members in order, flattened; by a profile those alone that are asked for.
    pub fields: Vec<Field>,
    /// Aligned 4-byte holes before the end of the last member, in order of address.
    pub holes: Vec<u64>,
    /// Where the first equal definition is, as an offset in `.debug_info`.
    pub die: usize,
}

impl Layout {
    /// The only member of that path.
    pub fn field(&self, path: &str, wanted_by: &str) -> Result<&Field, Miss> {
        let mut matches = self.fields.iter().filter(|field| field.path == path);
        let miss = |why: String| Miss::Member {
            of: self.tag.clone(),
            member: path.to_owned(),
            wanted_by: wanted_by.to_owned(),
            why,
        };
        let Some(first) = matches.next() else {
            return Err(miss("missing".to_owned()));
        };
        match matches.find(|other| other.bit_offset != first.bit_offset || other.bit_size != first.bit_size) {
            Some(other) => Err(miss(format!("ambiguous, at bits {} and {}", first.bit_offset, other.bit_offset))),
            None => Ok(first),
        }
    }

    /// The first thing in which two definitions differ.
    fn difference(&self, other: &Self) -> Option<String> {
        if self.size != other.size {
            return Some(format!("size ({} and {} bytes)", self.size, other.size));
        }
        let place = |field: &Field| format!("{} at bit {} of {} bits", field.path, field.bit_offset, field.bit_size);
        let longest = self.fields.len().max(other.fields.len());
        (0..longest).find_map(|index| match (self.fields.get(index), other.fields.get(index)) {
            (Some(ours), Some(theirs)) if ours == theirs => None,
            (Some(ours), Some(theirs)) => Some(format!("a member ({} and {})", place(ours), place(theirs))),
            (Some(only), None) | (None, Some(only)) => Some(format!("a member ({} only in one)", place(only))),
            (None, None) => None,
        })
    }
}

/// The layouts of the structs that were asked for.
#[derive(Debug, Default)]
pub struct Layouts {
    by_tag: HashMap<String, Vec<Layout>>,
}

impl Layouts {
    /// Reads every definition of the structs named in `tags` (struct tags, or typedefs of structs without a tag).
    pub fn read(debug: &Debug<'_>, tags: &[&str]) -> Result<Self, InstrumentError> {
        let mut layouts = Self::default();
        for reader in debug.readers() {
            layouts.read_unit(reader, tags)?;
        }
        Ok(layouts)
    }

    /// Layouts that are known already.
    pub fn of(layouts: impl IntoIterator<Item = Layout>) -> Self {
        let mut known = Self::default();
        layouts.into_iter().for_each(|layout| known.add(layout));
        known
    }

    /// The only layout of struct `tag`.
    pub fn layout(&self, tag: &str, wanted_by: &str) -> Result<&Layout, Miss> {
        match self.by_tag.get(tag).map(Vec::as_slice) {
            None | Some([]) => Err(Miss::StructMissing { name: tag.to_owned(), wanted_by: wanted_by.to_owned() }),
            Some([only]) => Ok(only),
            Some([first, second, ..]) => Err(Miss::StructAmbiguous {
                name: tag.to_owned(),
                wanted_by: wanted_by.to_owned(),
                difference: first.difference(second).unwrap_or_default(),
            }),
        }
    }

    fn read_unit(&mut self, reader: Reader<'_, '_>, tags: &[&str]) -> Result<(), InstrumentError> {
        let mut cursor = reader.unit.entries();
        // The unit itself, then its first child.
        cursor.next_dfs()?;
        if cursor.next_dfs()?.is_none_or(|(depth, _)| depth != 1) {
            return Ok(());
        }
        loop {
            let Some(die) = cursor.current() else { return Ok(()) };
            if let Some((tag, offset)) = reader.wanted(die, tags)? {
                self.add(reader.layout(tag, offset)?);
            }
            if cursor.next_sibling()?.is_none() {
                return Ok(());
            }
        }
    }

    fn add(&mut self, layout: Layout) {
        let known = self.by_tag.entry(layout.tag.clone()).or_default();
        // Two that differ are as bad as many.
        if known.len() < 2 && known.iter().all(|other| other.difference(&layout).is_some()) {
            known.push(layout);
        }
    }
}

impl<'data> Reader<'_, 'data> {
    /// The tag and definition, when `die` defines one of the structs wanted.
    fn wanted(
        &self,
        die: &Die<'_, '_, Slice<'data>>,
        tags: &[&str],
    ) -> Result<Option<(String, UnitOffset)>, InstrumentError> {
        let is_struct = die.tag() == gimli::DW_TAG_structure_type;
        if !is_struct && die.tag() != gimli::DW_TAG_typedef {
            return Ok(None);
        }
        let Some(name) = self.name(die)?.filter(|name| tags.contains(&name.as_str())) else { return Ok(None) };
        if is_struct {
            // A declaration says nothing about the layout.
            return Ok(die.attr(gimli::DW_AT_byte_size)?.is_some().then(|| (name, die.offset())));
        }
        let Some(offset) = self.type_of(die)? else { return Ok(None) };
        let target = self.entry(offset)?;
        let tagless = target.tag() == gimli::DW_TAG_structure_type && self.name(&target)?.is_none();
        Ok(tagless.then_some((name, offset)))
    }

    fn layout(&self, tag: String, offset: UnitOffset) -> Result<Layout, InstrumentError> {
        let die = self.entry(offset)?;
        let size = bounded(self.number(&die, gimli::DW_AT_byte_size)?.unwrap_or(0))?;
        let mut fields = Vec::new();
        self.fields(offset, "", 0, 0, &mut fields)?;
        let holes = holes(&fields);
        Ok(Layout { tag, size, fields, holes, die: self.place(offset) })
    }

    fn fields(
        &self,
        of: UnitOffset,
        prefix: &str,
        base_bits: u64,
        depth: usize,
        out: &mut Vec<Field>,
    ) -> Result<(), InstrumentError> {
        if depth > MAX_DEPTH || out.len() > MAX_FIELDS {
            let why = format!("a struct nests deeper than {MAX_DEPTH} or has more than {MAX_FIELDS} members");
            return Err(InstrumentError::DamagedDwarf { why });
        }
        let mut tree = self.unit.entries_tree(Some(of))?;
        let mut children = tree.root()?.children();
        while let Some(child) = children.next()? {
            self.step()?;
            let die = child.entry();
            if die.tag() != gimli::DW_TAG_member {
                continue;
            }
            let Some(kind) = self.type_of(die)? else { continue };
            let size = bounded(self.size_of(kind, 0)?)?;
            let bit_size = self.number(die, gimli::DW_AT_bit_size)?.map(bounded).transpose()?;
            let bit_offset = base_bits + self.bit_offset(die, size)?;
            let name = self.name(die)?;
            let path = match (&name, prefix) {
                (None, _) => prefix.to_owned(),
                (Some(name), "") => name.clone(),
                (Some(name), _) => format!("{prefix}.{name}"),
            };
            out.push(Field {
                path: if name.is_some() { path.clone() } else { String::new() },
                bit_offset,
                bit_size: bit_size.unwrap_or(size * 8),
                bit_field: bit_size.is_some(),
                storage: storage(bit_offset, bit_size, size),
                direct: depth == 0,
            });
            if bit_size.is_none()
                && let Some(inner) = self.aggregate(kind)?
            {
                self.fields(inner, &path, bit_offset, depth + 1, out)?;
            }
        }
        Ok(())
    }

    /// First bit of a member within its struct.
    fn bit_offset(&self, die: &Die<'_, '_, Slice<'data>>, size: u64) -> Result<u64, InstrumentError> {
        let number = |attribute| self.number(die, attribute)?.map(bounded).transpose();
        let bytes = number(gimli::DW_AT_data_member_location)?.unwrap_or(0);
        if let Some(bits) = number(gimli::DW_AT_data_bit_offset)? {
            return Ok(bytes * 8 + bits);
        }
        // DWARF 3 counts from the most significant bit of the storage unit.
        match (number(gimli::DW_AT_bit_offset)?, number(gimli::DW_AT_bit_size)?) {
            (Some(from_top), Some(bits)) => {
                let unit = number(gimli::DW_AT_byte_size)?.unwrap_or(size);
                Ok((bytes * 8 + unit * 8).saturating_sub(from_top + bits))
            }
            _ => Ok(bytes * 8),
        }
    }

    /// The struct or union behind typedefs and qualifiers.
    fn aggregate(&self, kind: UnitOffset) -> Result<Option<UnitOffset>, InstrumentError> {
        let Some(plain) = self.plain(kind)? else { return Ok(None) };
        let tag = self.entry(plain)?.tag();
        let aggregate = tag == gimli::DW_TAG_structure_type || tag == gimli::DW_TAG_union_type;
        Ok(aggregate.then_some(plain))
    }
}

/// Aligned 4-byte holes before the end of the last member.
fn holes(fields: &[Field]) -> Vec<u64> {
    let direct: Vec<(u64, u64)> = fields.iter().filter(|field| field.direct).map(|field| field.storage).collect();
    let end = direct.iter().map(|&(_, end)| end).max().unwrap_or(0);
    (0..end)
        .step_by(4)
        .filter(|&hole| hole + 4 <= end && direct.iter().all(|&(from, to)| to <= hole || from >= hole + 4))
        .collect()
}

/// First byte and end of what a member occupies.
fn storage(bit_offset: u64, bit_size: Option<u64>, size: u64) -> (u64, u64) {
    match bit_size {
        // The compiler may rewrite the whole declared type to change one bit of it.
        Some(bits) if size > 0 => {
            let unit_bits = size * 8;
            let first = bit_offset / unit_bits * size;
            (first, ((bit_offset + bits).div_ceil(unit_bits) * size).max(first + size))
        }
        _ => (bit_offset / 8, bit_offset / 8 + size),
    }
}

/// A size or an offset, if it can be one: sums of such numbers do not overflow.
fn bounded(number: u64) -> Result<u64, InstrumentError> {
    if number <= MAX_BYTES {
        return Ok(number);
    }
    let why = format!("a size or an offset of {number:#x}, expected at most {MAX_BYTES:#x}");
    Err(InstrumentError::DamagedDwarf { why })
}
