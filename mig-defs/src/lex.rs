// SPDX-License-Identifier: GPL-2.0-or-later
//! Preprocessing tokens to MIG tokens: keywords in any case, message type names, numbers.

use std::format;
use std::rc::Rc;
use std::string::String;
use std::vec::Vec;

use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::preprocess::{self, Kind};
use crate::source::Span;

macro_rules! keywords {
    ($($variant:ident = $text:literal,)*) => {
        /// A keyword. MIG reads them in any case.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Keyword {
            $(#[doc = concat!("`", $text, "`")] $variant,)*
        }

        impl Keyword {
            fn from_text(text: &str) -> Option<Self> {
                $(if text.eq_ignore_ascii_case($text) {
                    return Some(Self::$variant);
                })*
                None
            }

            /// As written in lower case.
            pub fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

keywords! {
    Skip = "skip",
    Routine = "routine",
    SimpleRoutine = "simpleroutine",
    Subsystem = "subsystem",
    KernelUser = "kerneluser",
    KernelServer = "kernelserver",
    MsgOption = "msgoption",
    MsgSeqno = "msgseqno",
    WaitTime = "waittime",
    NoWaitTime = "nowaittime",
    ServerPrefix = "serverprefix",
    UserPrefix = "userprefix",
    ServerDemux = "serverdemux",
    RcsId = "rcsid",
    Import = "import",
    UImport = "uimport",
    SImport = "simport",
    In = "in",
    Out = "out",
    InOut = "inout",
    RequestPort = "requestport",
    ReplyPort = "replyport",
    SReplyPort = "sreplyport",
    UReplyPort = "ureplyport",
    Type = "type",
    Array = "array",
    Struct = "struct",
    Of = "of",
    InTran = "intran",
    InTranPayload = "intranpayload",
    OutTran = "outtran",
    Destructor = "destructor",
    CType = "ctype",
    CUserType = "cusertype",
    CServerType = "cservertype",
    CString = "c_string",
    Polymorphic = "polymorphic",
    IsLong = "islong",
    IsNotLong = "isnotlong",
    Dealloc = "dealloc",
    NotDealloc = "notdealloc",
    ServerCopy = "servercopy",
    CountInOut = "countinout",
    RetCode = "retcode",
}

/// What a MIG token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lexeme {
    /// A keyword.
    Keyword(Keyword),
    /// Any other name; `MACH_MSG_TYPE_*` too, which only a type specification gives a meaning.
    Identifier(Rc<str>),
    /// A decimal number.
    Number(u32),
    /// A quoted string, without its quotes.
    String(Rc<str>),
    /// One of `: ; , + - * / ( ) = ^ ~ < > [ ] { } | .` and other characters that only occur in file names.
    Punct(char),
    /// After the last token.
    End,
}

/// A MIG token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub lexeme: Lexeme,
    /// As it was written, for words whose case or spelling matters (file names, options).
    pub text: Rc<str>,
    /// Where.
    pub span: Span,
    /// Whether white space comes before it.
    pub space: bool,
}

impl Token {
    /// For "found ..." in a diagnostic.
    pub fn describe(&self) -> String {
        match &self.lexeme {
            Lexeme::Keyword(keyword) => format!("keyword `{}`", keyword.text()),
            Lexeme::End => String::from("the end of the file"),
            _ => format!("`{}`", self.text),
        }
    }
}

/// Classifies the tokens. The last one is [`Lexeme::End`].
pub fn lex(tokens: Vec<preprocess::Token>, diagnostics: &mut Diagnostics) -> Vec<Token> {
    let mut output = Vec::with_capacity(tokens.len() + 1);
    let mut last = Span::default();
    for token in tokens {
        last = token.span;
        match token.kind {
            Kind::Identifier => {
                let keyword = Keyword::from_text(&token.text).map(Lexeme::Keyword);
                let lexeme = keyword.unwrap_or_else(|| Lexeme::Identifier(token.text.clone()));
                push(&mut output, lexeme, &token);
            }
            // A word, as MIG reads it, whatever it begins with.
            Kind::Number if output.last().is_some_and(takes_word) => {
                push(&mut output, Lexeme::Identifier(token.text.clone()), &token);
            }
            Kind::Number => push(&mut output, Lexeme::Number(number(&token, diagnostics)), &token),
            Kind::String => push(&mut output, Lexeme::String(Rc::from(token.text.trim_matches('"'))), &token),
            Kind::Punct => punct(&mut output, &token, diagnostics),
        }
    }
    output.push(Token { lexeme: Lexeme::End, text: Rc::from(""), span: Span { start: last.end, ..last }, space: true });
    output
}

/// Whether what follows is a word of letters, digits and some punctuation. An argument's `waittime` is followed by a name.
fn takes_word(token: &Token) -> bool {
    matches!(token.lexeme, Lexeme::Keyword(Keyword::WaitTime | Keyword::MsgOption))
}

fn push(output: &mut Vec<Token>, lexeme: Lexeme, token: &preprocess::Token) {
    output.push(Token { lexeme, text: token.text.clone(), span: token.span, space: token.space });
}

fn number(token: &preprocess::Token, diagnostics: &mut Diagnostics) -> u32 {
    token.text.parse().unwrap_or_else(|_| {
        let wrong = Diagnostic::new(Code::NumberTooLarge, token.span, "not a 32-bit decimal number");
        diagnostics.push(wrong.expected("0 to 4294967295", format!("`{}`", token.text)));
        0
    })
}

/// Two-character operators of the preprocessor are two tokens to MIG (`:>` never is one).
fn punct(output: &mut Vec<Token>, token: &preprocess::Token, diagnostics: &mut Diagnostics) {
    for (index, character) in token.text.chars().enumerate() {
        // '.', '$' and '@' occur only in file names and option words.
        if !":;,+-*/()=^~<>[]{}|.$@".contains(character) {
            // Not all can be seen.
            let shown = if character.is_ascii_punctuation() {
                String::from(character)
            } else {
                character.escape_debug().collect()
            };
            let message = format!("`{shown}` is not part of the .defs language");
            diagnostics.report(Code::BadCharacter, token.span, message);
            continue;
        }
        output.push(Token {
            lexeme: Lexeme::Punct(character),
            text: Rc::from(character.encode_utf8(&mut [0; 4]) as &str),
            span: token.span,
            space: token.space && index == 0,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::preprocess_text;
    use crate::source::SourceMap;
    use std::vec;

    fn lexemes(text: &str) -> (Vec<Lexeme>, Vec<Code>) {
        let mut diagnostics = Diagnostics::default();
        let tokens = preprocess_text(text, &mut SourceMap::default(), &mut diagnostics);
        let tokens = lex(tokens, &mut diagnostics).into_iter().map(|token| token.lexeme).collect();
        (tokens, diagnostics.list().iter().map(|diagnostic| diagnostic.code).collect())
    }

    #[test]
    fn keywords_in_any_case_names_as_written() {
        let (tokens, codes) = lexemes("CountInOut serverCopy Task_t 17 \"a.h\" >=");
        let expected = vec![
            Lexeme::Keyword(Keyword::CountInOut),
            Lexeme::Keyword(Keyword::ServerCopy),
            Lexeme::Identifier("Task_t".into()),
            Lexeme::Number(17),
            Lexeme::String("a.h".into()),
            Lexeme::Punct('>'),
            Lexeme::Punct('='),
            Lexeme::End,
        ];
        assert_eq!((tokens, codes), (expected, vec![]));
    }

    #[test]
    fn faults_are_numbered() {
        assert_eq!(lexemes("a ? b").1, [Code::BadCharacter]);
        assert_eq!(lexemes("4294967296").1, [Code::NumberTooLarge]);
        assert_eq!(lexemes("import \"a.h\n;").1, [Code::UnterminatedString]);
    }
}
