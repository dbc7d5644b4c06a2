// SPDX-License-Identifier: GPL-2.0-or-later
//! Routines and their arguments.

use std::vec::Vec;

use super::{Parsed, Parser};
use crate::ast::{Argument, ArgumentType, Direction, Ident, Routine};
use crate::lex::{Keyword, Lexeme};
use crate::source::Span;

impl Parser<'_> {
    /// `routine NAME ( ARGUMENTS )`
    pub(super) fn routine(&mut self, start: Span) -> Parsed<Routine> {
        let simple = self.eat_keyword(Keyword::SimpleRoutine);
        if !simple {
            self.expect_keyword(Keyword::Routine)?;
        }
        let name = self.identifier("the routine's name")?;
        self.expect('(')?;
        let mut arguments = Vec::new();
        if !self.is_punct(')') {
            arguments.push(self.argument()?);
            while self.eat(';') {
                arguments.push(self.argument()?);
            }
        }
        let end = self.peek().span;
        if !self.eat(')') {
            return self.fail("`;` and another argument, or `)`");
        }
        Ok(Routine { simple, name, arguments, span: start.to(end) })
    }

    fn argument(&mut self) -> Parsed<Argument> {
        let direction = self.direction();
        let name = self.identifier("an argument's name")?;
        self.expect(':')?;
        let ty = match (&self.peek().lexeme, self.peek_second()) {
            (Lexeme::Identifier(_), Lexeme::Punct('=')) => ArgumentType::Inline(self.named_type()?),
            (Lexeme::Identifier(text), _) => {
                let ident = Ident { text: text.clone(), span: self.peek().span };
                self.advance();
                ArgumentType::Named(ident)
            }
            _ => return self.fail("the argument's type"),
        };
        let flags = self.flags()?;
        Ok(Argument { direction, name, ty, flags })
    }

    fn direction(&mut self) -> Option<Direction> {
        let direction = match self.keyword()? {
            Keyword::In => Direction::In,
            Keyword::Out => Direction::Out,
            Keyword::InOut => Direction::InOut,
            Keyword::RequestPort => Direction::RequestPort,
            Keyword::ReplyPort => Direction::ReplyPort,
            Keyword::SReplyPort => Direction::SReplyPort,
            Keyword::UReplyPort => Direction::UReplyPort,
            Keyword::WaitTime => Direction::WaitTime,
            Keyword::MsgOption => Direction::MsgOption,
            Keyword::MsgSeqno => Direction::MsgSeqno,
            _ => return None,
        };
        self.advance();
        Some(direction)
    }
}
