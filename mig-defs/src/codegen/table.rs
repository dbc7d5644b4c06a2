// SPDX-License-Identifier: GPL-2.0-or-later
//! Models to the binary decode tables of `table.rs`.

use std::collections::BTreeMap;
use std::string::String;
use std::vec::Vec;

use mach_abi::Descriptor;
use mach_abi::type_name::{self as tn, is_port};

use crate::annotations::{Annotations, Base, Meaning};
use crate::layout::{self, Item, Source};
use crate::model::{Member, Model, Routine, Shape, TypeId};
pub use crate::msgids::rank;
use crate::table::write::{ById, Sections, Strings, by_id, file};
use crate::table::{Form, ItemRole, NONE, TypeKind};

/// The bytes of `interfaces.mdt` for these subsystems, which the annotations have to have the format of. Where two have a routine with the same id, [`rank`] says which comes
/// first, else the earlier one does.
///
/// # Panics
/// If a subsystem is of another format.
pub fn tables(models: &[&Model], annotations: &Annotations) -> Vec<u8> {
    assert!(models.iter().all(|model| model.format == annotations.format), "one table is of one format");
    let mut builder = Builder::new(annotations);
    for model in models {
        builder.subsystem(model);
    }
    builder.finish()
}

struct Builder<'a> {
    annotations: &'a Annotations,
    strings: Strings,
    types: Vec<[u32; 7]>,
    type_indices: BTreeMap<[u32; 7], u32>,
    /// Kind, a, b and size of the present subsystem's types, so that types made of types are taken apart once.
    kinds: BTreeMap<TypeId, (TypeKind, u32, u32, u32)>,
    members: Vec<[u32; 4]>,
    structs: Vec<[u32; 3]>,
    /// The struct with these members.
    struct_records: BTreeMap<Vec<[u32; 4]>, u32>,
    items: Vec<[u32; 8]>,
    subsystems: Vec<[u32; 3]>,
    routines: Vec<[u32; 11]>,
    /// Id, whether the name is an alias, routine.
    requests: Vec<ById>,
    replies: Vec<ById>,
    choices: Vec<[u32; 2]>,
    cases: Vec<[u32; 2]>,
    lists: Vec<[u32; 3]>,
    /// The list of a choice of the annotations, once it is written.
    case_lists: BTreeMap<usize, u32>,
}

impl<'a> Builder<'a> {
    fn new(annotations: &'a Annotations) -> Self {
        Self {
            annotations,
            strings: Strings::default(),
            types: Vec::new(),
            type_indices: BTreeMap::new(),
            kinds: BTreeMap::new(),
            members: Vec::new(),
            structs: Vec::new(),
            struct_records: BTreeMap::new(),
            items: Vec::new(),
            subsystems: Vec::new(),
            routines: Vec::new(),
            requests: Vec::new(),
            replies: Vec::new(),
            choices: Vec::new(),
            cases: Vec::new(),
            lists: Vec::new(),
            case_lists: BTreeMap::new(),
        }
    }

    fn string(&mut self, text: &str) -> u32 {
        self.strings.offset(text)
    }

    fn subsystem(&mut self, model: &Model) {
        let index = self.subsystems.len() as u32;
        self.kinds.clear();
        let name = self.string(&model.name);
        self.subsystems.push([name, model.base, model.routines.len() as u32]);
        for routine in &model.routines {
            self.routine(model, routine, index);
        }
    }

    fn routine(&mut self, model: &Model, routine: &Routine, subsystem: u32) {
        let layout = layout::layout(model, routine);
        let index = self.routines.len() as u32;
        let request_first = self.items.len() as u32;
        if let Some(port) = routine.request_port() {
            let name = self.string(&port.name);
            let ty = self.ty(model, port.ty);
            self.items.push([name, ty, ItemRole::RequestPort as u32, NONE, 0, 0, Form::Plain as u32, NONE]);
        }
        for item in &layout.request.items {
            self.item(model, routine, item, request_first);
        }
        let reply_first = self.items.len() as u32;
        if !routine.one_way {
            for item in &layout.reply.items {
                self.item(model, routine, item, request_first);
            }
        }
        let end = self.items.len() as u32;
        let reply_id = if routine.one_way { 0 } else { layout.reply.id };
        let name = self.string(&routine.name);
        self.routines.push([
            name,
            subsystem,
            layout.request.id,
            reply_id,
            request_first,
            reply_first - request_first,
            reply_first,
            end - reply_first,
            layout.request.min_size,
            layout.reply.min_size,
            0,
        ]);
        let rank = rank(&routine.name);
        self.requests.push((layout.request.id, rank, index));
        if !routine.one_way {
            self.replies.push((reply_id, rank, index));
        }
    }

