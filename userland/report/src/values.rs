// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages and values to text: what each looks like in a line.

use core::fmt::Write;

use exchanges::Actor;
use exchanges::event::Event;
use exchanges::names::Names;
use exchanges::pair::{is_name, received_on};
use mach_abi::header::MACH_MSGH_BITS_COMPLEX;
use mig_defs::decode::{Error, Fields, Message};
use mig_defs::raw::Items;
use mig_defs::table::{Form, Set, Tables};
use mig_defs::value::{Array, Field, PortRight, Struct, Units, Value, View};
use trace_port::EventKind;

use crate::draft::Draft;
use crate::number::{byte, decimal, hexadecimal};
use crate::pieces::{
    self, constants, disposition_text, is_address, is_text, quoted, quoted_in_hexadecimal, time, wait_status,
};
use crate::ports::{self, Seen};
use crate::style::Style;

/// Most array elements, and items of a message that cannot be decoded, that are printed without `-v`.
pub(crate) const ELEMENTS_MAX: usize = 32;

/// Writes the messages of one task's thread.
pub(crate) struct Writer<'a> {
    /// Routines, types and constants.
    pub(crate) tables: Tables<'a>,
    /// Ports.
    pub(crate) names: &'a Names,
    pub(crate) style: &'a Style,
    /// Whose message it is.
    pub(crate) actor: Actor,
    /// The message.
    pub(crate) event: &'a Event,
    /// What the return code 0 is called, which almost every reply has.
    pub(crate) success: Option<&'a str>,
    /// Whether plain port names in it are the task's own.
    pub(crate) own_names: bool,
    /// Elements of its arrays out of line that have been passed.
    pub(crate) shown: usize,
    /// Where it goes.
    pub(crate) draft: &'a mut Draft,
}

impl<'a> Writer<'a> {
    #[inline]
    pub(crate) fn push(&mut self, text: &str) {
        // Many pieces are empty most of the time.
        if !text.is_empty() {
            self.draft.line.push_str(text);
        }
    }

    /// `routine(argument: value, ...)`, of a request or of any message whose id is unknown.
    pub(crate) fn request(&mut self, message: Option<&Message<'_>>) {
        let Some(message) = message else { return self.unknown() };
        self.push(message.routine().name());
        self.push("(");
        self.fields(message);
        self.push(")");
    }

    /// `KERN_SUCCESS {argument: value, ...}`
    pub(crate) fn reply(&mut self, message: &Message<'_>) {
        let mut fields = message.fields();
        let code = match fields.next() {
            Some(Ok(Field { value: Value::KernReturn(code), .. })) => code,
            Some(Ok(_)) | None => return self.request(Some(message)),
            Some(Err(error)) => return self.error(message, error),
        };
        self.code(code);
        // What comes with a failure is not set.
        if code == 0
            && let Some(first) = fields.next()
        {
            self.push(" {");
            self.listed(message, Some(first), fields);
            self.push("}");
        }
    }

    fn error(&mut self, message: &Message<'_>, error: Error<'_>) {
        let _ = write!(self.draft.line, "<{error}>");
        self.draft.dump(self.style, message.rest(error.offset), error.offset);
    }

    /// A return code by name.
    pub(crate) fn code(&mut self, code: i32) {
        if let Some(success) = self.success.filter(|_| code == 0) {
            return self.push(success);
        }
        pieces::code(&mut self.draft.line, self.tables, code);
    }

    /// A port of the task's own.
    pub(crate) fn port(&mut self, name: u32) {
        let seen = self.seen();
        ports::port(&mut self.draft.line, seen, name);
    }

    /// Whether a plain name in the message is the task's own, and the kernel says what it stands for.
    fn is_known(&self, name: u32) -> bool {
        !is_name(name) || self.own_names && self.event.port(name).is_some()
    }

