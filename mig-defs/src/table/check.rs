//! The one complete check of decode tables when they are opened.

use super::{
    CASES, CHOICES, ERRORS, Form, ITEMS, ItemRole, MEMBERS, NONE, REPLIES, REQUESTS, ROUTINES, SECTIONS, SETS,
    SUBSYSTEMS, TYPES, TableError, Tables, TypeKind, VALUES,
};

impl Tables<'_> {
    pub(super) fn check(&self) -> Result<(), TableError> {
        self.check_each(TYPES, |field, get| match field {
            0 => self.is_string(get(0)),
            1 => TypeKind::from_number(get(1)).is_some(),
            2 | 3 => self.is_sound_type(get(1), get(2), get(3)),
            4 => TypeKind::from_number(get(1)) == Some(TypeKind::Array) || get(4) < 1 << 30,
            5 => self.is_set(get(5)),
            _ => Form::from_number(get(6)).is_some(),
        })?;
        // A type refers only to types before it, so that following references always ends, and a struct's members stand
        // side by side in it, so that there are no more values in some bytes than there are bytes.
        for index in 0..self.section(TYPES).count {
            if !self.is_made_of_earlier(index) {
                return Err(TableError::BadRecord { section: "types", index, field: 2 });
            }
        }
        self.check_each(MEMBERS, |field, get| match field {
            0 => self.is_string(get(0)),
            1 => (get(1) as usize) < self.section(TYPES).count,
            _ => get(2) < 1 << 30,
        })?;
        self.check_each(ITEMS, |field, get| match field {
            0 => self.is_string(get(0)),
            1 => (get(1) as usize) < self.section(TYPES).count,
            2 => ItemRole::from_number(get(2)).is_some(),
            3 => self.is_set(get(3)),
            6 => Form::from_number(get(6)).is_some(),
            7 => get(7) == NONE || (get(7) as usize) < self.section(CHOICES).count,
            _ => true,
        })?;
        self.check_each(SUBSYSTEMS, |field, get| field != 0 || self.is_string(get(0)))?;
        self.check_each(ROUTINES, |field, get| match field {
            0 => self.is_string(get(0)),
            1 => (get(1) as usize) < self.section(SUBSYSTEMS).count,
            5 | 7 => self.is_range(ITEMS, get(field - 1), get(field)),
            10 => get(10) <= 1,
            _ => true,
        })?;
        self.check_choices()?;
        for section in [REQUESTS, REPLIES] {
            self.check_each(section, |field, get| field == 0 || (get(1) as usize) < self.section(ROUTINES).count)?;
            self.check_sorted(section, 0, self.section(section).count)?;
        }
        self.check_each(SETS, |field, get| match field {
            0 => self.is_string(get(0)),
            1 => get(1) <= 1,
            _ => self.is_range(VALUES, get(2), get(3)),
        })?;
        for set in 0..self.section(SETS).count {
            let section = self.section(SETS);
            if section.get(set, 1) == 0 {
                self.check_sorted(VALUES, section.get(set, 2) as usize, section.get(set, 3) as usize)?;
            }
        }
        for section in [VALUES, ERRORS] {
            self.check_each(section, |field, get| field == 0 || self.is_string(get(1)))?;
        }
        self.check_sorted(ERRORS, 0, self.section(ERRORS).count)
    }

    fn check_choices(&self) -> Result<(), TableError> {
        self.check_each(CHOICES, |field, get| match field {
            0 => get(0) == NONE || (get(0) as usize) < self.section(ITEMS).count,
            _ => self.is_range(CASES, get(1), get(2)),
        })?;
        self.check_each(CASES, |field, get| field == 0 || (get(1) as usize) < self.section(TYPES).count)?;
        let choices = self.section(CHOICES);
        (0..choices.count).try_for_each(|choice| {
            self.check_sorted(CASES, choices.get(choice, 1) as usize, choices.get(choice, 2) as usize)
        })
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
        self.string_checked(offset).is_some()
    }

    fn is_set(&self, set: u32) -> bool {
        set == NONE || (set as usize) < self.section(SETS).count
    }

    fn is_range(&self, section: usize, first: u32, count: u32) -> bool {
        first.checked_add(count).is_some_and(|end| end as usize <= self.section(section).count)
    }

    fn is_sound_type(&self, kind: u32, a: u32, b: u32) -> bool {
        match TypeKind::from_number(kind) {
            Some(TypeKind::Array) => (a as usize) < self.section(TYPES).count,
            Some(TypeKind::Struct) => self.is_range(MEMBERS, a, b),
            _ => true,
        }
    }

    fn is_made_of_earlier(&self, index: usize) -> bool {
        let (types, members) = (self.section(TYPES), self.section(MEMBERS));
        let (a, b) = (types.get(index, 2) as usize, types.get(index, 3) as usize);
        match TypeKind::from_number(types.get(index, 1)) {
            Some(TypeKind::Array) => a < index,
            Some(TypeKind::Struct) => {
                let mut free = 0;
                (a..a + b).all(|member| {
                    let (ty, offset) = (members.get(member, 1) as usize, u64::from(members.get(member, 2)));
                    let sound = ty < index && offset >= free;
                    free = offset + u64::from(types.get(ty, 4));
                    sound
                }) && free <= u64::from(types.get(index, 4))
            }
            _ => true,
        }
    }
}
