// SPDX-License-Identifier: GPL-2.0-or-later
//! The command: every verb, what it prints and with which status it ends.
#![cfg(feature = "compiler")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mig_defs::table::Tables;

fn run(arguments: &[&str]) -> Output {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    Command::new(env!("CARGO_BIN_EXE_mig-defs")).args(arguments).current_dir(tests).output().expect("it runs")
}

/// Standard output of a run that must succeed.
fn printed(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Standard error of a run that must fail.
fn refused(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).expect("UTF-8")
}

fn golden(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/good/golden").join(name))
        .expect("a golden")
}

/// A directory for one test, gone afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let place = std::env::temp_dir().join(format!("mig-defs-command-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&place).expect("a directory");
        Self(place)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_string()
    }

    /// The names of what is in it, sorted.
    fn entries(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).expect("a directory");
        let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left behind it would be in nobody's way.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn check_counts_and_fails_on_errors() {
    let text = printed(&["check", "good/ports.defs", "good/arrays.defs"]);
    assert!(text.starts_with("good/ports.defs: subsystem ports "), "{text}");
    assert!(text.ends_with("2 files, 22 routines, 0 errors\n"), "{text}");
    let text = refused(&["check", "bad/md0031-type.defs"]);
    assert!(text.contains("bad/md0031-type.defs:") && text.contains("error[MD0031]"), "{text}");
    assert!(text.ends_with("mig-defs: 1 error\n") || text.ends_with(" errors\n"), "no stack of ours: {text}");
    assert!(refused(&["check", "good/nowhere.defs"]).contains("error[MD0001]: cannot read `good/nowhere.defs`"));
    let text = printed(&["check", "good/include/sample/types.defs"]);
    assert!(text.contains("types.defs: no subsystem, only for other files to include\n1 file, 0 routines, "), "{text}");
}

#[test]
fn list_and_dump_print_what_each_stage_made() {
    assert_eq!(printed(&["list", "good/ports.defs"]), golden("ports.list"));
    assert_eq!(printed(&["dump", "--stage", "model", "good/ports.defs"]), golden("ports.model"));
    assert_eq!(printed(&["dump", "--stage", "layout", "good/ports.defs"]), golden("ports.layout"));
    let syntax = printed(&["dump", "--stage", "ast", "good/ports.defs"]);
    assert!(syntax.starts_with("File {") && syntax.contains("Routine("), "{syntax}");
    assert!(run(&["dump", "--stage", "nothing", "good/ports.defs"]).status.code() == Some(2));
}

#[test]
fn the_32_bit_format_is_a_matter_of_an_option() {
    assert_eq!(printed(&["dump", "--ilp32", "--stage", "layout", "good/ports.defs"]), golden("ports.layout32"));
    assert_eq!(printed(&["list", "--ilp32", "good/ports.defs"]), golden("ports.list"));
    let scratch = Scratch::new("ilp32");
    let table = scratch.path("x.mdt");
    assert_eq!(printed(&["table", "--ilp32", "good/ports.defs", "-o", &table]), "");
    let bytes = std::fs::read(&table).expect("a table");
    // What mig-defs/src/table.rs says of a head: the bytes of a word.
    assert_eq!((bytes[12], Tables::parse(&bytes).expect("sound").subsystem_count()), (4, 1));
    let text = refused(&["gen", "user", "--ilp32", "good/ports.defs", "-o", &scratch.path("stubs")]);
    assert!(text.contains("the 64-bit format"), "{text}");
}

#[test]
fn show_finds_a_routine_by_name_and_by_either_id() {
    let layout = golden("ports.layout");
    let list = golden("ports.list");
    let first: Vec<&str> = list.lines().next().expect("a routine").split(' ').collect();
    let (name, request, reply) = (first[2], first[4], first[5]);
    let text = printed(&["show", name, "good/ports.defs"]);
    let head = format!("{name}: routine {} of subsystem {} {}, good/ports.defs\n", first[3], first[0], first[1]);
    let map = text.strip_prefix(&head).expect("which routine it is");
    assert!(layout.starts_with(map) && map.starts_with(&format!("{name} request, msgh_id {request}, ")), "{text}");
    assert_eq!(printed(&["show", request, "good/ports.defs"]), text);
    if reply != "0" {
        assert_eq!(printed(&["show", reply, "good/ports.defs"]), text);
    }
    let scratch = Scratch::new("show");
    let asynchronous =
        "subsystem other 7400; type port = MACH_MSG_TYPE_COPY_SEND;\nsimpleroutine make_send_request(p : port);\n";
    std::fs::write(scratch.path("other.defs"), asynchronous).expect("written");
    let text = printed(&["show", "7400", &scratch.path("other.defs"), "good/ports.defs"]);
    assert!(text.starts_with(&(head + "also called make_send_request\n")), "{text}");
    assert!(text.contains("\nmake_send_request: routine 0 of subsystem other 7400, "), "{text}");
    let text = refused(&["show", "nothing_like_it", "good/ports.defs"]);
    assert!(text.contains("no routine is called, and no message has the id, nothing_like_it"), "{text}");
}