    fn item(&mut self, model: &Model, routine: &Routine, item: &Item, request_first: u32) {
        let (role, ty, argument) = match item.source {
            Source::RetCode => (ItemRole::RetCode, self.plain("kern_return_t", TypeKind::KernReturn, 4), None),
            Source::Count(_) => (ItemRole::Count, self.plain("mach_msg_type_number_t", TypeKind::Unsigned, 4), None),
            Source::Argument(index) => {
                let argument = &routine.arguments[index];
                (ItemRole::Argument, self.ty(model, argument.ty), Some(argument))
            }
        };
        let (mut set, mut form, mut choice) = (NONE, Form::Plain, NONE);
        if let Some(argument) = argument {
            let place = std::format!("{}.{}", routine.name, argument.name);
            set = self.annotations.uses.get(&place).map_or(NONE, |set| *set as u32);
            form = self.annotations.forms.get(&place).copied().unwrap_or_default();
            let uses = &self.annotations.choice_uses;
            let found = uses.get(&place).or_else(|| of_type(model, argument.ty, uses)).copied();
            choice = found.map_or(NONE, |found| self.choice(found, request_first));
        }
        let name = self.string(&item.name);
        let word = |descriptor: Descriptor| Descriptor { number: 0, ..descriptor }.to_word() as u32;
        self.items.push([name, ty, role as u32, set, word(item.sent), word(item.received), form as u32, choice]);
    }

    /// The record of a choice for the routine whose request has its items from `request_first` on.
    fn choice(&mut self, index: usize, request_first: u32) -> u32 {
        let annotations = self.annotations;
        let choice = &annotations.choices[index];
        let mut maker = NONE;
        if let Some(by) = &choice.by {
            let name = self.string(by);
            let place = self.items[request_first as usize..].iter().position(|item| item[0] == name);
            let Some(place) = place else { return NONE };
            maker = request_first + place as u32;
        }
        let list = match self.case_lists.get(&index) {
            Some(list) => *list,
            None => {
                let mut cases: Vec<[u32; 2]> =
                    choice.cases.iter().map(|(number, meaning)| [*number, self.meaning(*meaning)]).collect();
                cases.sort_unstable();
                let other = choice.other.map_or(NONE, |meaning| self.meaning(meaning));
                let list = self.lists.len() as u32;
                self.lists.push([self.cases.len() as u32, cases.len() as u32, other]);
                self.cases.extend(cases);
                self.case_lists.insert(index, list);
                list
            }
        };
        self.choices.push([maker, list]);
        self.choices.len() as u32 - 1
    }

    /// The type record of what an annotation says.
    fn meaning(&mut self, meaning: Meaning) -> u32 {
        let annotations = self.annotations;
        let set = meaning.set.map_or(NONE, |set| set as u32);
        let (size, _) = annotations.size_of(Meaning { count: None, ..meaning });
        let (name, element) = match meaning.base {
            Base::Basic(name, kind, _) => {
                let name = self.string(name);
                (name, self.add_type([name, kind as u32, 0, 0, size, set, meaning.form as u32]))
            }
            Base::Struct(index) => {
                let whole = &annotations.structs[index];
                let run = whole
                    .members
                    .iter()
                    .map(|member| {
                        let ty = self.meaning(member.meaning);
                        [self.string(&member.name), ty, member.offset, member.flags]
                    })
                    .collect();
                let index = self.struct_record(run);
                let name = self.string(&whole.name);
                let kind = TypeKind::Struct as u32;
                (name, self.add_type([name, kind, index, 0, size, NONE, whole.form as u32]))
            }
        };
        match meaning.count {
            Some(count) => {
                let size = size.saturating_mul(count);
                self.add_type([name, TypeKind::Array as u32, element, count, size, NONE, Form::Plain as u32])
            }
            None => element,
        }
    }

    fn plain(&mut self, name: &str, kind: TypeKind, size: u32) -> u32 {
        let name = self.string(name);
        self.add_type([name, kind as u32, 0, 0, size, NONE, Form::Plain as u32])
    }

    fn add_type(&mut self, record: [u32; 7]) -> u32 {
        if let Some(index) = self.type_indices.get(&record) {
            return *index;
        }
        let index = self.types.len() as u32;
        self.types.push(record);
        self.type_indices.insert(record, index);
        index
    }

    /// The type's record; the types it is made of come before it.
    fn ty(&mut self, model: &Model, id: TypeId) -> u32 {
        self.ty_at(model, id, "")
    }

    /// The record of the type of the struct member at `place`, of which more may be known than of its type.
    fn ty_at(&mut self, model: &Model, id: TypeId, place: &str) -> u32 {
        let (kind, a, b, size) = self.kind_of(model, id);
        let Annotations { uses, forms, .. } = self.annotations;
        let set = uses.get(place).or_else(|| of_type(model, id, uses)).map_or(NONE, |set| *set as u32);
        let form = forms.get(place).or_else(|| of_type(model, id, forms)).copied().unwrap_or_default();
        let name = self.string(&model.display_name(id));
        self.add_type([name, kind as u32, a, b, size, set, form as u32])
    }

