//! Decode tables: one binary file that holds every routine and type a decoder needs, checked once when it is opened.
//!
//! All numbers are little-endian `u32`. The file starts with
//!
//! ```text
//! offset  bytes  item
//!      0      8  magic "MACHMDT\n"
//!      8      4  version, 1
//!     12      4  bytes of a word in the message format: 8 (LP64)
//!     16      4  size of the whole file
//!     20      4  0
//!     24    8*n  for each of the n = 11 sections: offset from the start of the file, number of records
//! ```
//!
//! and the sections follow in the order of [`SECTIONS`], each record a fixed number of `u32`:
//!
//! ```text
//! strings    1/4  bytes: each string a u16 length and that many bytes of UTF-8; records count bytes here
//! types      6    name, kind, a, b, bytes of a value, set         (kinds and what a and b mean: [`TypeKind`])
//! members    3    name, type, offset in the struct
//! items      6    name, type, role, set, descriptor sent (low word), descriptor received (low word)
//! subsystems 3    name, base, number of routines
//! routines   10   name, subsystem, request id, reply id (0: none), first request item, count, first reply item, count,
//!                 request size at least, reply size at least
//! requests   2    id, routine: sorted by id, the canonical name of an id first
//! replies    2    id, routine: sorted likewise
//! sets       4    name, kind (0 enumeration, 1 flags), first value, count
//! values     2    number, name: sorted by number within an enumeration
//! errors     2    kern_return_t, name: sorted by number as unsigned
//! ```
//!
//! A string is referred to by its offset in the strings section; "no set" is `u32::MAX`.

use thiserror::Error;

use crate::wire::read_u32;

/// First bytes of a table file.
pub const MAGIC: [u8; 8] = *b"MACHMDT\n";
/// The version this build writes and reads.
pub const VERSION: u32 = 1;
/// "No set".
pub const NONE: u32 = u32::MAX;
/// Bytes before the first section.
pub const PREFIX: usize = 24 + 8 * SECTIONS.len();

/// Name and words per record of every section, in file order.
pub const SECTIONS: [(&str, usize); 11] = [
    ("strings", 0),
    ("types", 6),
    ("members", 3),
    ("items", 6),
    ("subsystems", 3),
    ("routines", 10),
    ("requests", 2),
    ("replies", 2),
    ("sets", 4),
    ("values", 2),
    ("errors", 2),
];

const STRINGS: usize = 0;
const TYPES: usize = 1;
const MEMBERS: usize = 2;
const ITEMS: usize = 3;
const SUBSYSTEMS: usize = 4;
const ROUTINES: usize = 5;
const REQUESTS: usize = 6;
const REPLIES: usize = 7;
const SETS: usize = 8;
const VALUES: usize = 9;
const ERRORS: usize = 10;

/// What a type's values are, and what the fields `a` and `b` of its record say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum TypeKind {
    /// An unsigned integer.
    Unsigned = 0,
    /// A signed integer.
    Signed = 1,
    /// True or false.
    Bool = 2,
    /// A character.
    Char = 3,
    /// A byte of data.
    Byte = 4,
    /// A port's name, without a right.
    PortName = 5,
    /// A port right.
    Port = 6,
    /// A `kern_return_t`.
    KernReturn = 7,
    /// `a` is the element type, `b` the number of elements, 0 if it varies.
    Array = 8,
    /// `a` is the first member, `b` the number of members.
    Struct = 9,
    /// A C string.
    CString = 10,
    /// A floating-point number, or data of an unknown kind.
    Opaque = 11,
}

impl TypeKind {
    const ALL: [Self; 12] = [
        Self::Unsigned,
        Self::Signed,
        Self::Bool,
        Self::Char,
        Self::Byte,
        Self::PortName,
        Self::Port,
        Self::KernReturn,
        Self::Array,
        Self::Struct,
        Self::CString,
        Self::Opaque,
    ];

    fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(number as usize).copied()
    }
}

