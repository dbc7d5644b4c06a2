// SPDX-License-Identifier: GPL-2.0-or-later
//! Views of single records: routines, items, types, members, choices.

use mach_abi::Format;

use super::{
    CASES, CHOICES, Form, ITEMS, ItemRole, LISTS, MAKERS_MAX, MEMBERS, NONE, ROUTINES, Record, STRUCTS, SUBSYSTEMS,
    Set, Tables, TypeKind,
};

/// A routine.
#[derive(Clone, Copy, Debug)]
pub struct Routine<'a> {
    pub(super) tables: Tables<'a>,
    pub(super) index: usize,
}

impl<'a> Routine<'a> {
    fn get(&self, field: usize) -> u32 {
        self.tables.section(ROUTINES).get(self.index, field)
    }

    /// Its name.
    pub fn name(&self) -> &'a str {
        self.tables.string(self.get(0))
    }

    /// Its subsystem's name.
    pub fn subsystem(&self) -> &'a str {
        self.tables.string(self.tables.section(SUBSYSTEMS).get(self.get(1) as usize, 0))
    }

    /// `msgh_id` of its request.
    pub fn request_id(&self) -> u32 {
        self.get(2)
    }

    /// `msgh_id` of its reply; `None` if it is one-way.
    pub fn reply_id(&self) -> Option<u32> {
        Some(self.get(3)).filter(|id| *id != 0)
    }

    /// Least bytes of its request.
    pub fn request_size(&self) -> u32 {
        self.get(8)
    }

    /// Least bytes of its full reply.
    pub fn reply_size(&self) -> u32 {
        self.get(9)
    }

    /// Whether nothing but its name and ids is known, so that its messages are read by their type descriptors alone.
    pub fn is_name_only(&self) -> bool {
        self.get(10) == 1
    }

    /// Whether messages of this format can be read as its.
    pub(crate) fn is_for(&self, format: Format) -> bool {
        self.tables.format == format || self.is_name_only()
    }

    /// Whether what some data of its reply mean is said by its request, as by a flavor.
    pub fn reply_goes_by_request(&self) -> bool {
        self.items(true).any(|item| item.choice().is_some())
    }

    /// The items of its reply, or of its request: the request port first, then the body.
    pub fn items(&self, of_reply: bool) -> Items<'a> {
        let first = if of_reply { 6 } else { 4 };
        let start = self.get(first) as usize;
        Items { tables: self.tables, next: start, end: start + self.get(first + 1) as usize }
    }
}

/// An iterator over a message's items.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    tables: Tables<'a>,
    next: usize,
    end: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        let index = self.next;
        (index < self.end).then(|| {
            self.next += 1;
            Item { tables: self.tables, record: self.tables.section(ITEMS).record(index) }
        })
    }
}

/// An item of a message.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    tables: Tables<'a>,
    record: Record<'a>,
}

impl<'a> Item<'a> {
    fn get(&self, field: usize) -> u32 {
        self.record.get(field)
    }

    /// Its name.
    pub fn name(&self) -> &'a str {
        self.tables.string(self.get(0))
    }

    /// Its type.
    pub fn ty(&self) -> Type<'a> {
        self.tables.ty(self.get(1))
    }

    /// What it is for.
    pub fn role(&self) -> ItemRole {
        ItemRole::from_number(self.get(2)).unwrap_or(ItemRole::Argument)
    }

    /// What its numbers mean: said for this argument, or else for its type.
    pub fn set(&self) -> Option<Set<'a>> {
        self.set_or(self.ty())
    }

    /// What its numbers mean, for whoever has its type already: [`Item::set`].
    pub(crate) fn set_or(&self, ty: Type<'a>) -> Option<Set<'a>> {
        self.tables.set_at(self.get(3)).or_else(|| ty.set())
    }

    /// How its value is best written: said for this argument, or else for its type.
    pub fn form(&self) -> Form {
        self.form_or(self.ty())
    }

    /// How its value is best written, for whoever has its type already: [`Item::form`].
    pub(crate) fn form_or(&self, ty: Type<'a>) -> Form {
        match Form::from_number(self.get(6)) {
            None | Some(Form::Plain) => ty.form(),
            Some(form) => form,
        }
    }

    /// What its data mean beyond what its type says.
    pub fn choice(&self) -> Option<Choice<'a>> {
        let index = self.get(7);
        (index != NONE).then_some(Choice { tables: self.tables, index: index as usize })
    }

    /// Low word of its descriptor as sent (name, size and flags; not the number).
    pub fn sent(&self) -> u32 {
        self.get(4)
    }

    /// Low word of its descriptor as received.
    pub fn received(&self) -> u32 {
        self.get(5)
    }
}

