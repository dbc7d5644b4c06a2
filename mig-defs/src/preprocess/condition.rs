// SPDX-License-Identifier: GPL-2.0-or-later
//! `#if` expressions.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::macros::{Macros, expand, number};
use super::scan::{Kind, Token};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::source::Span;

/// Whether the condition holds; a malformed one is reported and does not.
pub(super) fn evaluate(macros: &Macros, span: Span, tokens: &[Token], diagnostics: &mut Diagnostics) -> bool {
    let tokens = expand(macros, replace_defined(macros, tokens), diagnostics);
    let mut reader = Reader { tokens: &tokens, at: 0, depth: 0, span };
    match reader.ternary().and_then(|value| reader.end().map(|()| value)) {
        Ok(value) => value != 0,
        Err(wrong) => {
            diagnostics.push(wrong);
            false
        }
    }
}

/// `defined X` has to be answered before macros are expanded.
fn replace_defined(macros: &Macros, tokens: &[Token]) -> Vec<Token> {
    let mut output = Vec::new();
    let mut index = 0;
    while let Some(token) = tokens.get(index) {
        let word = |offset: usize| tokens.get(index + offset).filter(|token| token.kind == Kind::Identifier);
        let punct = |offset: usize, text| tokens.get(index + offset).is_some_and(|token: &Token| token.is_punct(text));
        let name = match () {
            () if &*token.text != "defined" => None,
            () if punct(1, "(") && punct(3, ")") => word(2).map(|name| (name, 4)),
            () => word(1).map(|name| (name, 2)),
        };
        match name {
            Some((name, used)) => {
                output.push(number(macros.defined.contains_key(&name.text), token.span));
                index += used;
            }
            None => {
                output.push(token.clone());
                index += 1;
            }
        }
    }
    output
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    /// How many operands contain the present one.
    depth: usize,
    span: Span,
}

/// Most operands in one another.
const MAX_DEPTH: usize = 100;

/// Binary operators by binding strength, weakest first.
const LEVELS: [&[&str]; 10] = [
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<", ">", "<=", ">="],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn wrong(&self, expected: &str) -> Diagnostic {
        let found = self.peek().map_or_else(|| "the end of the line".to_string(), |token| format!("`{}`", token.text));
        let span = self.peek().map_or(self.span, |token| token.span);
        Diagnostic::new(Code::BadCondition, span, "#if expression").expected(expected, found)
    }

    fn end(&self) -> Result<(), Diagnostic> {
        if self.peek().is_some() { Err(self.wrong("an operator or the end of the line")) } else { Ok(()) }
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.is_punct(text));
        self.at += usize::from(found);
        found
    }

    /// Reads an operand inside the present one.
    fn inner(&mut self, read: fn(&mut Self) -> Result<i64, Diagnostic>) -> Result<i64, Diagnostic> {
        if self.depth >= MAX_DEPTH {
            let message = format!("more than {MAX_DEPTH} operands in one another");
            return Err(Diagnostic::new(Code::TooDeep, self.span, message));
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn ternary(&mut self) -> Result<i64, Diagnostic> {
        let condition = self.binary(0)?;
        if !self.eat("?") {
            return Ok(condition);
        }
        let first = self.inner(Self::ternary)?;
        if !self.eat(":") {
            return Err(self.wrong("`:`"));
        }
        let second = self.inner(Self::ternary)?;
        Ok(if condition != 0 { first } else { second })
    }

    fn binary(&mut self, level: usize) -> Result<i64, Diagnostic> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) =
            self.peek().and_then(|token| operators.iter().copied().find(|operator| token.is_punct(operator)))
        {
            let span = self.peek().map_or(self.span, |token| token.span);
            self.at += 1;
            let right = self.binary(level + 1)?;
            left = apply(operator, left, right)
                .ok_or_else(|| Diagnostic::new(Code::BadCondition, span, "division by zero in an #if expression"))?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<i64, Diagnostic> {
        for (operator, function) in [
            ("!", (|value| i64::from(value == 0)) as fn(i64) -> i64),
            ("-", i64::wrapping_neg),
            ("~", |value| !value),
            ("+", |value| value),
        ] {
            if self.eat(operator) {
                return self.inner(Self::unary).map(function);
            }
        }
        if self.eat("(") {
            let value = self.inner(Self::ternary)?;
            return if self.eat(")") { Ok(value) } else { Err(self.wrong("`)`")) };
        }
        let token = self.peek().cloned();
        match token.map(|token| (token.kind, token.text)) {
            Some((Kind::Number, text)) => {
                let value = parse_number(&text).ok_or_else(|| self.wrong("a number"))?;
                self.at += 1;
                Ok(value)
            }
            Some((Kind::Identifier, _)) => {
                self.at += 1;
                Ok(0)
            }
            _ => Err(self.wrong("a number, a name or `(`")),
        }
    }
}

fn apply(operator: &str, left: i64, right: i64) -> Option<i64> {
    Some(match operator {
        "||" => i64::from(left != 0 || right != 0),
        "&&" => i64::from(left != 0 && right != 0),
        "|" => left | right,
        "^" => left ^ right,
        "&" => left & right,
        "==" => i64::from(left == right),
        "!=" => i64::from(left != right),
        "<" => i64::from(left < right),
        ">" => i64::from(left > right),
        "<=" => i64::from(left <= right),
        ">=" => i64::from(left >= right),
        "<<" => left.wrapping_shl(right as u32),
        ">>" => left.wrapping_shr(right as u32),
        "+" => left.wrapping_add(right),
        "-" => left.wrapping_sub(right),
        "*" => left.wrapping_mul(right),
        "/" => left.checked_div(right)?,
        _ => left.checked_rem(right)?,
    })
}

fn parse_number(text: &str) -> Option<i64> {
    let digits: String = text.trim_end_matches(['u', 'U', 'l', 'L']).to_ascii_lowercase();
    match digits.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None if digits.len() > 1 && digits.starts_with('0') => i64::from_str_radix(&digits[1..], 8).ok(),
        None => digits.parse().ok(),
    }
}
