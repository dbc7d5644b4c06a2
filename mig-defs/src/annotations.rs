// SPDX-License-Identifier: GPL-2.0-or-later
//! Annotation files: what numbers, integer arrays and strings mean, which .defs do not say. The format is in
//! annotations/README.md.

use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use mach_abi::Format;

use crate::diag::{Code, Diagnostics};
use crate::model::word;
use crate::source::{SourceMap, Span};
use crate::table::{FLAGS_MAX, Form, TypeKind};

/// Names of numbers that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Its name.
    pub name: String,
    /// Whether numbers are combined bit by bit.
    pub flags: bool,
    /// Numbers and names, in the order of the file.
    pub values: Vec<(u32, String)>,
}

/// What a piece of data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// A basic type of so many bytes, by its name here.
    Basic(&'static str, TypeKind, u32),
    /// The struct with this index.
    Struct(usize),
}

/// A type with what else is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// The type, of one element.
    pub base: Base,
    /// How many elements, if it is an array; 0: as many as there are.
    pub count: Option<u32>,
    /// What its numbers mean.
    pub set: Option<usize>,
    /// How it is best written.
    pub form: Form,
}

/// A struct that an array of integers stands for, laid out as C does it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Struct {
    /// Its name.
    pub name: String,
    /// How it is best written.
    pub form: Form,
    /// Its members.
    pub members: Vec<Member>,
    /// Where its last member ends.
    pub end: u32,
    /// Alignment.
    pub align: u32,
}

/// A struct's member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// What it is.
    pub meaning: Meaning,
    /// Where it stands.
    pub offset: u32,
    /// It is there if the number that chose the struct has one of these bits; 0: always.
    pub flags: u32,
}

/// What data mean, by a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The argument of the request that has the number.
    pub by: Option<String>,
    /// The cases.
    pub cases: Vec<(u32, Meaning)>,
    /// What holds for every other number.
    pub other: Option<Meaning>,
}

/// All annotations. Places are type names, `struct.member` or `routine.argument`.
#[derive(Clone, Debug)]
pub struct Annotations {
    /// The format of the messages, which layouts depend on.
    pub format: Format,
    /// The sets.
    pub sets: Vec<Set>,
    /// Which set a place has.
    pub uses: BTreeMap<String, usize>,
    /// `kern_return_t` codes.
    pub errors: BTreeMap<u32, String>,
    /// Which form a place has.
    pub forms: BTreeMap<String, Form>,
    /// The structs.
    pub structs: Vec<Struct>,
    /// The choices.
    pub choices: Vec<Choice>,
    /// Which choice a `routine.argument` or an argument's type has.
    pub choice_uses: BTreeMap<String, usize>,
}

/// The annotations that come with the compiler.
pub const BUILTIN: [(&str, &str); 2] = [
    ("gnumach.txt", include_str!("../annotations/gnumach.txt")),
    ("hurd.txt", include_str!("../annotations/hurd.txt")),
];

const BASIC: [Base; 11] = [
    Base::Basic("i16", TypeKind::Signed, 2),
    Base::Basic("u16", TypeKind::Unsigned, 2),
    Base::Basic("i32", TypeKind::Signed, 4),
    Base::Basic("u32", TypeKind::Unsigned, 4),
    Base::Basic("i64", TypeKind::Signed, 8),
    Base::Basic("u64", TypeKind::Unsigned, 8),
    Base::Basic("bool", TypeKind::Bool, 4),
    Base::Basic("char", TypeKind::Char, 1),
    Base::Basic("byte", TypeKind::Byte, 1),
    Base::Basic("port_name", TypeKind::PortName, 4),
    Base::Basic("kern_return", TypeKind::KernReturn, 4),
];

const FORMS: [(&str, Form); 6] = [
    ("path", Form::Path),
    ("hex", Form::Hexadecimal),
    ("sparse", Form::Sparse),
    ("microseconds", Form::Microseconds),
    ("nanoseconds", Form::Nanoseconds),
    ("wait_status", Form::WaitStatus),
];

