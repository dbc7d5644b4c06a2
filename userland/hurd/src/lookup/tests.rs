// SPDX-License-Identifier: GPL-2.0-or-later
//! Lookups in a world that answers by a list.

use std::vec::Vec;

use super::*;
use crate::abi::open;
use crate::errno::{EACCES, EBADF, ENXIO};

/// What a server says to one name from one file.
struct Row(&'static str, &'static str, Result<(u32, &'static str, Option<&'static str>), KernReturn>);

/// Files are their names; what was done is written down.
struct Listed {
    rows: &'static [Row],
    done: Vec<String>,
    has_terminal: bool,
}

impl World for Listed {
    type File = String;

    fn ask(&mut self, from: &String, name: &str, flags: i32, mode: u32) -> Result<Answer<String>, KernReturn> {
        self.done.push(format!("{from}: {name:?} {flags} {mode:o}"));
        let row = self.rows.iter().find(|row| row.0 == from && row.1 == name).expect("a name that is not listed");
        row.2.map(|(retry, name, file)| Answer { retry, name: name.into(), file: file.map(String::from) })
    }

    fn authenticate(&mut self, file: String) -> Result<String, KernReturn> {
        self.done.push(format!("authenticate {file}"));
        if file == "locked" { Err(EACCES) } else { Ok(format!("own {file}")) }
    }

    fn root(&mut self) -> Result<String, KernReturn> {
        Ok("root".into())
    }

    fn working_directory(&mut self) -> Result<String, KernReturn> {
        Ok("here".into())
    }

    fn descriptor(&mut self, number: usize) -> Result<String, KernReturn> {
        if number < 3 { Ok(format!("descriptor {number}")) } else { Err(EBADF) }
    }

    fn terminal(&mut self, flags: i32) -> Result<String, KernReturn> {
        if self.has_terminal { Ok(format!("terminal {flags}")) } else { Err(ENXIO) }
    }

    fn machine(&mut self) -> String {
        "7/4".into()
    }

    fn process_id(&mut self) -> Result<i32, KernReturn> {
        Ok(42)
    }
}

fn look_up(rows: &'static [Row], name: &str) -> (Result<String, KernReturn>, Vec<String>) {
    let mut world = Listed { rows, done: Vec::new(), has_terminal: true };
    let found = lookup(&mut world, name, open::READ, 0);
    (found, world.done)
}

fn found(rows: &'static [Row], name: &str) -> String {
    look_up(rows, name).0.expect("found")
}

fn refused(rows: &'static [Row], name: &str) -> KernReturn {
    look_up(rows, name).0.expect_err("refused")
}

#[test]
fn a_name_that_a_server_knows_whole_takes_one_call() {
    let rows = &[Row("root", "bin/sh", Ok((retry::NORMAL, "", Some("sh"))))];
    assert_eq!(look_up(rows, "///bin/sh"), (Ok("sh".into()), ["root: \"bin/sh\" 1 0".into()].into()));
    let rows = &[Row("here", "a", Ok((retry::NORMAL, "", Some("a"))))];
    assert_eq!(found(rows, "a"), "a");
    let rows = &[Row("root", "", Ok((retry::NORMAL, "", Some("root again"))))];
    assert_eq!(found(rows, "/"), "root again");
}

#[test]
fn what_is_left_is_looked_up_from_the_result() {
    let rows =
        &[Row("root", "x/y", Ok((retry::NORMAL, "y", Some("x")))), Row("x", "y", Ok((retry::NORMAL, "", Some("y"))))];
    assert_eq!(found(rows, "/x/y"), "y");
}

#[test]
fn a_translator_is_asked_again_as_oneself_even_for_no_name() {
    let rows = &[
        Row("root", "home", Ok((retry::REAUTH, "", Some("home")))),
        Row("own home", "", Ok((retry::NORMAL, "", Some("opened")))),
    ];
    let done = ["root: \"home\" 1 0".into(), "authenticate home".into(), "own home: \"\" 1 0".into()];
    assert_eq!(look_up(rows, "/home"), (Ok("opened".into()), done.into()));
    assert_eq!(refused(&[Row("root", "a", Ok((retry::REAUTH, "", Some("locked"))))], "/a"), EACCES);
    assert_eq!(refused(&[Row("root", "a", Ok((retry::REAUTH, "", None)))], "/a"), ENOENT);
}