/// What an item of a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ItemRole {
    /// The port in the header that the request goes to.
    RequestPort = 0,
    /// An argument in the body.
    Argument = 1,
    /// The return code.
    RetCode = 2,
    /// How many elements the caller has room for.
    Count = 3,
}

impl ItemRole {
    fn from_number(number: u32) -> Option<Self> {
        [Self::RequestPort, Self::Argument, Self::RetCode, Self::Count].get(number as usize).copied()
    }
}

/// Why bytes are not decode tables of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TableError {
    /// Shorter than its own header says.
    #[error("decode tables: {item} at offset {offset} needs {need} bytes, the file has {have}")]
    Truncated {
        /// What was being read.
        item: &'static str,
        /// Where.
        offset: usize,
        /// Bytes it needs from there.
        need: usize,
        /// Bytes there are from there.
        have: usize,
    },
    /// Does not start with [`MAGIC`].
    #[error("not decode tables: the file does not start with MACHMDT")]
    NotTables,
    /// Written by another version of the compiler.
    #[error("decode tables have version {found}, this program reads version {VERSION}; compile the .defs again")]
    WrongVersion {
        /// The version found.
        found: u32,
    },
    /// For another message format.
    #[error("decode tables are for a {found}-byte word, this program reads 8-byte words")]
    WrongWord {
        /// The word size found.
        found: u32,
    },
    /// A record refers to something that is not there, or has a value this version does not know.
    #[error("decode tables: record {index} of {section} has an invalid field {field}")]
    BadRecord {
        /// Section.
        section: &'static str,
        /// Record.
        index: usize,
        /// Which field, from 0.
        field: usize,
    },
}

/// Decode tables, checked: no lookup in them can fail or panic.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    sections: [Section<'a>; SECTIONS.len()],
}

#[derive(Clone, Copy, Debug)]
struct Section<'a> {
    bytes: &'a [u8],
    count: usize,
    words: usize,
}

impl Section<'_> {
    /// Field `field` of record `index`; 0 if there is none, which the check at opening excludes.
    fn get(&self, index: usize, field: usize) -> u32 {
        read_u32(self.bytes, (index * self.words + field) * 4).unwrap_or(0)
    }

    /// The first record from `from` whose field 0 is not less than `key`.
    fn lower_bound(&self, from: usize, count: usize, key: u32) -> usize {
        let (mut low, mut high) = (from, from + count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle, 0) < key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn find(&self, from: usize, count: usize, key: u32) -> Option<usize> {
        let at = self.lower_bound(from, count, key);
        (at < from + count && self.get(at, 0) == key).then_some(at)
    }
}

