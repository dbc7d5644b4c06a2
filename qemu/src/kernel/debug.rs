// SPDX-License-Identifier: GPL-2.0-or-later
//! A kernel's DWARF, opened once: its units, and the questions that are asked of single entries.

use std::cell::Cell;

use gimli::{
    AttributeValue, DebuggingInformationEntry as Die, DwAt, EndianSlice, LittleEndian as Le, Unit, UnitOffset,
};
use object::{Object, ObjectSection};

use crate::error::InstrumentError;

pub(super) type Slice<'a> = EndianSlice<'a, Le>;
type Dwarf<'a> = gimli::Dwarf<Slice<'a>>;

/// How deep types may nest before a definition is taken for damaged.
pub(super) const MAX_DEPTH: usize = 16;

/// How many units and bytes of abbreviations are read, which is forty times what a kernel has.
const MAX_UNITS: usize = 4096;
const MAX_ABBREVIATIONS: usize = 4 << 20;

/// How many entries are looked at one by one, which is a hundred times what a kernel takes.
const MAX_STEPS: u64 = 20_000_000;

/// The debugging information of one kernel.
pub struct Debug<'a> {
    dwarf: Dwarf<'a>,
    units: Vec<Unit<Slice<'a>>>,
    steps: Cell<u64>,
}

impl std::fmt::Debug for Debug<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} units", self.units.len())
    }
}

impl<'a> Debug<'a> {
    /// Opens the DWARF of an ELF file.
    pub fn open(elf: &'a [u8]) -> Result<Self, InstrumentError> {
        let damaged = |error: object::Error| InstrumentError::DamagedElf { why: error.to_string() };
        let file = object::File::parse(elf).map_err(damaged)?;
        let section = |id: gimli::SectionId| -> Result<Slice<'a>, InstrumentError> {
            let data = match file.section_by_name(id.name()) {
                Some(section) => section.data().map_err(damaged)?,
                None => &[],
            };
            Ok(EndianSlice::new(data, Le))
        };
        let dwarf = Dwarf::load(section)?;
        let mut units = Vec::new();
        let mut headers = dwarf.units();
        let abbreviations = section(gimli::SectionId::DebugAbbrev)?.len();
        while let Some(header) = headers.next()? {
            if units.len() == MAX_UNITS || abbreviations > MAX_ABBREVIATIONS {
                let why = format!("more than {MAX_UNITS} units or {MAX_ABBREVIATIONS} bytes of abbreviations");
                return Err(InstrumentError::DamagedDwarf { why });
            }
            units.push(dwarf.unit(header)?);
        }
        Ok(Self { dwarf, units, steps: Cell::new(0) })
    }

    pub(super) fn readers(&self) -> impl Iterator<Item = Reader<'_, 'a>> {
        self.units.iter().map(|unit| Reader { dwarf: &self.dwarf, unit, steps: &self.steps })
    }
}

/// One unit of the DWARF, with the questions asked of it.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a, 'data> {
    dwarf: &'a Dwarf<'data>,
    pub(super) unit: &'a Unit<Slice<'data>>,
    steps: &'a Cell<u64>,
}

