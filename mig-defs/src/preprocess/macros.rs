// SPDX-License-Identifier: GPL-2.0-or-later
//! Macro definitions and their expansion.

use core::cell::Cell;
use std::collections::BTreeMap;
use std::format;
use std::rc::Rc;
use std::vec::Vec;

use super::scan::{Kind, Token, join};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::source::Span;

/// A `#define`.
#[derive(Clone, Debug)]
pub(super) struct Macro {
    /// Parameter names; `None` if the macro takes no argument list.
    pub(super) parameters: Option<Vec<Rc<str>>>,
    /// The replacement.
    pub(super) body: Vec<Token>,
}

/// Most work for one file and all it includes, in units of [`Macros::spend`]: a thousand times what the largest .defs of a
/// system need, and still done in seconds. Macros and includes of a few lines can otherwise double without end.
const BUDGET: usize = 1 << 24;
/// What a token costs that comes out of a macro; a byte of text costs 1.
const TOKEN_COST: usize = 64;
/// What a file costs beyond its bytes.
pub(super) const FILE_COST: usize = 1 << 12;
/// Most macro calls in the arguments of one another.
const MAX_NESTING: usize = 64;

/// The macros that are defined, and how much may still be made of them.
#[derive(Clone, Debug)]
pub(super) struct Macros {
    pub(super) defined: BTreeMap<Rc<str>, Macro>,
    left: Cell<usize>,
    nesting: Cell<usize>,
}

impl Macros {
    pub(super) fn new() -> Self {
        Self { defined: BTreeMap::new(), left: Cell::new(BUDGET), nesting: Cell::new(0) }
    }

    /// Whether there is budget left for `cost`; the first time that there is not, it is reported.
    pub(super) fn spend(&self, cost: usize, span: Span, diagnostics: &mut Diagnostics) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(cost.max(1)));
        if left > 0 && self.left.get() == 0 {
            diagnostics.report(Code::TooMuchText, span, "includes or macros that grow without end");
        }
        self.left.get() > 0
    }
}

/// Parses what follows `#define`.
pub(super) fn parse_define(line: &[Token]) -> Option<(Rc<str>, Macro)> {
    let name = line.first().filter(|token| token.kind == Kind::Identifier)?;
    let has_parameters = line.get(1).is_some_and(|token| token.is_punct("(") && !token.space);
    if !has_parameters {
        return Some((name.text.clone(), Macro { parameters: None, body: line[1..].to_vec() }));
    }
    let close = line.iter().position(|token| token.is_punct(")"))?;
    let words = line[2..close].iter().filter(|token| token.kind == Kind::Identifier);
    let parameters = words.map(|token| token.text.clone()).collect();
    Some((name.text.clone(), Macro { parameters: Some(parameters), body: line[close + 1..].to_vec() }))
}

/// Replaces every macro in `tokens`.
pub(super) fn expand(macros: &Macros, tokens: Vec<Token>, diagnostics: &mut Diagnostics) -> Vec<Token> {
    let mut output = Vec::with_capacity(tokens.len());
    // A stack of what is still to be read, last token on top: an expansion is pushed back and read again.
    let mut input: Vec<Token> = tokens.into_iter().rev().collect();
    while let Some(token) = input.pop() {
        let definition = match macros.defined.get(&token.text) {
            Some(definition) if token.kind == Kind::Identifier && !token.hidden.contains(&token.text) => definition,
            _ => {
                output.push(token);
                continue;
            }
        };
        let replacement = match &definition.parameters {
            None => definition.body.clone(),
            Some(_) if !input.last().is_some_and(|next| next.is_punct("(")) => {
                output.push(token);
                continue;
            }
            Some(parameters) => match take_arguments(&mut input) {
                Some(arguments) if arguments_fit(&arguments, parameters) => {
                    substitute(macros, definition, parameters, &arguments, diagnostics)
                }
                found => {
                    let wrong = Diagnostic::new(Code::BadMacroCall, token.span, format!("macro `{}`", token.text));
                    let count = found
                        .map_or("no closing parenthesis".into(), |arguments| format!("{} arguments", arguments.len()));
                    diagnostics.push(wrong.expected(format!("{} arguments", parameters.len()), count));
                    continue;
                }
            },
        };
        if !macros.spend(TOKEN_COST * replacement.len(), token.span, diagnostics) {
            return output;
        }
        push_back(&mut input, replacement, &token);
    }
    output
}

