// SPDX-License-Identifier: GPL-2.0-or-later
//! Message bytes and tables to fields.
//!
//! ```
//! # fn print(tables: mig_defs::table::Tables<'_>, bytes: &[u8]) {
//! use mach_abi::Format;
//! use mig_defs::decode::{Error, Message};
//! use mig_defs::value::{Value, View};
//!
//! match Message::new(tables, Format::Lp64, bytes, View::Sent) {
//!     Ok(message) => {
//!         print!("{}.{}(", message.routine().subsystem(), message.routine().name());
//!         for field in message.fields() {
//!             match field {
//!                 Ok(field) => match (field.value, field.set) {
//!                     (Value::Unsigned { value, .. }, Some(set)) => {
//!                         // VM_PROT_READ|VM_PROT_WRITE
//!                         let names: Vec<&str> = set.names_of(value as u32).collect();
//!                         print!("{}: {}", field.name, names.join("|"));
//!                     }
//!                     (Value::KernReturn(code), _) => print!("= {:?}", tables.error_name(code)),
//!                     (Value::Port(right), _) => print!("{}: {:#x}", field.name, right.name),
//!                     (Value::Struct(members), _) => {
//!                         members.fields().for_each(|member| print!("{}: {:?}", member.name, member.value));
//!                     }
//!                     (value, _) => print!("{}: {value:?}", field.name),
//!                 },
//!                 // What was sound has been delivered; the rest is raw bytes from here on.
//!                 Err(error) => print!("{error}: {:x?}", message.rest(error.offset)),
//!             }
//!         }
//!     }
//!     Err(Error { msgh_id: Some(id), .. }) => print!("message {id}: {bytes:x?}"),
//!     Err(error) => print!("{error}"),
//! }
//! # }
//! ```

use core::fmt;

use mach_abi::{Descriptor, Disposition, Format, Header};

use mach_abi::bytes::read_u32;

use crate::raw::{self, Short};
use crate::table::{Choice, Form, Item, ItemRole, Items, Routine, Tables, Type, TypeKind};
use crate::value::{ALL_FLAGS, Array, Element, Field, PortRight, Value, View, Within, array, until_nul, value};

/// Why a message, or an item of it, cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error<'a> {
    /// `msgh_id`; `None` if the message is shorter than a header.
    pub msgh_id: Option<u32>,
    /// The routine, if the id is known.
    pub routine: Option<&'a str>,
    /// The item that is wrong.
    pub field: Option<&'a str>,
    /// Where it starts in the message.
    pub offset: usize,
    /// What is wrong.
    pub reason: Reason,
    /// Bytes (or, for [`Reason::WrongSize`], the bytes its type has) needed from `offset`.
    pub need: u64,
    /// Bytes there are.
    pub have: u64,
}

/// What is wrong with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The message ends before the item does.
    Truncated,
    /// No routine has this id.
    UnknownId,
    /// The descriptor gives data of another size than the item's type has.
    WrongSize,
    /// The descriptor gives port rights where the type has data.
    RightsForData {
        /// The `msgt_name` found.
        found: u8,
    },
    /// The descriptor gives data where the type has port rights: their size is not that of a name.
    DataForRights {
        /// The `msgt_name` found.
        found: u8,
    },
    /// Bytes are left after the last item.
    TrailingBytes,
}

impl fmt::Display for Error<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.msgh_id {
            Some(id) => write!(out, "message {id}")?,
            None => write!(out, "message")?,
        }
        if let Some(routine) = self.routine {
            write!(out, " ({routine})")?;
        }
        if let Some(field) = self.field {
            write!(out, ": {field} at byte {}", self.offset)?;
        }
        match self.reason {
            Reason::Truncated => write!(out, ": needs {} bytes, there are {}", self.need, self.have),
            Reason::UnknownId => write!(out, ": no routine has this id"),
            Reason::WrongSize => write!(out, ": expected {} bytes of data, found {}", self.need, self.have),
            Reason::RightsForData { found } => {
                let disposition = Disposition(found).sent_name();
                write!(
                    out,
                    ": expected {} bytes of data, found {} of port rights ({disposition})",
                    self.need, self.have
                )
            }
            Reason::DataForRights { found } => {
                write!(out, ": expected port rights, found {} bytes of data of type {found}", self.have)
            }
            Reason::TrailingBytes => write!(out, ": {} bytes after the last item at byte {}", self.have, self.offset),
        }
    }
}