enum Section {
    None,
    /// It is about another format.
    Other,
    Errors,
    Set(usize),
    Struct(usize),
    Choice(usize),
}

fn form_of(word: &str) -> Option<Form> {
    FORMS.iter().find(|(name, _)| *name == word).map(|(_, form)| *form)
}

fn number_of(word: &str) -> Result<u32, String> {
    let parsed = match (word.strip_prefix("0x"), word.strip_prefix('-')) {
        (Some(hex), _) => u32::from_str_radix(hex, 16).ok(),
        (_, Some(_)) => word.parse::<i32>().ok().map(|number| number as u32),
        _ => word.parse().ok(),
    };
    parsed.ok_or_else(|| format!("expected a 32-bit number, found `{word}`"))
}

impl Annotations {
    /// None yet, for messages of this format.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            sets: Vec::new(),
            uses: BTreeMap::new(),
            errors: BTreeMap::new(),
            forms: BTreeMap::new(),
            structs: Vec::new(),
            choices: Vec::new(),
            choice_uses: BTreeMap::new(),
        }
    }

    /// The built-in annotations, for messages of this format.
    pub fn builtin(format: Format, sources: &mut SourceMap, diagnostics: &mut Diagnostics) -> Self {
        let mut annotations = Self::new(format);
        for (name, text) in BUILTIN {
            let file = sources.add(name.into(), text.to_string());
            annotations.add(file, sources, diagnostics);
        }
        annotations
    }

    /// Reads one more file.
    pub fn add(&mut self, file: u32, sources: &SourceMap, diagnostics: &mut Diagnostics) {
        let text = sources.file(file).map_or("", |file| file.text.as_str());
        let mut section = Section::None;
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let content = line.split('#').next().unwrap_or("");
            let trimmed = content.trim();
            let indent = content.len() - content.trim_start().len();
            let span = Span { file, start: (start + indent) as u32, end: (start + indent + trimmed.len()) as u32 };
            start += line.len();
            if trimmed.is_empty() {
                continue;
            }
            let read = if indent > 0 { self.entry(&section, trimmed) } else { self.heading(trimmed, &mut section) };
            if let Err(message) = read {
                diagnostics.report(Code::BadAnnotation, span, message);
            }
        }
    }

    fn heading(&mut self, line: &str, section: &mut Section) -> Result<(), String> {
        *section = Section::None;
        let (head, places) = line.split_once(':').unwrap_or((line, ""));
        let words: Vec<&str> = head.split_whitespace().collect();
        let places = places.split_whitespace().map(ToString::to_string);
        let words = match (words.split_first(), self.format) {
            (Some((&"lp64", words)), Format::Lp64) | (Some((&"ilp32", words)), Format::Ilp32) => words,
            (Some((&("lp64" | "ilp32"), _)), _) => {
                *section = Section::Other;
                return Ok(());
            }
            _ => &words[..],
        };
        match *words {
            ["errors"] => *section = Section::Errors,
            [kind @ ("enum" | "flags"), name] => {
                let set = Set { name: name.to_string(), flags: kind == "flags", values: Vec::new() };
                let index = place(&mut self.sets, set, |set, other| set.name == other.name);
                self.uses.extend(places.map(|place| (place, index)));
                *section = Section::Set(index);
            }
            ["form", word] => {
                let form = form_of(word).ok_or_else(|| format!("there is no form `{word}`"))?;
                self.forms.extend(places.map(|place| (place, form)));
            }
            ["struct", name, ref form @ ..] => {
                let form = match form {
                    [] => Form::Plain,
                    [word] => form_of(word).ok_or_else(|| format!("there is no form `{word}`"))?,
                    _ => return Err(format!("expected `struct NAME [FORM]`, found `{line}`")),
                };
                let new = Struct { name: name.to_string(), form, members: Vec::new(), end: 0, align: 1 };
                let index = place(&mut self.structs, new, |one, other| one.name == other.name);
                *section = Section::Struct(index);
            }
            ["choice", by] => {
                self.choices.push(Choice { by: Some(by.to_string()), ..Choice::default() });
                let index = self.choices.len() - 1;
                self.choice_uses.extend(places.map(|place| (place, index)));
                *section = Section::Choice(index);
            }
            ["as", ..] => {
                let meaning = self.meaning(&words[1..])?;
                self.choices.push(Choice { other: Some(meaning), ..Choice::default() });
                let index = self.choices.len() - 1;
                self.choice_uses.extend(places.map(|place| (place, index)));
            }
            _ => {
                return Err(format!(
                    "expected `errors`, `enum`, `flags`, `form`, `struct`, `choice` or `as`, found `{line}`"
                ));
            }
        }
        Ok(())
    }

    fn entry(&mut self, section: &Section, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match (section, &words[..]) {
            (Section::Other, _) => Ok(()),
            (Section::None, _) => Err(format!("`{line}` stands under no heading")),
            (Section::Errors, [number, name]) => {
                self.errors.insert(number_of(number)?, name.to_string());
                Ok(())
            }
            (Section::Set(index), [number, name]) => {
                let set = &mut self.sets[*index];
                if set.flags && set.values.len() == FLAGS_MAX as usize {
                    return Err(format!("a set of flags has at most {FLAGS_MAX} names"));
                }
                set.values.push((number_of(number)?, name.to_string()));
                Ok(())
            }
            (Section::Struct(index), [ty, name, more @ .., "if", flag]) if more.len() < 2 => {
                let flags = self.flag_of(flag)?;
                self.member(*index, &[&[*ty], more].concat(), name, flags)
            }
            (Section::Struct(index), [ty, name, more @ ..]) if more.len() < 2 => {
                self.member(*index, &[&[*ty], more].concat(), name, 0)
            }
            (Section::Choice(index), ["else", ty, more @ ..]) if more.len() < 2 => {
                self.choices[*index].other = Some(self.meaning(&[&[*ty], more].concat())?);
                Ok(())
            }
            (Section::Choice(index), [number, ty, more @ ..]) if more.len() < 2 => {
                let meaning = self.meaning(&[&[*ty], more].concat())?;
                self.choices[*index].cases.push((number_of(number)?, meaning));
                Ok(())
            }
            (Section::Struct(_), _) => Err(format!("expected TYPE NAME [SET or FORM] [if FLAG], found `{line}`")),
            (Section::Choice(_), _) => Err(format!("expected NUMBER (or `else`) TYPE [SET or FORM], found `{line}`")),
            (Section::Errors | Section::Set(_), _) => Err(format!("expected NUMBER NAME, found `{line}`")),
        }
    }

    fn member(&mut self, index: usize, words: &[&str], name: &str, flags: u32) -> Result<(), String> {
        let meaning = self.meaning(words)?;
        let (size, align) = self.size_of(meaning);
        let whole = &mut self.structs[index];
        if whole.members.last().is_some_and(|last| last.meaning.count == Some(0)) {
            return Err(format!("an array without a count is a struct's last member, found `{name}` behind one"));
        }
        if size == 0 && meaning.count != Some(0) {
            return Err(format!("`{name}` is of a type without members"));
        }
        let offset = whole.end.next_multiple_of(align);
        whole.members.push(Member { name: name.to_string(), meaning, offset, flags });
        whole.align = whole.align.max(align);
        whole.end = offset.saturating_add(size);
        Ok(())
    }

    /// A number, or the name that one has in a set above.
    fn flag_of(&self, word: &str) -> Result<u32, String> {
        let mut values = self.sets.iter().flat_map(|set| &set.values);
        match values.find(|(_, name)| name == word) {
            Some((number, _)) => Ok(*number),
            None => number_of(word).map_err(|_| format!("there is no flag `{word}` above")),
        }
    }

    /// `TYPE`, `TYPE[COUNT]` or `TYPE[]`, each with a set or form behind it.
    fn meaning(&self, words: &[&str]) -> Result<Meaning, String> {
        let (word, more) = words.split_first().ok_or("expected a type")?;
        let (name, count) = match word.strip_suffix(']').and_then(|word| word.split_once('[')) {
            Some((name, "")) => (name, Some(0)),
            Some((_, "0")) => return Err(format!("`{word}` is nothing")),
            Some((name, count)) => (name, Some(number_of(count)?)),
            None => (*word, None),
        };
        let name = match (name, self.format) {
            ("iword", Format::Lp64) => "i64",
            ("uword", Format::Lp64) => "u64",
            ("iword", Format::Ilp32) => "i32",
            ("uword", Format::Ilp32) => "u32",
            _ => name,
        };
        let basic = BASIC.into_iter().find(|base| matches!(base, Base::Basic(known, ..) if *known == name));
        let named = || self.structs.iter().position(|known| known.name == name).map(Base::Struct);
        let base = basic.or_else(named).ok_or_else(|| format!("there is no type `{name}` above"))?;
        let (mut set, mut form) = (None, Form::Plain);
        if let Some(word) = more.first() {
            set = self.sets.iter().position(|set| set.name == *word);
            form = form_of(word).unwrap_or(Form::Plain);
            if set.is_none() && form == Form::Plain {
                return Err(format!("there is no set or form `{word}` above"));
            }
        }
        Ok(Meaning { base, count, set, form })
    }

    /// Bytes and alignment.
    pub fn size_of(&self, meaning: Meaning) -> (u32, u32) {
        let (size, align) = match meaning.base {
            // C aligns nothing to more than a word.
            Base::Basic(_, _, size) => (size, size.min(word(self.format))),
            Base::Struct(index) => {
                let whole = &self.structs[index];
                (whole.end.next_multiple_of(whole.align), whole.align)
            }
        };
        (size.saturating_mul(meaning.count.unwrap_or(1)), align)
    }
}

