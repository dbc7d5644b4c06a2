// SPDX-License-Identifier: GPL-2.0-or-later
//! Type declarations.

use std::format;
use std::rc::Rc;
use std::vec::Vec;

use mach_abi::type_name as tn;

use super::{Reported, Resolver};
use crate::ast::{self, Clause, FlagKind, IntExp, IpcType, TypeKind, TypeSpec};
use crate::diag::{Code, Diagnostic};
use crate::model::{CTypes, Dealloc, Flags, Member, Shape, Type, TypeId, word};
use crate::source::Span;

/// `array[]` sends at most this many bytes inline.
const INDEFINITE_BYTES: u32 = 2048;

/// Most bytes of a type: what describes them in bits still fits 32 bits.
const MAX_BYTES: u32 = (u32::MAX - 64) / 8;
/// Most arrays, structs and pointers in one another.
const MAX_DEPTH: u32 = 64;

/// `MACH_MSG_TYPE_*`: what is sent, what is received, usual size in bits (0 if it has none).
fn symbol(name: &str, port: u32) -> Option<(u32, u32, u32)> {
    Some(match name.strip_prefix("MACH_MSG_TYPE_").unwrap_or(name) {
        "polymorphic" => (tn::POLYMORPHIC, tn::POLYMORPHIC, port),
        "POLYMORPHIC" => (tn::POLYMORPHIC, tn::POLYMORPHIC, 0),
        "UNSTRUCTURED" => (tn::BOOLEAN, tn::BOOLEAN, 0),
        "BIT" => (tn::BOOLEAN, tn::BOOLEAN, 1),
        "BOOLEAN" => (tn::BOOLEAN, tn::BOOLEAN, 32),
        "INTEGER_16" => (tn::INTEGER_16, tn::INTEGER_16, 16),
        "INTEGER_32" => (tn::INTEGER_32, tn::INTEGER_32, 32),
        "INTEGER_64" => (tn::INTEGER_64, tn::INTEGER_64, 64),
        "CHAR" => (tn::CHAR, tn::CHAR, 8),
        "BYTE" | "INTEGER_8" => (tn::BYTE, tn::BYTE, 8),
        "REAL" => (tn::REAL, tn::REAL, 0),
        "STRING" | "STRING_C" => (tn::STRING, tn::STRING, 0),
        "PORT_NAME" => (tn::PORT_NAME, tn::PORT_NAME, 32),
        "MOVE_RECEIVE" => (tn::MOVE_RECEIVE, tn::MOVE_RECEIVE, port),
        "COPY_SEND" => (tn::COPY_SEND, tn::MOVE_SEND, port),
        "MAKE_SEND" => (tn::MAKE_SEND, tn::MOVE_SEND, port),
        "MOVE_SEND" => (tn::MOVE_SEND, tn::MOVE_SEND, port),
        "MAKE_SEND_ONCE" => (tn::MAKE_SEND_ONCE, tn::MOVE_SEND_ONCE, port),
        "MOVE_SEND_ONCE" => (tn::MOVE_SEND_ONCE, tn::MOVE_SEND_ONCE, port),
        "PORT_RECEIVE" => (tn::POLYMORPHIC, tn::MOVE_RECEIVE, port),
        "PORT_SEND" => (tn::POLYMORPHIC, tn::MOVE_SEND, port),
        "PORT_SEND_ONCE" => (tn::POLYMORPHIC, tn::MOVE_SEND_ONCE, port),
        _ => return None,
    })
}

