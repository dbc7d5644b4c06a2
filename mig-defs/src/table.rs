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

mod check;
mod record;

pub use record::{Item, Items, Members, Names, Routine, Set, Type};

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