impl core::error::Error for Error<'_> {}

/// A message whose routine is known.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    format: Format,
    header: Header,
    bytes: &'a [u8],
    /// Its size before it was cut off; that of `bytes` if it was not.
    whole: usize,
    routine: Routine<'a>,
    is_reply: bool,
    view: View,
    /// Of a reply: the request it answers.
    request: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// Looks the id of a message of this format up, in tables for the format. Some ids are a reply and, in an interface for asynchronous use, also a one-way request
    /// with the same content (`device_open` and `device_open_reply`): they count as the reply.
    ///
    /// # Errors
    /// If it is shorter than a header, or no table for its format has its id.
    pub fn new(tables: Tables<'a>, format: Format, bytes: &'a [u8], view: View) -> Result<Self, Error<'a>> {
        let header = read_header(format, bytes)?;
        let (request, reply) = tables.either(format, header.id);
        let (request, reply) = (request.map(|routine| (routine, false)), reply.map(|routine| (routine, true)));
        let found = match request {
            Some((routine, _)) if routine.reply_id().is_some() => request,
            _ => reply.or(request),
        };
        Self::found((format, header), bytes, found, view)
    }

    /// The message as a reply, for ids that are both a request and a reply and for a caller who knows the request.
    ///
    /// # Errors
    /// As of [`Message::new`].
    pub fn reply(tables: Tables<'a>, format: Format, bytes: &'a [u8], view: View) -> Result<Self, Error<'a>> {
        let header = read_header(format, bytes)?;
        let found = tables.reply_of(format, header.id).map(|routine| (routine, true));
        Self::found((format, header), bytes, found, view)
    }

    /// The request or the reply of a routine that is known: what [`Message::new`] looks up. `None` if it is shorter than a header, or if the
    /// routine's table does not know messages of this format.
    pub fn of((routine, is_reply): (Routine<'a>, bool), format: Format, bytes: &'a [u8], view: View) -> Option<Self> {
        let header = Header::read(format, bytes).filter(|_| routine.is_for(format))?;
        Self::found((format, header), bytes, Some((routine, is_reply)), view).ok()
    }

    fn found(
        (format, header): (Format, Header),
        bytes: &'a [u8],
        found: Option<(Routine<'a>, bool)>,
        view: View,
    ) -> Result<Self, Error<'a>> {
        match found {
            Some((routine, is_reply)) => {
                Ok(Self { format, header, bytes, whole: bytes.len(), routine, is_reply, view, request: None })
            }
            None => Err(Error {
                msgh_id: Some(header.id),
                routine: None,
                field: None,
                offset: 0,
                reason: Reason::UnknownId,
                need: 0,
                have: bytes.len() as u64,
            }),
        }
    }

    /// The reply as the one to `request`, whose flavor says what an array of integers in it means.
    pub fn to_request(self, request: &Self) -> Self {
        let fits = self.is_reply && !request.is_reply && self.routine.request_id() == request.routine.request_id();
        Self { request: if fits { Some(request.bytes) } else { self.request }, ..self }
    }

    /// The message as the beginning of one that had so many bytes: what is missing at the end is no error, see [`Fields::is_cut`].
    #[must_use]
    pub fn cut_from(self, whole: usize) -> Self {
        Self { whole: whole.max(self.bytes.len()), ..self }
    }

    /// The header.
    pub fn header(&self) -> Header {
        self.header
    }

    /// The routine, with its name and subsystem.
    pub fn routine(&self) -> Routine<'a> {
        self.routine
    }

    /// Whether it is the reply.
    pub fn is_reply(&self) -> bool {
        self.is_reply
    }

    /// The message's bytes from `offset` on.
    pub fn rest(&self, offset: usize) -> &'a [u8] {
        self.bytes.get(offset..).unwrap_or(&[])
    }

    /// The fields: of a request the request port and then the arguments, of a reply the return code and then the
    /// arguments. After an error there are no more. Where only the routine's name is known, they have no names.
    pub fn fields(&self) -> Fields<'a> {
        let state = if self.routine.is_name_only() { State::Unnamed { first: true } } else { State::Items };
        let (items, offset) = (self.routine.items(self.is_reply), self.format.header().end);
        Fields { message: *self, items, offset, state, choosing: true, is_cut: false }
    }

    /// The number in the request that a choice is made by.
    fn number_for(&self, choice: Choice<'a>) -> Option<u32> {
        let bytes = if self.is_reply { self.request? } else { self.bytes };
        let message = Self { bytes, whole: bytes.len(), is_reply: false, ..*self };
        // Without choices of its own: tables could otherwise send us round in circles.
        let mut fields = Fields { choosing: false, ..message.fields() };
        match fields.nth(choice.maker(&self.routine)?)?.ok()?.value {
            Value::Signed { value, .. } => Some(value as u32),
            Value::Unsigned { value, .. } => u32::try_from(value).ok(),
            _ => None,
        }
    }
}

