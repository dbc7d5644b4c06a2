//! Views of single records: routines, items, types, members, choices.

use super::{
    CASES, CHOICES, Form, ITEMS, ItemRole, MEMBERS, NONE, ROUTINES, Record, SUBSYSTEMS, Set, Tables, TypeKind,
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
            Item { tables: self.tables, index, record: self.tables.section(ITEMS).record(index) }
        })
    }
}

/// An item of a message.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    tables: Tables<'a>,
    index: usize,
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
        self.tables.set_at(self.get(3)).or_else(|| self.ty().set())
    }

    /// How its value is best written: said for this argument, or else for its type.
    pub fn form(&self) -> Form {
        match Form::from_number(self.get(6)) {
            None | Some(Form::Plain) => self.ty().form(),
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

    /// Whether `length` bytes are a value of it, or a struct's first members, as an older interface has them.
    pub(crate) fn begins_with(&self, length: usize) -> bool {
        length == self.size() || (length > 0 && self.members().any(|(_, _, offset)| offset == length))
    }

    /// A struct's members.
    pub fn members(&self) -> Members<'a> {
        let is_struct = self.kind() == TypeKind::Struct;
        let (first, count) = if is_struct { (self.get(2) as usize, self.get(3) as usize) } else { (0, 0) };
        Members { tables: self.tables, next: first, end: first + count }
    }
}

/// An iterator over a struct's members: name, type and offset.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    tables: Tables<'a>,
    next: usize,
    end: usize,
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, Type<'a>, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let index = self.next;
        let members = self.tables.section(MEMBERS);
        (index < self.end).then(|| {
            self.next += 1;
            let ty = self.tables.ty(members.get(index, 1));
            (self.tables.string(members.get(index, 0)), ty, members.get(index, 2) as usize)
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

    /// Whether `item` is the one whose number chooses.
    pub(crate) fn is_made_by(&self, item: &Item<'_>) -> bool {
        self.get(0) as usize == item.index
    }

    /// Whether there is one case whatever the request says.
    pub(crate) fn is_fixed(&self) -> bool {
        self.get(0) == NONE
    }

    /// The type for this number.
    pub fn case(&self, number: u32) -> Option<Type<'a>> {
        let cases = self.tables.section(CASES);
        let (first, count) = (self.get(1) as usize, self.get(2) as usize);
        let at = if self.is_fixed() { (count > 0).then_some(first) } else { cases.find(first, count, number) };
        at.map(|at| self.tables.ty(cases.get(at, 1)))
    }
}
