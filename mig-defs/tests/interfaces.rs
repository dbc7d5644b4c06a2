// SPDX-License-Identifier: GPL-2.0-or-later
//! Directories of interfaces at run time: what wins, what only names things, what is refused and how it is said.
#![cfg(feature = "compiler")]

mod common;

use std::path::{Path, PathBuf};

use common::{Builder, decode_all, tables};
use mig_defs::interfaces::{InterfacesError, with_directories, without_routines};
use mig_defs::table::{TableError, Tables};
use mig_defs::value::View;

const BUILTIN: &str = "subsystem old 3000;
    type port = MACH_MSG_TYPE_COPY_SEND;
    simpleroutine old_one(p : port; number : int);
    simpleroutine old_two(p : port; number : int);";
const MINE: &str = "#include \"types.defs\"
    subsystem mine 3000;
    simpleroutine mine(p : port; colour : colour_t);";
const TYPES: &str = "type port = MACH_MSG_TYPE_COPY_SEND; type colour_t = int;";

/// A directory of its own for each test, gone afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, files: &[(&str, &[u8])]) -> Self {
        let place = std::env::temp_dir().join(format!("mig-defs-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&place).expect("a directory");
        for (file, contents) in files {
            std::fs::write(place.join(file), contents).expect("a file");
        }
        Self(place)
    }

    fn file(&self, builtin: &[u8]) -> Result<Vec<u8>, InterfacesError> {
        with_directories(std::slice::from_ref(&self.0), &[], builtin)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left behind it would be in nobody's way.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn message(id: u32) -> Vec<u8> {
    Builder::new(id, 0x13, 7, 0).item(0x1_2000_2002, &1_u32.to_le_bytes()).finish()
}

fn text(file: &[u8], id: u32) -> String {
    decode_all(Tables::parse(file).expect("tables"), &message(id), View::Sent)
}

/// As the installed Hurd's ioctls.defs, which has no subsystem and takes the macros of a header of the C library.
#[test]
fn a_c_header_gives_its_macros_and_nothing_else() {
    let macros =
        b"#ifndef WANTED\n#define WANTED\n#endif\n#include \"device.h\"\n#define GROUP(letter) (3000 + BASE)\n";
    let header = b"#ifndef WANTED\n#error no\n#endif\nenum direction\n  {\n    NONE = 0,  /* the user's */\n    BOTH = (1|2)\n  };\n\
                   #define BASE 0\n#define LETTER(request) ('f' + ((request) >> 7))\nstruct s { int a; };\n";
    let mine = b"#include \"macros.defs\"\n#include \"types.defs\"\nsubsystem mine 3000;\n\
                 simpleroutine mine(p : port; colour : colour_t);\n";
    let files: [(&str, &[u8]); 4] =
        [("macros.defs", macros), ("device.h", header), ("types.defs", TYPES.as_bytes()), ("mine.defs", mine)];
    let scratch = Scratch::new("header", &files);
    let file = scratch.file(&without_routines()).expect("sound");
    assert!(text(&file, 3000).starts_with("mine.mine("), "{}", text(&file, 3000));
}

#[test]
fn definitions_of_a_directory_win_and_the_built_in_ones_are_the_fallback() {
    let annotations = b"enum colour: colour_t\n\t1 RED\n";
    let files: [(&str, &[u8]); 3] =
        [("mine.defs", MINE.as_bytes()), ("types.defs", TYPES.as_bytes()), ("mine.annotations", annotations)];
    let scratch = Scratch::new("win", &files);
    let file = scratch.file(&tables(&[BUILTIN])).expect("sound");
    assert_eq!(text(&file, 3000), "mine.mine(p: port = port 7 COPY_SEND, colour: colour_t = 1 i32 RED)");
    assert_eq!(text(&file, 3001), "old.old_two(p: port = port 7 COPY_SEND, number: int = 1 i32)");
    let alone = scratch.file(&without_routines()).expect("sound");
    assert_eq!(text(&alone, 3001), "message 3001: no routine has this id");
    assert_eq!(Tables::parse(&alone).expect("tables").error_name(4), Some("KERN_INVALID_ARGUMENT"));
}

#[test]
fn the_later_directory_wins_and_compiled_tables_are_taken_as_they_are() {
    let first = Scratch::new("first", &[("mine.defs", format!("{TYPES}{}", &MINE[23..]).as_bytes())]);
    let compiled = tables(&["subsystem last 3000; type port = MACH_MSG_TYPE_COPY_SEND;
        simpleroutine last(p : port; number : int);"]);
    let last = Scratch::new("last", &[("last.mdt", &compiled)]);
    let directories = [first.0.clone(), last.0.clone()];
    let file = with_directories(&directories, &[], &tables(&[BUILTIN])).expect("sound");
    assert!(text(&file, 3000).starts_with("last.last("), "{}", text(&file, 3000));
    let other_way = [directories[1].clone(), directories[0].clone()];
    let file = with_directories(&other_way, &[], &tables(&[BUILTIN])).expect("sound");
    assert!(text(&file, 3000).starts_with("mine.mine("), "{}", text(&file, 3000));
}

#[test]
fn msgids_give_names_where_nothing_more_is_known() {
    let ids = b"\xef\xbb\xbf# as mig -list writes them\nold 3000 shadow 0 3000 3100\nfar 9000 look 2 9002 9102\n";
    let scratch = Scratch::new("ids", &[("far.msgids", ids)]);
    let file = scratch.file(&tables(&[BUILTIN])).expect("sound");
    assert!(text(&file, 3000).starts_with("old.old_one("), "a full definition is better than a name");
    assert_eq!(text(&file, 9002), "far.look(port:  = port 7 COPY_SEND, :  = 1 i32)");
    let tables = Tables::parse(&file).expect("tables");
    assert!(tables.request(9002).is_some_and(|routine| routine.is_name_only()));
    let failed = Builder::new(9102, 0x12, 9, 0).item(0x1_2000_2002, &4_u32.to_le_bytes()).finish();
    assert_eq!(decode_all(tables, &failed, View::Received), "far.look reply(RetCode:  = KERN_INVALID_ARGUMENT)");
    let cut = &message(9002)[..36];
    assert!(decode_all(tables, cut, View::Sent).contains("needs 8 bytes, there are 4"));
}

#[test]
fn what_cannot_be_used_is_refused_with_its_place() {
    let refusal = |name: &str, files: &[(&str, &[u8])]| {
        let scratch = Scratch::new(name, files);
        let place = scratch.0.to_string_lossy().into_owned();
        scratch.file(&[]).expect_err("refused").to_string().replace(&place, "DIR")
    };
    let bad = b"subsystem bad 1;\nroutine one(p : nothing);\nroutine two(q : nowhere);\n";
    let text = refusal("bad", &[("bad.defs", bad)]);
    assert!(text.starts_with("DIR/bad.defs:2:17: error[MD0031]: "), "{text}");
    assert!(text.contains("2 | routine one(p : nothing);\n"), "{text}");
    assert!(text.ends_with("(1 more errors)"), "{text}");
    let text = refusal("ids", &[("bad.msgids", b"a 1 b 0 1 101\na 1 b\n")]);
    assert_eq!(text, "DIR/bad.msgids:2: expected SUBSYSTEM BASE ROUTINE NUMBER REQUEST-ID REPLY-ID, found `a 1 b`");
    let text = refusal("utf16", &[("a.msgids", b"\xff\xfea\0")]);
    assert!(text.starts_with("cannot read DIR/a.msgids: expected text in UTF-8, found the byte order mark"), "{text}");
    let mut old = tables(&[BUILTIN]);
    old[8] = 1;
    let text = refusal("old", &[("old.mdt", &old)]);
    assert_eq!(text, format!("DIR/old.mdt: {}", TableError::WrongVersion { found: 1 }));
    assert!(text.contains("expected version 4, found 1"), "{text}");
    let text = refusal("set", &[("x.annotations", b"enum x: y\n\tz\n")]);
    assert!(text.starts_with("DIR/x.annotations:2:2: error[MD0060]"), "{text}");
    assert!(refusal("none", &[("README", b"")]).starts_with("DIR: no .defs"));
    let missing = with_directories(&[Path::new("/nowhere/at/all").into()], &[], &[]).expect_err("refused");
    assert!(missing.to_string().starts_with("cannot read /nowhere/at/all: "));
}
