// SPDX-License-Identifier: GPL-2.0-or-later
//! Lists of routines as `mig -list` writes them and rpctrace reads them, of which the names go into decode tables.
//!
//! A line is `SUBSYSTEM BASE ROUTINE NUMBER REQUEST-ID REPLY-ID`; the Hurd has such lists in /usr/share/msgids. What routines take and
//! give is not in them.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use mach_abi::Format;

use crate::table::SECTIONS;
use crate::table::write::{Sections, Strings, by_id, file};

/// A routine of which only this is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MsgId {
    /// Its subsystem.
    pub subsystem: String,
    /// That one's first id.
    pub base: u32,
    /// Its name.
    pub routine: String,
    /// Its id.
    pub request: u32,
    /// Its reply's id; 0: none.
    pub reply: u32,
}

/// A line that is none of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Which, from 1.
    pub line: usize,
    /// What stands there.
    pub found: String,
}

/// What stands in a list. Empty lines and those that begin with # say nothing.
///
/// # Errors
/// The first line that is none of a list.
pub fn read(text: &str) -> Result<Vec<MsgId>, BadLine> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|(index, line)| of_line(line).ok_or_else(|| BadLine { line: index + 1, found: line.to_string() }))
        .collect()
}

fn of_line(line: &str) -> Option<MsgId> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [subsystem, base, routine, number, request, reply] = words[..] else { return None };
    let [base, _, request, reply] = [base, number, request, reply].map(|word| word.parse::<u32>().ok());
    Some(MsgId {
        subsystem: subsystem.to_string(),
        base: base?,
        routine: routine.to_string(),
        request: request?,
        reply: reply?,
    })
}

/// Of two names of one id the lesser is the proper one: many interfaces exist a second time for asynchronous use, under names
/// that speak of a request, and a server may present one to itself with a prefix (`proc_exception_raise`).
pub fn rank(routine: &str) -> (bool, usize) {
    (routine.ends_with("_request") || routine.ends_with("_request_inband"), routine.len())
}

/// A table of names and ids alone.
pub fn table(ids: &[MsgId]) -> Vec<u8> {
    let mut strings = Strings::default();
    let mut subsystems: Vec<[u32; 3]> = Vec::new();
    let (mut routines, mut requests, mut replies) = (Vec::new(), Vec::new(), Vec::new());
    for (index, id) in (0..).zip(ids) {
        let record = [strings.offset(&id.subsystem), id.base, 0];
        let known = subsystems.iter().position(|known| known[..2] == record[..2]);
        let subsystem = known.unwrap_or(subsystems.len());
        if known.is_none() {
            subsystems.push(record);
        }
        subsystems[subsystem][2] += 1;
        let name = strings.offset(&id.routine);
        routines.extend([name, subsystem as u32, id.request, id.reply, 0, 0, 0, 0, 0, 0, 1]);
        requests.push((id.request, rank(&id.routine), index));
        if id.reply != 0 {
            replies.push((id.reply, rank(&id.routine), index));
        }
    }
    let mut sections: Sections = Default::default();
    for (section, words) in [
        ("subsystems", subsystems.concat()),
        ("routines", routines),
        ("requests", by_id(&mut requests)),
        ("replies", by_id(&mut replies)),
    ] {
        let place = SECTIONS[1..].iter().position(|(name, _)| *name == section);
        if let Some(place) = place {
            sections[place] = words;
        }
    }
    file(Format::Lp64, &strings, &sections)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Tables;

    #[test]
    fn a_list_is_a_table_of_names() {
        let ids =
            read("# comment\n\nmine 6400 second_request 1 6401 6501\nmine 6400 second 1 6401 6501\nother 1 x 0 1 0\n");
        let bytes = table(&ids.unwrap());
        let tables = Tables::parse(&bytes).unwrap();
        assert_eq!(tables.subsystem_count(), 2);
        assert_eq!(tables.request(6401).unwrap().name(), "second");
        assert_eq!(tables.reply(6501).unwrap().name(), "second");
        assert!(tables.reply(0).is_none() && tables.request(1).unwrap().name() == "x");
        assert!(Tables::parse(&table(&[])).is_ok());
    }

    #[test]
    fn another_line_is_said() {
        for line in
            ["mine", "mine 6400 second 1 6401", "mine 6400 second 1 6401 -1", "mine x second 1 6401 0", "a b c d e f g"]
        {
            let found = BadLine { line: 2, found: line.to_string() };
            assert_eq!(read(&alloc::format!("\n{line}\n")), Err(found));
        }
    }
}
