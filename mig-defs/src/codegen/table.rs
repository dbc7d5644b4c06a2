//! Models to the binary decode tables of `table.rs`.

use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec::Vec;

use crate::annotations::Annotations;
use crate::layout::{self, Item, Source};
use crate::model::{Member, Model, Routine, Shape, TypeId};
use crate::table::{ItemRole, MAGIC, NONE, PREFIX, SECTIONS, TypeKind, VERSION};
use crate::wire::{Descriptor, is_port, type_name as tn};

/// The bytes of `interfaces.mdt` for these subsystems. Where two have a routine with the same id, the one whose name does
/// not speak of a request comes first, else the earlier one.
pub fn tables(models: &[&Model], annotations: &Annotations) -> Vec<u8> {
    let mut builder = Builder::new(annotations);
    for model in models {
        builder.subsystem(model);
    }
    builder.finish()
}

struct Builder<'a> {
    annotations: &'a Annotations,
    strings: Vec<u8>,
    string_offsets: BTreeMap<String, u32>,
    types: Vec<[u32; 6]>,
    type_indices: BTreeMap<[u32; 6], u32>,
    members: Vec<[u32; 3]>,
    member_runs: BTreeMap<Vec<[u32; 3]>, u32>,
    items: Vec<[u32; 6]>,
    subsystems: Vec<[u32; 3]>,
    routines: Vec<[u32; 10]>,
    /// Id, whether the name is an alias, routine.
    requests: Vec<(u32, bool, u32)>,
    replies: Vec<(u32, bool, u32)>,
}

impl<'a> Builder<'a> {
    fn new(annotations: &'a Annotations) -> Self {
        Self {
            annotations,
            strings: Vec::new(),
            string_offsets: BTreeMap::new(),
            types: Vec::new(),
            type_indices: BTreeMap::new(),
            members: Vec::new(),
            member_runs: BTreeMap::new(),
            items: Vec::new(),
            subsystems: Vec::new(),
            routines: Vec::new(),
            requests: Vec::new(),
            replies: Vec::new(),
        }
    }

    fn string(&mut self, text: &str) -> u32 {
        if let Some(offset) = self.string_offsets.get(text) {
            return *offset;
        }
        let offset = self.strings.len() as u32;
        // Names are far shorter; one that is not is cut at a character.
        let mut length = text.len().min(usize::from(u16::MAX));
        while !text.is_char_boundary(length) {
            length -= 1;
        }
        self.strings.extend((length as u16).to_le_bytes());
        self.strings.extend(&text.as_bytes()[..length]);
        self.string_offsets.insert(text.to_string(), offset);
        offset
    }

