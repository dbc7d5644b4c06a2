// SPDX-License-Identifier: GPL-2.0-or-later
//! What the exec server makes of arguments and environment: an interpreter's, and where the program lies.

use alloc::vec::Vec;

/// The longest first line that is looked at.
const LINE_MAX: usize = 4095;

/// What a variable that says where a program lies begins with.
const ORIGIN: &[u8] = b"LD_ORIGIN_PATH=";

/// The first line of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interpreter<'a> {
    /// The program that is to run it.
    pub name: &'a [u8],
    /// That program's first argument, if the line has one: all that follows its name.
    pub argument: Option<&'a [u8]>,
}

impl<'a> Interpreter<'a> {
    /// What a file's first line says; `None` if it is no script.
    pub fn of(file: &'a [u8]) -> Option<Self> {
        let text = file.strip_prefix(b"#!")?;
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or(text);
        let line = line.get(..LINE_MAX).unwrap_or(line).trim_ascii();
        let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
        let (name, rest) = line.split_at(end);
        let argument = rest.trim_ascii();
        Some(Self { name, argument: (!argument.is_empty()).then_some(argument) })
    }

    /// The interpreter's arguments when the script at `path` is run with `argv`, whose first is left out.
    pub fn arguments(&self, path: &[u8], argv: &[u8]) -> Vec<u8> {
        let mut new = Vec::new();
        for argument in [Some(self.name), self.argument, Some(path)].into_iter().flatten() {
            new.extend_from_slice(argument);
            new.push(0);
        }
        let first = argv.iter().position(|byte| *byte == 0).map_or(argv.len(), |end| end + 1);
        new.extend_from_slice(&argv[first..]);
        new
    }
}

/// An environment with the variable that says in which directory the program lies; as it was if its name is not absolute.
pub fn with_origin(environment: &[u8], path: &[u8]) -> Vec<u8> {
    let Some(end) = path.iter().rposition(|byte| *byte == b'/').filter(|_| path.starts_with(b"/")) else {
        return environment.to_vec();
    };
    let directory = match path[..end].iter().rposition(|byte| *byte != b'/') {
        Some(last) => &path[..=last],
        None => b"/",
    };
    let variable = [ORIGIN, directory, b"\0"].concat();
    let mut new = Vec::with_capacity(environment.len() + variable.len());
    let mut is_there = false;
    for old in environment.split_inclusive(|byte| *byte == 0) {
        let is_it = !is_there && old.starts_with(ORIGIN);
        is_there |= is_it;
        new.extend_from_slice(if is_it { &variable } else { old });
    }
    if is_there { new } else { [variable, new].concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_line_names_an_interpreter() {
        let of = |text: &'static [u8]| Interpreter::of(text).map(|found| (found.name, found.argument));
        assert_eq!(of(b"#!/bin/hello\nrest"), Some((&b"/bin/hello"[..], None)));
        assert_eq!(of(b"#! \t/bin/hello  -x y \t\n"), Some((&b"/bin/hello"[..], Some(&b"-x y"[..]))));
        assert_eq!(of(b"#!/bin/hello"), Some((&b"/bin/hello"[..], None)));
        assert_eq!(of(b"\x7fELF"), None);
        assert_eq!(of(b"#"), None);
    }

    #[test]
    fn the_script_comes_before_its_arguments() {
        let line = Interpreter { name: b"/bin/x", argument: Some(b"-e") };
        assert_eq!(line.arguments(b"/tmp/s", b"s\0a\0b\0"), b"/bin/x\0-e\0/tmp/s\0a\0b\0");
        assert_eq!(line.arguments(b"/tmp/s", b"s"), b"/bin/x\0-e\0/tmp/s\0");
    }

    #[test]
    fn an_absolute_name_goes_into_the_environment() {
        assert_eq!(with_origin(b"A=1\0", b"/bin/x"), b"LD_ORIGIN_PATH=/bin\0A=1\0");
        assert_eq!(with_origin(b"A=1\0LD_ORIGIN_PATH=/y\0", b"/x"), b"A=1\0LD_ORIGIN_PATH=/\0");
        assert_eq!(with_origin(b"", b"/usr//bin//x"), b"LD_ORIGIN_PATH=/usr//bin\0");
        assert_eq!(with_origin(b"A=1\0", b"bin/x"), b"A=1\0");
    }
}
