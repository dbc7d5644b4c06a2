// SPDX-License-Identifier: GPL-2.0-or-later
//! `--to wireshark-lua`: a dissector of what `--to pcapng` writes, with the routines, types and constants of the same tables.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io::{self, Write};

use mig_defs::table::{Item, ItemRole, Items, Set, Tables, Type, TypeKind};

use crate::model::{About, Call, End, Remark};
use crate::{Format, Out};

/// What does not depend on the tables.
const DISSECTOR: &str = include_str!("dissector.lua");

struct Lua(Out);

impl fmt::Debug for Lua {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Lua")
    }
}

/// Writes all of it: what is in the trace does not matter.
pub(crate) fn begin(mut out: Out, about: &About, tables: Tables<'_>) -> io::Result<Box<dyn Format>> {
    let mut said = Said::default();
    let routines = routines(tables, &mut said);
    let writer: String = about.writer.chars().filter(|letter| !letter.is_control()).collect();
    writeln!(out, "-- SPDX-License-Identifier: GPL-2.0-or-later")?;
    writeln!(out, "-- Mach messages, for Wireshark: written by {writer} (docs/export.md).")?;
    writeln!(out, "local S = {{\n{}}}\nlocal T = {{\n{}}}\nlocal E = {{", said.sets.text(), said.types.text())?;
    let mut last = None;
    for (code, name) in tables.errors() {
        // Of several names of a code the first one counts.
        if last != Some(code) && tables.error_name(code) == Some(name) {
            writeln!(out, "[{code}]={},", quoted(name))?;
        }
        last = Some(code);
    }
    write!(out, "}}\nlocal R = {{\n{routines}}}\n\n{DISSECTOR}")?;
    out.flush()?;
    Ok(Box::new(Lua(out)))
}

/// Texts, each once, by its place from 1.
#[derive(Default)]
struct Once {
    places: HashMap<String, usize>,
    all: Vec<String>,
}

impl Once {
    fn place(&mut self, text: String) -> usize {
        if let Some(place) = self.places.get(&text) {
            return *place;
        }
        self.all.push(text.clone());
        self.places.insert(text, self.all.len());
        self.all.len()
    }

    fn text(&self) -> String {
        self.all.iter().fold(String::new(), |text, one| text + one + ",\n")
    }
}

#[derive(Default)]
struct Said {
    types: Once,
    sets: Once,
}

impl Said {
    fn set(&mut self, set: Option<Set<'_>>) -> usize {
        let Some(set) = set else { return 0 };
        let mut text = format!("{{{}", set.is_flags());
        for (number, name) in set.values() {
            let _ = write!(text, ",{{{number},{}}}", quoted(name));
        }
        self.sets.place(text + "}")
    }

    /// The types in it come before it.
    fn ty(&mut self, ty: Type<'_>) -> usize {
        let kind = match ty.kind() {
            TypeKind::Unsigned => 'u',
            TypeKind::Signed => 's',
            TypeKind::Bool => 'b',
            TypeKind::Char => 'c',
            TypeKind::Byte => 'y',
            TypeKind::PortName => 'n',
            TypeKind::Port => 'p',
            TypeKind::KernReturn => 'r',
            TypeKind::Array => 'a',
            TypeKind::Struct => 't',
            TypeKind::CString => 'z',
            TypeKind::Opaque => 'o',
        };
        let mut text = format!("{{\"{kind}\",{},{}", quoted(ty.name()), ty.size());
        match ty.kind() {
            TypeKind::Array => {
                let _ = write!(text, ",{}", self.ty(ty.element()));
            }
            TypeKind::Struct => {
                for member in ty.members() {
                    let (inner, set) = (self.ty(member.ty), self.set(member.ty.set()));
                    let (name, offset, flags) = (quoted(member.name), member.offset, member.flags);
                    let _ = write!(text, ",{{{name},{inner},{offset},{flags},{set}}}");
                }
            }
            _ => {}
        }
        self.types.place(text + "}")
    }

    fn items(&mut self, items: Items<'_>) -> String {
        items.fold(String::new(), |text, item| text + &self.item(item) + ",")
    }

    fn item(&mut self, item: Item<'_>) -> String {
        let role = match item.role() {
            ItemRole::RequestPort => 'p',
            ItemRole::Argument => 'a',
            ItemRole::RetCode => 'r',
            ItemRole::Count => 'c',
        };
        format!("{{{},{},\"{role}\",{}}}", quoted(item.name()), self.ty(item.ty()), self.set(item.set()))
    }
}

/// By the id of its request; of several routines with one id, the one that messages are decoded as.
fn routines(tables: Tables<'_>, said: &mut Said) -> String {
    let mut text = String::new();
    let mut is_said = std::collections::HashSet::new();
    for id in tables.routines().map(|routine| routine.request_id()) {
        let Some(routine) = tables.request(id).filter(|_| is_said.insert(id)) else { continue };
        let (name, subsystem) = (quoted(routine.name()), quoted(routine.subsystem()));
        let (request, reply) = (said.items(routine.items(false)), said.items(routine.items(true)));
        let (unnamed, reply_id) = (routine.is_name_only(), routine.reply_id().unwrap_or(0));
        let _ = writeln!(text, "[{id}]={{{name},{subsystem},{unnamed},{{{request}}},{{{reply}}},{reply_id}}},");
    }
    text
}

/// A string of Lua's: everything but printable ASCII by its number.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\{byte:03}");
            }
        }
    }
    out + "\""
}

impl Format for Lua {
    fn closed(&mut self, _: &Call) -> io::Result<()> {
        Ok(())
    }

    fn remark(&mut self, _: &Remark) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, _: &End) -> io::Result<()> {
        self.0.flush()
    }
}