impl<'a> Tables<'a> {
    /// Opens decode tables and checks every record.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, TableError> {
        let word = |item, offset| {
            read_u32(bytes, offset).ok_or(TableError::Truncated {
                item,
                offset,
                need: 4,
                have: bytes.len().saturating_sub(offset),
            })
        };
        if !bytes.starts_with(&MAGIC[..bytes.len().min(MAGIC.len())]) {
            return Err(TableError::NotTables);
        }
        let found = word("version", 8)?;
        if found != VERSION {
            return Err(TableError::WrongVersion { found });
        }
        let found = word("word size", 12)?;
        if found != 8 {
            return Err(TableError::WrongWord { found });
        }
        let size = word("file size", 16)? as usize;
        if size > bytes.len() {
            return Err(TableError::Truncated { item: "the file", offset: 0, need: size, have: bytes.len() });
        }
        let empty = Section { bytes: &[], count: 0, words: 0 };
        let mut sections = [empty; SECTIONS.len()];
        for (index, (name, words)) in SECTIONS.into_iter().enumerate() {
            let offset = word(name, 24 + index * 8)? as usize;
            let count = word(name, 28 + index * 8)? as usize;
            let need = count.saturating_mul((words * 4).max(1));
            let data = offset.checked_add(need).and_then(|end| bytes.get(offset..end));
            let have = bytes.len().saturating_sub(offset);
            let bytes = data.ok_or(TableError::Truncated { item: name, offset, need, have })?;
            sections[index] = Section { bytes, count, words };
        }
        let tables = Self { sections };
        tables.check()?;
        Ok(tables)
    }

    fn check(&self) -> Result<(), TableError> {
        self.check_each(TYPES, |field, get| match field {
            0 => self.is_string(get(0)),
            1 => TypeKind::from_number(get(1)).is_some(),
            2 | 3 => self.is_sound_type(get(1), get(2), get(3)),
            4 => TypeKind::from_number(get(1)) == Some(TypeKind::Array) || get(4) < 1 << 30,
            _ => self.is_set(get(5)),
        })?;
        // A type refers only to types before it, so that following references always ends.
        for index in 0..self.sections[TYPES].count {
            if !self.refers_backwards(index) {
                return Err(TableError::BadRecord { section: "types", index, field: 2 });
            }
        }
        self.check_each(MEMBERS, |field, get| match field {
            0 => self.is_string(get(0)),
            1 => (get(1) as usize) < self.sections[TYPES].count,
            _ => get(2) < 1 << 30,
        })?;
        self.check_each(ITEMS, |field, get| match field {
            0 => self.is_string(get(0)),
            1 => (get(1) as usize) < self.sections[TYPES].count,
            2 => ItemRole::from_number(get(2)).is_some(),
            3 => self.is_set(get(3)),
            _ => true,
        })?;
        self.check_each(SUBSYSTEMS, |field, get| field != 0 || self.is_string(get(0)))?;
        self.check_each(ROUTINES, |field, get| match field {
            0 => self.is_string(get(0)),
            1 => (get(1) as usize) < self.sections[SUBSYSTEMS].count,
            5 | 7 => self.is_range(ITEMS, get(field - 1), get(field)),
            _ => true,
        })?;
        for section in [REQUESTS, REPLIES] {
            self.check_each(section, |field, get| field == 0 || (get(1) as usize) < self.sections[ROUTINES].count)?;
            self.check_sorted(section, 0, self.sections[section].count)?;
        }
        self.check_each(SETS, |field, get| match field {
            0 => self.is_string(get(0)),
            1 => get(1) <= 1,
            _ => self.is_range(VALUES, get(2), get(3)),
        })?;
        for set in 0..self.sections[SETS].count {
            let section = self.sections[SETS];
            if section.get(set, 1) == 0 {
                self.check_sorted(VALUES, section.get(set, 2) as usize, section.get(set, 3) as usize)?;
            }
        }
        for section in [VALUES, ERRORS] {
            self.check_each(section, |field, get| field == 0 || self.is_string(get(1)))?;
        }
        self.check_sorted(ERRORS, 0, self.sections[ERRORS].count)
    }

    fn check_each(
        &self,
        section: usize,
        sound: impl Fn(usize, &dyn Fn(usize) -> u32) -> bool,
    ) -> Result<(), TableError> {
        let records = self.sections[section];
        for index in 0..records.count {
            let get = |field| records.get(index, field);
            if let Some(field) = (0..records.words).find(|field| !sound(*field, &get)) {
                return Err(TableError::BadRecord { section: SECTIONS[section].0, index, field });
            }
        }
        Ok(())
    }

    fn check_sorted(&self, section: usize, from: usize, count: usize) -> Result<(), TableError> {
        let records = self.sections[section];
        match (from + 1..from + count).find(|index| records.get(index - 1, 0) > records.get(*index, 0)) {
            Some(index) => Err(TableError::BadRecord { section: SECTIONS[section].0, index, field: 0 }),
            None => Ok(()),
        }
    }

    fn is_string(&self, offset: u32) -> bool {
        self.string_checked(offset).is_some()
    }

    fn is_set(&self, set: u32) -> bool {
        set == NONE || (set as usize) < self.sections[SETS].count
    }

    fn is_range(&self, section: usize, first: u32, count: u32) -> bool {
        first.checked_add(count).is_some_and(|end| end as usize <= self.sections[section].count)
    }

    fn is_sound_type(&self, kind: u32, a: u32, b: u32) -> bool {
        match TypeKind::from_number(kind) {
            Some(TypeKind::Array) => (a as usize) < self.sections[TYPES].count,
            Some(TypeKind::Struct) => self.is_range(MEMBERS, a, b),
            _ => true,
        }
    }

    fn refers_backwards(&self, index: usize) -> bool {
        let types = self.sections[TYPES];
        let (a, b) = (types.get(index, 2), types.get(index, 3));
        match TypeKind::from_number(types.get(index, 1)) {
            Some(TypeKind::Array) => (a as usize) < index,
            Some(TypeKind::Struct) => {
                (a..a + b).all(|member| (self.sections[MEMBERS].get(member as usize, 1) as usize) < index)
            }
            _ => true,
        }
    }

    fn string_checked(&self, offset: u32) -> Option<&'a str> {
        let bytes = self.sections[STRINGS].bytes;
        let start = (offset as usize).checked_add(2)?;
        let length = u16::from_le_bytes(bytes.get(offset as usize..start)?.try_into().ok()?);
        core::str::from_utf8(bytes.get(start..start + usize::from(length))?).ok()
    }

    fn string(&self, offset: u32) -> &'a str {
        self.string_checked(offset).unwrap_or("")
    }

    /// How many subsystems there are.
    pub fn subsystem_count(&self) -> usize {
        self.sections[SUBSYSTEMS].count
    }

    /// Every routine, by subsystem and number.
    pub fn routines(&self) -> impl Iterator<Item = Routine<'a>> {
        let tables = *self;
        (0..self.sections[ROUTINES].count).map(move |index| Routine { tables, index })
    }

    /// The routine with this request id: its canonical name if it has several.
    pub fn request(&self, id: u32) -> Option<Routine<'a>> {
        self.by_id(REQUESTS, id)
    }

    /// The routine whose reply has this id.
    pub fn reply(&self, id: u32) -> Option<Routine<'a>> {
        self.by_id(REPLIES, id)
    }

    /// Whether `id` is a reply: no request has it.
    pub fn is_reply(&self, id: u32) -> bool {
        self.request(id).is_none() && self.reply(id).is_some()
    }

    /// All routines with this request id, the canonical one first.
    pub fn requests(&self, id: u32) -> impl Iterator<Item = Routine<'a>> {
        let tables = *self;
        let section = self.sections[REQUESTS];
        let first = section.lower_bound(0, section.count, id);
        (first..section.count)
            .take_while(move |at| section.get(*at, 0) == id)
            .map(move |at| Routine { tables, index: section.get(at, 1) as usize })
    }

    fn by_id(&self, section: usize, id: u32) -> Option<Routine<'a>> {
        let records = self.sections[section];
        let at = records.find(0, records.count, id)?;
        Some(Routine { tables: *self, index: records.get(at, 1) as usize })
    }

    /// The name of a `kern_return_t`, `mach_msg_return_t`, MIG or device error.
    pub fn error_name(&self, code: i32) -> Option<&'a str> {
        let errors = self.sections[ERRORS];
        errors.find(0, errors.count, code as u32).map(|at| self.string(errors.get(at, 1)))
    }

    /// The set with this name, for values that do not come from a message (`mach_msg` options).
    pub fn set(&self, name: &str) -> Option<Set<'a>> {
        (0..self.sections[SETS].count).map(|index| Set { tables: *self, index }).find(|set| set.name() == name)
    }

    pub(crate) fn ty(&self, index: u32) -> Type<'a> {
        Type { tables: *self, index: index as usize }
    }

    fn set_at(&self, index: u32) -> Option<Set<'a>> {
        (index != NONE).then_some(Set { tables: *self, index: index as usize })
    }
}

/// A routine.
#[derive(Clone, Copy, Debug)]
pub struct Routine<'a> {
    tables: Tables<'a>,
    index: usize,
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
    tables: Tables<'a>,
    index: usize,
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
    tables: Tables<'a>,
    index: usize,
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
    tables: Tables<'a>,
    index: usize,
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