/// Puts `new` in the place of the one that is like it, or at the end; returns where it is.
fn place<T>(list: &mut Vec<T>, new: T, is_like: impl Fn(&T, &T) -> bool) -> usize {
    let index = list.iter().position(|one| is_like(one, &new)).unwrap_or(list.len());
    if index == list.len() {
        list.push(new);
    } else {
        list[index] = new;
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn the_built_in_file_is_sound() {
        let (mut sources, mut diagnostics) = (SourceMap::default(), Diagnostics::default());
        let annotations = Annotations::builtin(Format::Lp64, &mut sources, &mut diagnostics);
        assert_eq!(diagnostics.render(&sources), "");
        assert_eq!(annotations.errors[&(-303_i32 as u32)], "MIG_BAD_ID");
        let set = &annotations.sets[annotations.uses["task_set_special_port.which_port"]];
        assert!(set.values.contains(&(5, "TASK_TRACE_PORT".to_string())));
    }

    #[test]
    fn malformed_lines_are_reported_and_the_rest_is_read() {
        let mut sources = SourceMap::default();
        let text = "\t1 LOST\nenum a: t r.x\n\t1 ONE\n\tx BAD\nfrob\nflags b: u\n\t-1 ALL # why\n";
        let file = sources.add("a.txt".into(), text.to_string());
        let (mut annotations, mut diagnostics) = (Annotations::new(Format::Lp64), Diagnostics::default());
        annotations.add(file, &sources, &mut diagnostics);
        let lines: Vec<u32> = diagnostics.list().iter().map(|wrong| sources.place(wrong.span).line).collect();
        assert_eq!(lines, [1, 4, 5]);
        assert_eq!(annotations.uses["r.x"], 0);
        assert_eq!(annotations.sets[0].values, vec![(1, "ONE".to_string())]);
        assert_eq!(annotations.sets[1].values, vec![(u32::MAX, "ALL".to_string())]);
    }
}
