// SPDX-License-Identifier: GPL-2.0-or-later
//! What a kernel's DWARF says of functions and variables: where they are, their prototypes, where they are called and inlined.

use std::collections::{HashMap, HashSet};

use gimli::{AttributeValue, DwAt, UnitOffset};

use crate::error::InstrumentError;
use crate::kernel::debug::{Debug, Reader, Slice};
use crate::payload_abi::Value;

/// How many parameters are read of a function; no function of a kernel has more.
const MAX_PARAMETERS: usize = 64;

/// One definition or declaration of a function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routine {
    /// First address and size, of a definition that has code.
    pub code: Option<(u64, u64)>,
    /// Visible to other units.
    pub external: bool,
    /// Result and parameters, if this is where they are said. `None` is a type that no [`Value`] stands for.
    pub prototype: Option<(Option<Value>, Vec<Option<Value>>)>,
    /// Takes further arguments.
    pub variadic: bool,
    /// The list of calls in it is complete.
    pub lists_calls: bool,
    /// Where this is said, as an offset in `.debug_info`, unless a profile says it.
    pub die: Option<usize>,
}

/// A call, or a body that stands in another function instead of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The function used.
    pub target: String,
    /// The function it is used in.
    pub inside: String,
    /// Where the call returns to; for a body its first address, 0 if it is in several pieces.
    pub address: u64,
}

/// A variable's definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its address.
    pub address: u64,
    /// What it holds.
    pub value: Option<Value>,
    /// Where this is said, unless a profile says it.
    pub die: Option<usize>,
}

/// Everything said of the functions and variables that were asked for.
#[derive(Debug, Default)]
pub struct Routines {
    routines: HashMap<String, Vec<Routine>>,
    variables: HashMap<String, Vec<Variable>>,
    /// Calls of the functions that were asked for.
    pub calls: Vec<Use>,
    /// Bodies of theirs in other functions.
    pub inlined: Vec<Use>,
}

impl Routines {
    /// Reads what is said of `names`.
    pub fn read(debug: &Debug<'_>, names: &HashSet<&str>) -> Result<Self, InstrumentError> {
        let mut routines = Self::default();
        for reader in debug.readers() {
            Walk { reader, names, known: HashMap::new(), found: &mut routines }.unit()?;
        }
        Ok(routines)
    }

    /// What is known already.
    pub(crate) fn of(routines: HashMap<String, Vec<Routine>>, variables: HashMap<String, Vec<Variable>>) -> Self {
        Self { routines, variables, ..Self::default() }
    }

    /// What is said, of another build of the same source, in which things are where `moved` says. Where it calls and what stands inlined in it
    /// the debugging information of this one does not say: that its calls are the same has been looked at.
    #[must_use]
    pub fn moved(mut self, moved: &HashMap<u64, (u64, u64)>) -> Self {
        for routine in self.routines.values_mut().flatten() {
            routine.code = routine.code.and_then(|(start, _)| moved.get(&start).copied());
            routine.lists_calls = false;
        }
        for variables in self.variables.values_mut() {
            variables.retain_mut(|variable| match moved.get(&variable.address) {
                Some((address, _)) => {
                    variable.address = *address;
                    true
                }
                None => false,
            });
        }
        self.calls.clear();
        self
    }

    /// Definitions and declarations of a function.
    pub fn routines(&self, name: &str) -> &[Routine] {
        self.routines.get(name).map_or(&[], Vec::as_slice)
    }

    /// Definitions of a variable.
    pub fn variables(&self, name: &str) -> &[Variable] {
        self.variables.get(name).map_or(&[], Vec::as_slice)
    }
}

/// The attributes of one entry that matter here.
#[derive(Default)]
struct Entry {
    name: Option<String>,
    origin: Option<UnitOffset>,
    /// Its origin is no entry of this unit.
    elsewhere: bool,
    kind: Option<UnitOffset>,
    low: Option<u64>,
    size: Option<u64>,
    external: bool,
    declaration: bool,
    lists_calls: bool,
    return_pc: Option<u64>,
    location: Option<u64>,
}

/// The walk through one unit.
struct Walk<'a, 'data> {
    reader: Reader<'a, 'data>,
    names: &'a HashSet<&'a str>,
    /// Names of entries that were referred to, as far as they were asked for.
    known: HashMap<UnitOffset, Option<String>>,
    found: &'a mut Routines,
}