/// A type.
#[derive(Clone, Copy, Debug)]
pub struct Type<'a> {
    pub(super) tables: Tables<'a>,
    pub(super) record: Record<'a>,
}

impl<'a> Type<'a> {
    fn get(&self, field: usize) -> u32 {
        self.record.get(field)
    }

    /// Its name.
    pub fn name(&self) -> &'a str {
        self.tables.string(self.get(0))
    }

    /// Whether its name ends in one of these, without reading it as text.
    pub fn is_called(&self, ends: &[&str]) -> bool {
        let name = self.tables.string_bytes(self.get(0) as usize).unwrap_or(&[]);
        ends.iter().any(|end| name.ends_with(end.as_bytes()))
    }

    /// What its values are.
    pub fn kind(&self) -> TypeKind {
        TypeKind::from_number(self.get(1)).unwrap_or(TypeKind::Opaque)
    }

    /// Bytes of one value; 0 if it varies.
    pub fn size(&self) -> usize {
        self.get(4) as usize
    }

    /// An array's element type, itself for anything else.
    pub fn element(&self) -> Self {
        if self.kind() == TypeKind::Array { self.tables.ty(self.get(2)) } else { *self }
    }

    /// What its numbers mean.
    pub fn set(&self) -> Option<Set<'a>> {
        self.tables.set_at(self.get(5))
    }

    /// How its values are best written.
    pub fn form(&self) -> Form {
        Form::from_number(self.get(6)).unwrap_or_default()
    }

    /// Whether `length` bytes are a value of it, or a struct's first members, as an older interface has them, or a struct with
    /// whole elements of the array at its end.
    pub(crate) fn begins_with(&self, length: usize) -> bool {
        let is_end = |member: Member<'_>| match member.ty.open_element() {
            Some(size) => length >= member.offset && (length - member.offset).is_multiple_of(size),
            None => length == member.offset,
        };
        // Members are in the order of their offsets: those behind the data say nothing.
        let mut members = self.members().take_while(|member| member.offset <= length);
        length == self.size() || (length > 0 && members.any(is_end))
    }

    /// Of an array without a size of its own: the bytes of an element.
    pub(crate) fn open_element(&self) -> Option<usize> {
        let is_open = self.kind() == TypeKind::Array && self.size() == 0;
        is_open.then(|| self.element().size()).filter(|size| *size > 0)
    }

    /// A struct's members.
    pub fn members(&self) -> Members<'a> {
        let (mut first, mut count) = (0, 0);
        if self.kind() == TypeKind::Struct {
            let record = self.tables.section(STRUCTS).record(self.get(2) as usize);
            (first, count) = (record.get(0) as usize, record.get(1) as usize);
        }
        Members { tables: self.tables, next: first, end: first + count }
    }
}

/// A struct's member.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub ty: Type<'a>,
    /// Where it stands in the struct.
    pub offset: usize,
    /// It is there if the number that chose the struct has one of these bits; 0: always.
    pub flags: u32,
}

/// An iterator over a struct's members.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    tables: Tables<'a>,
    next: usize,
    end: usize,
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        let index = self.next;
        (index < self.end).then(|| {
            self.next += 1;
            let record = self.tables.section(MEMBERS).record(index);
            Member {
                name: self.tables.string(record.get(0)),
                ty: self.tables.ty(record.get(1)),
                offset: record.get(2) as usize,
                flags: record.get(3),
            }
        })
    }
}

/// A type that depends on a number in the request.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    tables: Tables<'a>,
    index: usize,
}

impl<'a> Choice<'a> {
    fn get(&self, field: usize) -> u32 {
        self.tables.section(CHOICES).get(self.index, field)
    }

    /// The place of the item whose number chooses among those of the routine's request.
    /// `None` if there is one case whatever the request says.
    pub(crate) fn maker(&self, routine: &Routine<'_>) -> Option<usize> {
        let items = routine.items(false);
        let place = (self.get(0) as usize).checked_sub(items.next)?;
        (place < (items.end - items.next).min(MAKERS_MAX)).then_some(place)
    }

    /// The type for this number, or for one that is not known.
    pub fn case(&self, number: Option<u32>) -> Option<Type<'a>> {
        let (lists, cases) = (self.tables.section(LISTS), self.tables.section(CASES));
        let list = lists.record(self.get(1) as usize);
        let at = number.and_then(|number| cases.find(list.get(0) as usize, list.get(1) as usize, number));
        let ty = at.map_or(list.get(2), |at| cases.get(at, 1));
        (ty != NONE).then(|| self.tables.ty(ty))
    }
}
