// SPDX-License-Identifier: GPL-2.0-or-later
//! The .defs files of one compilation: their text, and spans that point into it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::string::String;
use std::vec::Vec;

/// A piece of one source file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Index of the file in its [`SourceMap`].
    pub file: u32,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// From the start of `self` to the end of `other`; `self` alone if they stand in different files (a macro's text).
    pub fn to(self, other: Self) -> Self {
        if self.file == other.file && other.end >= self.start { Self { end: other.end, ..self } } else { self }
    }
}

/// Where files come from: the disk, or a test's own table.
pub trait Files {
    /// The text of `path`, or why it cannot be read.
    fn read(&self, path: &Path) -> std::io::Result<String>;
}

/// Files on disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> std::io::Result<String> {
        text_of(&std::fs::read(path)?)
    }
}

/// The text of a file. A byte order mark of UTF-8 is no part of it; bytes that are not UTF-8 (old comments) become
/// replacement characters.
fn text_of(bytes: &[u8]) -> std::io::Result<String> {
    // UTF-32 that begins with FF FE 00 00 is refused as well.
    if [[0xff, 0xfe], [0xfe, 0xff]].iter().any(|mark| bytes.starts_with(mark)) || bytes.starts_with(&[0, 0, 0xfe, 0xff])
    {
        let message = "expected text in UTF-8, found the byte order mark of UTF-16 or UTF-32";
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, message));
    }
    let text = String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
    Ok(text.into_owned())
}

/// Files in memory.
#[derive(Clone, Debug, Default)]
pub struct Memory(pub BTreeMap<PathBuf, String>);

impl Files for Memory {
    fn read(&self, path: &Path) -> std::io::Result<String> {
        let text = self.0.get(path).ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound))?;
        text_of(text.as_bytes())
    }
}

/// One loaded file.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The path as it was opened.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    line_starts: Vec<u32>,
}

/// Line and column of a span, both from 1; the column counts characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The path as it was opened.
    pub path: PathBuf,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

/// All files of a compilation.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
}

impl SourceMap {
    /// Adds a file and returns its index.
    pub fn add(&mut self, path: PathBuf, text: String) -> u32 {
        let line_starts = core::iter::once(0)
            .chain(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at as u32 + 1))
            .collect();
        self.files.push(SourceFile { path, text, line_starts });
        self.files.len() as u32 - 1
    }

    /// The file with this index.
    pub fn file(&self, index: u32) -> Option<&SourceFile> {
        self.files.get(index as usize)
    }

    /// All files, in the order they were opened.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The text of a span.
    pub fn text(&self, span: Span) -> &str {
        self.file(span.file).and_then(|file| file.text.get(span.start as usize..span.end as usize)).unwrap_or("")
    }

    /// Line and column of the start of `span`.
    pub fn place(&self, span: Span) -> Place {
        let Some(file) = self.file(span.file) else {
            return Place { path: PathBuf::from("(built in)"), line: 1, column: 1 };
        };
        let line = file.line_starts.partition_point(|start| *start <= span.start);
        let start = file.line_starts[line - 1] as usize;
        let column = file.text.get(start..span.start as usize).map_or(1, |text| text.chars().count() + 1);
        Place { path: file.path.clone(), line: line as u32, column: column as u32 }
    }

    /// The text of the line that `span` starts on, without its line break.
    pub fn line_text(&self, span: Span) -> &str {
        let Some(file) = self.file(span.file) else { return "" };
        let line = file.line_starts.partition_point(|start| *start <= span.start);
        let start = file.line_starts[line - 1] as usize;
        file.text[start..].lines().next().unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn place_counts_lines_and_characters_from_one() {
        let mut map = SourceMap::default();
        let file = map.add(PathBuf::from("a.defs"), String::from("skip;\n\t\u{e9}x y\n"));
        let place = map.place(Span { file, start: 11, end: 12 });
        assert_eq!((place.line, place.column), (2, 5));
        assert_eq!(map.line_text(Span { file, start: 11, end: 12 }), "\t\u{e9}x y");
        assert_eq!(map.place(Span { file, start: 0, end: 1 }).line, 1);
    }

    #[test]
    fn a_byte_order_mark_is_no_text_unless_it_is_of_another_encoding() {
        let read = |bytes: &[u8]| text_of(bytes).map_err(|error| error.to_string());
        assert_eq!(read(b"\xef\xbb\xbfskip;"), Ok("skip;".to_string()));
        assert_eq!(read(b"skip;\xef\xbb\xbf\xe9"), Ok("skip;\u{feff}\u{fffd}".to_string()));
        assert_eq!(read(b""), Ok(String::new()));
        for marked in [&b"\xff\xfes\0"[..], b"\xfe\xff\0s", b"\xff\xfe\0\0s\0\0\0", b"\0\0\xfe\xff\0\0\0s"] {
            assert!(
                read(marked).is_err_and(|error| error.contains("byte order mark of UTF-16 or UTF-32")),
                "{marked:x?}"
            );
        }
    }

    #[test]
    fn a_span_grows_only_within_its_file() {
        let one = Span { file: 0, start: 2, end: 3 };
        assert_eq!(one.to(Span { file: 0, start: 5, end: 9 }), Span { file: 0, start: 2, end: 9 });
        assert_eq!(one.to(Span { file: 1, start: 5, end: 9 }), one);
    }
}
