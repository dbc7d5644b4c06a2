// SPDX-License-Identifier: GPL-2.0-or-later
//! Type declarations, translations and integer expressions.

use std::boxed::Box;
use std::rc::Rc;
use std::vec::Vec;

use super::{Parsed, Parser};
use crate::ast::{Clause, Flag, FlagKind, Ident, IntExp, IpcType, Member, NamedType, TypeKind, TypeSpec};
use crate::diag::Code;
use crate::lex::{Keyword, Lexeme};

impl Parser<'_> {
    /// `NAME = TYPE CLAUSES`
    pub(super) fn named_type(&mut self) -> Parsed<NamedType> {
        let name = self.identifier("a type name")?;
        self.expect('=')?;
        let spec = self.type_spec()?;
        let clauses = self.collect(Self::clause)?;
        Ok(NamedType { name, spec, clauses })
    }

    fn clause(&mut self) -> Parsed<Option<Clause>> {
        let Some(keyword) = self.keyword() else { return Ok(None) };
        if !matches!(
            keyword,
            Keyword::InTran
                | Keyword::InTranPayload
                | Keyword::OutTran
                | Keyword::Destructor
                | Keyword::CType
                | Keyword::CUserType
                | Keyword::CServerType
        ) {
            return Ok(None);
        }
        self.advance();
        self.expect(':')?;
        let first = self.identifier("a C name")?;
        Ok(Some(match keyword {
            Keyword::InTran => {
                let function = self.identifier("a function name")?;
                let server = self.parenthesised_type()?;
                Clause::InTran { trans: first, function, server }
            }
            Keyword::InTranPayload => {
                Clause::InTranPayload { trans: first, function: self.identifier("a function name")? }
            }
            Keyword::OutTran => {
                let function = self.identifier("a function name")?;
                let trans = self.parenthesised_type()?;
                Clause::OutTran { server: first, function, trans }
            }
            Keyword::Destructor => Clause::Destructor { function: first, trans: self.parenthesised_type()? },
            Keyword::CUserType => Clause::CUserType(first),
            Keyword::CServerType => Clause::CServerType(first),
            _ => Clause::CType(first),
        }))
    }

    fn parenthesised_type(&mut self) -> Parsed<Ident> {
        self.expect('(')?;
        let name = self.identifier("a C type name")?;
        self.expect(')')?;
        Ok(name)
    }

    fn type_spec(&mut self) -> Parsed<TypeSpec> {
        let start = self.peek().span;
        let kind = match self.peek().lexeme.clone() {
            Lexeme::Punct('^') => {
                self.advance();
                TypeKind::Pointer(Box::new(self.inner(Self::type_spec)?))
            }
            Lexeme::Punct('(') => {
                self.advance();
                let (sent, received) = self.ipc_type()?;
                self.expect(',')?;
                let bits = self.int_exp()?;
                let flags = self.flags()?;
                self.expect(')')?;
                TypeKind::Ipc { sent, received, full: Some((bits, flags)) }
            }
            Lexeme::Keyword(Keyword::Array) => {
                self.advance();
                self.array()?
            }
            Lexeme::Keyword(Keyword::Struct) => {
                self.advance();
                self.structure()?
            }
            Lexeme::Keyword(Keyword::CString) => {
                self.advance();
                self.c_string()?
            }
            Lexeme::Identifier(text) if !is_message_type(&text) => TypeKind::Named(self.identifier("a type")?),
            Lexeme::Identifier(_) | Lexeme::Number(_) | Lexeme::Keyword(Keyword::Polymorphic) => {
                let (sent, received) = self.ipc_type()?;
                TypeKind::Ipc { sent, received, full: None }
            }
            _ => return self.fail("a type"),
        };
        let end = self.tokens[self.at.saturating_sub(1)].span;
        Ok(TypeSpec { kind, span: start.to(end) })
    }

    fn ipc_type(&mut self) -> Parsed<(IpcType, Option<IpcType>)> {
        let sent = self.primitive()?;
        let received = if self.eat('|') { Some(self.primitive()?) } else { None };
        Ok((sent, received))
    }

    fn primitive(&mut self) -> Parsed<IpcType> {
        let token = self.peek().clone();
        let symbol = |text: Rc<str>| IpcType::Symbol(Ident { text, span: token.span });
        let primitive = match token.lexeme {
            Lexeme::Number(number) => IpcType::Number(number),
            Lexeme::Keyword(Keyword::Polymorphic) => symbol(Rc::from("polymorphic")),
            Lexeme::Identifier(ref text) if is_message_type(text) => symbol(text.clone()),
            _ => return self.fail("a message type (MACH_MSG_TYPE_..., polymorphic or a number)"),
        };
        self.advance();
        Ok(primitive)
    }

    fn array(&mut self) -> Parsed<TypeKind> {
        self.expect('[')?;
        if self.eat(']') {
            return Ok(TypeKind::VarArray(None, self.element()?));
        }
        if self.eat('*') {
            let most = if self.eat(':') { Some(self.int_exp()?) } else { None };
            self.expect(']')?;
            return Ok(TypeKind::VarArray(most, self.element()?));
        }
        let count = self.int_exp()?;
        self.expect(']')?;
        Ok(TypeKind::Array(count, self.element()?))
    }

    fn element(&mut self) -> Parsed<Box<TypeSpec>> {
        self.expect_keyword(Keyword::Of)?;
        self.inner(Self::type_spec).map(Box::new)
    }

    fn structure(&mut self) -> Parsed<TypeKind> {
        if self.eat('[') {
            let count = self.int_exp()?;
            self.expect(']')?;
            return Ok(TypeKind::StructArray(count, self.element()?));
        }
        if !self.eat('{') {
            return self.fail("`[` or `{`");
        }
        let mut members = Vec::new();
        loop {
            let ty = self.identifier("a member's type")?;
            let name = self.identifier("a member's name")?;
            self.expect(';')?;
            members.push(Member { ty, name });
            if self.eat('}') {
                return Ok(TypeKind::Struct(members));
            }
        }
    }

    fn c_string(&mut self) -> Parsed<TypeKind> {
        self.expect('[')?;
        let varying = self.eat('*');
        if varying {
            self.expect(':')?;
        }
        let size = self.int_exp()?;
        self.expect(']')?;
        Ok(TypeKind::CString { size, varying })
    }

    /// `, flag, flag ...`
    pub(super) fn flags(&mut self) -> Parsed<Vec<Flag>> {
        self.collect(|parser| {
            if !parser.eat(',') {
                return Ok(None);
            }
            let span = parser.peek().span;
            let kind = match parser.keyword() {
                Some(Keyword::IsLong) => FlagKind::Long,
                Some(Keyword::IsNotLong) => FlagKind::NotLong,
                Some(Keyword::Dealloc) => FlagKind::Dealloc,
                Some(Keyword::NotDealloc) => FlagKind::NotDealloc,
                Some(Keyword::ServerCopy) => FlagKind::ServerCopy,
                Some(Keyword::CountInOut) => FlagKind::CountInOut,
                Some(Keyword::RetCode) => FlagKind::RetCode,
                _ => return parser.fail("a flag (dealloc, countinout, servercopy, islong ...)"),
            };
            parser.advance();
            let varies = parser.eat('[');
            if varies {
                parser.expect(']')?;
            }
            if varies && kind != FlagKind::Dealloc {
                parser.diagnostics.report(Code::OnlyDeallocVaries, span, "only dealloc can be followed by []");
            }
            Ok(Some(Flag { kind, varies: varies && kind == FlagKind::Dealloc, span }))
        })
    }

    fn int_exp(&mut self) -> Parsed<IntExp> {
        self.left_to_right(['+', '-'], Self::int_term)
    }

    fn int_term(&mut self) -> Parsed<IntExp> {
        self.left_to_right(['*', '/'], Self::int_factor)
    }

    /// Operands with operators of one strength between them. Each makes the tree one level deeper.
    fn left_to_right(&mut self, operators: [char; 2], operand: fn(&mut Self) -> Parsed<IntExp>) -> Parsed<IntExp> {
        let outer = self.depth;
        let mut left = operand(self)?;
        while let Lexeme::Punct(operator) = self.peek().lexeme
            && operators.contains(&operator)
        {
            self.advance();
            let right = self.inner(operand);
            self.depth += 1;
            left = IntExp::Binary(Box::new(left), operator, Box::new(right.inspect_err(|_| self.depth = outer)?));
        }
        self.depth = outer;
        Ok(left)
    }

    fn int_factor(&mut self) -> Parsed<IntExp> {
        if self.eat('(') {
            let inner = self.inner(Self::int_exp)?;
            self.expect(')')?;
            return Ok(inner);
        }
        let span = self.peek().span;
        self.number("a number or `(`").map(|number| IntExp::Number(number, span))
    }
}

fn is_message_type(text: &str) -> bool {
    text.starts_with("MACH_MSG_TYPE_")
}