impl<'data> Walk<'_, 'data> {
    fn unit(&mut self) -> Result<(), InstrumentError> {
        let mut entries = self.reader.unit.entries_raw(None)?;
        // The function that the entries are in, and, if it was asked for, what has been read of it.
        let mut inside: Option<UnitOffset> = None;
        let mut open: Option<(String, Routine)> = None;
        while !entries.is_empty() {
            let (offset, depth) = (entries.next_offset(), entries.next_depth());
            let Some(abbreviation) = entries.read_abbreviation()? else { continue };
            if depth <= 1 {
                self.keep(open.take());
                inside = None;
            }
            let wanted = match abbreviation.tag() {
                gimli::DW_TAG_subprogram | gimli::DW_TAG_variable => depth == 1,
                gimli::DW_TAG_inlined_subroutine | gimli::DW_TAG_call_site => true,
                gimli::DW_TAG_formal_parameter | gimli::DW_TAG_unspecified_parameters => depth == 2 && open.is_some(),
                _ => false,
            };
            if !wanted {
                entries.skip_attributes(abbreviation.attributes())?;
                continue;
            }
            let mut entry = Entry::default();
            for specification in abbreviation.attributes() {
                let attribute = entries.read_attribute(*specification)?;
                entry.take(&self.reader, attribute.name(), attribute.value())?;
            }
            if entry.elsewhere {
                let place = self.reader.place(offset);
                let why =
                    format!("DIE {place:#x} refers to another unit, as after link-time optimization: not followed");
                return Err(InstrumentError::DamagedDwarf { why });
            }
            match abbreviation.tag() {
                gimli::DW_TAG_subprogram => {
                    inside = Some(offset);
                    open = self.routine(offset, &entry)?;
                }
                gimli::DW_TAG_variable => self.variable(offset, &entry)?,
                gimli::DW_TAG_call_site => self.used(true, &entry, inside)?,
                gimli::DW_TAG_inlined_subroutine => self.used(false, &entry, inside)?,
                tag => self.parameter(tag, &entry, open.as_mut().map(|(_, routine)| routine))?,
            }
        }
        self.keep(open);
        Ok(())
    }

    fn parameter(
        &self,
        tag: gimli::DwTag,
        entry: &Entry,
        routine: Option<&mut Routine>,
    ) -> Result<(), InstrumentError> {
        let Some(routine) = routine else { return Ok(()) };
        if tag == gimli::DW_TAG_unspecified_parameters {
            routine.variadic = true;
        } else if let Some((_, parameters)) = &mut routine.prototype
            && parameters.len() < MAX_PARAMETERS
        {
            parameters.push(self.value(entry.kind)?);
        }
        Ok(())
    }

    fn keep(&mut self, routine: Option<(String, Routine)>) {
        if let Some((name, routine)) = routine {
            self.found.routines.entry(name).or_default().push(routine);
        }
    }

    /// A function that was asked for.
    fn routine(&mut self, offset: UnitOffset, entry: &Entry) -> Result<Option<(String, Routine)>, InstrumentError> {
        let Some(name) = self.entry_name(entry)? else { return Ok(None) };
        // Instances of a function that is inlined elsewhere, too, refer to the entry with its prototype.
        let says = entry.origin.is_none();
        let prototype = if says { Some((self.result(entry.kind)?, Vec::new())) } else { None };
        let code = entry.low.filter(|_| !entry.declaration).map(|low| (low, entry.size.unwrap_or(0)));
        let routine = Routine {
            code,
            external: entry.external,
            prototype,
            variadic: false,
            lists_calls: entry.lists_calls,
            die: Some(self.reader.place(offset)),
        };
        Ok(Some((name, routine)))
    }

    fn variable(&mut self, offset: UnitOffset, entry: &Entry) -> Result<(), InstrumentError> {
        let Some(address) = entry.location else { return Ok(()) };
        let Some(name) = self.entry_name(entry)? else { return Ok(()) };
        let mut kind = entry.kind;
        if let Some(origin) = entry.origin {
            kind = self.reader.type_of(&self.reader.entry(origin)?)?;
        }
        let variable = Variable { address, value: self.value(kind)?, die: Some(self.reader.place(offset)) };
        self.found.variables.entry(name).or_default().push(variable);
        Ok(())
    }

    /// A call or an inlined body of a function that was asked for.
    fn used(&mut self, call: bool, entry: &Entry, inside: Option<UnitOffset>) -> Result<(), InstrumentError> {
        let Some(target) = entry.origin.map(|origin| self.name_of(origin)).transpose()?.flatten() else {
            return Ok(());
        };
        let inside = inside.map(|function| self.any_name(function, 0)).transpose()?.flatten().unwrap_or_default();
        if call {
            let address = entry.return_pc.unwrap_or(0);
            self.found.calls.push(Use { target, inside, address });
        } else {
            self.found.inlined.push(Use { target, inside, address: entry.low.unwrap_or(0) });
        }
        Ok(())
    }

    /// The name of an entry, if it was asked for.
    fn entry_name(&mut self, entry: &Entry) -> Result<Option<String>, InstrumentError> {
        match (&entry.name, entry.origin) {
            (Some(name), _) => Ok(Some(name.clone()).filter(|name| self.names.contains(name.as_str()))),
            (None, Some(origin)) => self.name_of(origin),
            (None, None) => Ok(None),
        }
    }

    /// The name of the entry at `offset`, if it was asked for.
    fn name_of(&mut self, offset: UnitOffset) -> Result<Option<String>, InstrumentError> {
        if let Some(known) = self.known.get(&offset) {
            return Ok(known.clone());
        }
        let name = self.any_name(offset, 0)?.filter(|name| self.names.contains(name.as_str()));
        self.known.insert(offset, name.clone());
        Ok(name)
    }

    /// The name of the entry at `offset`, or of the one that it is an instance of.
    fn any_name(&self, offset: UnitOffset, depth: usize) -> Result<Option<String>, InstrumentError> {
        let die = self.reader.entry(offset)?;
        if let Some(name) = self.reader.name(&die)? {
            return Ok(Some(name));
        }
        for attribute in [gimli::DW_AT_abstract_origin, gimli::DW_AT_specification] {
            let origin = die.attr_value(attribute)?.and_then(|value| self.reader.reference(&value));
            // Two steps at most: an instance, its function, that one's declaration.
            if let Some(origin) = origin.filter(|_| depth < 3) {
                return self.any_name(origin, depth + 1);
            }
        }
        Ok(None)
    }

    fn result(&self, kind: Option<UnitOffset>) -> Result<Option<Value>, InstrumentError> {
        if kind.is_some() { self.value(kind) } else { Ok(Some(Value::Nothing)) }
    }

    /// What a value of that type is in a register.
    fn value(&self, kind: Option<UnitOffset>) -> Result<Option<Value>, InstrumentError> {
        let Some(plain) = kind.map(|kind| self.reader.plain(kind)).transpose()?.flatten() else { return Ok(None) };
        let die = self.reader.entry(plain)?;
        let bytes = self.reader.number(&die, gimli::DW_AT_byte_size)?.and_then(|size| u8::try_from(size).ok());
        Ok(match die.tag() {
            gimli::DW_TAG_pointer_type => Some(Value::Pointer),
            gimli::DW_TAG_enumeration_type => bytes.map(Value::Unsigned),
            gimli::DW_TAG_base_type => match die.attr_value(gimli::DW_AT_encoding)? {
                Some(AttributeValue::Encoding(gimli::DW_ATE_signed | gimli::DW_ATE_signed_char)) => {
                    bytes.map(Value::Signed)
                }
                Some(AttributeValue::Encoding(
                    gimli::DW_ATE_unsigned | gimli::DW_ATE_unsigned_char | gimli::DW_ATE_boolean,
                )) => bytes.map(Value::Unsigned),
                _ => None,
            },
            _ => None,
        })
    }
}

