// SPDX-License-Identifier: GPL-2.0-or-later
//! Decode tables: one binary file that holds every routine and type a decoder needs, checked once when it is opened.
//!
//! A file is one table or several one after another (`cat mine.mdt interfaces.mdt`): a message is looked up in the first
//! one, then in the second, and so on. All numbers are little-endian `u32`. A table starts with
//!
//! ```text
//! offset  bytes  item
//!      0      8  magic "MACHMDT\n"
//!      8      4  version, 4
//!     12      4  bytes of a word in the message format: 8 (64-bit kernels) or 4; of a table of names alone either
//!     16      4  size of this table; a multiple of 4
//!     20      4  0
//!     24    8*n  for each of the n = 15 sections: offset from the start of the table, number of records
//! ```
//!
//! and the sections follow in the order of [`SECTIONS`], each record a fixed number of `u32`:
//!
//! ```text
//! strings    1/4  bytes: each string is a byte 0, its length in a byte, at most 127, and its UTF-8 without a 0; records count bytes here
//! types      7    name, kind, a, b, bytes of a value, set, form   (kinds and what a and b mean: [`TypeKind`])
//! members    4    name, type, offset in the struct, flags (0: always there; else there if the number that chose has one of them)
//! items      8    name, type, role, set, descriptor sent (low word), descriptor received (low word), form, choice
//! subsystems 3    name, base, number of routines
//! routines   11   name, subsystem, request id, reply id (0: none), first request item, count, first reply item, count,
//!                 request size at least, reply size at least, 1 if only name and ids are known, else 0
//! requests   2    id, routine: sorted by id, the canonical name of an id first
//! replies    2    id, routine: sorted likewise
//! sets       4    name, kind (0 enumeration, 1 flags), first value, count
//! values     2    number, name: sorted by number within an enumeration
//! errors     2    kern_return_t, name: sorted by number as unsigned
//! choices    2    the request's item whose number chooses, case list
//! cases      2    number, type: sorted by number within a list
//! structs    3    first member, count, a type index that all types of its members are below
//! lists      3    first case, count, the type for every other number (none: the .defs' own)
//! ```
//!
//! A string is referred to by its offset in the strings section; "no set", "no choice", "no type" and "no item" are
//! `u32::MAX`. A form is how a value is best written: [`Form`]. An item with a choice is of its own type in the message; the
//! case says what the data mean (`task_info_out` is an array of integers, and with TASK_BASIC_INFO a `task_basic_info`).
//! A struct's last member may be an array of 0 bytes: it has as many elements as the data hold.
//!
//! **A table is checked in time proportional to its size**, and what it makes of a message is bounded by the message, so that
//! a table need not come from us: a record is checked by itself and refers to checked ones, the runs of members, values and
//! cases stand one after the other and are each checked once, a type is made of types before it, the members of a struct
//! stand side by side and have at least a byte each, a set of flags has at most [`FLAGS_MAX`] names.
//!
//! **Versions.** A reader knows exactly one version and refuses every other ([`TableError::WrongVersion`], with both
//! numbers); tables are quick to compile again, so there is no conversion. The version grows with any change to the above,
//! also with a new kind, role or form. 3: strings are marked, structs and lists have records of their own, members have flags,
//! lists an other case, and there are wait statuses. 4: all strings together are UTF-8, which is checked once.

use mach_abi::Format;
use thiserror::Error;

use mach_abi::bytes::read_u32;

mod check;
#[cfg(test)]
mod hostile;
mod kind;
mod record;
mod set;
#[cfg(any(test, feature = "lists"))]
pub(crate) mod write;

pub use kind::{Form, ItemRole, TypeKind};
pub use record::{Choice, Item, Items, Member, Members, Routine, Type};
pub use set::{Names, Set};

/// First bytes of a table file.
pub const MAGIC: [u8; 8] = *b"MACHMDT\n";
/// The version this build writes and reads.
pub const VERSION: u32 = 4;
/// "No set".
pub const NONE: u32 = u32::MAX;
/// Names in a set of flags: they are gone through one by one.
pub const FLAGS_MAX: u32 = 128;
/// Items of a request, from its first, that a choice can go by: they are gone through for each choice.
pub const MAKERS_MAX: usize = 64;
/// What a string starts with, and does not have in it.
pub const STRING_MARK: u8 = 0;
/// Bytes of a string: a length is a byte of UTF-8, too.
pub const STRING_MAX: usize = 127;
/// Bytes before the first section.
pub const PREFIX: usize = 24 + 8 * SECTIONS.len();

