// SPDX-License-Identifier: GPL-2.0-or-later
//! The line of a call: `stat("/etc/motd", {st_mode=S_IFREG|0644, st_size=22}) = 0`.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use core::net::{Ipv4Addr, Ipv6Addr};

use exchanges::{Actor, Event, Names};
use mig_defs::table::Tables;
use mig_defs::value::{Field, Value};

use super::errno;
use super::fit::Found;
use super::item::{Item, bytes, field, length, number};
use super::places::{Places, start};
use super::recipe::{self, Argument, Gives, Need};
use super::words::{DOMAIN, INET, INET6};
use crate::draft::Draft;
use crate::number::{decimal, hexadecimal};
use crate::pieces::{constants, quoted};
use crate::ports::{self, Seen};
use crate::style::Style;
use crate::values::Writer;

/// What stands where no message says it.
const UNKNOWN: &str = "?";
/// `O_READ` and `O_WRITE`, and `O_CREAT`.
const ACCESS: i64 = 3;
const CREATE: i64 = 0x10;
/// What file a mode is of, and what it permits.
const KIND: i64 = 0xf000;
const PERMISSIONS: i64 = 0o7777;
const KINDS: [(i64, &str); 7] = [
    (0xc000, "S_IFSOCK"),
    (0xa000, "S_IFLNK"),
    (0x8000, "S_IFREG"),
    (0x6000, "S_IFBLK"),
    (0x4000, "S_IFDIR"),
    (0x2000, "S_IFCHR"),
    (0x1000, "S_IFIFO"),
];

/// How a call ended, to who selects by that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Success,
    Failure,
    Unfinished,
}

/// Writes the line of one call.
pub(super) struct Line<'a, 't> {
    pub(super) tables: Tables<'t>,
    pub(super) names: &'a Names,
    pub(super) style: &'a Style,
    pub(super) actor: Actor,
    /// The messages that it is made of.
    pub(super) items: &'a [Item<'t>],
    pub(super) found: &'a Found,
    /// Where names begin.
    pub(super) places: &'a Places,
    /// Where it goes.
    pub(super) draft: &'a mut Draft,
}

/// A name of a directory and one in it.
fn joined(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let slash: &[u8] = if directory.is_empty() || directory.ends_with(b"/") { b"" } else { b"/" };
    [directory, slash, name].concat()
}

