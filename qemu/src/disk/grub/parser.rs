// SPDX-License-Identifier: GPL-2.0-or-later
//! Statements of GRUB's configuration language: commands, their blocks, conditions, loops, functions.

use std::iter::Peekable;
use std::rc::Rc;
use std::vec::IntoIter;

use crate::disk::grub::GrubError;
use crate::disk::grub::lexer::{Token, Word, tokens};

/// How deep statements may stand in each other.
const DEPTH: usize = 64;

/// Statements that are done one after the other; shared, as menu entries and functions keep theirs.
pub(super) type Block = Rc<[Statement]>;

/// One statement.
#[derive(Debug)]
pub(super) enum Statement {
    /// A command and its words, which has a block if it is a menu's entry.
    Command { line: usize, words: Vec<Word>, block: Option<Block> },
    /// Conditions with what follows from each, and what is done if none holds.
    If { arms: Vec<(Block, Block)>, otherwise: Block },
    /// For each word.
    For { line: usize, name: Vec<u8>, words: Vec<Word>, body: Block },
    /// As long as the condition is as it is to be.
    Loop { line: usize, condition: Block, until: bool, body: Block },
    /// What a name means from now on.
    Function { name: Vec<u8>, body: Block },
}

/// Parses a whole file.
pub(super) fn parse(text: &[u8]) -> Result<Block, GrubError> {
    let mut parser = Parser { tokens: tokens(text)?.into_iter().peekable(), line: 1, depth: 0 };
    let (block, end) = parser.block(&[])?;
    match end {
        None => Ok(block),
        Some(word) => Err(parser.error("a command", format!("`{}`", String::from_utf8_lossy(&word)))),
    }
}

struct Parser {
    tokens: Peekable<IntoIter<Token>>,
    line: usize,
    depth: usize,
}

/// Words that end a block, whoever waits for them.
const ENDS: [&[u8]; 8] = [b"then", b"elif", b"else", b"fi", b"do", b"done", b"}", b"{"];

impl Parser {
    fn error(&self, expected: &'static str, found: impl Into<String>) -> GrubError {
        GrubError { line: self.line, expected, found: found.into() }
    }

    /// The error of what comes next, which is not what is expected.
    fn other(&mut self, expected: &'static str) -> GrubError {
        let (line, found) = match self.tokens.peek() {
            Some(Token::Word(word)) => {
                let plain = word.plain().map(|plain| format!("`{}`", String::from_utf8_lossy(plain)));
                (word.line, plain.unwrap_or_else(|| "a word with quotation marks or variables".to_owned()))
            }
            Some(Token::End(line)) => (*line, "the end of the line".to_owned()),
            None => (self.line, "the end of the file".to_owned()),
        };
        GrubError { line, expected, found }
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.next()?;
        self.line = match &token {
            Token::Word(word) => word.line,
            Token::End(line) => *line,
        };
        Some(token)
    }

    /// Takes the word of the language that comes next, if it is one of these.
    fn take(&mut self, words: &[&[u8]]) -> Option<Vec<u8>> {
        let Some(Token::Word(word)) = self.tokens.peek() else { return None };
        let plain = word.plain().filter(|plain| words.contains(plain))?.to_vec();
        self.next();
        Some(plain)
    }

    fn skip_ends(&mut self) {
        while matches!(self.tokens.peek(), Some(Token::End(_))) {
            self.next();
        }
    }