impl Entry {
    fn take<'data>(
        &mut self,
        reader: &Reader<'_, 'data>,
        name: DwAt,
        value: AttributeValue<Slice<'data>>,
    ) -> Result<(), gimli::Error> {
        let flag = |value: &AttributeValue<Slice<'_>>| matches!(value, AttributeValue::Flag(true));
        match name {
            gimli::DW_AT_name => self.name = Some(reader.text(value)?),
            gimli::DW_AT_abstract_origin | gimli::DW_AT_specification | gimli::DW_AT_call_origin => {
                self.origin = reader.reference(&value);
                self.elsewhere = self.origin.is_none();
            }
            gimli::DW_AT_type => self.kind = reader.reference(&value),
            gimli::DW_AT_low_pc => self.low = reader.address(value)?,
            gimli::DW_AT_high_pc => self.size = value.udata_value(),
            gimli::DW_AT_external => self.external = flag(&value),
            gimli::DW_AT_declaration => self.declaration = flag(&value),
            gimli::DW_AT_call_all_calls => self.lists_calls = flag(&value),
            gimli::DW_AT_call_return_pc => self.return_pc = reader.address(value)?,
            gimli::DW_AT_location => self.location = fixed(&value),
            _ => {}
        }
        Ok(())
    }
}

/// The address that a location consists of, if it is nothing else.
fn fixed(value: &AttributeValue<Slice<'_>>) -> Option<u64> {
    let AttributeValue::Exprloc(expression) = value else { return None };
    let bytes: [u8; 9] = expression.0.slice().try_into().ok()?;
    let (&[operation], address) = bytes.split_first_chunk::<1>()?;
    (gimli::DwOp(operation) == gimli::DW_OP_addr).then(|| address.try_into().map(u64::from_le_bytes).ok()).flatten()
}
