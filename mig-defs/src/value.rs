// SPDX-License-Identifier: GPL-2.0-or-later
//! What a decoder delivers: fields with values, arrays and structs read only when asked.

use mach_abi::Disposition;
use mach_abi::bytes::{read_u32, read_u64};

use crate::table::{Form, Member, Members, Set, Type, TypeKind};

/// Most arrays and structs in one another that are taken apart.
const MAX_DEPTH: u8 = 16;
/// For a struct of which all members are there.
pub(crate) const ALL_FLAGS: u32 = u32::MAX;

/// What arrays and structs hand on to what is in them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Within {
    /// How many there are around.
    depth: u8,
    /// The number that chose the outermost one.
    flags: u32,
}

impl Default for Within {
    fn default() -> Self {
        Self { depth: 0, flags: ALL_FLAGS }
    }
}

impl Within {
    fn deeper(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }
}

/// One argument, return code or struct member.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Its name in the .defs.
    pub name: &'a str,
    /// Its type in the .defs; `None` if nothing is known of it but its descriptor.
    pub ty: Option<Type<'a>>,
    /// Its value.
    pub value: Value<'a>,
    /// What a number in it means, if an annotation says.
    pub set: Option<Set<'a>>,
    /// How the value is best written.
    pub form: Form,
}

impl<'a> Field<'a> {
    /// Its type's name in the .defs; empty if that is not known.
    pub fn type_name(&self) -> &'a str {
        self.ty.map_or("", |ty| ty.name())
    }
}

/// Whether the message is seen by its sender or by its receiver. Port names are those of that task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// As it was sent: dispositions are what the sender asks for.
    Sent,
    /// As it was received: dispositions are what the receiver got.
    Received,
}

/// A port right in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRight {
    /// Its name in the task whose view this is; 0 is MACH_PORT_NULL, all ones MACH_PORT_DEAD.
    pub name: u32,
    /// Which right.
    pub disposition: Disposition,
    /// Whose view.
    pub view: View,
}

/// A value.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A signed integer of so many bits.
    Signed {
        /// The number.
        value: i64,
        /// 8, 16, 32 or 64.
        bits: u8,
    },
    /// An unsigned integer of so many bits.
    Unsigned {
        /// The number.
        value: u64,
        /// 8, 16, 32 or 64.
        bits: u8,
    },
    /// A truth value; anything but 0 is true.
    Bool(bool),
    /// A return code.
    KernReturn(i32),
    /// A C string up to its NUL, or an array of characters. Not necessarily UTF-8.
    Text(&'a [u8]),
    /// Bytes of data.
    Bytes(&'a [u8]),
    /// The name of a port, without a right.
    PortName(u32),
    /// A port right.
    Port(PortRight),
    /// Several values of one type.
    Array(Array<'a>),
    /// A struct.
    Struct(Struct<'a>),
    /// Memory outside the message.
    OutOfLine {
        /// Where, in the task whose view this is.
        address: u64,
        /// How many bytes.
        size: u64,
        /// What their descriptor calls the elements.
        units: Units,
        /// How many of them.
        count: u32,
        /// Whether the sender gives it away.
        deallocate: bool,
    },
    /// An array of port rights outside the message.
    OutOfLinePorts {
        /// Where, in the task whose view this is.
        address: u64,
        /// How many.
        count: u32,
        /// Which rights.
        disposition: Disposition,
        /// Whose view.
        view: View,
        /// Whether the sender gives the memory away.
        deallocate: bool,
    },
}

/// What the elements of an item are, as far as its descriptor says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Units {
    /// Bytes, or what has no form of its own.
    Bytes,
    /// Characters.
    Characters,
    /// Integers of so many bits.
    Integers(u8),
    /// Names of ports, without rights.
    Names,
    /// Port rights.
    Ports,
}

/// What became of a process, as a wait status of C says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitStatus {
    /// It ended with this status.
    Exited(u8),
    /// A signal ended it.
    Killed {
        /// Which.
        signal: u8,
        /// Whether it left a memory image.
        dumped: bool,
    },
    /// A signal stopped it.
    Stopped(u8),
    /// It goes on.
    Continued,
}

impl WaitStatus {
    /// Takes the number apart; `None` if it has bits that no status has.
    pub fn from_number(status: u32) -> Option<Self> {
        let [low, high, ..] = status.to_le_bytes();
        match (status, low) {
            (0xffff, _) => Some(Self::Continued),
            (0x1_0000.., _) => None,
            (_, 0) => Some(Self::Exited(high)),
            (_, 0x7f) => Some(Self::Stopped(high)),
            _ if high == 0 => Some(Self::Killed { signal: low & 0x7f, dumped: low & 0x80 != 0 }),
            _ => None,
        }
    }
}

/// An array, not yet taken apart.
#[derive(Clone, Copy, Debug)]
pub struct Array<'a> {
    pub(crate) element: Element<'a>,
    pub(crate) data: &'a [u8],
    pub(crate) count: usize,
    /// Bytes from one element to the next.
    pub(crate) stride: usize,
    pub(crate) within: Within,
}

