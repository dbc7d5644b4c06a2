//! Annotation files: names for numbers, which .defs do not give. The format is in annotations/README.md.

use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use crate::diag::{Code, Diagnostics};
use crate::source::{SourceMap, Span};

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

/// All annotations.
#[derive(Clone, Debug, Default)]
pub struct Annotations {
    /// The sets.
    pub sets: Vec<Set>,
    /// Which set a type, or `routine.argument`, has.
    pub uses: BTreeMap<String, usize>,
    /// `kern_return_t` codes.
    pub errors: BTreeMap<u32, String>,
}

/// The annotations for GNU Mach that come with the compiler.
pub const GNUMACH: &str = include_str!("../annotations/gnumach.txt");

enum Section {
    None,
    Errors,
    Set(usize),
}

impl Annotations {
    /// The built-in annotations.
    pub fn builtin(sources: &mut SourceMap, diagnostics: &mut Diagnostics) -> Self {
        let mut annotations = Self::default();
        let file = sources.add("gnumach.txt".into(), GNUMACH.to_string());
        annotations.add(file, sources, diagnostics);
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
            let read = if indent > 0 { self.value(&section, trimmed) } else { self.heading(trimmed, &mut section) };
            if let Err(message) = read {
                diagnostics.report(Code::BadAnnotation, span, message);
            }
        }
    }

    fn heading(&mut self, line: &str, section: &mut Section) -> Result<(), String> {
        *section = Section::None;
        if line == "errors" {
            *section = Section::Errors;
            return Ok(());
        }
        let parts = line.split_once(':').and_then(|(head, uses)| {
            let (kind, name) = head.split_once(' ')?;
            Some((kind, name.trim(), uses))
        });
        let (flags, name, uses) = match parts {
            Some(("enum", name, uses)) => (false, name, uses),
            Some(("flags", name, uses)) => (true, name, uses),
            _ => return Err(format!("expected `errors`, `enum NAME: ...` or `flags NAME: ...`, found `{line}`")),
        };
        let set = Set { name: name.to_string(), flags, values: Vec::new() };
        let index = self.sets.iter().position(|set| set.name == name).unwrap_or(self.sets.len());
        if index == self.sets.len() {
            self.sets.push(set);
        } else {
            self.sets[index] = set;
        }
        for place in uses.split_whitespace() {
            self.uses.insert(place.to_string(), index);
        }
        *section = Section::Set(index);
        Ok(())
    }

    fn value(&mut self, section: &Section, line: &str) -> Result<(), String> {
        let (number, name) = line.split_once(' ').ok_or_else(|| format!("expected NUMBER NAME, found `{line}`"))?;
        let parsed = match (number.strip_prefix("0x"), number.strip_prefix('-')) {
            (Some(hex), _) => u32::from_str_radix(hex, 16).ok(),
            (_, Some(_)) => number.parse::<i32>().ok().map(|number| number as u32),
            _ => number.parse().ok(),
        };
        let number = parsed.ok_or_else(|| format!("expected a 32-bit number, found `{number}`"))?;
        let name = name.trim().to_string();
        match section {
            Section::Errors => {
                self.errors.insert(number, name);
            }
            Section::Set(index) => self.sets[*index].values.push((number, name)),
            Section::None => return Err(format!("`{name}` stands under no heading")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn the_built_in_file_is_sound() {
        let (mut sources, mut diagnostics) = (SourceMap::default(), Diagnostics::default());
        let annotations = Annotations::builtin(&mut sources, &mut diagnostics);
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
        let (mut annotations, mut diagnostics) = (Annotations::default(), Diagnostics::default());
        annotations.add(file, &sources, &mut diagnostics);
        let lines: Vec<u32> = diagnostics.list().iter().map(|wrong| sources.place(wrong.span).line).collect();
        assert_eq!(lines, [1, 4, 5]);
        assert_eq!(annotations.uses["r.x"], 0);
        assert_eq!(annotations.sets[0].values, vec![(1, "ONE".to_string())]);
        assert_eq!(annotations.sets[1].values, vec![(u32::MAX, "ALL".to_string())]);
    }
}