impl Resolver<'_> {
    /// The C types that MIG knows without a declaration.
    pub(super) fn declare_basic_types(&mut self) {
        let word = word(self.model.format) * 8;
        for (name, message_type, bits) in [
            ("char", tn::CHAR, 8),
            ("short", tn::INTEGER_16, 16),
            ("int", tn::INTEGER_32, 32),
            ("int64", tn::INTEGER_64, 64),
            ("uintptr_t", if word == 64 { tn::INTEGER_64 } else { tn::INTEGER_32 }, word),
            ("intptr_t", if word == 64 { tn::INTEGER_64 } else { tn::INTEGER_32 }, word),
        ] {
            let name: Rc<str> = Rc::from(name);
            let span = Span { file: u32::MAX, ..Span::default() };
            let ty = Type { name: Some(name.clone()), ..self.basic(message_type, message_type, bits, span) };
            let id = self.add(ty);
            self.model.named.insert(name, id);
        }
    }

    pub(super) fn add(&mut self, ty: Type) -> TypeId {
        self.model.types.push(ty);
        TypeId(self.model.types.len() as u32 - 1)
    }

    /// A plain message type.
    pub(super) fn basic(&self, in_name: u32, out_name: u32, size: u32, span: Span) -> Type {
        Type {
            name: None,
            in_name,
            out_name,
            size,
            number: 1,
            inline: true,
            long_form: false,
            dealloc: Dealloc::No,
            assignable: in_name != tn::STRING,
            string: in_name == tn::STRING,
            var_array: false,
            indefinite: false,
            align: (size / 8).clamp(1, word(self.model.format)),
            bytes: size.div_ceil(8),
            element_number: 1,
            depth: 0,
            flags: Flags::default(),
            shape: Shape::Basic,
            c: CTypes::default(),
            span,
        }
    }

    /// `NAME = TYPE CLAUSES`, without entering the name.
    pub(super) fn named_type(&mut self, named: &ast::NamedType) -> Result<TypeId, Reported> {
        let mut ty = self.type_spec(&named.spec)?;
        ty.name = Some(named.name.text.clone());
        ty.span = named.name.span;
        ty.c = self.clauses(&named.clauses);
        let name = &named.name;
        if ty.var_array && (ty.c.in_tran.is_some() || ty.c.in_tran_payload.is_some() || ty.c.out_tran.is_some()) {
            let message = format!("`{}` has a variable size and cannot be translated", name.text);
            self.diagnostics.report(Code::TranslatedVariable, name.span, message);
            return Err(Reported);
        }
        if ty.var_array && ty.c.destructor.is_some() {
            let message = format!("`{}` has a variable size and cannot have a destructor", name.text);
            self.diagnostics.report(Code::TranslatedVariable, name.span, message);
            return Err(Reported);
        }
        if let (true, Shape::VarArray(element, _)) = (ty.is_inline_variable(), &ty.shape)
            && self.model.ty(*element).name.is_none()
        {
            let message = format!("the element of `{}` needs a name", name.text);
            self.diagnostics.report(Code::UnnamedElement, name.span, message);
            return Err(Reported);
        }
        ty.dealloc = self.dealloc(&ty, ty.flags, Dealloc::No, name);
        let message_types = [ty.in_name, ty.out_name];
        if message_types.iter().any(|name| *name != tn::POLYMORPHIC && *name > 255) || ty.size >= 1 << 16 {
            let message = format!("`{}` does not fit a type descriptor", name.text);
            self.diagnostics.report(Code::TypeTooLarge, name.span, message);
            return Err(Reported);
        }
        let long = must_be_long(&ty);
        ty.long_form = self.long_form(ty.flags, long, name);
        Ok(self.add(ty))
    }

    fn clauses(&mut self, clauses: &[Clause]) -> CTypes {
        let mut c = CTypes::default();
        for clause in clauses {
            match clause {
                Clause::InTran { trans, function, server } => {
                    self.set(&mut c.trans, trans, "translation types");
                    self.set(&mut c.in_tran, function, "in-translation functions");
                    self.set(&mut c.server, server, "server types");
                }
                Clause::InTranPayload { trans, function } => {
                    self.set(&mut c.trans, trans, "translation types");
                    self.set(&mut c.in_tran_payload, function, "in-translation functions");
                }
                Clause::OutTran { server, function, trans } => {
                    self.set(&mut c.server, server, "server types");
                    self.set(&mut c.out_tran, function, "out-translation functions");
                    self.set(&mut c.trans, trans, "translation types");
                }
                Clause::Destructor { function, trans } => {
                    self.set(&mut c.destructor, function, "destructors");
                    self.set(&mut c.trans, trans, "translation types");
                }
                Clause::CType(name) => {
                    self.set(&mut c.user, name, "user types");
                    self.set(&mut c.server, name, "server types");
                }
                Clause::CUserType(name) => self.set(&mut c.user, name, "user types"),
                Clause::CServerType(name) => self.set(&mut c.server, name, "server types"),
            }
        }
        c
    }

    fn set(&mut self, slot: &mut Option<Rc<str>>, name: &ast::Ident, what: &str) {
        if let Some(other) = slot.as_ref().filter(|other| **other != name.text) {
            let message = format!("conflicting {what} `{other}` and `{}`", name.text);
            self.diagnostics.report(Code::ConflictingClause, name.span, message);
        }
        *slot = Some(name.text.clone());
    }

    /// A type without name and clauses.
    fn type_spec(&mut self, spec: &TypeSpec) -> Result<Type, Reported> {
        match &spec.kind {
            TypeKind::Ipc { sent, received, full } => self.ipc(sent, received.as_ref(), full.as_ref(), spec.span),
            TypeKind::Named(name) => {
                let id = self.look_up(name)?;
                let old = self.model.ty(id).clone();
                Ok(Type { name: None, c: CTypes::default(), shape: Shape::Alias(id), span: spec.span, ..old })
            }
            TypeKind::VarArray(most, element) => {
                let most = most.as_ref().map(|most| self.int_exp(most)).transpose()?;
                self.variable_array(most, element, spec.span)
            }
            TypeKind::Array(count, element) => self.fixed_array(count, element, false, spec.span),
            TypeKind::StructArray(count, element) => self.fixed_array(count, element, true, spec.span),
            TypeKind::Pointer(target) => self.pointer(target, spec.span),
            TypeKind::Struct(members) => self.structure(members, spec.span),
            TypeKind::CString { size, varying } => {
                let number = self.int_exp(size)?;
                let Some(bytes) = Some(number).filter(|bytes| *bytes <= MAX_BYTES) else {
                    let message = format!("a string of {number} bytes does not fit a message");
                    self.diagnostics.report(Code::BadSize, spec.span, message);
                    return Err(Reported);
                };
                let char = self.basic(tn::STRING, tn::STRING, 8, spec.span);
                Ok(Type { number, bytes, var_array: *varying, shape: Shape::CString, ..char })
            }
        }
    }

    fn ipc(
        &mut self,
        sent: &IpcType,
        received: Option<&IpcType>,
        full: Option<&(IntExp, Vec<ast::Flag>)>,
        span: Span,
    ) -> Result<Type, Reported> {
        let (in_name, out_name, mut usual) = self.message_type(sent)?;
        let mut names = (in_name, out_name);
        if let Some(received) = received {
            let (_, out_name, other) = self.message_type(received)?;
            names.1 = out_name;
            if usual != other && usual != 0 && other != 0 {
                let wrong = Diagnostic::new(Code::SizesDiffer, span, "the two types have different sizes");
                self.diagnostics.push(wrong.expected(format!("{usual} bits"), format!("{other} bits")));
                return Err(Reported);
            }
            usual = usual.max(other);
        }
        let Some((bits, flags)) = full else {
            if usual == 0 {
                let message = "this message type needs the form (TYPE, bits)";
                self.diagnostics.report(Code::NeedsFullType, span, message);
                return Err(Reported);
            }
            return Ok(self.basic(names.0, names.1, usual, span));
        };
        let size = self.int_exp(bits)?;
        if usual != 0 && usual != size {
            let wrong = Diagnostic::new(Code::StrangeSize, span, "unusual size of a message type");
            self.diagnostics.push(wrong.expected(format!("{usual} bits"), format!("{size} bits")));
        }
        Ok(Type { flags: collect_flags(flags), ..self.basic(names.0, names.1, size, span) })
    }

    fn message_type(&mut self, ipc: &IpcType) -> Result<(u32, u32, u32), Reported> {
        match ipc {
            IpcType::Number(number) => Ok((*number, *number, 0)),
            IpcType::Symbol(name) => symbol(&name.text, word(self.model.format) * 8).ok_or_else(|| {
                let message = format!("there is no message type `{}`", name.text);
                self.diagnostics.report(Code::UnknownType, name.span, message);
                Reported
            }),
        }
    }

    fn int_exp(&mut self, expression: &IntExp) -> Result<u32, Reported> {
        match expression {
            IntExp::Number(number, _) => Ok(*number),
            IntExp::Binary(left, operator, right) => {
                let (left, right) = (self.int_exp(left)?, self.int_exp(right)?);
                let value = match operator {
                    '+' => left.checked_add(right),
                    '-' => left.checked_sub(right),
                    '*' => left.checked_mul(right),
                    _ => left.checked_div(right),
                };
                value.ok_or_else(|| {
                    let message = format!("{left} {operator} {right} has no 32-bit value");
                    self.diagnostics.report(Code::BadSize, expression.span(), message);
                    Reported
                })
            }
        }
    }

    /// The element of an array: fixed size and inline, entered as a type of its own.
    fn element(&mut self, spec: &TypeSpec) -> Result<(TypeId, Type), Reported> {
        let element = match &spec.kind {
            // A plain name needs no type of its own: the array is made of the declared type.
            TypeKind::Named(name) => {
                let id = self.look_up(name)?;
                (id, self.model.ty(id).clone())
            }
            _ => {
                let ty = self.type_spec(spec)?;
                (self.add(ty.clone()), ty)
            }
        };
        if !element.1.inline || element.1.var_array {
            let message = "elements of an array must have a fixed size and be inline";
            self.diagnostics.report(Code::TooComplicated, spec.span, message);
            return Err(Reported);
        }
        Ok(element)
    }

    fn variable_array(&mut self, most: Option<u32>, spec: &TypeSpec, span: Span) -> Result<Type, Reported> {
        let (id, element) = self.element(spec)?;
        let most = most.filter(|most| *most != 0);
        let count = match most {
            Some(most) => most,
            None => INDEFINITE_BYTES / element.bytes.max(1),
        };
        let array = self.array_of(&element, count, span)?;
        Ok(Type {
            assignable: false,
            var_array: true,
            indefinite: most.is_none(),
            shape: Shape::VarArray(id, count),
            ..array
        })
    }

    fn fixed_array(&mut self, count: &IntExp, spec: &TypeSpec, assignable: bool, span: Span) -> Result<Type, Reported> {
        let (id, element) = self.element(spec)?;
        let count = self.int_exp(count)?;
        let array = self.array_of(&element, count, span)?;
        Ok(Type { assignable, shape: Shape::Array(id, count), ..array })
    }

    fn array_of(&mut self, element: &Type, count: u32, span: Span) -> Result<Type, Reported> {
        let number = element.number.checked_mul(count);
        let bits = number.and_then(|number| number.checked_mul(element.size));
        let (Some(number), Some(bits)) = (number, bits.filter(|bits| bits.div_ceil(8) <= MAX_BYTES)) else {
            self.diagnostics.report(Code::BadSize, span, format!("{count} elements do not fit 32 bits of size"));
            return Err(Reported);
        };
        Ok(Type {
            name: None,
            c: CTypes::default(),
            number,
            bytes: bits.div_ceil(8),
            element_number: element.number,
            depth: self.deeper(element.depth, span)?,
            string: false,
            span,
            ..element.clone()
        })
    }

    fn pointer(&mut self, target: &TypeSpec, span: Span) -> Result<Type, Reported> {
        let ty = self.type_spec(target)?;
        if !ty.inline || (ty.var_array && !ty.indefinite && ty.number > 0) {
            let message = "^ applies to an array[] or to an inline type of fixed size";
            self.diagnostics.report(Code::TooComplicated, span, message);
            return Err(Reported);
        }
        let word = word(self.model.format);
        let id = self.add(ty.clone());
        Ok(Type {
            number: 0,
            indefinite: false,
            inline: false,
            assignable: true,
            string: false,
            align: word,
            bytes: word,
            depth: self.deeper(ty.depth, span)?,
            shape: Shape::OutOfLine(id),
            span,
            ..ty
        })
    }

    fn structure(&mut self, members: &[ast::Member], span: Span) -> Result<Type, Reported> {
        let mut fields: Vec<Member> = Vec::new();
        let (mut size, mut align, mut depth) = (0_u32, 1, 0);
        for member in members {
            let id = self.look_up(&member.ty)?;
            let ty = self.model.ty(id);
            if !ty.inline || ty.var_array {
                let message = format!("member `{}` must have a fixed size and be inline", member.name.text);
                self.diagnostics.report(Code::BadStructMember, member.name.span, message);
                return Err(Reported);
            }
            if let Some(index) = fields.iter().position(|field| field.name == member.name.text) {
                let message = format!("a second member `{}`", member.name.text);
                let wrong = Diagnostic::new(Code::DuplicateMember, member.name.span, message);
                self.diagnostics.push(wrong.note(members[index].name.span, "the first one"));
                return Err(Reported);
            }
            let offset = size.next_multiple_of(ty.align);
            let Some(end) = offset.checked_add(ty.bytes).filter(|end| *end <= MAX_BYTES) else {
                self.diagnostics.report(Code::BadSize, member.name.span, "the struct does not fit 32 bits of size");
                return Err(Reported);
            };
            (size, align, depth) = (end, align.max(ty.align), depth.max(ty.depth));
            fields.push(Member { name: member.name.text.clone(), ty: id, offset });
        }
        let bytes = size.next_multiple_of(align);
        let (message_type, unit) = match align {
            2 => (tn::INTEGER_16, 2),
            4 => (tn::INTEGER_32, 4),
            8 => (tn::INTEGER_64, 8),
            _ => (tn::BYTE, 1),
        };
        Ok(Type {
            number: bytes / unit,
            bytes,
            align,
            depth: self.deeper(depth, span)?,
            shape: Shape::Struct(fields),
            ..self.basic(message_type, message_type, unit * 8, span)
        })
    }

    /// The depth of a type that is made of one with this depth.
    fn deeper(&mut self, depth: u32, span: Span) -> Result<u32, Reported> {
        if depth >= MAX_DEPTH {
            let message = format!("more than {MAX_DEPTH} types in one another");
            self.diagnostics.report(Code::TooDeep, span, message);
            return Err(Reported);
        }
        Ok(depth + 1)
    }

    /// The deallocate bit that flags ask for.
    pub(super) fn dealloc(&mut self, ty: &Type, flags: Flags, default: Dealloc, name: &ast::Ident) -> Dealloc {
        let asked = match flags {
            Flags { maybe_dealloc: true, .. } => Some(Dealloc::Maybe),
            Flags { dealloc: true, not_dealloc: false, .. } => Some(Dealloc::Yes),
            Flags { dealloc: false, not_dealloc: true, .. } => Some(Dealloc::No),
            _ => None,
        };
        let useless = asked == Some(default) || (flags.dealloc && flags.not_dealloc);
        if useless || (asked.is_some_and(|asked| asked != Dealloc::No) && ty.inline && !ty.indefinite) {
            let message = format!("the deallocate flag of `{}` has no effect", name.text);
            self.diagnostics.report(Code::RedundantFlag, name.span, message);
        }
        asked.unwrap_or(default)
    }

    /// The longform bit that flags ask for.
    pub(super) fn long_form(&mut self, flags: Flags, default: bool, name: &ast::Ident) -> bool {
        let asked = match flags {
            Flags { long: true, not_long: false, .. } => Some(true),
            Flags { long: false, not_long: true, .. } => Some(false),
            _ => None,
        };
        if asked == Some(default) {
            let message = format!("islong or isnotlong of `{}` says what is already so", name.text);
            self.diagnostics.report(Code::RedundantFlag, name.span, message);
        }
        asked.unwrap_or(default)
    }
}

/// MIG uses the long form for what cannot be, or may grow to be, described by a 32-bit short descriptor.
fn must_be_long(ty: &Type) -> bool {
    (ty.var_array && !ty.inline) || ty.indefinite || ty.size >= 1 << 8 || ty.number >= 1 << 12
}

pub(super) fn collect_flags(list: &[ast::Flag]) -> Flags {
    let mut flags = Flags::default();
    for flag in list {
        match flag.kind {
            FlagKind::Long => flags.long = true,
            FlagKind::NotLong => flags.not_long = true,
            FlagKind::Dealloc if flag.varies => flags.maybe_dealloc = true,
            FlagKind::Dealloc => flags.dealloc = true,
            FlagKind::NotDealloc => flags.not_dealloc = true,
            FlagKind::ServerCopy => flags.server_copy = true,
            FlagKind::CountInOut => flags.count_in_out = true,
            FlagKind::RetCode => {}
        }
    }
    flags
}
