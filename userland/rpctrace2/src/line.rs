//! A line as tagged pieces of text: what a piece is, not how it looks.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// Punctuation and everything else.
    Plain,
    /// A task's name.
    Task,
    /// A routine's name, or `mach_msg`.
    Routine,
    /// An argument's name.
    Argument,
    /// A number or symbolic constant.
    Value,
    /// A port.
    Port,
    /// Text of a message.
    Text,
    /// What an RPC or `mach_msg` returned, if it succeeded.
    Success,
    /// What it returned if it failed.
    Failure,
    /// rpctrace2's own remarks.
    Note,
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What it is.
    pub tag: Tag,
    /// Its text.
    pub text: String,
}

/// A part of a message that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where in the message it starts.
    pub offset: usize,
    /// The bytes from there on.
    pub bytes: Vec<u8>,
}

/// A line without its line end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pieces: Vec<Piece>,
    dumps: Vec<Part>,
}

impl Line {
    /// Appends text; text of the same tag makes one piece.
    pub fn push(&mut self, tag: Tag, text: &str) {
        self.add(tag, format_args!("{text}"));
    }

    /// Appends formatted text.
    pub fn add(&mut self, tag: Tag, text: fmt::Arguments<'_>) {
        if self.pieces.last().is_none_or(|last| last.tag != tag) {
            self.pieces.push(Piece { tag, text: String::new() });
        }
        if let Some(last) = self.pieces.last_mut() {
            // Writing to a String cannot fail.
            let _ = fmt::Write::write_fmt(&mut last.text, text);
        }
    }

    /// Puts bytes below the line, which its text speaks of.
    pub fn add_dump(&mut self, offset: usize, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.dumps.push(Part { offset, bytes: bytes.to_vec() });
        }
    }

    /// Appends all of another line.
    pub fn extend(&mut self, other: &Line) {
        for piece in &other.pieces {
            self.push(piece.tag, &piece.text);
        }
        self.dumps.extend(other.dumps.iter().cloned());
    }

    /// What stands below the line.
    pub fn dumps(&self) -> impl Iterator<Item = &Part> {
        self.dumps.iter()
    }

    /// The pieces.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| f.write_str(&piece.text))
    }
}
