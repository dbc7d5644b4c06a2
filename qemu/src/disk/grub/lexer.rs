// SPDX-License-Identifier: GPL-2.0-or-later
//! Words of GRUB's configuration language: quotation marks, backslashes, variables, line ends.

use crate::disk::grub::GrubError;

/// A piece of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Bytes that stand for themselves.
    Text(Vec<u8>),
    /// The value of a variable; if it is not quoted, it is taken apart at its spaces.
    Variable {
        /// Its name.
        name: Vec<u8>,
        /// Whether it is one word whatever its value is.
        is_quoted: bool,
    },
}

/// A word that is not expanded yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// The line where it begins.
    pub(super) line: usize,
    /// What it is made of; `''` has a piece, too.
    pub(super) pieces: Vec<Piece>,
    /// Whether a part of it is quoted, so that it is no word of the language.
    pub(super) is_quoted: bool,
}

impl Word {
    /// The bytes of a word that is written as it is: a word of the language, say.
    pub(super) fn plain(&self) -> Option<&[u8]> {
        match &*self.pieces {
            [Piece::Text(text)] if !self.is_quoted => Some(text),
            _ => None,
        }
    }
}

/// What the parser sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A word.
    Word(Word),
    /// The end of a line, or `;`.
    End(usize),
}

/// Takes a text apart. Its work is in proportion to the text's length.
pub(super) fn tokens(text: &[u8]) -> Result<Vec<Token>, GrubError> {
    let mut lexer = Lexer { text, at: 0, line: 1 };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.token()? {
        tokens.push(token);
    }
    Ok(tokens)
}

struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// The next byte, which counts lines.
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        self.line += usize::from(byte == b'\n');
        Some(byte)
    }

    fn error(&self, expected: &'static str, found: impl Into<String>) -> GrubError {
        GrubError { line: self.line, expected, found: found.into() }
    }

    fn token(&mut self) -> Result<Option<Token>, GrubError> {
        loop {
            let Some(byte) = self.peek() else { return Ok(None) };
            let line = self.line;
            match byte {
                b' ' | b'\t' | b'\r' => {
                    self.next();
                }
                b'\n' | b';' => {
                    self.next();
                    return Ok(Some(Token::End(line)));
                }
                b'#' => {
                    while self.peek().is_some_and(|byte| byte != b'\n') {
                        self.next();
                    }
                }
                b'\\' if self.text.get(self.at + 1) == Some(&b'\n') => {
                    self.at += 2;
                    self.line += 1;
                }
                b'|' | b'&' | b'<' | b'>' => {
                    return Err(self.error("a word or a line end", format!("`{}`", char::from(byte))));
                }
                _ => return Ok(Some(Token::Word(self.word()?))),
            }
        }
    }

    fn word(&mut self) -> Result<Word, GrubError> {
        let mut word = Word { line: self.line, pieces: Vec::new(), is_quoted: false };
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'|' | b'&' | b'<' | b'>' => break,
                0 => return Err(self.error("text", "a zero byte")),
                b'\'' => {
                    self.next();
                    word.is_quoted = true;
                    self.single(&mut word)?;
                }
                b'"' => {
                    self.next();
                    word.is_quoted = true;
                    self.double(&mut word)?;
                }
                b'\\' => {
                    self.next();
                    match self.next() {
                        // A line that goes on.
                        Some(b'\n') => {}
                        Some(byte) => {
                            word.is_quoted = true;
                            word.push(byte);
                        }
                        None => return Err(self.error("a byte after a backslash", "the end of the file")),
                    }
                }
                b'$' => self.variable(&mut word, false)?,
                _ => {
                    self.next();
                    word.push(byte);
                }
            }
        }
        Ok(word)
    }

    /// All bytes up to the next single quotation mark.
    fn single(&mut self, word: &mut Word) -> Result<(), GrubError> {
        let begin = self.line;
        word.open();
        loop {
            match self.next() {
                Some(b'\'') => return Ok(()),
                Some(0) => return Err(self.error("text", "a zero byte")),
                Some(byte) => word.push(byte),
                None => return Err(GrubError { line: begin, ..self.error("a second '", "the end of the file") }),
            }
        }
    }

    /// Up to the next double quotation mark, with variables and some backslashes.
    fn double(&mut self, word: &mut Word) -> Result<(), GrubError> {
        let begin = self.line;
        word.open();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.next();
                    return Ok(());
                }
                Some(b'$') => self.variable(word, true)?,
                Some(b'\\') => {
                    self.next();
                    match self.peek() {
                        Some(byte @ (b'"' | b'\\' | b'$')) => {
                            self.next();
                            word.push(byte);
                        }
                        Some(b'\n') => {
                            self.next();
                        }
                        _ => word.push(b'\\'),
                    }
                }
                Some(0) => return Err(self.error("text", "a zero byte")),
                Some(byte) => {
                    self.next();
                    word.push(byte);
                }
                None => return Err(GrubError { line: begin, ..self.error("a second \"", "the end of the file") }),
            }
        }
    }

    /// `$name`, `${name}`; any other `$` stands for itself.
    fn variable(&mut self, word: &mut Word, is_quoted: bool) -> Result<(), GrubError> {
        self.next();
        let is_braced = self.peek() == Some(b'{');
        let start = self.at + usize::from(is_braced);
        let rest = &self.text[start.min(self.text.len())..];
        let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let length = match rest.first() {
            Some(b'?' | b'#' | b'*' | b'@') => 1,
            Some(b'0'..=b'9') => rest.iter().take_while(|byte| byte.is_ascii_digit()).count(),
            _ => rest.iter().take_while(|byte| is_letter(byte)).count(),
        };
        if is_braced && (length == 0 || rest.get(length) != Some(&b'}')) {
            return Err(self.error("a variable's name in ${}", "something else"));
        }
        if length == 0 {
            word.push(b'$');
            return Ok(());
        }
        word.pieces.push(Piece::Variable { name: rest[..length].to_vec(), is_quoted });
        self.at = start + length + usize::from(is_braced);
        Ok(())
    }
}

