// SPDX-License-Identifier: GPL-2.0-or-later
//! The one complete check of decode tables when they are opened, in time proportional to their size: every record and every
//! string is looked at a fixed number of times, whatever refers to it.

use super::{
    CASES, CHOICES, ERRORS, FLAGS_MAX, Form, ITEMS, ItemRole, LISTS, MEMBERS, NONE, REPLIES, REQUESTS, ROUTINES,
    SECTIONS, SETS, STRING_MARK, STRINGS, STRUCTS, SUBSYSTEMS, TYPES, TableError, Tables, TypeKind, VALUES,
};

impl Tables<'_> {
    pub(super) fn check(&self) -> Result<(), TableError> {
        self.check_strings()?;
        self.check_each(MEMBERS, |field, get| match field {
            0 => self.is_string(get(0)),
            1 => self.is_in(TYPES, get(1)),
            2 => get(2) < 1 << 30,
            _ => true,
        })?;
        self.check_structs()?;
        self.check_types()?;
        self.check_each(ITEMS, |field, get| match field {
            0 => self.is_string(get(0)),
            1 => self.is_in(TYPES, get(1)),
            2 => ItemRole::from_number(get(2)).is_some(),
            3 => self.is_set(get(3)),
            6 => Form::from_number(get(6)).is_some(),
            7 => get(7) == NONE || self.is_in(CHOICES, get(7)),
            _ => true,
        })?;
        self.check_each(SUBSYSTEMS, |field, get| field != 0 || self.is_string(get(0)))?;
        self.check_each(ROUTINES, |field, get| match field {
            0 => self.is_string(get(0)),
            1 => self.is_in(SUBSYSTEMS, get(1)),
            5 | 7 => self.is_range(ITEMS, get(field - 1), get(field)),
            10 => get(10) <= 1,
            _ => true,
        })?;
        for section in [REQUESTS, REPLIES] {
            self.check_each(section, |field, get| field == 0 || self.is_in(ROUTINES, get(1)))?;
            self.check_sorted(section, 0, self.section(section).count)?;
        }
        self.check_each(SETS, |field, get| match field {
            0 => self.is_string(get(0)),
            1 => get(1) <= 1,
            3 => get(1) == 0 || get(3) <= FLAGS_MAX,
            _ => true,
        })?;
        self.check_runs(SETS, 2, VALUES, |set| self.section(SETS).get(set, 1) == 0)?;
        self.check_each(LISTS, |field, get| field != 2 || get(2) == NONE || self.is_in(TYPES, get(2)))?;
        self.check_runs(LISTS, 0, CASES, |_| true)?;
        self.check_each(CASES, |field, get| field == 0 || self.is_in(TYPES, get(1)))?;
        self.check_each(CHOICES, |field, get| match field {
            0 => get(0) == NONE || self.is_in(ITEMS, get(0)),
            _ => self.is_in(LISTS, get(1)),
        })?;
        for section in [VALUES, ERRORS] {
            self.check_each(section, |field, get| field == 0 || self.is_string(get(1)))?;
        }
        self.check_sorted(ERRORS, 0, self.section(ERRORS).count)
    }

    /// The strings follow one another to the section's end, so that each mark there is the start of one.
    fn check_strings(&self) -> Result<(), TableError> {
        let mut at = 0;
        while at < self.section(STRINGS).count {
            let is_sound = |text: &&[u8]| core::str::from_utf8(text).is_ok() && !text.contains(&STRING_MARK);
            let text = self.string_bytes(at).filter(is_sound);
            let text = text.ok_or(TableError::BadRecord { section: "strings", index: at, field: 0 })?;
            at += 2 + text.len();
        }
        Ok(())
    }

    /// A struct's members stand side by side in it, so that there are no more values in some bytes than there are bytes; only
    /// an array at its end may have no size.
    fn check_structs(&self) -> Result<(), TableError> {
        self.check_runs(STRUCTS, 0, MEMBERS, |_| false)?;
        let (structs, members, types) = (self.section(STRUCTS), self.section(MEMBERS), self.section(TYPES));
        for index in 0..structs.count {
            let (first, count) = (structs.get(index, 0) as usize, structs.get(index, 1) as usize);
            let mut free = 0;
            for member in first..first + count {
                let (ty, offset) = (members.get(member, 1) as usize, u64::from(members.get(member, 2)));
                let size = u64::from(types.get(ty, 4));
                let is_open = types.get(ty, 1) == TypeKind::Array as u32 && member == first + count - 1;
                if ty >= structs.get(index, 2) as usize || offset < free || (size == 0 && !is_open) {
                    return Err(TableError::BadRecord { section: "members", index: member, field: 2 });
                }
                free = offset + size;
            }
        }
        Ok(())
    }

    /// A type is made of types before it, so that following references always ends.
    fn check_types(&self) -> Result<(), TableError> {
        self.check_each(TYPES, |field, get| match field {
            0 => self.is_string(get(0)),
            1 => TypeKind::from_number(get(1)).is_some(),
            4 => TypeKind::from_number(get(1)) == Some(TypeKind::Array) || get(4) < 1 << 30,
            5 => self.is_set(get(5)),
            6 => Form::from_number(get(6)).is_some(),
            _ => true,
        })?;
        let types = self.section(TYPES);
        let is_made_of_earlier = |index: usize| match TypeKind::from_number(types.get(index, 1)) {
            Some(TypeKind::Array) => (types.get(index, 2) as usize) < index,
            Some(TypeKind::Struct) => self.is_struct_within(types.get(index, 2), index, types.get(index, 4)),
            _ => true,
        };
        match (0..types.count).find(|index| !is_made_of_earlier(*index)) {
            Some(index) => Err(TableError::BadRecord { section: "types", index, field: 2 }),
            None => Ok(()),
        }
    }

    /// Whether the type with this index can be the struct: its members' types are before it, and they end within `size` bytes.
    fn is_struct_within(&self, index: u32, ty: usize, size: u32) -> bool {
        let (structs, members) = (self.section(STRUCTS), self.section(MEMBERS));
        if !self.is_in(STRUCTS, index) || structs.get(index as usize, 2) as usize > ty {
            return false;
        }
        let (first, count) = (structs.get(index as usize, 0) as usize, structs.get(index as usize, 1) as usize);
        count == 0 || {
            let last = first + count - 1;
            let member_size = self.section(TYPES).get(members.get(last, 1) as usize, 4);
            u64::from(members.get(last, 2)) + u64::from(member_size) <= u64::from(size)
        }
    }

    /// The runs that the records of `section` name in fields `field` and `field + 1` follow one another in `of`, so that going
    /// through each goes through `of` once; where it should be, a run is sorted.
    fn check_runs(
        &self,
        section: usize,
        field: usize,
        of: usize,
        is_sorted: impl Fn(usize) -> bool,
    ) -> Result<(), TableError> {
        let records = self.section(section);
        let mut end = 0;
        for index in 0..records.count {
            let (first, count) = (records.get(index, field), records.get(index, field + 1));
            if first != end || !self.is_range(of, first, count) {
                return Err(TableError::BadRecord { section: SECTIONS[section].0, index, field });
            }
            end = first + count;
            if is_sorted(index) {
                self.check_sorted(of, first as usize, count as usize)?;
            }
        }
        Ok(())
    }

    fn check_each(
        &self,
        section: usize,
        sound: impl Fn(usize, &dyn Fn(usize) -> u32) -> bool,
    ) -> Result<(), TableError> {
        let records = self.section(section);
        for index in 0..records.count {
            let get = |field| records.get(index, field);
            if let Some(field) = (0..records.words).find(|field| !sound(*field, &get)) {
                return Err(TableError::BadRecord { section: SECTIONS[section].0, index, field });
            }
        }
        Ok(())
    }

    fn check_sorted(&self, section: usize, from: usize, count: usize) -> Result<(), TableError> {
        let records = self.section(section);
        match (from + 1..from + count).find(|index| records.get(index - 1, 0) > records.get(*index, 0)) {
            Some(index) => Err(TableError::BadRecord { section: SECTIONS[section].0, index, field: 0 }),
            None => Ok(()),
        }
    }

    fn is_string(&self, offset: u32) -> bool {
        self.string_bytes(offset as usize).is_some()
    }

    fn is_set(&self, set: u32) -> bool {
        set == NONE || self.is_in(SETS, set)
    }

    fn is_in(&self, section: usize, index: u32) -> bool {
        (index as usize) < self.section(section).count
    }

    fn is_range(&self, section: usize, first: u32, count: u32) -> bool {
        first.checked_add(count).is_some_and(|end| end as usize <= self.section(section).count)
    }
}