fn read_header<'a>(format: Format, bytes: &[u8]) -> Result<Header, Error<'a>> {
    Header::read(format, bytes).ok_or(Error {
        msgh_id: None,
        routine: None,
        field: None,
        offset: 0,
        reason: Reason::Truncated,
        need: format.header().end as u64,
        have: bytes.len() as u64,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Items,
    /// Only the routine's name is known.
    Unnamed {
        first: bool,
    },
    Done,
}

/// An iterator over a message's fields.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    message: Message<'a>,
    items: Items<'a>,
    offset: usize,
    state: State,
    /// Whether choices are looked at.
    choosing: bool,
    is_cut: bool,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Error<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.state {
            State::Done => return None,
            State::Unnamed { first } => return self.unnamed(first),
            State::Items => {}
        }
        let Some(item) = self.items.next() else {
            self.state = State::Done;
            let have = self.message.bytes.len().saturating_sub(self.offset);
            self.is_cut |= have == 0 && self.message.whole > self.message.bytes.len();
            return (have > 0).then(|| Err(self.error(None, Reason::TrailingBytes, 0, have as u64)));
        };
        if item.role() == ItemRole::RequestPort {
            return Some(Ok(self.request_port(item)));
        }
        let field = match raw::item_at(self.message.format, self.message.bytes, self.message.whole, self.offset) {
            Ok(found) => self.item(item, found),
            Err(short) => self.short(Some(item), short)?,
        };
        if field.is_err() || self.is_cut {
            self.state = State::Done;
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    /// Where the next item starts.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Whether the message was cut off before its end: in the last field, of which then only the beginning is there, or behind it.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// There is less than a whole item: an error, unless the message was cut off here.
    fn short(&mut self, item: Option<Item<'a>>, Short { need, have }: Short) -> Option<Result<Field<'a>, Error<'a>>> {
        self.state = State::Done;
        self.is_cut = self.message.whole > self.message.bytes.len() && need <= have;
        (!self.is_cut).then(|| Err(self.error(item, Reason::Truncated, need, have)))
    }

    fn error(&self, item: Option<Item<'a>>, reason: Reason, need: u64, have: u64) -> Error<'a> {
        Error {
            msgh_id: Some(self.message.header.id),
            routine: Some(self.message.routine.name()),
            field: item.map(|item| item.name()),
            offset: self.offset,
            reason,
            need,
            have,
        }
    }

    /// A sender's request port is the remote port; to the receiver it is the local one.
    fn request_right(&self) -> Value<'a> {
        let header = self.message.header;
        let view = self.message.view;
        let (name, disposition) = match view {
            View::Sent => (header.remote_port, header.remote_disposition()),
            View::Received => (header.local_port as u32, header.local_disposition()),
        };
        Value::Port(PortRight { name, disposition: Disposition(disposition), view })
    }

    fn request_port(&self, item: Item<'a>) -> Field<'a> {
        Field { name: item.name(), ty: Some(item.ty()), value: self.request_right(), set: None, form: Form::Plain }
    }

    /// The next field of a message whose items have no names.
    fn unnamed(&mut self, first: bool) -> Option<Result<Field<'a>, Error<'a>>> {
        self.state = State::Unnamed { first: false };
        let field = |name, value| Some(Ok(Field { name, ty: None, value, set: None, form: Form::Plain }));
        if first && !self.message.is_reply {
            return field("port", self.request_right());
        }
        let (bytes, whole) = (self.message.bytes, self.message.whole);
        if self.offset == bytes.len() {
            self.state = State::Done;
            self.is_cut |= whole > bytes.len();
            return None;
        }
        match raw::item_at(self.message.format, bytes, whole, self.offset) {
            Ok(item) => {
                self.offset = item.end;
                self.is_cut = item.is_cut;
                match item.return_code() {
                    Some(code) if first => field("RetCode", Value::KernReturn(code)),
                    _ => field("", item.value(self.message.view)),
                }
            }
            Err(short) => self.short(None, short),
        }
    }

    fn item(&mut self, item: Item<'a>, found: raw::Item<'a>) -> Result<Field<'a>, Error<'a>> {
        let raw::Item { descriptor, data, end, is_cut, .. } = found;
        self.is_cut = is_cut;
        let ty = item.ty();
        let value = match descriptor.inline {
            true => self.inline((item, ty), descriptor, data)?,
            false => found.value(self.message.view),
        };
        self.offset = end;
        let failed = matches!(value, Value::KernReturn(code) if code != 0);
        if item.role() == ItemRole::RetCode && failed && self.offset == self.message.bytes.len() {
            self.state = State::Done;
        }
        let name = item.name();
        if matches!(value, Value::KernReturn(_) | Value::Port(_)) {
            return Ok(Field { name, ty: Some(ty), value, set: None, form: Form::Plain });
        }
        if let Some((ty, flags)) = self.chosen(item, descriptor) {
            let (value, set, form) = (crate::value::chosen(ty, data, flags), ty.set(), ty.form());
            return Ok(Field { name, ty: Some(ty), value, set, form });
        }
        Ok(Field { name, ty: Some(ty), value, set: item.set_or(ty), form: item.form_or(ty) })
    }

    /// What the data of an item mean beyond its own type, if they have the size for it, and the number that says so.
    fn chosen(&self, item: Item<'a>, descriptor: Descriptor) -> Option<(Type<'a>, u32)> {
        if !self.choosing || !descriptor.inline || descriptor.is_port() {
            return None;
        }
        let choice = item.choice()?;
        let number = self.message.number_for(choice);
        let size = usize::try_from(descriptor.data_size()).ok()?;
        let ty = choice.case(number).filter(|ty| ty.begins_with(size))?;
        Some((ty, number.unwrap_or(ALL_FLAGS)))
    }

    fn inline(
        &self,
        (item, ty): (Item<'a>, Type<'a>),
        descriptor: Descriptor,
        data: &'a [u8],
    ) -> Result<Value<'a>, Error<'a>> {
        let element = ty.element();
        // Of a message that was cut off, the data may be only the beginning.
        let (found, have) = (descriptor.name, descriptor.data_size());
        // A null right of a polymorphic type may be sent with any type name, so only the type's side is certain.
        if descriptor.is_port() && element.kind() != TypeKind::Port {
            return Err(self.error(Some(item), Reason::RightsForData { found }, ty.size() as u64, have));
        }
        if element.kind() == TypeKind::Port {
            return match usize::from(descriptor.size / 8) {
                stride @ (4 | 8) => Ok(self.ports(item, descriptor, data, stride)),
                _ => Err(self.error(
                    Some(item),
                    Reason::DataForRights { found },
                    self.message.format.word() as u64,
                    have,
                )),
            };
        }
        match (ty.kind(), ty.size()) {
            (TypeKind::CString, 0) => Ok(Value::Text(until_nul(data))),
            // An array of variable size holds whole elements; how the descriptor counts them does not matter.
            (TypeKind::Array, 0) => match element.size() {
                0 => Ok(Value::Bytes(data)),
                size if have.is_multiple_of(size as u64) => Ok(array(element, data)),
                size => Err(self.error(Some(item), Reason::WrongSize, size as u64, have)),
            },
            // Structs of 8-byte members went as bytes before MIG's fix of 2025 and as 64-bit integers since:
            // only the total size tells.
            (_, size) if size as u64 == have => Ok(value(ty, data)),
            (_, size) => Err(self.error(Some(item), Reason::WrongSize, size as u64, have)),
        }
    }

    fn ports(&self, item: Item<'a>, descriptor: Descriptor, data: &'a [u8], stride: usize) -> Value<'a> {
        let (disposition, view) = (Disposition(descriptor.name), self.message.view);
        if item.ty().kind() == TypeKind::Port && descriptor.number == 1 {
            let name = read_u32(data, 0);
            return name.map_or(Value::Bytes(data), |name| Value::Port(PortRight { name, disposition, view }));
        }
        let (element, count) = (Element::RightOf(item.ty().element(), disposition, view), data.len() / stride);
        Value::Array(Array { element, data, count, stride, within: Within::default() })
    }
}