#[test]
fn magical_words() {
    let rows = &[
        Row("here", "link", Ok((retry::MAGICAL, "//etc/motd", None))),
        Row("root", "etc/motd", Ok((retry::NORMAL, "", Some("motd")))),
        Row("here", "dev/fd/2", Ok((retry::MAGICAL, "fd/2", None))),
        Row("here", "dev/fd/1/x", Ok((retry::MAGICAL, "fd/1/x", None))),
        Row("descriptor 1", "x", Ok((retry::NORMAL, "", Some("x of 1")))),
        Row("here", "dev/tty", Ok((retry::MAGICAL, "tty", None))),
        Row("here", "proc/self/exe", Ok((retry::MAGICAL, "pid/exe", Some("proc")))),
        Row("proc", "42/exe", Ok((retry::NORMAL, "", Some("exe")))),
        Row("here", "proc/self", Ok((retry::MAGICAL, "pid", Some("proc")))),
        Row("proc", "42", Ok((retry::NORMAL, "", Some("self")))),
        Row("here", "lib", Ok((retry::MAGICAL, "machtype/lib", Some("libs")))),
        Row("libs", "7/4/lib", Ok((retry::NORMAL, "", Some("lib")))),
    ];
    for (name, file) in [
        ("link", "motd"),
        ("dev/fd/2", "descriptor 2"),
        ("dev/fd/1/x", "x of 1"),
        ("dev/tty", "terminal 1"),
        ("proc/self/exe", "exe"),
        ("proc/self", "self"),
        ("lib", "lib"),
    ] {
        assert_eq!(found(rows, name), file, "{name}");
    }
}

#[test]
fn magical_words_that_mean_nothing() {
    let rows = &[
        Row("here", "a", Ok((retry::MAGICAL, "fd/7", None))),
        Row("here", "b", Ok((retry::MAGICAL, "fd/x", None))),
        Row("here", "c", Ok((retry::MAGICAL, "fd", None))),
        Row("here", "d", Ok((retry::MAGICAL, "tty/x", None))),
        Row("here", "e", Ok((retry::MAGICAL, "xyzzy", None))),
        Row("here", "f", Ok((retry::MAGICAL, "", None))),
        Row("here", "g", Ok((4, "", None))),
        Row("here", "h", Ok((retry::NORMAL, "", None))),
    ];
    for (name, error) in [
        ("a", EBADF),
        ("b", ENOENT),
        ("c", ENOENT),
        ("d", ENOTDIR),
        ("e", ENOENT),
        ("f", ENOENT),
        ("g", EINVAL),
        ("h", ENOENT),
    ] {
        assert_eq!(refused(rows, name), error, "{name}");
    }
    let rows = &[Row("here", "t", Ok((retry::MAGICAL, "tty", None)))];
    let mut world = Listed { rows, done: Vec::new(), has_terminal: false };
    assert_eq!(lookup(&mut world, "t", 0, 0), Err(ENXIO));
}

#[test]
fn a_loop_of_links_ends() {
    let rows = &[Row("root", "a", Ok((retry::MAGICAL, "/a", None)))];
    let (answer, done) = look_up(rows, "/a");
    assert_eq!((answer, done.len()), (Err(ELOOP), ANSWERS_MAX));
}

#[test]
fn what_has_no_directories_says_so() {
    let rows = &[
        Row("root", "null/x", Ok((retry::NORMAL, "x", Some("null")))),
        Row("null", "x", Err(EOPNOTSUPP)),
        Row("root", "port/x", Ok((retry::NORMAL, "x", Some("port")))),
        Row("port", "x", Err(KernReturn::MIG_BAD_ID)),
        Row("root", "secret", Err(EACCES)),
    ];
    assert_eq!(refused(rows, "/null/x"), ENOTDIR);
    assert_eq!(refused(rows, "/port/x"), ENOTDIR);
    assert_eq!(refused(rows, "/secret"), EACCES);
}

#[test]
fn names_that_fit_no_message_are_not_sent() {
    let (answer, done) = look_up(&[], &"n".repeat(NAME_MAX));
    assert_eq!((answer, done.len()), (Err(ENAMETOOLONG), 0));
    assert_eq!(refused(&[], ""), ENOENT);
}
