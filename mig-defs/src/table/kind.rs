// SPDX-License-Identifier: GPL-2.0-or-later
//! What the numbers for kinds, roles and forms in a table mean.

/// What a type's values are, and what the fields `a` and `b` of its record say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum TypeKind {
    /// An unsigned integer.
    Unsigned = 0,
    /// A signed integer.
    Signed = 1,
    /// True or false.
    Bool = 2,
    /// A character.
    Char = 3,
    /// A byte of data.
    Byte = 4,
    /// A port's name, without a right.
    PortName = 5,
    /// A port right.
    Port = 6,
    /// A `kern_return_t`.
    KernReturn = 7,
    /// `a` is the element type, `b` the number of elements, 0 if it varies.
    Array = 8,
    /// `a` is its record among the structs.
    Struct = 9,
    /// A C string.
    CString = 10,
    /// A floating-point number, or data of an unknown kind.
    Opaque = 11,
}

impl TypeKind {
    const ALL: [Self; 12] = [
        Self::Unsigned,
        Self::Signed,
        Self::Bool,
        Self::Char,
        Self::Byte,
        Self::PortName,
        Self::Port,
        Self::KernReturn,
        Self::Array,
        Self::Struct,
        Self::CString,
        Self::Opaque,
    ];

    pub(super) fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(number as usize).copied()
    }
}

/// What an item of a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ItemRole {
    /// The port in the header that the request goes to.
    RequestPort = 0,
    /// An argument in the body.
    Argument = 1,
    /// The return code.
    RetCode = 2,
    /// How many elements the caller has room for.
    Count = 3,
}

impl ItemRole {
    pub(super) fn from_number(number: u32) -> Option<Self> {
        [Self::RequestPort, Self::Argument, Self::RetCode, Self::Count].get(number as usize).copied()
    }
}

/// How a value is best written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Form {
    /// As its type suggests.
    #[default]
    Plain = 0,
    /// The string is a file name.
    Path = 1,
    /// The number is an address or a register.
    Hexadecimal = 2,
    /// A struct of many members that are mostly 0 and then say nothing.
    Sparse = 3,
    /// A time: seconds and microseconds.
    Microseconds = 4,
    /// A time: seconds and nanoseconds.
    Nanoseconds = 5,
    /// What became of a process, as `wait` says it: [`WaitStatus`](crate::value::WaitStatus).
    WaitStatus = 6,
}

impl Form {
    pub(super) fn from_number(number: u32) -> Option<Self> {
        const ALL: [Form; 7] = [
            Form::Plain,
            Form::Path,
            Form::Hexadecimal,
            Form::Sparse,
            Form::Microseconds,
            Form::Nanoseconds,
            Form::WaitStatus,
        ];
        ALL.get(number as usize).copied()
    }
}