/// What the elements of an array are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Element<'a> {
    /// What the .defs say.
    Of(Type<'a>),
    /// Port rights of such a type.
    RightOf(Type<'a>, Disposition, View),
    /// Port rights, as far as the descriptor says.
    Right(Disposition, View),
    /// Names of ports, likewise.
    Name,
    /// Integers, likewise.
    Integer,
}

impl<'a> Element<'a> {
    fn ty(self) -> Option<Type<'a>> {
        match self {
            Self::Of(ty) | Self::RightOf(ty, ..) => Some(ty),
            _ => None,
        }
    }
}

impl<'a> Array<'a> {
    /// How many elements it has.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The elements' type in the .defs, if it is known.
    pub fn element_type(&self) -> Option<Type<'a>> {
        self.element.ty()
    }

    /// What the elements' numbers mean.
    pub fn set(&self) -> Option<Set<'a>> {
        self.element.ty()?.set()
    }

    /// How the elements are best written.
    pub fn form(&self) -> Form {
        self.element.ty().map_or(Form::Plain, |ty| ty.form())
    }

    /// The element with this index.
    pub fn get(&self, index: usize) -> Option<Value<'a>> {
        let start = index.checked_mul(self.stride)?;
        let data = self.data.get(start..start.checked_add(self.stride)?)?;
        if index >= self.count {
            return None;
        }
        Some(match self.element {
            Element::Of(ty) => nested(ty, data, self.within.deeper()),
            Element::RightOf(_, disposition, view) | Element::Right(disposition, view) => {
                Value::Port(PortRight { name: read_u32(data, 0)?, disposition, view })
            }
            Element::Name => Value::PortName(unsigned(data) as u32),
            Element::Integer => signed(data),
        })
    }

    /// The elements.
    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> {
        let array = *self;
        (0..self.count).map_while(move |index| array.get(index))
    }
}

/// A struct, not yet taken apart.
#[derive(Clone, Copy, Debug)]
pub struct Struct<'a> {
    ty: Type<'a>,
    data: &'a [u8],
    within: Within,
}

impl<'a> Struct<'a> {
    /// Its type's name.
    pub fn type_name(&self) -> &'a str {
        self.ty.name()
    }

    /// Its bytes as they stand in the message.
    pub fn bytes(&self) -> &'a [u8] {
        self.data
    }

    /// Its members: those that the data have room for, and of those that are there only by flags, those with theirs.
    pub fn fields(&self) -> Fields<'a> {
        Fields { members: self.ty.members(), data: self.data, within: self.within }
    }
}

