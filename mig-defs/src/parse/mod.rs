// SPDX-License-Identifier: GPL-2.0-or-later
//! Recursive-descent parser for the MIG grammar, in the order of MIG's own `parser.y`.

use std::format;
use std::rc::Rc;
use std::string::String;
use std::vec::Vec;

use crate::ast::{File, Ident};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::lex::{Keyword, Lexeme, Token};

mod routine;
mod statement;
mod typespec;

/// Parses one file. A statement with a syntax error is reported once and skipped up to its semicolon.
pub fn parse(tokens: &[Token], diagnostics: &mut Diagnostics) -> File {
    let mut parser = Parser { tokens, at: 0, depth: 0, diagnostics };
    let mut file = File::default();
    while !parser.at_end() {
        parser.statement(&mut file.statements);
    }
    file
}

/// A syntax error that was already reported.
struct Reported;

/// Most types or operands in one another, so that a file cannot exhaust the stack.
const MAX_DEPTH: usize = 100;

type Parsed<T> = Result<T, Reported>;

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    /// How many types or expressions contain the present one.
    depth: usize,
    diagnostics: &'a mut Diagnostics,
}

impl Parser<'_> {
    /// The present token; the last one is always `End`, which is never passed.
    fn peek(&self) -> &Token {
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn peek_second(&self) -> &Lexeme {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].lexeme
    }

    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn at_end(&self) -> bool {
        self.peek().lexeme == Lexeme::End
    }

    fn is_punct(&self, punct: char) -> bool {
        self.peek().lexeme == Lexeme::Punct(punct)
    }

    fn keyword(&self) -> Option<Keyword> {
        match self.peek().lexeme {
            Lexeme::Keyword(keyword) => Some(keyword),
            _ => None,
        }
    }

    fn eat(&mut self, punct: char) -> bool {
        let found = self.is_punct(punct);
        if found {
            self.advance();
        }
        found
    }

    fn eat_keyword(&mut self, keyword: Keyword) -> bool {
        let found = self.keyword() == Some(keyword);
        if found {
            self.advance();
        }
        found
    }

    fn fail<T>(&mut self, expected: &str) -> Parsed<T> {
        let token = self.peek();
        let diagnostic = Diagnostic::new(Code::Syntax, token.span, "syntax error");
        self.diagnostics.push(diagnostic.expected(expected, token.describe()));
        Err(Reported)
    }

    /// Parses what is one level deeper.
    fn inner<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            let message = format!("more than {MAX_DEPTH} levels");
            self.diagnostics.report(Code::TooDeep, self.peek().span, message);
            return Err(Reported);
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn expect(&mut self, punct: char) -> Parsed<()> {
        if self.eat(punct) { Ok(()) } else { self.fail(&format!("`{punct}`")) }
    }

    fn expect_keyword(&mut self, keyword: Keyword) -> Parsed<()> {
        if self.eat_keyword(keyword) { Ok(()) } else { self.fail(&format!("`{}`", keyword.text())) }
    }

    fn identifier(&mut self, what: &str) -> Parsed<Ident> {
        match &self.peek().lexeme {
            Lexeme::Identifier(text) => {
                let ident = Ident { text: text.clone(), span: self.peek().span };
                self.advance();
                Ok(ident)
            }
            _ => self.fail(what),
        }
    }

    fn number(&mut self, what: &str) -> Parsed<u32> {
        match self.peek().lexeme {
            Lexeme::Number(number) => {
                self.advance();
                Ok(number)
            }
            _ => self.fail(what),
        }
    }

    /// A word as MIG's `String` state reads it: letters, digits and `-/._$` without space between them.
    fn word(&mut self, what: &str) -> Parsed<Ident> {
        let mut text = String::new();
        let mut span = self.peek().span;
        loop {
            let token = self.peek();
            let part_of_word = match token.lexeme {
                Lexeme::Punct(punct) => "-/.$".contains(punct),
                Lexeme::String(_) | Lexeme::End => false,
                _ => true,
            };
            if !part_of_word || (token.space && !text.is_empty()) {
                break;
            }
            text += &token.text;
            span = span.to(token.span);
            self.advance();
        }
        if text.is_empty() { self.fail(what) } else { Ok(Ident { text: Rc::from(text), span }) }
    }

    /// After a syntax error: past the semicolon that ends the statement, not the ones inside its parentheses.
    fn recover(&mut self) {
        let mut depth: i32 = 0;
        while !self.at_end() {
            match self.advance().lexeme {
                Lexeme::Punct('(' | '{') => depth += 1,
                Lexeme::Punct(')' | '}') => depth -= 1,
                Lexeme::Punct(';') if depth <= 0 => return,
                _ => {}
            }
            // Unbalanced parentheses must not swallow the file: a word that starts a statement ends the search.
            if depth > 0
                && matches!(
                    self.keyword(),
                    Some(Keyword::Routine | Keyword::SimpleRoutine | Keyword::Skip | Keyword::Subsystem)
                )
            {
                return;
            }
        }
    }

    fn collect<T>(&mut self, mut one: impl FnMut(&mut Self) -> Parsed<Option<T>>) -> Parsed<Vec<T>> {
        let mut list = Vec::new();
        while let Some(item) = one(self)? {
            list.push(item);
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ast::{ArgumentType, Direction, FlagKind, IntExp, Statement, TypeKind};
    use crate::lex::lex;
    use crate::preprocess::preprocess_text;
    use crate::source::SourceMap;

    fn parse_text(text: &str) -> (File, Vec<Diagnostic>) {
        let mut diagnostics = Diagnostics::default();
        let tokens = preprocess_text(text, &mut SourceMap::default(), &mut diagnostics);
        let tokens = lex(tokens, &mut diagnostics);
        let file = parse(&tokens, &mut diagnostics);
        (file, diagnostics.list().to_vec())
    }

    #[test]
    fn every_statement_form() {
        let text = "subsystem KernelUser kernelserver foo 2000;\n\
            waittime 17.5-x; nowaittime; msgoption MACH_X; serverprefix S_; userprefix u_; serverdemux d; ;\n\
            type t = int ctype: c cusertype: u cservertype: s intran: a f(b) intranpayload: a g outtran: b h(a) destructor: d(a);\n\
            skip; skip 3; import <a/b.h>; uimport \"x.h\"; simport <y.h>; rcsid \"$Id$\";\n\
            routine r(); simpleroutine s(p : t);";
        let (file, diagnostics) = parse_text(text);
        assert_eq!(diagnostics, []);
        assert_eq!(file.statements.len(), 16);
        assert!(matches!(&file.statements[1], Statement::WaitTime(Some(word)) if &*word.text == "17.5-x"));
        assert!(matches!(&file.statements[7], Statement::Type(named) if named.clauses.len() == 7));
        assert!(matches!(&file.statements[10], Statement::Import(import) if import.file == "<a/b.h>"));
    }

    #[test]
    fn every_type_form() {
        for text in [
            "MACH_MSG_TYPE_BOOLEAN",
            "MACH_MSG_TYPE_MAKE_SEND_ONCE | polymorphic",
            "(MACH_MSG_TYPE_STRING, 512*8)",
            "(7 | 8, (2+6)*4/1-0, IsLong, dealloc[])",
            "array[] of char",
            "array[*] of char",
            "array[*:1024] of struct[3] of int",
            "array[16] of int",
            "^array[] of MACH_MSG_TYPE_BYTE",
            "struct[CAFE] of int",
            "struct { int a; foo b; }",
            "c_string[128]",
            "c_string[*:64]",
        ] {
            let (file, diagnostics) = parse_text(&format!("#define CAFE 12\ntype t = {text};"));
            assert_eq!(diagnostics, [], "{text}");
            assert_eq!(file.statements.len(), 1, "{text}");
        }
    }

    #[test]
    fn arithmetic_binds_as_in_c() {
        let (file, _) = parse_text("type t = array[1 + 2 * 3] of int;");
        let Some(Statement::Type(named)) = file.statements.first() else { panic!("no type") };
        let TypeKind::Array(IntExp::Binary(left, '+', right), _) = &named.spec.kind else { panic!("not a sum") };
        assert!(matches!(**left, IntExp::Number(1, _)));
        assert!(matches!(**right, IntExp::Binary(_, '*', _)));
    }

    #[test]
    fn arguments_with_directions_flags_and_inline_types() {
        let text =
            "routine r(requestport p : t; out a : b, CountInOut, dealloc[]; inout c : d = ^array[] of e ctype: f);";
        let (file, diagnostics) = parse_text(text);
        assert_eq!(diagnostics, []);
        let Some(Statement::Routine(routine)) = file.statements.first() else { panic!("no routine") };
        assert_eq!(routine.arguments[0].direction, Some(Direction::RequestPort));
        let flags: Vec<_> = routine.arguments[1].flags.iter().map(|flag| (flag.kind, flag.varies)).collect();
        assert_eq!(flags, [(FlagKind::CountInOut, false), (FlagKind::Dealloc, true)]);
        assert!(matches!(&routine.arguments[2].ty, ArgumentType::Inline(named) if named.clauses.len() == 1));
    }

    #[test]
    fn one_error_per_statement_and_the_next_one_is_read() {
        let (file, diagnostics) = parse_text("type = 3; routine r(a b; c : d); skip 2; routine (; skip;");
        let codes: Vec<_> = diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
        assert_eq!(codes, [Code::Syntax, Code::Syntax, Code::Syntax]);
        assert!(matches!(
            file.statements[..],
            [Statement::BrokenRoutine(_), Statement::Skip(2), Statement::BrokenRoutine(_), Statement::Skip(1)]
        ));
    }

    #[test]
    fn removed_statements_say_so() {
        for word in ["procedure", "SimpleProcedure", "function"] {
            let (file, diagnostics) = parse_text(&format!("{word} f(a : b); skip;"));
            assert_eq!(diagnostics.len(), 1);
            assert_eq!(diagnostics[0].code, Code::RemovedFromMig);
            assert!(matches!(file.statements[..], [Statement::BrokenRoutine(_), Statement::Skip(1)]));
        }
    }
}