/// Name and words per record of every section, in file order.
pub const SECTIONS: [(&str, usize); 15] = [
    ("strings", 0),
    ("types", 7),
    ("members", 4),
    ("items", 8),
    ("subsystems", 3),
    ("routines", 11),
    ("requests", 2),
    ("replies", 2),
    ("sets", 4),
    ("values", 2),
    ("errors", 2),
    ("choices", 2),
    ("cases", 2),
    ("structs", 3),
    ("lists", 3),
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
const CHOICES: usize = 11;
const CASES: usize = 12;
const STRUCTS: usize = 13;
const LISTS: usize = 14;

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
    #[error("decode tables: expected version {VERSION}, found {found}; compile the .defs again (`mig-defs table`)")]
    WrongVersion {
        /// The version found.
        found: u32,
    },
    /// For a message format that there is not.
    #[error("decode tables are for a {found}-byte word, there are formats of 4 and 8 bytes")]
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
    /// One table, and those after it.
    bytes: &'a [u8],
    /// Its strings, of the first table: reading a string out of them costs less than checking it again.
    strings: Option<&'a str>,
    /// The format whose messages it describes.
    format: Format,
}

/// The words of one record.
#[derive(Clone, Copy, Debug)]
struct Record<'a>(&'a [u8]);

impl Record<'_> {
    /// Field `field`; 0 if there is none, which the check at opening excludes.
    fn get(&self, field: usize) -> u32 {
        read_u32(self.0, field * 4).unwrap_or(0)
    }
}

#[derive(Clone, Copy, Debug)]
struct Section<'a> {
    bytes: &'a [u8],
    count: usize,
    words: usize,
}