#[test]
fn every_diagnostic_is_explained() {
    let all = printed(&["explain"]);
    for code in mig_defs::diag::Code::ALL {
        let one = printed(&["explain", &code.name()]);
        assert!(one.starts_with(&format!("{} ", code.name())), "{one}");
        assert!(one.lines().skip(1).all(|line| line.starts_with("    ") && line.len() <= 78), "{one}");
        let words = |text: &str| text.split_whitespace().map(str::to_string).collect::<Vec<_>>().join(" ");
        assert!(words(&one).ends_with(&words(code.explanation())), "{one}");
        assert!(all.contains(&one), "{one}");
    }
    assert!(refused(&["explain", "MD9999"]).contains("there is no diagnostic MD9999"));
}

#[test]
fn generated_files_are_checked_against_drift() {
    let scratch = Scratch::new("gen");
    let file = scratch.path("ports.rs");
    let arguments = ["gen", "user", "--runtime", "crate", "good/ports.defs", "-o", &file];
    assert_eq!(printed(&arguments), "");
    let text = std::fs::read_to_string(&file).expect("written");
    assert!(text.contains("pub fn "), "{text}");
    let check = [&arguments[..], &["--check"]].concat();
    assert_eq!(printed(&check), "");
    std::fs::write(&file, text + "// by hand\n").expect("written");
    assert!(refused(&check).contains("is not what its .defs generate"));
    assert!(refused(&["gen", "server", "bad/md0031-type.defs"]).contains("no stubs because of the errors above"));
}

#[test]
fn both_sides_of_several_files_are_generated_at_once() {
    let scratch = Scratch::new("both");
    let files = ["types", "arrays", "ports"];
    let inputs = files.map(|file| format!("good/{file}.defs"));
    let gen_both = ["gen", "both", "--runtime", "crate", &inputs[0], &inputs[1], &inputs[2]];
    let goldens = files.map(|file| ["user", "server"].map(|side| golden(&format!("{file}.{side}.rs"))));
    assert_eq!(printed(&gen_both), goldens.concat().concat());
    let place = scratch.path("");
    assert_eq!(printed(&[&gen_both[..], &["-o", &place]].concat()), "");
    for (file, golden) in files.iter().zip(&goldens) {
        for (side, golden) in ["user", "server"].iter().zip(golden) {
            let written = std::fs::read_to_string(scratch.path(&format!("{file}.{side}.rs"))).expect("written");
            assert_eq!(written, *golden);
        }
    }
    let check = [&gen_both[..], &["-o", &place, "--check"]].concat();
    assert_eq!(printed(&check), "");
    std::fs::write(scratch.path("arrays.server.rs"), "").expect("written");
    assert!(refused(&check).contains("arrays.server.rs is not what its .defs generate"));
    let twice = refused(&["gen", "both", "good/types.defs", "good/../good/types.defs", "-o", &place]);
    assert!(twice.contains("two of the files would be written as") && twice.contains("types.user.rs"), "{twice}");
    assert_eq!(run(&["gen", "both", "good/types.defs", "--check"]).status.code(), Some(2), "nothing to check");
}

#[test]
fn tables_are_written_whole_or_not_at_all() {
    let scratch = Scratch::new("table");
    let file = scratch.path("x.mdt");
    printed(&["table", "good/ports.defs", "good/arrays.defs", "-o", &file]);
    let bytes = std::fs::read(&file).expect("written");
    assert_eq!(mig_defs::table::Tables::parse(&bytes).expect("sound").subsystem_count(), 2);
    assert!(refused(&["table", "good/ports.defs", "-o", &scratch.path("no/x.mdt")]).contains("cannot write"));
    let directory = scratch.path("directory");
    std::fs::create_dir(&directory).expect("a directory");
    let text = refused(&["table", "good/ports.defs", "-o", &directory]);
    assert!(text.contains("/directory: expected a file, found a directory"), "{text}");
    assert_eq!(scratch.entries(), ["directory", "x.mdt"], "no temporary file is left");
    // Of two files the second cannot be written, so the first is not either.
    std::fs::create_dir(scratch.path("directory/ports.server.rs")).expect("a directory");
    assert!(refused(&["gen", "both", "good/ports.defs", "-o", &directory]).contains("cannot write"));
    assert_eq!(std::fs::read_dir(&directory).expect("a directory").count(), 1);
}

