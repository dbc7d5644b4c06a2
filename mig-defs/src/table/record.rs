//! Views of single records: routines, items, types, members, sets.

use super::{ITEMS, ItemRole, MEMBERS, ROUTINES, SETS, SUBSYSTEMS, TYPES, Tables, TypeKind, VALUES};

/// A routine.
#[derive(Clone, Copy, Debug)]
pub struct Routine<'a> {
    pub(super) tables: Tables<'a>,
    pub(super) index: usize,
}

impl<'a> Routine<'a> {
    fn get(&self, field: usize) -> u32 {
        self.tables.sections[ROUTINES].get(self.index, field)
    }

    /// Its name.
    pub fn name(&self) -> &'a str {
        self.tables.string(self.get(0))
    }

    /// Its subsystem's name.
    pub fn subsystem(&self) -> &'a str {
        self.tables.string(self.tables.sections[SUBSYSTEMS].get(self.get(1) as usize, 0))
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
            Item { tables: self.tables, index }
        })
    }
}

/// An item of a message.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    pub(super) tables: Tables<'a>,
    pub(super) index: usize,
}

impl<'a> Item<'a> {
    fn get(&self, field: usize) -> u32 {
        self.tables.sections[ITEMS].get(self.index, field)
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
    pub(super) index: usize,
}

impl<'a> Type<'a> {
    fn get(&self, field: usize) -> u32 {
        self.tables.sections[TYPES].get(self.index, field)
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
        let members = self.tables.sections[MEMBERS];
        (index < self.end).then(|| {
            self.next += 1;
            let ty = self.tables.ty(members.get(index, 1));
            (self.tables.string(members.get(index, 0)), ty, members.get(index, 2) as usize)
        })
    }
}

/// What numbers of a type mean: an enumeration or a set of flags.
#[derive(Clone, Copy, Debug)]
pub struct Set<'a> {
    pub(super) tables: Tables<'a>,
    pub(super) index: usize,
}

impl<'a> Set<'a> {
    fn get(&self, field: usize) -> u32 {
        self.tables.sections[SETS].get(self.index, field)
    }

    /// The set's name.
    pub fn name(&self) -> &'a str {
        self.tables.string(self.get(0))
    }

    /// Whether values are combined bit by bit.
    pub fn is_flags(&self) -> bool {
        self.get(1) == 1
    }

    /// The name of exactly this number.
    pub fn name_of(&self, number: u32) -> Option<&'a str> {
        let values = self.tables.sections[VALUES];
        let (first, count) = (self.get(2) as usize, self.get(3) as usize);
        let at = match self.is_flags() {
            true => (first..first + count).find(|at| values.get(*at, 0) == number),
            false => values.find(first, count, number),
        }?;
        Some(self.tables.string(values.get(at, 1)))
    }

    /// The names that make up `number`, in the order of the annotation file. [`Names::rest`] is what has no name.
    pub fn names_of(&self, number: u32) -> Names<'a> {
        let first = self.get(2) as usize;
        Names { set: *self, next: first, end: first + self.get(3) as usize, rest: number, all: number, found: false }
    }
}

/// The names of the parts of a number.
#[derive(Clone, Debug)]
pub struct Names<'a> {
    set: Set<'a>,
    next: usize,
    end: usize,
    rest: u32,
    all: u32,
    found: bool,
}

impl Names<'_> {
    /// The bits (or, of an enumeration, the number) that no name so far stands for.
    pub fn rest(&self) -> u32 {
        self.rest
    }
}

impl<'a> Iterator for Names<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let values = self.set.tables.sections[VALUES];
        while self.next < self.end && !(self.found && self.rest == 0) {
            let index = self.next;
            self.next += 1;
            let value = values.get(index, 0);
            let matches = match (self.set.is_flags(), value) {
                (false, _) | (true, 0) => value == self.all,
                // A combination may be named before its parts: it then takes all its bits at once.
                (true, _) => self.rest & value == value,
            };
            if matches {
                self.rest &= !value;
                self.found = true;
                return Some(self.set.tables.string(values.get(index, 1)));
            }
        }
        None
    }
}