fn push_back(input: &mut Vec<Token>, replacement: Vec<Token>, call: &Token) {
    for (index, mut token) in replacement.into_iter().enumerate().rev() {
        token.span = call.span;
        token.space = if index == 0 { call.space } else { token.space };
        token.hidden.extend(call.hidden.iter().cloned());
        token.hidden.push(call.text.clone());
        input.push(token);
    }
}

fn arguments_fit(arguments: &[Vec<Token>], parameters: &[Rc<str>]) -> bool {
    arguments.len() == parameters.len() || (parameters.is_empty() && arguments.len() == 1 && arguments[0].is_empty())
}

/// Takes `( ... )` off the input; `None` if it is not closed.
fn take_arguments(input: &mut Vec<Token>) -> Option<Vec<Vec<Token>>> {
    input.pop();
    let mut arguments = Vec::new();
    let mut argument = Vec::new();
    let mut depth = 0;
    while let Some(token) = input.pop() {
        match &*token.text {
            ")" if depth == 0 => {
                arguments.push(argument);
                return Some(arguments);
            }
            "," if depth == 0 => {
                arguments.push(core::mem::take(&mut argument));
                continue;
            }
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        argument.push(token);
    }
    None
}

fn substitute(
    macros: &Macros,
    definition: &Macro,
    parameters: &[Rc<str>],
    arguments: &[Vec<Token>],
    diagnostics: &mut Diagnostics,
) -> Vec<Token> {
    let parameter = |token: &Token| parameters.iter().position(|name| *name == token.text);
    let body = &definition.body;
    let mut output: Vec<Token> = Vec::new();
    let mut index = 0;
    while let Some(token) = body.get(index) {
        let next_is_paste = body.get(index + 1).is_some_and(|next| next.is_punct("##"));
        if token.is_punct("#")
            && let Some(argument) = body.get(index + 1).and_then(parameter)
        {
            let text = format!("\"{}\"", join(&arguments[argument]).replace('"', "\\\""));
            output.push(Token { kind: Kind::String, text: Rc::from(text.as_str()), ..token.clone() });
            index += 2;
        } else if token.is_punct("##") {
            let right = body.get(index + 1).map(|right| match parameter(right) {
                Some(argument) => arguments[argument].clone(),
                None => Vec::from([right.clone()]),
            });
            paste(&mut output, right.unwrap_or_default());
            index += 2;
        } else if let Some(argument) = parameter(token) {
            let given = arguments[argument].clone();
            output.extend(if next_is_paste { given } else { expand_argument(macros, given, token.span, diagnostics) });
            index += 1;
        } else {
            output.push(token.clone());
            index += 1;
        }
    }
    output
}

fn expand_argument(macros: &Macros, argument: Vec<Token>, span: Span, diagnostics: &mut Diagnostics) -> Vec<Token> {
    if macros.nesting.get() >= MAX_NESTING {
        let message = format!("more than {MAX_NESTING} macro calls in the arguments of one another");
        diagnostics.report(Code::TooDeep, span, message);
        return Vec::new();
    }
    macros.nesting.set(macros.nesting.get() + 1);
    let expanded = expand(macros, argument, diagnostics);
    macros.nesting.set(macros.nesting.get() - 1);
    expanded
}

fn paste(output: &mut Vec<Token>, right: Vec<Token>) {
    let mut right = right.into_iter();
    if let (Some(left), Some(first)) = (output.last_mut(), right.next()) {
        left.text = Rc::from(format!("{}{}", left.text, first.text).as_str());
    }
    output.extend(right);
}

/// A token of a number, for the results of `defined`.
pub(super) fn number(value: bool, span: Span) -> Token {
    let text = Rc::from(if value { "1" } else { "0" });
    Token { kind: Kind::Number, text, span, space: true, hidden: Vec::new() }
}