    fn kind_of(&mut self, model: &Model, id: TypeId) -> (TypeKind, u32, u32, u32) {
        if let Some(known) = self.kinds.get(&id) {
            return *known;
        }
        let root = model.ty(model.unaliased(id));
        let found = match &root.shape {
            Shape::Basic | Shape::Alias(_) => (basic_kind(model, id), 0, 0, root.bytes),
            Shape::Array(element, count) => (TypeKind::Array, self.ty(model, *element), *count, root.bytes),
            Shape::VarArray(element, _) => (TypeKind::Array, self.ty(model, *element), 0, 0),
            Shape::OutOfLine(target) => (TypeKind::Array, self.out_of_line_element(model, *target), 0, 0),
            Shape::Struct(members) => {
                let index = self.struct_members(model, &model.display_name(id), members);
                (TypeKind::Struct, index, 0, root.bytes)
            }
            Shape::CString => (TypeKind::CString, 0, 0, if root.var_array { 0 } else { root.bytes }),
        };
        self.kinds.insert(id, found);
        found
    }

    fn out_of_line_element(&mut self, model: &Model, target: TypeId) -> u32 {
        match model.ty(model.unaliased(target)).shape {
            Shape::VarArray(element, _) => self.ty(model, element),
            _ => self.ty(model, target),
        }
    }

    fn struct_members(&mut self, model: &Model, name: &str, members: &[Member]) -> u32 {
        let run = members
            .iter()
            .map(|member| {
                let ty = self.ty_at(model, member.ty, &std::format!("{name}.{}", member.name));
                [self.string(&member.name), ty, member.offset, 0]
            })
            .collect::<Vec<_>>();
        // A struct of nothing is nothing to show.
        let has_bytes = |member: &[u32; 4]| self.types[member[1] as usize][4] > 0;
        let run = run.into_iter().filter(has_bytes).collect();
        self.struct_record(run)
    }

    /// The record of a struct with these members; several types may share it.
    fn struct_record(&mut self, run: Vec<[u32; 4]>) -> u32 {
        if let Some(index) = self.struct_records.get(&run) {
            return *index;
        }
        let index = self.structs.len() as u32;
        let types_end = run.iter().map(|member| member[1] + 1).max().unwrap_or(0);
        self.structs.push([self.members.len() as u32, run.len() as u32, types_end]);
        self.members.extend(&run);
        self.struct_records.insert(run, index);
        index
    }

    fn finish(mut self) -> Vec<u8> {
        let mut sets = Vec::new();
        let mut values = Vec::new();
        for set in &self.annotations.sets {
            let name = self.string(&set.name);
            let mut list = set.values.clone();
            if !set.flags {
                list.sort_by_key(|(number, _)| *number);
            }
            sets.push([name, u32::from(set.flags), values.len() as u32, list.len() as u32]);
            for (number, text) in list {
                values.push([number, self.string(&text)]);
            }
        }
        let mut errors = Vec::new();
        for (number, name) in &self.annotations.errors {
            errors.push([*number, self.string(name)]);
        }
        let sections: Sections = [
            self.types.concat(),
            self.members.concat(),
            self.items.concat(),
            self.subsystems.concat(),
            self.routines.concat(),
            by_id(&mut self.requests),
            by_id(&mut self.replies),
            sets.concat(),
            values.concat(),
            errors.concat(),
            self.choices.concat(),
            self.cases.concat(),
            self.structs.concat(),
            self.lists.concat(),
        ];
        file(self.annotations.format, &self.strings, &sections)
    }
}

/// What `known` says of the type, or of the nearest type it is another name for.
fn of_type<'k, T>(model: &Model, mut id: TypeId, known: &'k BTreeMap<String, T>) -> Option<&'k T> {
    loop {
        let ty = model.ty(id);
        if let Some(found) = ty.name.as_ref().and_then(|name| known.get(&**name)) {
            return Some(found);
        }
        match ty.shape {
            Shape::Alias(next) => id = next,
            _ => return None,
        }
    }
}

/// What the values of a basic type are. The message type does not say whether an integer has a sign: the name does.
pub(super) fn basic_kind(model: &Model, id: TypeId) -> TypeKind {
    let root = model.ty(model.unaliased(id));
    let any_name = |test: &dyn Fn(&str) -> bool| {
        let mut id = id;
        loop {
            let ty = model.ty(id);
            if ty.name.as_ref().is_some_and(|name| test(name)) {
                return true;
            }
            match ty.shape {
                Shape::Alias(next) => id = next,
                _ => return false,
            }
        }
    };
    let integer = |size: u32| match () {
        () if root.size != size => TypeKind::Opaque,
        () if any_name(&|name| name.starts_with('u') || name == "natural_t") => TypeKind::Unsigned,
        () => TypeKind::Signed,
    };
    match root.in_name {
        _ if root.is_port() => TypeKind::Port,
        _ if any_name(&|name| name == "kern_return_t") => TypeKind::KernReturn,
        tn::BOOLEAN if root.size == 32 => TypeKind::Bool,
        tn::INTEGER_16 => integer(16),
        tn::INTEGER_32 => integer(32),
        tn::INTEGER_64 => integer(64),
        tn::CHAR if root.size == 8 => TypeKind::Char,
        tn::BYTE if root.size == 8 => TypeKind::Byte,
        tn::STRING => TypeKind::CString,
        tn::PORT_NAME => TypeKind::PortName,
        name if is_port(name) => TypeKind::Port,
        _ => TypeKind::Opaque,
    }
}