#[cfg(unix)]
#[test]
fn links_and_devices_stay_what_they_are() {
    let scratch = Scratch::new("links");
    let (file, link) = (scratch.path("x.mdt"), scratch.path("link"));
    std::fs::write(&file, "").expect("written");
    std::os::unix::fs::symlink("x.mdt", &link).expect("a link");
    printed(&["table", "good/ports.defs", "-o", &link]);
    assert!(std::fs::symlink_metadata(&link).expect("there").is_symlink());
    let table = std::fs::read(&file).expect("written");
    assert!(!table.is_empty());
    // What a device is given comes out of it.
    let output = run(&["table", "good/ports.defs", "-o", "/dev/stdout"]);
    assert_eq!((output.status.code(), output.stdout), (Some(0), table));
}

/// Every verb that compiles, on a file that is partly good.
#[test]
fn every_verb_fails_after_an_error_and_leaves_no_file() {
    let scratch = Scratch::new("errors");
    let (bad, file, directory) = ("bad/md0031-type.defs", scratch.path("new"), scratch.path(""));
    let good = ["list", "show make_send", "dump --stage ast", "dump --stage model", "dump --stage layout", "check"];
    for verb in good {
        let arguments: Vec<&str> = verb.split(' ').chain([bad, "good/ports.defs"]).collect();
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(1), "{verb}");
        assert!(String::from_utf8_lossy(&output.stderr).ends_with(" errors\n"), "{verb}");
        assert!(!output.stdout.is_empty(), "{verb}: what is sound is printed");
    }
    for verb in [
        &["table", "good/ports.defs", bad, "-o", &file][..],
        &["table", "good/ports.defs", "--annotations", bad, "-o", &file],
        &["gen", "user", "good/ports.defs", bad, "-o", &file],
        &["gen", "server", bad, "-o", &file],
        &["gen", "both", "good/ports.defs", bad, "-o", &directory],
    ] {
        refused(verb);
        assert_eq!(scratch.entries(), [""; 0], "{verb:?}");
    }
    assert_eq!(run(&["gen", "user", bad]).stdout, b"");
    // An error outside of any routine counts as well.
    std::fs::write(scratch.path("odd.defs"), "subsystem odd 1;\ntype a_t = int;\ntype a_t = int;\n").expect("written");
    assert!(refused(&["gen", "user", &scratch.path("odd.defs")]).contains("error[MD0032]"));
}

#[test]
fn byte_order_marks_are_skipped_or_refused() {
    let scratch = Scratch::new("marks");
    let write = |name: &str, mark: &[u8], text: &str| {
        std::fs::write(scratch.path(name), [mark, text.as_bytes()].concat()).expect("written");
        scratch.path(name)
    };
    let utf8 = b"\xef\xbb\xbf";
    write("types.defs", utf8, "type p_t = MACH_MSG_TYPE_COPY_SEND;\n");
    let text = "subsystem bom 7000;\n#include <types.defs>\nroutine r(p : p_t; x : int);\n";
    let (marked, place) = (write("marked.defs", utf8, text), scratch.path(""));
    assert_eq!(printed(&["list", &marked, "-I", &place]), "bom 7000 r 0 7000 7100\n");
    let annotations = write("set.txt", utf8, "enum x: r.x\n\t1 ONE\n");
    printed(&["table", &marked, "-I", &place, "--annotations", &annotations, "-o", &scratch.path("x.mdt")]);
    // In the middle it is no mark, and cannot be seen.
    let text = refused(&["list", &write("twice.defs", utf8, "\u{feff}subsystem s 1;\n")]);
    assert!(text.contains("twice.defs:1:1: error[MD0010]: `\\u{feff}` is not part of"), "{text}");
    for mark in [b"\xff\xfe", b"\xfe\xff"] {
        let other = write("utf16.defs", mark, "s\0");
        let expected = "cannot read `PATH`: expected text in UTF-8, found the byte order mark of UTF-16 or UTF-32\n";
        let wanted = format!("{other}:1:1: error[MD0001]: {}mig-defs: 1 error\n", expected.replace("PATH", &other));
        assert_eq!(refused(&["dump", "--stage", "model", &other]), wanted);
        let text = refused(&["table", &marked, "-I", &place, "--annotations", &other, "-o", &scratch.path("y.mdt")]);
        assert!(text.contains("utf16.defs: expected text in UTF-8"), "{text}");
        let includes = write("includes.defs", b"", "#include \"utf16.defs\"\nsubsystem s 1;\n");
        let text = refused(&["list", &includes]);
        assert!(
            text.contains("includes.defs:1:2: error[MD0001]: ") && text.contains("utf16.defs`: expected"),
            "{text}"
        );
    }
}