impl<'data> Reader<'_, 'data> {
    /// The entry at `offset`.
    pub(super) fn entry(&self, offset: UnitOffset) -> Result<Die<'_, '_, Slice<'data>>, InstrumentError> {
        self.step()?;
        Ok(self.unit.entry(offset)?)
    }

    /// Counts an entry that is looked at.
    pub(super) fn step(&self) -> Result<(), InstrumentError> {
        self.steps.set(self.steps.get() + 1);
        if self.steps.get() <= MAX_STEPS {
            return Ok(());
        }
        let why = format!("it leads in circles: {MAX_STEPS} entries have been looked at");
        Err(InstrumentError::DamagedDwarf { why })
    }

    /// A type without its names and qualifiers.
    pub(super) fn plain(&self, mut kind: UnitOffset) -> Result<Option<UnitOffset>, InstrumentError> {
        for _ in 0..MAX_DEPTH {
            let die = self.entry(kind)?;
            match die.tag() {
                gimli::DW_TAG_typedef
                | gimli::DW_TAG_const_type
                | gimli::DW_TAG_volatile_type
                | gimli::DW_TAG_restrict_type
                | gimli::DW_TAG_atomic_type => match self.type_of(&die)? {
                    Some(next) => kind = next,
                    None => return Ok(None),
                },
                _ => return Ok(Some(kind)),
            }
        }
        Ok(None)
    }

    /// How many bytes a value of that type takes.
    pub(super) fn size_of(&self, kind: UnitOffset, depth: usize) -> Result<u64, InstrumentError> {
        let die = self.entry(kind)?;
        if let Some(size) = self.number(&die, gimli::DW_AT_byte_size)? {
            return Ok(size);
        }
        if depth > MAX_DEPTH {
            return Ok(0);
        }
        let element = match self.type_of(&die)? {
            Some(inner) => self.size_of(inner, depth + 1)?,
            None => 0,
        };
        match die.tag() {
            gimli::DW_TAG_pointer_type => Ok(8),
            gimli::DW_TAG_array_type => Ok(element.saturating_mul(self.elements(kind)?)),
            _ => Ok(element),
        }
    }

    fn elements(&self, array: UnitOffset) -> Result<u64, InstrumentError> {
        let mut tree = self.unit.entries_tree(Some(array))?;
        let mut children = tree.root()?.children();
        let mut count = 1u64;
        while let Some(child) = children.next()? {
            self.step()?;
            let die = child.entry();
            if die.tag() == gimli::DW_TAG_subrange_type {
                let upper = self.number(die, gimli::DW_AT_upper_bound)?.map(|last| last.wrapping_add(1));
                // A flexible array member has neither and occupies nothing.
                count = count.saturating_mul(self.number(die, gimli::DW_AT_count)?.or(upper).unwrap_or(0));
            }
        }
        Ok(count)
    }

    pub(super) fn name(&self, die: &Die<'_, '_, Slice<'data>>) -> Result<Option<String>, gimli::Error> {
        die.attr_value(gimli::DW_AT_name)?.map(|value| self.text(value)).transpose()
    }

    pub(super) fn text(&self, value: AttributeValue<Slice<'data>>) -> Result<String, gimli::Error> {
        Ok(self.dwarf.attr_string(self.unit, value)?.to_string_lossy().into_owned())
    }

    pub(super) fn address(&self, value: AttributeValue<Slice<'data>>) -> Result<Option<u64>, gimli::Error> {
        self.dwarf.attr_address(self.unit, value)
    }

    pub(super) fn type_of(&self, die: &Die<'_, '_, Slice<'data>>) -> Result<Option<UnitOffset>, gimli::Error> {
        Ok(die.attr_value(gimli::DW_AT_type)?.and_then(|value| self.reference(&value)))
    }

    /// The entry of this unit that an attribute refers to.
    pub(super) fn reference(&self, value: &AttributeValue<Slice<'data>>) -> Option<UnitOffset> {
        match *value {
            AttributeValue::UnitRef(offset) => Some(offset),
            AttributeValue::DebugInfoRef(offset) => offset.to_unit_offset(&self.unit.header),
            _ => None,
        }
    }

    pub(super) fn number(&self, die: &Die<'_, '_, Slice<'data>>, attribute: DwAt) -> Result<Option<u64>, gimli::Error> {
        Ok(die.attr_value(attribute)?.and_then(|value| value.udata_value()))
    }

    /// Where an entry is in `.debug_info`.
    pub(super) fn place(&self, offset: UnitOffset) -> usize {
        offset.to_debug_info_offset(&self.unit.header).map_or(0, |offset| offset.0)
    }
}