    /// Who sees ports here, which lives longer than this writer.
    fn seen(&self) -> Seen<'a> {
        Seen { names: self.names, actor: self.actor, event: self.event, verbose: self.style.verbose }
    }

    /// The port in the header that a request goes to.
    fn request_port(&mut self) {
        let header = self.event.mach_header.unwrap_or_default();
        match (self.event.view(), received_on(header, self.event)) {
            (View::Sent, _) => self.port(header.remote_port),
            (View::Received, Some(name)) => self.port(name),
            (View::Received, None) => {
                self.push("a port with the protected payload ");
                hexadecimal(&mut self.draft.line, header.local_port);
            }
        }
    }

    /// Whether the request goes to the caller's own task or thread.
    fn asks_itself(&self) -> bool {
        let port = self.event.mach_header.and_then(|header| self.event.port(header.remote_port));
        self.event.view() == View::Sent && port.is_some_and(|port| ports::is_own(self.seen(), port))
    }

    fn fields(&mut self, message: &Message<'_>) {
        let mut fields = message.fields();
        let first = fields.next();
        self.listed(message, first, fields);
    }

    /// A field and those after it.
    fn listed<'m>(
        &mut self,
        message: &Message<'m>,
        first: Option<Result<Field<'m>, Error<'m>>>,
        mut fields: Fields<'m>,
    ) {
        let (mut separator, mut next) = ("", first);
        if !message.is_reply() && matches!(next, Some(Ok(Field { value: Value::Port(_), .. }))) {
            if self.style.repeats() || !self.asks_itself() {
                self.named(next.and_then(Result::ok).map_or("", |field| field.name));
                self.request_port();
                separator = ", ";
            }
            next = fields.next();
        }
        while let Some(field) = next {
            self.push(core::mem::replace(&mut separator, ", "));
            let field = match field {
                Ok(field) => field,
                Err(error) => {
                    self.error(message, error);
                    next = fields.next();
                    continue;
                }
            };
            self.named(field.name);
            self.field(&field);
            if fields.is_cut() {
                self.cut();
            }
            next = fields.next();
        }
        self.not_captured(separator);
    }

    /// What was written last is only the beginning of it.
    fn cut(&mut self) {
        if !["...", "...]", "...>"].iter().any(|end| self.draft.line.ends_with(end)) {
            self.push("...");
        }
    }

    /// What is not in the record of a message, which holds the beginning of a large one.
    fn not_captured(&mut self, separator: &str) {
        let missing = self.event.not_captured();
        if missing > 0 {
            self.push(separator);
            self.push("<");
            decimal(&mut self.draft.line, missing);
            self.push(if missing == 1 { " byte not captured>" } else { " bytes not captured>" });
        }
    }

    /// `name: `; of some routines only the name is known.
    fn named(&mut self, name: &str) {
        if !name.is_empty() {
            self.push(name);
            self.push(": ");
        }
    }

    /// The value of a field.
    pub(crate) fn field(&mut self, field: &Field<'_>) {
        let is_hex = || field.form == Form::Hexadecimal || field.ty.is_some_and(is_address);
        match (field.value, field.form) {
            (Value::Text(path), Form::Path) => self.quoted(path),
            (Value::Struct(members), form) => self.members(&members, form),
            (Value::Signed { value, .. }, Form::WaitStatus) => {
                wait_status(&mut self.draft.line, value as u32, self.tables.set("signal"));
            }
            (Value::Signed { value, .. }, _) if field.set.is_none() && !is_hex() => {
                decimal(&mut self.draft.line, value);
            }
            (value @ (Value::Signed { .. } | Value::Unsigned { .. }), _) => self.value(value, field.set, is_hex()),
            (value, _) => self.value(value, field.set, false),
        }
    }

    fn members(&mut self, members: &Struct<'_>, form: Form) {
        if time(&mut self.draft.line, members, form) {
            return;
        }
        self.push("{");
        let (mut separator, mut left_out) = ("", false);
        for member in members.fields() {
            let zero = matches!(member.value, Value::Unsigned { value: 0, .. } | Value::Signed { value: 0, .. });
            if zero && form == Form::Sparse && !self.style.verbose {
                left_out = true;
                continue;
            }
            self.push(core::mem::replace(&mut separator, ", "));
            self.named(member.name);
            self.field(&member);
        }
        if left_out {
            self.push(separator);
            self.push("...");
        }
        self.push("}");
    }

    fn value(&mut self, value: Value<'_>, set: Option<Set<'_>>, is_hex: bool) {
        let line = &mut self.draft.line;
        match value {
            Value::Bool(value) => self.push(if value { "true" } else { "false" }),
            Value::Signed { value, bits } => match set {
                Some(set) => constants(line, set, value as u32),
                None if is_hex && bits == 32 => hexadecimal(line, (value as u32).into()),
                None if is_hex => hexadecimal(line, value as u64),
                None => decimal(line, value),
            },
            Value::Unsigned { value, .. } => match set.zip(u32::try_from(value).ok()) {
                Some((set, value)) => constants(line, set, value),
                None if is_hex => hexadecimal(line, value),
                None => decimal(line, value),
            },
            Value::KernReturn(code) => self.code(code),
            Value::Text(text) => self.text(text),
            Value::Bytes(bytes) => self.data(bytes),
            Value::PortName(name) if self.own_names => {
                let seen = self.seen();
                ports::port_name(&mut self.draft.line, seen, name);
            }
            Value::PortName(name) => decimal(line, name),
            Value::Port(right) => self.right(right),
            Value::Array(array) => self.array(&array),
            Value::Struct(members) => self.members(&members, Form::Plain),
            Value::OutOfLine { address, size, units, count, deallocate } => {
                self.push(if deallocate && self.style.verbose { "dealloc " } else { "" });
                let shown = if units == Units::Bytes { size } else { count.into() };
                self.out_of_line(address, shown, units);
                self.contents((address, size), (units, count));
                self.push("]");
            }
            Value::OutOfLinePorts { address, count, disposition, view, .. } => {
                self.push(disposition_text(disposition, view, self.style.verbose));
                self.out_of_line(address, count.into(), Units::Ports);
                // One that could not be received is nowhere.
                if address != 0 || self.event.kind != EventKind::Normal {
                    self.elements(count as usize);
                }
                self.push("]");
            }
            // What a later decoder may know.
            other => drop(write!(line, "{other:?}")),
        }
    }

    /// `ool 0x5000[12 bytes`, or without the address of memory that is on its way.
    fn out_of_line(&mut self, address: u64, count: u64, units: Units) {
        self.push("ool ");
        if self.event.kind == EventKind::Normal {
            hexadecimal(&mut self.draft.line, address);
        }
        self.push("[");
        decimal(&mut self.draft.line, count);
        self.push(match units {
            Units::Bytes => " byte",
            Units::Characters => " char",
            Units::Integers(8) => " int8",
            Units::Integers(16) => " int16",
            Units::Integers(32) => " int32",
            Units::Integers(_) => " int64",
            Units::Names => " name",
            Units::Ports => " port",
        });
        let is_plural = count != 1 && !matches!(units, Units::Integers(_));
        self.push(if is_plural { "s" } else { "" });
    }

    /// What the rights in an array out of line are, of which there are so many; nothing if the kernel says nothing of them.
    fn elements(&mut self, count: usize) {
        let (event, mut said) = (self.event, 0);
        for element in event.elements().skip(self.shown).take(count) {
            if said < ELEMENTS_MAX || self.style.verbose {
                self.push(if said > 0 { ", " } else { ": " });
                let seen = self.seen();
                ports::element(&mut self.draft.line, seen, element);
            }
            said += 1;
        }
        self.shown += said;
        self.push(if said > ELEMENTS_MAX && !self.style.verbose { ", ..." } else { "" });
        if (1..count).contains(&said) {
            self.push(", <");
            decimal(&mut self.draft.line, count - said);
            self.push(" not captured>");
        }
    }

    fn array(&mut self, array: &Array<'_>) {
        self.push("[");
        for (index, value) in array.iter().enumerate() {
            self.push(if index > 0 { ", " } else { "" });
            if index == ELEMENTS_MAX && !self.style.verbose {
                self.push("...");
                break;
            }
            let (ty, set, form) = (array.element_type(), array.set(), array.form());
            self.field(&Field { name: "", ty, value, set, form });
        }
        self.push("]");
    }

    fn right(&mut self, right: PortRight) {
        if is_name(right.name) {
            self.push(disposition_text(right.disposition, right.view, self.style.verbose));
        }
        self.port(right.name);
    }

    /// As many bytes as are to be shown, and whether there are more.
    fn shown<'b>(&self, bytes: &'b [u8]) -> (&'b [u8], &'static str) {
        match bytes.get(..self.style.string_size) {
            Some(start) if start.len() < bytes.len() && !self.style.verbose => (start, "..."),
            _ => (bytes, ""),
        }
    }

    fn text(&mut self, text: &[u8]) {
        let (shown, cut) = self.shown(text);
        self.quoted(shown);
        self.push(cut);
    }

    fn quoted(&mut self, text: &[u8]) {
        match self.style.strings.are_hexadecimal(text) {
            true => quoted_in_hexadecimal(&mut self.draft.line, text),
            false => quoted(&mut self.draft.line, text),
        }
    }

    /// Data of no particular kind; text is often sent as such.
    pub(crate) fn data(&mut self, bytes: &[u8]) {
        if is_text(bytes) { self.text(bytes) } else { self.bytes(bytes) }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let (shown, cut) = self.shown(bytes);
        self.push("<");
        for (index, &number) in shown.iter().enumerate() {
            self.push(if index > 0 { " " } else { "" });
            byte(&mut self.draft.line, number);
        }
        self.push(cut);
        self.push(">");
    }

    /// `msgh_id 2999(to port 7, 56 bytes: 5, "...")`, or `on` the port it came in on.
    fn unknown(&mut self) {
        let event = self.event;
        let header = event.mach_header.unwrap_or_default();
        self.push("msgh_id ");
        decimal(&mut self.draft.line, header.id as i32);
        self.push(if event.view() == View::Sent { "(to " } else { "(on " });
        self.request_port();
        self.push(", ");
        decimal(&mut self.draft.line, event.message_size);
        self.push(" bytes");
        self.items(event.items(), ": ");
        self.push(")");
    }

    /// What is left of a message, item by item, with `separator` before the first. Whether there was anything.
    fn items(&mut self, mut items: Items<'_>, mut separator: &'static str) -> bool {
        let is_complex = self.event.mach_header.is_none_or(|header| header.bits & MACH_MSGH_BITS_COMPLEX != 0);
        // In a message that is not complex the kernel looks at no item: what is said to be rights or memory are data like others.
        let (mut says_wrongly, mut is_shortened) = (false, false);
        for (index, item) in items.by_ref().enumerate() {
            self.push(core::mem::replace(&mut separator, ", "));
            if index == ELEMENTS_MAX && !self.style.verbose {
                self.push("...");
                is_shortened = true;
                break;
            }
            says_wrongly |= !is_complex && (item.descriptor.is_port() || !item.descriptor.inline);
            match item.value(self.event.view()) {
                // There is no argument's name to say that it is one.
                Value::PortName(name) if !self.is_known(name) => ports::plain_name(&mut self.draft.line, name),
                value => self.value(value, None, false),
            }
            if item.is_cut {
                self.cut();
            }
        }
        if !is_shortened && !items.rest().is_empty() {
            self.push(core::mem::replace(&mut separator, ", "));
            self.bytes(items.rest());
        }
        if says_wrongly {
            self.push(", <not complex>");
        }
        if self.event.not_captured() > 0 {
            self.not_captured(core::mem::replace(&mut separator, ", "));
        }
        separator == ", "
    }

    /// A reply whose id is unknown. By MIG's convention a return code comes first.
    pub(crate) fn unknown_reply(&mut self) {
        let event = self.event;
        let mut items = event.items();
        // Else it is not a reply at all, such as the notification that the reply right died.
        let Some(code) = items.next().and_then(|item| item.return_code()) else {
            return self.request(event.decode(self.tables).as_ref());
        };
        self.code(code);
        if self.items(items, " {") {
            self.push("}");
        }
    }

    /// `, options: MACH_SEND_MSG|..., time_out: 100`; of these what was not asked for only with `-v`.
    pub(crate) fn mach_msg_options(&mut self, verbose: bool) {
        let event = self.event;
        if verbose {
            self.push(", options: ");
            match self.tables.set("mach_msg_option") {
                Some(set) => constants(&mut self.draft.line, set, event.options),
                None => hexadecimal(&mut self.draft.line, event.options.into()),
            }
        }
        if event.time_out_given().is_some() || verbose && event.time_out != 0 {
            self.push(", time_out: ");
            decimal(&mut self.draft.line, event.time_out);
        }
    }

    /// Of a failed `mach_msg`: what the message was, if there is more of it than a header.
    pub(crate) fn failed_message(&mut self, message: Option<&Message<'_>>) {
        let event = self.event;
        if event.message().len() > event.format.header().end
            || (event.view() == View::Sent && event.mach_header.is_some())
        {
            self.push(" ");
            self.request(message);
        }
    }
}