impl<'a> Section<'a> {
    /// Record `index`, for whoever reads several fields of it; empty if there is none.
    fn record(&self, index: usize) -> Record<'a> {
        #[cfg(test)]
        hostile::count_step();
        let start = index * self.words * 4;
        Record(self.bytes.get(start..start + self.words * 4).unwrap_or(&[]))
    }

    /// Field `field` of record `index`; 0 if there is none, which the check at opening excludes.
    fn get(&self, index: usize, field: usize) -> u32 {
        #[cfg(test)]
        hostile::count_step();
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
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, TableError> {
        let first = Self::split(bytes)?;
        let mut next = Some(first);
        while let Some(tables) = next {
            tables.check_directory()?;
            tables.check()?;
            next = match tables.rest() {
                [] => None,
                rest => Some(Self::split(rest)?),
            };
        }
        let (offset, count) = first.directory(STRINGS);
        let strings = bytes.get(offset..offset + count).and_then(|strings| core::str::from_utf8(strings).ok());
        Ok(Self { strings, ..first })
    }

    /// Checks the head of the first table.
    fn split(bytes: &'a [u8]) -> Result<Self, TableError> {
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
        let format = Format::of_word(found).ok_or(TableError::WrongWord { found })?;
        let size = (word("file size", 16)? as usize).max(PREFIX);
        if size > bytes.len() {
            return Err(TableError::Truncated { item: "the table", offset: 0, need: size, have: bytes.len() });
        }
        Ok(Self { bytes, strings: None, format })
    }

    /// Bytes of this table.
    fn size(&self) -> usize {
        (read_u32(self.bytes, 16).unwrap_or(0) as usize).max(PREFIX)
    }

    /// The bytes of the tables after it.
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.size()..).unwrap_or(&[])
    }

    fn check_directory(&self) -> Result<(), TableError> {
        let size = self.size();
        for (index, (item, words)) in SECTIONS.into_iter().enumerate() {
            let (offset, count) = self.directory(index);
            let need = count.saturating_mul((words * 4).max(1));
            if offset.checked_add(need).is_none_or(|end| end > size) {
                let have = size.saturating_sub(offset);
                return Err(TableError::Truncated { item, offset, need, have });
            }
        }
        Ok(())
    }

    /// Offset and number of records of a section.
    fn directory(&self, section: usize) -> (usize, usize) {
        // One comparison for both words.
        let prefix = self.bytes.first_chunk::<PREFIX>().unwrap_or(&[0; PREFIX]);
        let word = |offset| read_u32(prefix, offset).unwrap_or(0) as usize;
        (word(24 + section * 8), word(28 + section * 8))
    }

    fn section(&self, section: usize) -> Section<'a> {
        let (offset, count) = self.directory(section);
        let words = SECTIONS[section].1;
        Section { bytes: self.bytes.get(offset..).unwrap_or(&[]), count, words }
    }

    /// The tables that follow in the file.
    fn next(&self) -> Option<Self> {
        let rest = self.rest();
        if rest.is_empty() { None } else { Self::split(rest).ok() }
    }

    /// This table and those after it.
    pub(crate) fn all(self) -> impl Iterator<Item = Self> {
        core::iter::successors(Some(self), Self::next)
    }

    /// The bytes of the string at `offset`; `None` if none starts there.
    fn string_bytes(&self, offset: usize) -> Option<&'a [u8]> {
        let strings = self.section(STRINGS);
        let [mark, length, text @ ..] = strings.bytes.get(offset..strings.count)? else { return None };
        text.get(..usize::from(*length)).filter(|text| *mark == STRING_MARK && text.len() <= STRING_MAX)
    }

    fn string(&self, offset: u32) -> &'a str {
        if let Some(strings) = self.strings {
            let start = offset as usize + 2;
            let length = strings.as_bytes().get(start - 1).map_or(0, |length| usize::from(*length));
            return strings.get(start..start + length).unwrap_or("");
        }
        let text = self.string_bytes(offset as usize).and_then(|bytes| core::str::from_utf8(bytes).ok());
        text.unwrap_or("")
    }

    /// How many subsystems there are.
    pub fn subsystem_count(&self) -> usize {
        self.all().map(|tables| tables.section(SUBSYSTEMS).count).sum()
    }

    /// Every routine, by subsystem and number.
    pub fn routines(&self) -> impl Iterator<Item = Routine<'a>> {
        self.all().flat_map(|tables| (0..tables.section(ROUTINES).count).map(move |index| Routine { tables, index }))
    }

    /// The routine with this request id: its canonical name if it has several.
    pub fn request(&self, id: u32) -> Option<Routine<'a>> {
        self.all().find_map(|tables| tables.by_id(REQUESTS, id))
    }

    /// The routine whose reply has this id.
    pub fn reply(&self, id: u32) -> Option<Routine<'a>> {
        self.all().find_map(|tables| tables.by_id(REPLIES, id))
    }

    /// The routine whose reply has this id, by a table that knows messages of this format.
    pub(crate) fn reply_of(&self, format: Format, id: u32) -> Option<Routine<'a>> {
        self.all().find_map(|tables| tables.of_format(format, REPLIES, id))
    }

    /// The routines that this id is a request and a reply of, in the first table that knows it and messages of this format.
    pub(crate) fn either(&self, format: Format, id: u32) -> (Option<Routine<'a>>, Option<Routine<'a>>) {
        let both = |tables: Self| (tables.of_format(format, REQUESTS, id), tables.of_format(format, REPLIES, id));
        self.all().map(both).find(|found| !matches!(found, (None, None))).unwrap_or((None, None))
    }

    /// All routines with this request id, the canonical one first.
    pub fn requests(&self, id: u32) -> impl Iterator<Item = Routine<'a>> {
        self.all().flat_map(move |tables| {
            let section = tables.section(REQUESTS);
            let first = section.lower_bound(0, section.count, id);
            (first..section.count)
                .take_while(move |at| section.get(*at, 0) == id)
                .map(move |at| Routine { tables, index: section.get(at, 1) as usize })
        })
    }

    /// Of a routine of which only the name is known, messages are read by their descriptors, in any format.
    fn of_format(&self, format: Format, section: usize, id: u32) -> Option<Routine<'a>> {
        self.by_id(section, id).filter(|routine| routine.is_for(format))
    }

    fn by_id(&self, section: usize, id: u32) -> Option<Routine<'a>> {
        let records = self.section(section);
        let at = records.find(0, records.count, id)?;
        Some(Routine { tables: *self, index: records.get(at, 1) as usize })
    }

    /// The name of a `kern_return_t`, `mach_msg_return_t`, MIG, device or Hurd error.
    pub fn error_name(&self, code: i32) -> Option<&'a str> {
        self.all().find_map(|tables| {
            let errors = tables.section(ERRORS);
            errors.find(0, errors.count, code as u32).map(|at| tables.string(errors.get(at, 1)))
        })
    }

    /// All codes that have a name, and their names.
    pub fn errors(&self) -> impl Iterator<Item = (i32, &'a str)> {
        self.all().flat_map(|tables| {
            let errors = tables.section(ERRORS);
            (0..errors.count).map(move |at| (errors.get(at, 0) as i32, tables.string(errors.get(at, 1))))
        })
    }

    /// All sets of constants.
    pub fn sets(&self) -> impl Iterator<Item = Set<'a>> {
        self.all().flat_map(|tables| (0..tables.section(SETS).count).map(move |index| Set { tables, index }))
    }

    /// The set with this name, for values that do not come from a message (`mach_msg` options).
    pub fn set(&self, name: &str) -> Option<Set<'a>> {
        self.sets().find(|set| set.name() == name)
    }

    pub(crate) fn ty(&self, index: u32) -> Type<'a> {
        Type { tables: *self, record: self.section(TYPES).record(index as usize) }
    }

    fn set_at(&self, index: u32) -> Option<Set<'a>> {
        (index != NONE).then_some(Set { tables: *self, index: index as usize })
    }
}
