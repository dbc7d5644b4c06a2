// SPDX-License-Identifier: GPL-2.0-or-later
//! What the synthetic kernel's DWARF says of functions and variables.

use std::collections::BTreeMap;

use gimli::write::{Address, AttributeValue, Expression, Unit, UnitEntryId};
use qemu::payload_abi::{PROTOTYPES, Source, Value, What};

/// A prototype as the DWARF has it.
#[derive(Clone, Debug)]
pub struct Prototype {
    pub result: Value,
    pub parameters: Vec<Value>,
    pub variadic: bool,
    /// Without a definition.
    pub declared: bool,
}

/// A function or a variable.
#[derive(Clone, Debug)]
pub struct Routine {
    pub name: String,
    pub address: u64,
    pub size: u64,
    /// A variable has none.
    pub prototype: Option<Prototype>,
    /// Where calls return to, and whom they call.
    pub calls: Vec<(u64, String)>,
    /// Functions whose bodies are in this one.
    pub inlined: Vec<String>,
}

/// The prototypes that the payload wants.
pub fn wanted() -> BTreeMap<String, Prototype> {
    let function = |what: &What| match *what {
        What::Function { result, parameters, variadic, source } => {
            let declared = source == Source::Assembly;
            Some(Prototype { result, parameters: parameters.to_vec(), variadic, declared })
        }
        What::Variable(_) => None,
    };
    PROTOTYPES.iter().filter_map(|known| Some((known.name.to_owned(), function(&known.what)?))).collect()
}

/// Adds all to the unit.
pub fn add(unit: &mut Unit, routines: &[Routine]) {
    let root = unit.root();
    let mut types = Types::default();
    let mut dies = BTreeMap::new();
    for routine in routines {
        let tag = if routine.prototype.is_some() { gimli::DW_TAG_subprogram } else { gimli::DW_TAG_variable };
        let die = unit.add(root, tag);
        dies.insert(routine.name.clone(), die);
        let entry = unit.get_mut(die);
        entry.set(gimli::DW_AT_name, AttributeValue::String(routine.name.clone().into_bytes()));
        entry.set(gimli::DW_AT_external, AttributeValue::Flag(true));
        match &routine.prototype {
            None => {
                let mut place = Expression::new();
                place.op_addr(Address::Constant(routine.address));
                entry.set(gimli::DW_AT_location, AttributeValue::Exprloc(place));
            }
            Some(prototype) => {
                if prototype.declared {
                    entry.set(gimli::DW_AT_declaration, AttributeValue::Flag(true));
                } else {
                    entry.set(gimli::DW_AT_low_pc, AttributeValue::Address(Address::Constant(routine.address)));
                    entry.set(gimli::DW_AT_high_pc, AttributeValue::Udata(routine.size));
                    entry.set(gimli::DW_AT_call_all_calls, AttributeValue::Flag(true));
                }
                types.prototype(unit, die, prototype);
            }
        }
    }
    for routine in routines {
        let inside = dies[&routine.name];
        for (return_pc, target) in &routine.calls {
            let call = unit.add(inside, gimli::DW_TAG_call_site);
            unit.get_mut(call).set(gimli::DW_AT_call_return_pc, AttributeValue::Address(Address::Constant(*return_pc)));
            unit.get_mut(call).set(gimli::DW_AT_call_origin, AttributeValue::UnitRef(dies[target]));
        }
        for target in &routine.inlined {
            let body = unit.add(inside, gimli::DW_TAG_inlined_subroutine);
            unit.get_mut(body).set(gimli::DW_AT_abstract_origin, AttributeValue::UnitRef(dies[target]));
            unit.get_mut(body).set(gimli::DW_AT_low_pc, AttributeValue::Address(Address::Constant(routine.address)));
        }
    }
}

#[derive(Default)]
struct Types(Vec<(Value, UnitEntryId)>);

impl Types {
    fn prototype(&mut self, unit: &mut Unit, die: UnitEntryId, prototype: &Prototype) {
        if prototype.result != Value::Nothing {
            let kind = self.of(unit, prototype.result);
            unit.get_mut(die).set(gimli::DW_AT_type, AttributeValue::UnitRef(kind));
        }
        for &value in &prototype.parameters {
            let kind = self.of(unit, value);
            let parameter = unit.add(die, gimli::DW_TAG_formal_parameter);
            unit.get_mut(parameter).set(gimli::DW_AT_type, AttributeValue::UnitRef(kind));
        }
        if prototype.variadic {
            unit.add(die, gimli::DW_TAG_unspecified_parameters);
        }
    }

    /// A type that is such a value, behind a typedef as most are.
    fn of(&mut self, unit: &mut Unit, value: Value) -> UnitEntryId {
        if let Some((_, known)) = self.0.iter().find(|(known, _)| *known == value) {
            return *known;
        }
        let root = unit.root();
        let (tag, bytes, encoding) = match value {
            Value::Nothing | Value::Pointer => (gimli::DW_TAG_pointer_type, 8, None),
            Value::Signed(bytes) => (gimli::DW_TAG_base_type, bytes, Some(gimli::DW_ATE_signed)),
            Value::Unsigned(bytes) => (gimli::DW_TAG_base_type, bytes, Some(gimli::DW_ATE_unsigned)),
        };
        let die = unit.add(root, tag);
        unit.get_mut(die).set(gimli::DW_AT_byte_size, AttributeValue::Udata(bytes.into()));
        if let Some(encoding) = encoding {
            unit.get_mut(die).set(gimli::DW_AT_encoding, AttributeValue::Encoding(encoding));
        }
        let typedef = unit.add(root, gimli::DW_TAG_typedef);
        unit.get_mut(typedef).set(gimli::DW_AT_type, AttributeValue::UnitRef(die));
        self.0.push((value, typedef));
        typedef
    }
}
