// SPDX-License-Identifier: GPL-2.0-or-later
//! Parses statements, with recovery after a syntax error.

use std::format;
use std::vec::Vec;

use super::{Parsed, Parser, Reported};
use crate::ast::{Import, ImportSide, Statement, Subsystem};
use crate::diag::Code;
use crate::lex::{Keyword, Lexeme};
use crate::source::Span;

impl Parser<'_> {
    /// One statement with its semicolon, or what is left of it after an error.
    pub(super) fn statement(&mut self, output: &mut Vec<Statement>) {
        if self.eat(';') {
            return;
        }
        let begin = self.at;
        let start = self.peek().span;
        let numbered = matches!(self.keyword(), Some(Keyword::Routine | Keyword::SimpleRoutine)) || self.is_removed();
        let parsed = self.statement_body(start).and_then(|statement| self.expect(';').map(|()| statement));
        match parsed {
            Ok(statement) => output.push(statement),
            Err(Reported) => {
                // From its start, so that the parentheses are counted from the first one.
                self.at = begin;
                self.recover();
                if numbered {
                    output.push(Statement::BrokenRoutine(start));
                }
            }
        }
    }

    fn statement_body(&mut self, start: Span) -> Parsed<Statement> {
        let Some(keyword) = self.keyword() else {
            if self.is_removed() {
                let word = self.peek().text.clone();
                let message = format!("`{word}` was removed from MIG; use routine or simpleroutine");
                self.diagnostics.report(Code::RemovedFromMig, start, message);
                return Err(Reported);
            }
            return self.fail("a statement");
        };
        match keyword {
            Keyword::Routine | Keyword::SimpleRoutine => return self.routine(start).map(Statement::Routine),
            _ => self.advance(),
        };
        match keyword {
            Keyword::Subsystem => self.subsystem(),
            Keyword::WaitTime => self.word("a time").map(|word| Statement::WaitTime(Some(word))),
            Keyword::NoWaitTime => Ok(Statement::WaitTime(None)),
            Keyword::MsgOption => self.word("a message option").map(Statement::MsgOption),
            Keyword::ServerPrefix => self.identifier("a prefix").map(Statement::ServerPrefix),
            Keyword::UserPrefix => self.identifier("a prefix").map(Statement::UserPrefix),
            Keyword::ServerDemux => self.identifier("a function name").map(Statement::ServerDemux),
            Keyword::Type => self.named_type().map(Statement::Type),
            Keyword::Skip => match self.peek().lexeme {
                Lexeme::Number(count) => {
                    self.advance();
                    Ok(Statement::Skip(count))
                }
                _ => Ok(Statement::Skip(1)),
            },
            Keyword::Import => self.import(ImportSide::Both),
            Keyword::UImport => self.import(ImportSide::User),
            Keyword::SImport => self.import(ImportSide::Server),
            Keyword::RcsId => match self.peek().lexeme.clone() {
                Lexeme::String(text) => {
                    self.advance();
                    Ok(Statement::RcsId((*text).into()))
                }
                _ => self.fail("a quoted string"),
            },
            _ => {
                self.at -= 1;
                self.fail("a statement")
            }
        }
    }

    fn is_removed(&self) -> bool {
        let Lexeme::Identifier(word) = &self.peek().lexeme else { return false };
        let removed = ["procedure", "simpleprocedure", "function"];
        removed.iter().any(|removed| word.eq_ignore_ascii_case(removed))
            && matches!(self.peek_second(), Lexeme::Identifier(_))
    }

    fn subsystem(&mut self) -> Parsed<Statement> {
        let (mut kernel_user, mut kernel_server) = (false, false);
        loop {
            if self.eat_keyword(Keyword::KernelUser) {
                kernel_user = true;
            } else if self.eat_keyword(Keyword::KernelServer) {
                kernel_server = true;
            } else {
                break;
            }
        }
        let name = self.identifier("the subsystem's name")?;
        let base = self.number("the subsystem's first message id")?;
        Ok(Statement::Subsystem(Subsystem { kernel_user, kernel_server, name, base }))
    }

    fn import(&mut self, side: ImportSide) -> Parsed<Statement> {
        let first = self.peek().clone();
        let file = match first.lexeme {
            Lexeme::String(text) => {
                self.advance();
                format!("\"{text}\"")
            }
            Lexeme::Punct('<') => {
                self.advance();
                let mut name = std::string::String::from("<");
                while !self.is_punct('>') {
                    if self.at_end() || self.is_punct(';') {
                        return self.fail("`>`");
                    }
                    name += &self.advance().text;
                }
                self.advance();
                name + ">"
            }
            _ => return self.fail("\"file.h\" or <file.h>"),
        };
        Ok(Statement::Import(Import { side, file }))
    }
}