    fn subsystem(&mut self, model: &Model) {
        let index = self.subsystems.len() as u32;
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
            self.items.push([name, ty, ItemRole::RequestPort as u32, NONE, 0, 0]);
        }
        for item in &layout.request.items {
            self.item(model, routine, item);
        }
        let reply_first = self.items.len() as u32;
        if !routine.one_way {
            for item in &layout.reply.items {
                self.item(model, routine, item);
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
        ]);
        let alias = routine.name.ends_with("_request") || routine.name.ends_with("_request_inband");
        self.requests.push((layout.request.id, alias, index));
        if !routine.one_way {
            self.replies.push((reply_id, alias, index));
        }
    }

    fn item(&mut self, model: &Model, routine: &Routine, item: &Item) {
        let (role, ty, argument) = match item.source {
            Source::RetCode => (ItemRole::RetCode, self.plain("kern_return_t", TypeKind::KernReturn, 4), None),
            Source::Count(_) => (ItemRole::Count, self.plain("mach_msg_type_number_t", TypeKind::Unsigned, 4), None),
            Source::Argument(index) => {
                let argument = &routine.arguments[index];
                (ItemRole::Argument, self.ty(model, argument.ty), Some(argument))
            }
        };
        let set = argument.map_or(NONE, |argument| {
            let place = std::format!("{}.{}", routine.name, argument.name);
            self.annotations.uses.get(&place).map_or(NONE, |set| *set as u32)
        });
        let name = self.string(&item.name);
        let word = |descriptor: Descriptor| Descriptor { number: 0, ..descriptor }.to_word() as u32;
        self.items.push([name, ty, role as u32, set, word(item.sent), word(item.received)]);
    }

    fn plain(&mut self, name: &str, kind: TypeKind, size: u32) -> u32 {
        let name = self.string(name);
        self.add_type([name, kind as u32, 0, 0, size, NONE])
    }

    fn add_type(&mut self, record: [u32; 6]) -> u32 {
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
        let root = model.ty(model.unaliased(id));
        let (kind, a, b, size) = match &root.shape {
            Shape::Basic | Shape::Alias(_) => (basic_kind(model, id), 0, 0, root.bytes),
            Shape::Array(element, count) => (TypeKind::Array, self.ty(model, *element), *count, root.bytes),
            Shape::VarArray(element, _) => (TypeKind::Array, self.ty(model, *element), 0, 0),
            Shape::OutOfLine(target) => (TypeKind::Array, self.out_of_line_element(model, *target), 0, 0),
            Shape::Struct(members) => {
                let (first, count) = self.struct_members(model, members);
                (TypeKind::Struct, first, count, root.bytes)
            }
            Shape::CString => (TypeKind::CString, 0, 0, if root.var_array { 0 } else { root.bytes }),
        };
        let set = self.set_of(model, id);
        let name = self.string(&model.display_name(id));
        self.add_type([name, kind as u32, a, b, size, set])
    }

    fn out_of_line_element(&mut self, model: &Model, target: TypeId) -> u32 {
        match model.ty(model.unaliased(target)).shape {
            Shape::VarArray(element, _) => self.ty(model, element),
            _ => self.ty(model, target),
        }
    }

    fn struct_members(&mut self, model: &Model, members: &[Member]) -> (u32, u32) {
        let run: Vec<[u32; 3]> = members
            .iter()
            .map(|member| {
                let ty = self.ty(model, member.ty);
                [self.string(&member.name), ty, member.offset]
            })
            .collect();
        let count = run.len() as u32;
        if let Some(first) = self.member_runs.get(&run) {
            return (*first, count);
        }
        let first = self.members.len() as u32;
        self.members.extend(&run);
        self.member_runs.insert(run, first);
        (first, count)
    }

    /// The set of the type, or of the nearest type it is another name for.
    fn set_of(&self, model: &Model, mut id: TypeId) -> u32 {
        loop {
            let ty = model.ty(id);
            if let Some(set) = ty.name.as_ref().and_then(|name| self.annotations.uses.get(&**name)) {
                return *set as u32;
            }
            match ty.shape {
                Shape::Alias(next) => id = next,
                _ => return NONE,
            }
        }
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
        self.requests.sort();
        self.replies.sort();
        let by_id = |list: &[(u32, bool, u32)]| list.iter().flat_map(|(id, _, routine)| [*id, *routine]).collect();
        let sections: [Vec<u32>; SECTIONS.len() - 1] = [
            self.types.concat(),
            self.members.concat(),
            self.items.concat(),
            self.subsystems.concat(),
            self.routines.concat(),
            by_id(&self.requests),
            by_id(&self.replies),
            sets.concat(),
            values.concat(),
            errors.concat(),
        ];
        write_file(&self.strings, &sections)
    }
}

fn write_file(strings: &[u8], sections: &[Vec<u32>; SECTIONS.len() - 1]) -> Vec<u8> {
    let mut body = strings.to_vec();
    body.resize(body.len().next_multiple_of(4), 0);
    let mut directory = Vec::from([PREFIX as u32, strings.len() as u32]);
    for (section, (_, words)) in sections.iter().zip(&SECTIONS[1..]) {
        directory.extend([(PREFIX + body.len()) as u32, (section.len() / words) as u32]);
        body.extend(section.iter().flat_map(|word| word.to_le_bytes()));
    }
    let mut file = MAGIC.to_vec();
    let head = [VERSION, 8, (PREFIX + body.len()) as u32, 0];
    file.extend(head.iter().chain(&directory).flat_map(|word| word.to_le_bytes()));
    file.extend(body);
    file
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
