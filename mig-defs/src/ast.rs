// SPDX-License-Identifier: GPL-2.0-or-later
//! The syntax tree: mirrors the grammar, keeps spans, resolves nothing.

use std::boxed::Box;
use std::rc::Rc;
use std::string::String;
use std::vec::Vec;

use crate::source::Span;

/// A name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ident {
    /// As written.
    pub text: Rc<str>,
    /// Where.
    pub span: Span,
}

/// One file after preprocessing.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// In order; a statement with a syntax error is missing.
    pub statements: Vec<Statement>,
}

/// A statement.
#[derive(Clone, Debug)]
pub enum Statement {
    /// `subsystem [KernelUser] [KernelServer] NAME BASE;`
    Subsystem(Subsystem),
    /// `waittime WORD;`, or `nowaittime;` as `None`.
    WaitTime(Option<Ident>),
    /// `msgoption WORD;`
    MsgOption(Ident),
    /// `serverprefix NAME;`
    ServerPrefix(Ident),
    /// `userprefix NAME;`
    UserPrefix(Ident),
    /// `serverdemux NAME;`
    ServerDemux(Ident),
    /// `type NAME = ...;`
    Type(NamedType),
    /// `routine` or `simpleroutine`.
    Routine(Routine),
    /// `skip;` or `skip N;`
    Skip(u32),
    /// `import`, `uimport` or `simport`.
    Import(Import),
    /// `rcsid "...";`
    RcsId(String),
    /// A routine with a syntax error: it still takes its number.
    BrokenRoutine(Span),
}

/// `subsystem`.
#[derive(Clone, Debug)]
pub struct Subsystem {
    /// Whether the user side is the kernel.
    pub kernel_user: bool,
    /// Whether the server side is the kernel.
    pub kernel_server: bool,
    /// The name.
    pub name: Ident,
    /// Message id of routine 0.
    pub base: u32,
}

/// Which side's code includes an imported header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportSide {
    /// `import`
    Both,
    /// `uimport`
    User,
    /// `simport`
    Server,
}

/// An imported C header.
#[derive(Clone, Debug)]
pub struct Import {
    /// Who includes it.
    pub side: ImportSide,
    /// With its quotes or angle brackets.
    pub file: String,
}

/// `NAME = type clauses`.
#[derive(Clone, Debug)]
pub struct NamedType {
    /// The new name.
    pub name: Ident,
    /// What it is.
    pub spec: TypeSpec,
    /// C types and translations.
    pub clauses: Vec<Clause>,
}

/// What a clause after a type says.
#[derive(Clone, Debug)]
pub enum Clause {
    /// `intran: TRANS FUNCTION(SERVER)`
    InTran {
        /// The server procedure's C type.
        trans: Ident,
        /// The function.
        function: Ident,
        /// The C type in the message.
        server: Ident,
    },
    /// `intranpayload: TRANS FUNCTION`
    InTranPayload {
        /// The server procedure's C type.
        trans: Ident,
        /// The function.
        function: Ident,
    },
    /// `outtran: SERVER FUNCTION(TRANS)`
    OutTran {
        /// The C type in the message.
        server: Ident,
        /// The function.
        function: Ident,
        /// The server procedure's C type.
        trans: Ident,
    },
    /// `destructor: FUNCTION(TRANS)`
    Destructor {
        /// The function.
        function: Ident,
        /// The server procedure's C type.
        trans: Ident,
    },
    /// `ctype: NAME`
    CType(Ident),
    /// `cusertype: NAME`
    CUserType(Ident),
    /// `cservertype: NAME`
    CServerType(Ident),
}

/// A type specification.
#[derive(Clone, Debug)]
pub struct TypeSpec {
    /// Its form.
    pub kind: TypeKind,
    /// Where.
    pub span: Span,
}

/// The forms of a type specification.
#[derive(Clone, Debug)]
pub enum TypeKind {
    /// `MACH_MSG_TYPE_X`, `A|B`, a number, or one of these in `(..., bits, flags)`.
    Ipc {
        /// What is sent.
        sent: IpcType,
        /// What is received, after `|`.
        received: Option<IpcType>,
        /// Bits and flags of the parenthesised form.
        full: Option<(IntExp, Vec<Flag>)>,
    },
    /// The name of another type.
    Named(Ident),
    /// `array[] of`, `array[*] of` (both `None`), `array[*:N] of`.
    VarArray(Option<IntExp>, Box<TypeSpec>),
    /// `array[N] of`
    Array(IntExp, Box<TypeSpec>),
    /// `^ type`
    Pointer(Box<TypeSpec>),
    /// `struct[N] of`
    StructArray(IntExp, Box<TypeSpec>),
    /// `struct { TYPE NAME; ... }`
    Struct(Vec<Member>),
    /// `c_string[N]`, or `c_string[*:N]` if `varying`.
    CString {
        /// N.
        size: IntExp,
        /// Whether only the used part is sent.
        varying: bool,
    },
}

/// A struct member.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its type's name.
    pub ty: Ident,
    /// Its name, which GNU MIG forgets.
    pub name: Ident,
}

/// A message type: a symbol or a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IpcType {
    /// `MACH_MSG_TYPE_*` or `polymorphic`.
    Symbol(Ident),
    /// Its number.
    Number(u32),
}

/// An integer expression.
#[derive(Clone, Debug)]
pub enum IntExp {
    /// A number.
    Number(u32, Span),
    /// `left op right`; `op` is one of `+ - * /`.
    Binary(Box<IntExp>, char, Box<IntExp>),
}

impl IntExp {
    /// Where.
    pub fn span(&self) -> Span {
        match self {
            Self::Number(_, span) => *span,
            Self::Binary(left, _, right) => left.span().to(right.span()),
        }
    }
}

/// A flag after a type or an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Which.
    pub kind: FlagKind,
    /// Whether `[]` follows.
    pub varies: bool,
    /// Where.
    pub span: Span,
}

/// The flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagKind {
    /// `islong`
    Long,
    /// `isnotlong`
    NotLong,
    /// `dealloc`
    Dealloc,
    /// `notdealloc`
    NotDealloc,
    /// `servercopy`
    ServerCopy,
    /// `countinout`
    CountInOut,
    /// `retcode`, which means nothing.
    RetCode,
}

/// A routine declaration.
#[derive(Clone, Debug)]
pub struct Routine {
    /// Whether it has no reply.
    pub simple: bool,
    /// Its name.
    pub name: Ident,
    /// Its arguments.
    pub arguments: Vec<Argument>,
    /// From the keyword to the closing parenthesis.
    pub span: Span,
}

/// The word before an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `in`
    In,
    /// `out`
    Out,
    /// `inout`
    InOut,
    /// `requestport`
    RequestPort,
    /// `replyport`
    ReplyPort,
    /// `sreplyport`
    SReplyPort,
    /// `ureplyport`
    UReplyPort,
    /// `waittime`
    WaitTime,
    /// `msgoption`
    MsgOption,
    /// `msgseqno`
    MsgSeqno,
}

/// An argument's type.
#[derive(Clone, Debug)]
pub enum ArgumentType {
    /// The name of a declared type.
    Named(Ident),
    /// A type declared on the spot.
    Inline(NamedType),
}

/// A routine's argument.
#[derive(Clone, Debug)]
pub struct Argument {
    /// The word before it, if any.
    pub direction: Option<Direction>,
    /// Its name.
    pub name: Ident,
    /// Its type.
    pub ty: ArgumentType,
    /// Flags after the type.
    pub flags: Vec<Flag>,
}