impl<'t> Line<'_, 't> {
    fn recipe(&self) -> &'static recipe::Recipe {
        self.found.recipe
    }

    fn item(&self, step: usize) -> Option<&Item<'t>> {
        self.items.get((*self.found.places.get(step)?)?)
    }

    fn push(&mut self, text: &str) {
        self.draft.line.push_str(text);
    }

    /// Writes it; answers how it ended.
    pub(super) fn write(&mut self) -> End {
        let recipe = self.recipe();
        let is_elsewhere = recipe.arguments.iter().any(|argument| self.is_elsewhere(argument));
        self.push(if is_elsewhere && !recipe.at.is_empty() { recipe.at } else { recipe.call });
        self.push("(");
        for (place, argument) in recipe.arguments.iter().enumerate() {
            self.push(if place > 0 { ", " } else { "" });
            self.argument(argument);
        }
        self.push(") = ");
        self.result()
    }

    /// Whether a name is looked up from a directory that is neither the current one nor the root.
    fn is_elsewhere(&self, argument: &Argument) -> bool {
        let directory = match *argument {
            Argument::Path(step) | Argument::PathBefore(step, _) | Argument::PathFrom(step, _) => step,
            Argument::Entry(lookup, operation, _) => {
                if self.item(lookup).is_some() {
                    lookup
                } else {
                    operation
                }
            }
            _ => return false,
        };
        self.item(directory).is_some_and(|item| start(&item.to).is_none())
    }

    fn argument(&mut self, argument: &Argument) {
        match *argument {
            Argument::Text(text) => self.push(text),
            Argument::To(step) => {
                let to = self.item(step).map_or_else(|| UNKNOWN.into(), |item| item.to.clone());
                self.push(&to);
            }
            Argument::In(step, name) => self.field(step, name, false),
            Argument::Out(step, name) => self.field(step, name, true),
            Argument::Mode(step, name) => {
                let mode = self.item(step).and_then(|item| item.asked_number(self.tables, name));
                self.octal(mode);
            }
            Argument::Members(step, name, members) => self.members(step, name, members),
            Argument::Path(step) => self.path(step, step, b""),
            Argument::PathBefore(step, end) => self.path(step, step, end),
            Argument::PathFrom(from, step) => self.path(from, step, b""),
            Argument::Entry(lookup, operation, name) => self.entry(lookup, operation, None, name),
            Argument::EntryIn(lookup, operation, directory, name) => {
                self.entry(lookup, operation, Some(directory), name);
            }
            Argument::Open(step) => self.open(step),
            Argument::Named(step, name, names) => {
                match self.item(step).and_then(|item| item.asked_number(self.tables, name)) {
                    Some(value) => self.named(value, names),
                    None => self.push(UNKNOWN),
                }
            }
            Argument::Domain(step) => self.domain(step),
            Argument::Address(step, name) => self.address(step, name),
            Argument::Bytes(step, name) => {
                let count =
                    self.item(step).and_then(|item| item.asked(self.tables, name, |_, field| length(field.value)));
                self.count(count);
            }
            Argument::Vector(step, name) => self.vector(step, name),
            Argument::Count(step, name) => self.variables(step, name),
            Argument::LinkTarget(step) => self.link_target(step),
            Argument::Ioctl(step) => {
                let name = self.item(step).and_then(|item| item.routine().split_once('_'));
                let name = name.map_or_else(String::new, |(_, name)| name.to_ascii_uppercase());
                self.push(&name);
            }
            Argument::Status(step) => {
                let status = self.item(step).and_then(|item| item.asked_number(self.tables, "status"));
                self.count(status.map(|status| (status >> 8 & 0xff) as u64));
            }
        }
    }

    fn count(&mut self, count: Option<u64>) {
        match count {
            Some(count) => decimal(&mut self.draft.line, count),
            None => self.push(UNKNOWN),
        }
    }

    fn octal(&mut self, mode: Option<i64>) {
        match mode {
            // Writing to a String cannot fail.
            Some(mode) => drop(write!(self.draft.line, "0{mode:o}")),
            None => self.push(UNKNOWN),
        }
    }

    /// What a writer makes of a field of the request or the answer.
    fn with_field(&mut self, step: usize, name: &str, of_answer: bool, make: impl FnOnce(&mut Writer<'_>, Field<'_>)) {
        let Some(item) = self.found.places.get(step).copied().flatten().and_then(|place| self.items.get(place)) else {
            return self.push(UNKNOWN);
        };
        let (tables, names, style, actor) = (self.tables, self.names, self.style, self.actor);
        let draft = &mut *self.draft;
        let write = |event: &Event, field: Field<'_>| {
            let own_names = item.exchange.has_own_names(event);
            let mut writer =
                Writer { tables, names, style, actor, event, success: Some("0"), own_names, shown: 0, draft };
            make(&mut writer, field);
            Some(())
        };
        let written = match of_answer {
            true => item.answered(tables, name, write),
            false => item.asked(tables, name, write),
        };
        if written.is_none() {
            self.push(UNKNOWN);
        }
    }

    fn field(&mut self, step: usize, name: &str, of_answer: bool) {
        self.with_field(step, name, of_answer, |writer, field| writer.field(&field));
    }

    fn members(&mut self, step: usize, name: &str, members: &[&str]) {
        self.with_field(step, name, true, |writer, whole| {
            let Value::Struct(all) = whole.value else { return writer.field(&whole) };
            writer.push("{");
            let mut separator = "";
            for name in members {
                let Some(member) = field(all.fields(), name) else { continue };
                writer.push(core::mem::replace(&mut separator, ", "));
                writer.push(name);
                writer.push("=");
                match number(member.value) {
                    Some(value) if *name == "st_mode" => mode(&mut writer.draft.line, value),
                    _ => writer.field(&member),
                }
            }
            writer.push("}");
        });
    }

    /// A name, before which stands where it was looked up from if that is not known to be the current or the root directory.
    fn name(&mut self, label: &str, name: &[u8]) {
        match start(label) {
            Some(begin) => quoted(&mut self.draft.line, &joined(begin.as_bytes(), name)),
            None => {
                self.push(label);
                self.push(", ");
                quoted(&mut self.draft.line, name);
            }
        }
    }

    fn path(&mut self, from: usize, step: usize, end: &[u8]) {
        let label = self.item(from).map_or_else(String::new, |item| item.to.clone());
        let name = self.item(step).and_then(|item| item.asked_bytes(self.tables, "file_name")).unwrap_or_default();
        self.name(&label, name.strip_suffix(end).unwrap_or(&name));
    }

    fn entry(&mut self, lookup: usize, operation: usize, directory: Option<&str>, name: &str) {
        let Some(item) = self.item(operation) else { return self.push(UNKNOWN) };
        let name = item.asked_bytes(self.tables, name).unwrap_or_default();
        let found = self.item(lookup).map(|lookup| {
            let directory = lookup.asked_bytes(self.tables, "file_name").unwrap_or_default();
            (lookup.to.clone(), joined(&directory, &name))
        });
        let (label, name) = match (found, directory) {
            (Some(found), _) => found,
            (None, None) => (item.to.clone(), name),
            (None, Some(field)) => {
                let (names, actor) = (self.names, self.actor);
                let known = item.asked_port(self.tables, field);
                let known = known.and_then(|port| self.places.label((actor.task, port)));
                let label = item.asked(self.tables, field, |event, field| {
                    let Value::Port(right) = field.value else { return None };
                    if let Some(known) = known {
                        return Some(known.into());
                    }
                    let mut label = String::new();
                    ports::port(&mut label, Seen { names, actor, event, verbose: false }, right.name);
                    Some(label)
                });
                (label.unwrap_or_default(), name)
            }
        };
        self.name(&label, &name);
    }

    fn open(&mut self, step: usize) {
        let Some(flags) = self.item(step).and_then(|item| item.asked_number(self.tables, "flags")) else {
            return self.push(UNKNOWN);
        };
        let access = ["", "O_RDONLY", "O_WRONLY", "O_RDWR"].get((flags & ACCESS) as usize).copied().unwrap_or("");
        let rest = flags & !ACCESS;
        self.push(if flags == 0 { "0" } else { access });
        if rest != 0 {
            self.push(if access.is_empty() { "" } else { "|" });
            self.with_field(step, "flags", false, |writer, field| match field.set {
                Some(set) => constants(&mut writer.draft.line, set, rest as u32),
                None => hexadecimal(&mut writer.draft.line, rest as u64),
            });
        }
        if flags & CREATE != 0 {
            self.push(", ");
            let mode = self.item(step).and_then(|item| item.asked_number(self.tables, "mode"));
            self.octal(mode);
        }
    }

    fn named(&mut self, value: i64, names: recipe::Names) {
        let line = &mut self.draft.line;
        let (mut rest, mut separator) = (value, "");
        for (bit, name) in names.iter().filter(|(bit, _)| value & bit != 0) {
            line.push_str(core::mem::replace(&mut separator, "|"));
            line.push_str(name);
            rest &= !bit;
        }
        match rest {
            0 if value != 0 => {}
            0 => line.push('0'),
            rest => {
                line.push_str(separator);
                hexadecimal(line, rest as u64);
            }
        }
    }

    /// The server of a domain is called by its number: /servers/socket/1.
    fn domain(&mut self, step: usize) {
        let label = self.item(step).map_or_else(String::new, |item| item.to.clone());
        let number = label.strip_suffix('"').and_then(|name| name.rsplit_once("servers/socket/"));
        let number = number.and_then(|(_, number)| number.parse::<i64>().ok());
        match number.and_then(|number| DOMAIN.iter().find(|(domain, _)| *domain == number)) {
            Some((_, name)) => self.push(name),
            None => self.push(&label),
        }
    }

    /// A `struct sockaddr`, whose first byte is its length, and the second its family.
    fn address(&mut self, step: usize, name: &str) {
        self.with_field(step, name, false, |writer, field| {
            let text = bytes(field.value).and_then(address);
            match text {
                Some(text) => writer.push(&text),
                None => writer.field(&field),
            }
        });
    }

    fn vector(&mut self, step: usize, name: &str) {
        self.with_field(step, name, false, |writer, field| {
            let Some(all) = bytes(field.value) else { return writer.field(&field) };
            writer.push("[");
            for (place, one) in all.strip_suffix(b"\0").unwrap_or(all).split(|letter| *letter == 0).enumerate() {
                writer.push(if place > 0 { ", " } else { "" });
                quoted(&mut writer.draft.line, one);
            }
            writer.push("]");
        });
    }

    fn variables(&mut self, step: usize, name: &str) {
        self.with_field(step, name, false, |writer, field| {
            let Some(all) = bytes(field.value) else { return writer.field(&field) };
            let count = all.iter().filter(|letter| **letter == 0).count();
            let _ = write!(writer.draft.line, "/* {count} {} */", if count == 1 { "var" } else { "vars" });
        });
    }

    fn link_target(&mut self, step: usize) {
        let data = self.item(step).and_then(|item| item.asked_bytes(self.tables, "passive")).unwrap_or_default();
        let target = data.split(|letter| *letter == 0).nth(1).unwrap_or_default();
        quoted(&mut self.draft.line, target);
    }

    /// What the call has come to.
    fn result(&mut self) -> End {
        let (recipe, items) = (self.recipe(), self.items);
        let counts = |(step, place): (usize, &Option<usize>)| {
            let needed = recipe.steps.get(step).is_some_and(|step| matches!(step.need, Need::Must | Need::May));
            items.get((*place)?).filter(|_| needed)
        };
        let mut steps = self.found.places.iter().enumerate().filter_map(counts);
        if let Some((item, answer)) = steps.clone().find_map(|item| Some((item, item.failed?))) {
            if recipe.zero == Some(answer) {
                self.push("0");
                return End::Success;
            }
            let unknown = if item.is_lookup() { errno::ENOTDIR } else { recipe.unknown };
            errno::write(&mut self.draft.line, self.tables, answer, unknown);
            return End::Failure;
        }
        if steps.any(Item::is_unanswered) {
            self.push(UNKNOWN);
            return End::Unfinished;
        }
        self.given();
        End::Success
    }

    fn given(&mut self) {
        match self.recipe().gives {
            Gives::Zero => self.push("0"),
            Gives::One => self.push("1"),
            Gives::Nothing => self.push(UNKNOWN),
            Gives::Number(step, name) => self.answer(step, name, false),
            Gives::Address(step, name) => self.answer(step, name, true),
            Gives::Field(step, name) => self.field(step, name, true),
            Gives::Bits(step, name, names) => {
                let item = self.item(step);
                let bits = item.and_then(|item| item.answered(self.tables, name, |_, field| number(field.value)));
                match bits {
                    Some(bits) => self.named(bits, names),
                    None => self.push(UNKNOWN),
                }
            }
            Gives::Length(step, name) => {
                let count =
                    self.item(step).and_then(|item| item.answered(self.tables, name, |_, field| length(field.value)));
                self.count(count);
            }
            Gives::Port(step) => self.brought(step),
            Gives::Pair(first, second) => {
                self.push("[");
                self.brought(first);
                self.push(", ");
                self.brought(second);
                self.push("]");
            }
            Gives::Depends(step, name) => {
                self.push("? {");
                self.push(name);
                self.push(": ");
                self.field(step, name, true);
                self.push("}");
            }
        }
    }

    fn answer(&mut self, step: usize, name: &str, is_address: bool) {
        let value = self.item(step).and_then(|item| item.answered(self.tables, name, |_, field| number(field.value)));
        match value {
            Some(value) if is_address => hexadecimal(&mut self.draft.line, value as u64),
            Some(value) => decimal(&mut self.draft.line, value),
            None => self.push(UNKNOWN),
        }
    }

    /// What the port is called that a step brought.
    fn brought(&mut self, step: usize) {
        let (names, actor) = (self.names, self.actor);
        let label = self.item(step).and_then(|item| {
            let event = item.exchange.reply.as_ref()?;
            let number = *item.brought.first()?;
            let port = event.ports().iter().find(|port| port.number.get() == number)?;
            let mut label = String::new();
            ports::port(&mut label, Seen { names, actor, event, verbose: false }, port.name.get());
            Some(label)
        });
        self.push(label.as_deref().unwrap_or(UNKNOWN));
    }
}

/// Appends `S_IFREG|0644`.
fn mode(out: &mut String, value: i64) {
    if let Some((_, kind)) = KINDS.iter().find(|(kind, _)| *kind == value & KIND) {
        out.push_str(kind);
        out.push('|');
    }
    // Writing to a String cannot fail.
    let _ = write!(out, "0{:o}", value & PERMISSIONS);
}

/// `{AF_INET, 10.0.2.2:80}`, if it is such.
fn address(bytes: &[u8]) -> Option<String> {
    let port = u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?);
    let mut text = String::new();
    match i64::from(*bytes.get(1)?) {
        INET => {
            let address = Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(4..8)?).ok()?);
            write!(text, "{{AF_INET, {address}:{port}}}").ok()?;
        }
        INET6 => {
            let address = Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(8..24)?).ok()?);
            write!(text, "{{AF_INET6, [{address}]:{port}}}").ok()?;
        }
        _ => return None,
    }
    Some(text)
}