    /// Statements up to a word that ends them, which has to be one of these; it is answered. Without one, up to the end of the file.
    fn block(&mut self, ends: &[&[u8]]) -> Result<(Block, Option<Vec<u8>>), GrubError> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.error("blocks that are nested less deeply", format!("more than {DEPTH}")));
        }
        let mut statements = Vec::new();
        let end = loop {
            self.skip_ends();
            if let Some(end) = self.take(&ENDS) {
                if !ends.contains(&&*end) {
                    return Err(self.error(wanted(ends), format!("`{}`", String::from_utf8_lossy(&end))));
                }
                break Some(end);
            }
            if self.tokens.peek().is_none() {
                match ends {
                    [] => break None,
                    _ => return Err(self.error(wanted(ends), "the end of the file")),
                }
            }
            statements.push(self.statement()?);
        };
        self.depth -= 1;
        Ok((statements.into(), end))
    }

    fn statement(&mut self) -> Result<Statement, GrubError> {
        match self.take(&[b"if", b"for", b"while", b"until", b"function"]).as_deref() {
            Some(b"if") => self.condition(),
            Some(b"for") => self.each(),
            Some(b"function") => self.function(),
            Some(word) => {
                let (line, until) = (self.line, word == b"until");
                let (condition, _) = self.block(&[b"do"])?;
                let (body, _) = self.block(&[b"done"])?;
                Ok(Statement::Loop { line, condition, until, body })
            }
            None => self.command(),
        }
    }

    fn condition(&mut self) -> Result<Statement, GrubError> {
        let mut arms = Vec::new();
        loop {
            let (condition, _) = self.block(&[b"then"])?;
            let (body, end) = self.block(&[b"elif", b"else", b"fi"])?;
            arms.push((condition, body));
            match end.as_deref() {
                Some(b"elif") => {}
                Some(b"else") => return Ok(Statement::If { arms, otherwise: self.block(&[b"fi"])?.0 }),
                _ => return Ok(Statement::If { arms, otherwise: Rc::from([]) }),
            }
        }
    }

    fn each(&mut self) -> Result<Statement, GrubError> {
        let name = self.name()?;
        let line = self.line;
        if self.take(&[b"in"]).is_none() {
            return Err(self.other("`in`"));
        }
        let mut words = Vec::new();
        while let Some(Token::Word(_)) = self.tokens.peek() {
            let Some(Token::Word(word)) = self.next() else { break };
            words.push(word);
        }
        self.skip_ends();
        if self.take(&[b"do"]).is_none() {
            return Err(self.other("`do`"));
        }
        let (body, _) = self.block(&[b"done"])?;
        Ok(Statement::For { line, name, words, body })
    }

    fn function(&mut self) -> Result<Statement, GrubError> {
        let name = self.name()?;
        self.skip_ends();
        if self.take(&[b"{"]).is_none() {
            return Err(self.other("`{`"));
        }
        Ok(Statement::Function { name, body: self.block(&[b"}"])?.0 })
    }

    fn name(&mut self) -> Result<Vec<u8>, GrubError> {
        let name = match self.tokens.peek() {
            Some(Token::Word(word)) => word.plain().map(<[u8]>::to_vec),
            _ => None,
        };
        let name = name.ok_or_else(|| self.other("a name"))?;
        self.next();
        Ok(name)
    }

    fn command(&mut self) -> Result<Statement, GrubError> {
        let (mut words, mut block) = (Vec::new(), None);
        let mut line = self.line;
        while let Some(Token::Word(word)) = self.tokens.peek() {
            if words.is_empty() {
                line = word.line;
            }
            match word.plain() {
                Some(b"{") => {
                    self.next();
                    block = Some(self.block(&[b"}"])?.0);
                    break;
                }
                // On the line of the last command of a block.
                Some(b"}") => break,
                _ => {
                    let Some(Token::Word(word)) = self.next() else { break };
                    words.push(word);
                }
            }
        }
        Ok(Statement::Command { line, words, block })
    }
}

/// What a block was to end with, in words.
fn wanted(ends: &[&[u8]]) -> &'static str {
    match ends {
        [b"then", ..] => "`then`",
        [b"elif", ..] => "`elif`, `else` or `fi`",
        [b"fi", ..] => "`fi`",
        [b"do", ..] => "`do`",
        [b"done", ..] => "`done`",
        [b"}", ..] => "`}`",
        _ => "a command",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn blocks_have_their_ends() {
        assert_eq!(parse(b"if [ a ]; then b; elif c\nthen d\nelse e; fi\nmenuentry x { y\n}\n\n").unwrap().len(), 2);
        assert_eq!(
            parse(b"function f {\n a; }\nfor x in 1 2; do\n echo $x\ndone; while false; do a; done").unwrap().len(),
            3
        );
        assert_eq!(why("if a\nthen b\n"), "line 2: expected `elif`, `else` or `fi`, found the end of the file");
        assert_eq!(why("menuentry x {\n a\n"), "line 2: expected `}`, found the end of the file");
        assert_eq!(why("a\n}\n"), "line 2: expected a command, found `}`");
        assert_eq!(why("if a; then b; done"), "line 1: expected `elif`, `else` or `fi`, found `done`");
        assert_eq!(
            why("for 'x' in a; do b; done"),
            "line 1: expected a name, found a word with quotation marks or variables"
        );
        assert_eq!(why("for x of a; do b; done"), "line 1: expected `in`, found `of`");
        assert_eq!(why("function f\nx"), "line 2: expected `{`, found `x`");
    }

    #[test]
    fn nesting_has_a_bound() {
        let deep = |depth: usize| format!("{}{}", "menuentry x {\n".repeat(depth), "}\n".repeat(depth));
        parse(deep(60).as_bytes()).unwrap();
        assert!(why(&deep(100)).contains("nested less deeply"));
    }
}