impl Word {
    /// Begins a part that is a word even if nothing comes.
    fn open(&mut self) {
        if !matches!(self.pieces.last(), Some(Piece::Text(_))) {
            self.pieces.push(Piece::Text(Vec::new()));
        }
    }

    fn push(&mut self, byte: u8) {
        self.open();
        if let Some(Piece::Text(text)) = self.pieces.last_mut() {
            text.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a text, with variables as `<name>`.
    fn words(text: &str) -> Vec<String> {
        let tokens = tokens(text.as_bytes()).unwrap();
        let word = |token| match token {
            Token::Word(word) => {
                let piece = |piece: &Piece| match piece {
                    Piece::Text(text) => String::from_utf8_lossy(text).into_owned(),
                    Piece::Variable { name, .. } => format!("<{}>", String::from_utf8_lossy(name)),
                };
                word.pieces.iter().map(piece).collect()
            }
            Token::End(_) => "\n".to_owned(),
        };
        tokens.into_iter().map(word).collect()
    }

    #[test]
    fn quotation_marks_keep_what_the_kernel_is_to_read() {
        let line = "module /hurd/acpi.static acpi --next-task='${pci-task}' '$(acpi-task=task-create)'";
        assert_eq!(
            words(line),
            ["module", "/hurd/acpi.static", "acpi", "--next-task=${pci-task}", "$(acpi-task=task-create)"]
        );
        assert_eq!(words(r#"a"b\"\$\\\n$x"c"#), ["ab\"$\\\\n<x>c"]);
        assert_eq!(words(r"a\ b\$x '' # more"), ["a b$x", ""]);
        assert_eq!(words("${a}b $c$d$ $(e) $?"), ["<a>b", "<c><d>$", "$(e)", "<?>"]);
    }

    #[test]
    fn a_backslash_at_its_end_lets_a_line_go_on() {
        assert_eq!(words("a \\\n\tb\\\nc; d\n#e\\\nf"), ["a", "bc", "\n", "d", "\n", "\n", "f"]);
    }

    #[test]
    fn what_has_no_end_is_told_by_its_first_line() {
        for (text, expected) in [
            ("\na 'b\n\n", "line 2: expected a second ', found the end of the file"),
            ("\"\n", "line 1: expected a second \", found the end of the file"),
            ("a\\", "line 1: expected a byte after a backslash, found the end of the file"),
            ("\n${a b}", "line 2: expected a variable's name in ${}, found something else"),
            ("a | b", "line 1: expected a word or a line end, found `|`"),
            ("a\0", "line 1: expected text, found a zero byte"),
        ] {
            assert_eq!(tokens(text.as_bytes()).unwrap_err().to_string(), expected);
        }
    }
}