/// An iterator over a struct's members.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    members: Members<'a>,
    data: &'a [u8],
    within: Within,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let flags = self.within.flags;
        let Member { name, ty, offset, .. } =
            self.members.find(|member| member.flags == 0 || member.flags & flags != 0)?;
        let end = match ty.open_element() {
            // Whole elements: there are no others where the data were found to be of this type.
            Some(size) => self.data.len() - self.data.len().checked_sub(offset)? % size,
            None => offset.checked_add(ty.size())?,
        };
        let data = self.data.get(offset..end)?;
        let value = nested(ty, data, self.within.deeper());
        Some(Field { name, ty: Some(ty), value, set: ty.set(), form: ty.form() })
    }
}

/// The value of `data`, which has the size of `ty`.
pub(crate) fn value<'a>(ty: Type<'a>, data: &'a [u8]) -> Value<'a> {
    nested(ty, data, Within::default())
}

/// The value of `data` by a type that was chosen by a number, which may also say what is in it.
pub(crate) fn chosen<'a>(ty: Type<'a>, data: &'a [u8], flags: u32) -> Value<'a> {
    nested(ty, data, Within { flags, ..Within::default() })
}

/// The value of `data` within arrays and structs. A reader follows them by calling itself, so what is deeper than [`MAX_DEPTH`], which
/// only a table of another's making has, is bytes to it.
fn nested<'a>(ty: Type<'a>, data: &'a [u8], within: Within) -> Value<'a> {
    let bits = (data.len() * 8).min(64) as u8;
    match (ty.kind(), data.len()) {
        (TypeKind::Struct | TypeKind::Array, _) if within.depth >= MAX_DEPTH || data.is_empty() => Value::Bytes(data),
        (TypeKind::Struct, _) => Value::Struct(Struct { ty, data, within }),
        (TypeKind::Array, _) => array_within(ty.element(), data, within),
        (TypeKind::CString, _) => Value::Text(until_nul(data)),
        (TypeKind::Char, 1) => Value::Text(data),
        (TypeKind::PortName | TypeKind::Port, 4 | 8) => Value::PortName(unsigned(data) as u32),
        (TypeKind::KernReturn, 4) => Value::KernReturn(unsigned(data) as i32),
        (TypeKind::Bool, 1 | 2 | 4 | 8) => Value::Bool(unsigned(data) != 0),
        (TypeKind::Signed, 1 | 2 | 4 | 8) => signed(data),
        (TypeKind::Unsigned | TypeKind::Byte, 1 | 2 | 4 | 8) => Value::Unsigned { value: unsigned(data), bits },
        _ => Value::Bytes(data),
    }
}

/// As many elements as `data` has room for.
pub(crate) fn array<'a>(element: Type<'a>, data: &'a [u8]) -> Value<'a> {
    array_within(element, data, Within::default())
}

fn array_within<'a>(element: Type<'a>, data: &'a [u8], within: Within) -> Value<'a> {
    match (element.kind(), element.size()) {
        (TypeKind::Char, _) => Value::Text(data),
        (TypeKind::Byte, _) | (_, 0) => Value::Bytes(data),
        (_, stride) => {
            let (element, count) = (Element::Of(element), data.len() / stride);
            Value::Array(Array { element, data, count, stride, within })
        }
    }
}

pub(crate) fn until_nul(data: &[u8]) -> &[u8] {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    &data[..end]
}

/// A signed integer of 1, 2, 4 or 8 bytes.
fn signed(data: &[u8]) -> Value<'static> {
    let bits = (data.len() * 8).min(64) as u8;
    let shift = 64 - u32::from(bits.max(8));
    Value::Signed { value: (unsigned(data) << shift) as i64 >> shift, bits }
}

fn unsigned(data: &[u8]) -> u64 {
    match data {
        [byte] => u64::from(*byte),
        [low, high] => u64::from(u16::from_le_bytes([*low, *high])),
        _ => read_u64(data, 0).or_else(|| read_u32(data, 0).map(u64::from)).unwrap_or(0),
    }
}
