// SPDX-License-Identifier: GPL-2.0-or-later
//! The resolved subsystem: what every routine and type is, with all of MIG's defaults applied.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::string::String;
use std::vec::Vec;

use mach_abi::{
    Format,
    type_name::{self, is_port},
};

use crate::source::Span;

/// Bytes of a pointer and of an inline port right, and the alignment of items.
pub(crate) fn word(format: Format) -> u32 {
    format.word() as u32
}

/// `size` bytes rounded up to the alignment of items.
pub(crate) fn align(format: Format, size: u32) -> u32 {
    size.next_multiple_of(word(format))
}

/// Index of a type in its [`Model`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub u32);

/// The deallocate bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dealloc {
    /// Off.
    #[default]
    No,
    /// On.
    Yes,
    /// An argument of the stub says.
    Maybe,
}

/// How a type was declared: what a reader of messages wants to know and MIG forgets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A message type.
    Basic,
    /// Another name for a type.
    Alias(TypeId),
    /// `array[N]` or `struct[N]`; N is the element count, not the number of basic items.
    Array(TypeId, u32),
    /// `array[*:N]`, or `array[]` (N is how many fit inline).
    VarArray(TypeId, u32),
    /// `^ T`
    OutOfLine(TypeId),
    /// `struct { ... }`
    Struct(Vec<Member>),
    /// `c_string[N]`
    CString,
}

/// A struct member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: Rc<str>,
    /// Its type.
    pub ty: TypeId,
    /// Bytes from the start of the struct.
    pub offset: u32,
}

/// The C side of a type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CTypes {
    /// The stub's C type on the user side; the type's own name if not said.
    pub user: Option<Rc<str>>,
    /// The C type in the message on the server side.
    pub server: Option<Rc<str>>,
    /// The server procedure's C type.
    pub trans: Option<Rc<str>>,
    /// `intran` function.
    pub in_tran: Option<Rc<str>>,
    /// `intranpayload` function.
    pub in_tran_payload: Option<Rc<str>>,
    /// `outtran` function.
    pub out_tran: Option<Rc<str>>,
    /// `destructor` function.
    pub destructor: Option<Rc<str>>,
}

/// A type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Type {
    /// Its name; anonymous inside another type's declaration.
    pub name: Option<Rc<str>>,
    /// `msgt_name` when sent.
    pub in_name: u32,
    /// `msgt_name` when received.
    pub out_name: u32,
    /// `msgt_size`: bits of a basic item.
    pub size: u32,
    /// `msgt_number`: basic items, the most there can be if it varies.
    pub number: u32,
    /// False for out-of-line data.
    pub inline: bool,
    /// The longform bit.
    pub long_form: bool,
    /// The deallocate bit.
    pub dealloc: Dealloc,
    /// C can assign it.
    pub assignable: bool,
    /// A C string.
    pub string: bool,
    /// The number varies.
    pub var_array: bool,
    /// Inline if small, else out of line.
    pub indefinite: bool,
    /// Alignment within a struct.
    pub align: u32,
    /// Bytes without padding.
    pub bytes: u32,
    /// Basic items in one element of an array.
    pub element_number: u32,
    /// How many arrays, structs and pointers it is made of, one in another.
    pub depth: u32,
    /// Flags of the declaration: `islong` and the like, kept for types made of this one.
    pub flags: Flags,
    /// How it was declared.
    pub shape: Shape,
    /// C types and translations.
    pub c: CTypes,
    /// Where its name or form was declared.
    pub span: Span,
}

/// The flags of a type or argument, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `islong`
    pub long: bool,
    /// `isnotlong`
    pub not_long: bool,
    /// `dealloc`
    pub dealloc: bool,
    /// `notdealloc`
    pub not_dealloc: bool,
    /// `dealloc[]`
    pub maybe_dealloc: bool,
    /// `servercopy`
    pub server_copy: bool,
    /// `countinout`
    pub count_in_out: bool,
}

impl Type {
    /// Whether it is one of the types that every file knows.
    pub fn is_built_in(&self) -> bool {
        self.span.file == u32::MAX
    }

    /// Whether it transfers port rights, in either direction.
    pub fn is_port(&self) -> bool {
        is_port(self.in_name) || is_port(self.out_name) || self.is_polymorphic()
    }

    /// Whether the descriptor says which right it is.
    pub fn is_polymorphic(&self) -> bool {
        self.in_name == type_name::POLYMORPHIC || self.out_name == type_name::POLYMORPHIC
    }

    /// Whether it is an inline array of variable size.
    pub fn is_inline_variable(&self) -> bool {
        self.var_array && self.inline
    }

    /// Bytes of inline data that are always there, padded.
    pub fn min_bytes(&self, format: Format) -> u32 {
        match (self.inline, self.var_array) {
            (true, true) => 0,
            (true, false) => align(format, self.bytes),
            (false, _) => word(format),
        }
    }

    /// Most bytes it takes in a message, padded, without its descriptor.
    pub fn max_bytes(&self, format: Format) -> u32 {
        if self.inline {
            align(format, self.bytes).max(if self.indefinite { word(format) } else { 0 })
        } else {
            word(format)
        }
    }
}

