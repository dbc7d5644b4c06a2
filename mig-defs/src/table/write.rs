// SPDX-License-Identifier: GPL-2.0-or-later
//! The outermost layer of a table file: its head, its directory, its strings.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use mach_abi::Format;

use super::{MAGIC, PREFIX, SECTIONS, STRING_MARK, STRING_MAX, VERSION};

/// The words of every section but the strings, in file order.
pub(crate) type Sections = [Vec<u32>; SECTIONS.len() - 1];

/// The strings of a file, each once.
#[derive(Debug, Default)]
pub(crate) struct Strings {
    bytes: Vec<u8>,
    offsets: BTreeMap<String, u32>,
}

impl Strings {
    /// Where this text stands.
    pub(crate) fn offset(&mut self, text: &str) -> u32 {
        if let Some(offset) = self.offsets.get(text) {
            return *offset;
        }
        let offset = self.bytes.len() as u32;
        // Names are far shorter; one that is not is cut at a character. None has a 0 in it.
        let kept = text.split(char::from(STRING_MARK)).next().unwrap_or_default();
        let mut length = kept.len().min(STRING_MAX);
        while !kept.is_char_boundary(length) {
            length -= 1;
        }
        self.bytes.extend([STRING_MARK, length as u8]);
        self.bytes.extend(&kept.as_bytes()[..length]);
        self.offsets.insert(text.to_string(), offset);
        offset
    }
}

/// The bytes of a file.
pub(crate) fn file(format: Format, strings: &Strings, sections: &Sections) -> Vec<u8> {
    let mut body = strings.bytes.clone();
    body.resize(body.len().next_multiple_of(4), 0);
    let mut directory = Vec::from([PREFIX as u32, strings.bytes.len() as u32]);
    for (section, (_, words)) in sections.iter().zip(&SECTIONS[1..]) {
        directory.extend([(PREFIX + body.len()) as u32, (section.len() / words) as u32]);
        body.extend(section.iter().flat_map(|word| word.to_le_bytes()));
    }
    let mut file = MAGIC.to_vec();
    let head = [VERSION, format.word() as u32, (PREFIX + body.len()) as u32, 0];
    file.extend(head.iter().chain(&directory).flat_map(|word| word.to_le_bytes()));
    file.extend(body);
    file
}

/// An id, the rank of the routine's name, the routine.
pub(crate) type ById = (u32, (bool, usize), u32);

/// Ids and routines, in the order in which they are looked for.
pub(crate) fn by_id(list: &mut [ById]) -> Vec<u32> {
    list.sort_unstable();
    list.iter().flat_map(|(id, _, routine)| [*id, *routine]).collect()
}
