// SPDX-License-Identifier: GPL-2.0-or-later
//! Characters to preprocessing tokens, one list per logical line.

use std::format;
use std::rc::Rc;
use std::string::String;
use std::vec::Vec;

use crate::diag::{Code, Diagnostics};
use crate::source::{SourceMap, Span};

/// What a preprocessing token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name.
    Identifier,
    /// Starts with a digit.
    Number,
    /// `"..."`, with its quotes.
    String,
    /// An operator of up to two characters, or any other single character.
    Punct,
}

/// A preprocessing token.
#[derive(Clone, Debug)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Its text.
    pub text: Rc<str>,
    /// Where it was written, or where the macro was used that made it.
    pub span: Span,
    /// Whether white space comes before it.
    pub space: bool,
    /// Macros whose expansion it is part of; they are not expanded in it again.
    pub(super) hidden: Vec<Rc<str>>,
}

impl Token {
    /// Whether it is this operator.
    pub fn is_punct(&self, text: &str) -> bool {
        self.kind == Kind::Punct && &*self.text == text
    }
}

/// The tokens' text with the white space they had between them reduced to one space.
pub(super) fn join(tokens: &[Token]) -> String {
    let mut text = String::new();
    for (index, token) in tokens.iter().enumerate() {
        if index > 0 && token.space {
            text.push(' ');
        }
        text += &token.text;
    }
    text
}

const TWO_CHARACTERS: [&str; 11] = ["##", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "->", "++"];

/// Splits a file into lines of tokens. Comments count as white space, a backslash at the line end joins lines.
pub(super) fn scan_file(sources: &SourceMap, file: u32, diagnostics: &mut Diagnostics) -> Vec<Vec<Token>> {
    let text = sources.file(file).map_or("", |file| file.text.as_str());
    let bytes = text.as_bytes();
    let mut lines = Vec::new();
    let mut line: Vec<Token> = Vec::new();
    let mut at = 0;
    let mut space = false;
    while let Some(byte) = bytes.get(at) {
        let skipped = white_space(&bytes[at..]);
        if skipped > 0 {
            at += skipped;
            space = true;
            continue;
        }
        if *byte == b'\n' {
            if !line.is_empty() {
                lines.push(core::mem::take(&mut line));
            }
            at += 1;
            space = false;
            continue;
        }
        let rest = &text[at..];
        if rest.starts_with("/*") {
            let end = rest.find("*/");
            if end.is_none() {
                let span = Span { file, start: at as u32, end: at as u32 + 2 };
                diagnostics.report(Code::UnterminatedComment, span, "this comment is never closed");
            }
            at = end.map_or(bytes.len(), |end| at + end + 2);
            space = true;
            continue;
        }
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let (kind, length) = token_length(rest);
        let span = Span { file, start: at as u32, end: (at + length) as u32 };
        if kind == Kind::String && (length == 1 || !rest[..length].ends_with('"')) {
            let message = format!("the string `{}` has no closing quote", &rest[..length]);
            diagnostics.report(Code::UnterminatedString, span, message);
        }
        line.push(Token { kind, text: Rc::from(&rest[..length]), span, space, hidden: Vec::new() });
        space = false;
        at += length;
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Length of the white space or line continuation at the start of `text`.
fn white_space(text: &[u8]) -> usize {
    match text {
        [b'\\', b'\n', ..] => 2,
        [b'\\', b'\r', b'\n', ..] => 3,
        _ => count(text, |byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\x0b' | b'\x0c')),
    }
}

/// How many bytes at the start of `text` are such.
fn count(text: &[u8], is: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|byte| !is(*byte)).unwrap_or(text.len())
}

fn token_length(text: &str) -> (Kind, usize) {
    let first = text.chars().next().unwrap_or(' ');
    let word = || count(text.as_bytes(), |byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if first.is_ascii_digit() {
        (Kind::Number, word())
    } else if first.is_ascii_alphabetic() || first == '_' {
        (Kind::Identifier, word())
    } else if first == '"' {
        let end = text[1..].find(['"', '\n']).map(|end| end + 1);
        let length = end.map_or(text.len(), |end| if text.as_bytes()[end] == b'"' { end + 1 } else { end });
        (Kind::String, length)
    } else if let Some(operator) = TWO_CHARACTERS.iter().find(|operator| text.starts_with(**operator)) {
        (Kind::Punct, operator.len())
    } else {
        (Kind::Punct, first.len_utf8())
    }
}