/// What an argument is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `msgh_request_port`
    RequestPort,
    /// `msgh_reply_port`, as an argument of the user's stub, the server's procedure, or both.
    ReplyPort {
        /// The user's stub has it.
        user: bool,
        /// The server's procedure has it.
        server: bool,
    },
    /// In the request.
    In,
    /// In the reply.
    Out,
    /// In both.
    InOut,
    /// Receive timeout.
    WaitTime,
    /// Extra `mach_msg` options.
    MsgOption,
    /// `msgh_seqno`, for the server.
    MsgSeqno,
}

impl Role {
    /// Whether it has an item in the request's body.
    pub fn in_request(self) -> bool {
        matches!(self, Self::In | Self::InOut)
    }

    /// Whether it has an item in the reply's body.
    pub fn in_reply(self) -> bool {
        matches!(self, Self::Out | Self::InOut)
    }
}

/// An argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Its name.
    pub name: Rc<str>,
    /// What it is for.
    pub role: Role,
    /// Its type.
    pub ty: TypeId,
    /// The deallocate bit.
    pub dealloc: Dealloc,
    /// The longform bit.
    pub long_form: bool,
    /// The server is told whether the data came inline.
    pub server_copy: bool,
    /// The request says how many elements of an out array the user has room for.
    pub count_in_out: bool,
    /// Where its name stands.
    pub span: Span,
}

/// A routine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routine {
    /// Its name, without prefix.
    pub name: Rc<str>,
    /// The user stub's name.
    pub user_name: String,
    /// The server procedure's name.
    pub server_name: String,
    /// Its place in the subsystem.
    pub number: u32,
    /// No reply.
    pub one_way: bool,
    /// Its arguments, as declared.
    pub arguments: Vec<Argument>,
    /// The file's `waittime` at this place.
    pub wait_time: Option<String>,
    /// The file's `msgoption` at this place.
    pub msg_option: Option<String>,
    /// The declaration.
    pub span: Span,
}

/// What a file's `waittime` or `msgoption` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting<'a> {
    /// A number.
    Number(u32),
    /// A constant of this name.
    Name(&'a str),
}

impl<'a> Setting<'a> {
    /// The value of such a word as C reads it; `None` if it is more than a number or a name.
    pub fn parse(word: &'a str) -> Option<Self> {
        if word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
            let is_name = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            return is_name.then_some(Self::Name(word));
        }
        let number = match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None if word.starts_with('0') => u32::from_str_radix(word, 8),
            None => word.parse(),
        };
        number.ok().map(Self::Number)
    }
}

impl Routine {
    /// The argument that is the request port.
    pub fn request_port(&self) -> Option<&Argument> {
        self.arguments.iter().rev().find(|argument| argument.role == Role::RequestPort)
    }
}

/// A subsystem.
#[derive(Clone, Debug)]
pub struct Model {
    /// The message format it was resolved for.
    pub format: Format,
    /// Its name.
    pub name: Rc<str>,
    /// Message id of routine 0.
    pub base: u32,
    /// Whether the user side is the kernel.
    pub kernel_user: bool,
    /// Whether the server side is the kernel.
    pub kernel_server: bool,
    /// The server function's name, if said.
    pub server_demux: Option<Rc<str>>,
    /// All types, named or not.
    pub types: Vec<Type>,
    /// Types by name: the last declaration of each.
    pub named: BTreeMap<Rc<str>, TypeId>,
    /// Routines, by number.
    pub routines: Vec<Routine>,
    /// Names and numbers of routines that were left out because of an error.
    pub left_out: Vec<(Rc<str>, u32)>,
}

impl Model {
    /// The type with this index.
    pub fn ty(&self, id: TypeId) -> &Type {
        &self.types[id.0 as usize]
    }

    /// `id` with all aliases followed.
    pub fn unaliased(&self, mut id: TypeId) -> TypeId {
        while let Shape::Alias(next) = self.ty(id).shape {
            id = next;
        }
        id
    }

    /// The name a reader wants to see: the type's own, or that of the nearest named type it is made of.
    pub fn display_name(&self, id: TypeId) -> String {
        let ty = self.ty(id);
        match (&ty.name, &ty.shape) {
            (Some(name), _) => name.as_ref().into(),
            (None, Shape::Alias(of)) => self.display_name(*of),
            (None, Shape::Array(of, count)) => std::format!("array[{count}] of {}", self.display_name(*of)),
            (None, Shape::VarArray(of, _)) => std::format!("array[] of {}", self.display_name(*of)),
            (None, Shape::OutOfLine(of)) => std::format!("^{}", self.display_name(*of)),
            (None, Shape::Struct(_)) => String::from("struct"),
            (None, Shape::CString) => String::from("c_string"),
            (None, Shape::Basic) => String::from(basic_name(ty.in_name)),
        }
    }
}

fn basic_name(name: u32) -> &'static str {
    match name {
        type_name::BOOLEAN => "boolean",
        type_name::INTEGER_16 => "integer_16",
        type_name::INTEGER_32 => "integer_32",
        type_name::CHAR => "char",
        type_name::BYTE => "byte",
        type_name::REAL => "real",
        type_name::INTEGER_64 => "integer_64",
        type_name::STRING => "string",
        type_name::PORT_NAME => "port_name",
        name if is_port(name) || name == type_name::POLYMORPHIC => "port",
        _ => "data",
    }
}
