// SPDX-License-Identifier: GPL-2.0-or-later
//! Captures in the forms of other tools, checked with what is not ours: serde_json, Perfetto's schema, tshark.
#![cfg(feature = "host")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bytes::Bytes;
use capture::{Fact, Facts, Lost, Writer};
use exchanges::Memory;
use exchanges::memory::Found;
use rpctrace2::host::export;
use tempfile::TempDir;

#[path = "../stages/common.rs"]
#[expect(dead_code, unused_imports, reason = "only what makes records is used")]
mod common;
mod database;
mod document;
mod json;
mod names;
mod perfetto;
mod strace_text;
mod text_forms;
mod timeline;
mod typed;
mod wireshark;

/// A capture of a program that ran: tests/captures.
fn captured(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/captures").join(name)
}

/// The capture in a form, with these options.
fn exported(file: &Path, form: &str, options: &[&str]) -> Vec<u8> {
    let place = TempDir::new().unwrap();
    let out = place.path().join("out");
    let words = [&["--to", form, "-o", out.to_str().unwrap()], options, &[file.to_str().unwrap()]].concat();
    let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    let status = export::run(&words).unwrap_or_else(|error| panic!("{form}: {error:#}"));
    assert_eq!(status, 0);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "nothing else is left");
    fs::read(out).unwrap()
}

fn text(file: &Path, form: &str, options: &[&str]) -> String {
    String::from_utf8(exported(file, form, options)).expect("text")
}

/// The tool itself.
fn tool(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rpctrace2")).args(words).output().unwrap()
}

/// A capture of what is done with a trace of `hello`.
fn made(make: impl FnOnce(&mut rpctrace2::Trace<'_>, &mut String)) -> tempfile::NamedTempFile {
    let facts = Facts::default().with(Fact::Command, "hello\0world");
    let mut trace = common::usual_trace(&[]);
    trace.keep(Writer::with_memory(64, &facts, &common::BYTES));
    let mut text = String::new();
    make(&mut trace, &mut text);
    trace.finish(&mut text);
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), trace.capture().expect("it is kept").bytes()).unwrap();
    file
}

/// No records but losses, and none at all.
fn made_of_nothing() -> [tempfile::NamedTempFile; 2] {
    let lost = Lost { count: 3, ..Lost::default() };
    [made(|_, _| ()), made(|trace, text| (0..2).for_each(|_| trace.lost(lost, text)))]
}

#[test]
fn a_capture_is_written_in_each_form() {
    for form in ::export::FORMATS {
        let bytes = exported(&captured("echo.mtrc"), form.name, &[]);
        assert!(!bytes.is_empty(), "{}", form.name);
        assert!(!form.is_text || std::str::from_utf8(&bytes).is_ok(), "{}", form.name);
        for empty in made_of_nothing() {
            exported(empty.path(), form.name, &[]);
        }
    }
}

/// What is in no message: bytes where a form has data, words where it has words.
#[test]
fn what_memory_out_of_line_held_is_exported() {
    let file = made(|trace, text| {
        for (sequence, found) in [(1, Found::Read(Bytes::from_static(b"held"))), (2, Found::GivenAway)] {
            trace.remember(sequence, Memory { address: 0x5000, size: 100, found });
            let message = common::Message::request_from(2999, 7, 0).memory(0x5000, 100);
            trace.message(&common::Sample::sent(message).sequence(sequence).wire().into(), text);
        }
    });
    for form in ::export::FORMATS {
        exported(file.path(), form.name, &[]);
    }
    let lines = text(file.path(), "jsonl", &[]);
    for part in [r#""read":"read after the copy","bytes":"68656c64""#, r#""not_read":"given away""#] {
        assert!(lines.contains(part), "{part}: {lines}");
    }
    let packets = exported(file.path(), "pcapng", &[]);
    for part in ["ool 0x5000[100 bytes; 4 read after the copy: 68656c64]", "ool 0x5000[100 bytes; given away]"] {
        assert!(packets.windows(part.len()).any(|bytes| bytes == part.as_bytes()), "{part}");
    }
}

#[test]
fn mistakes_are_one_line() {
    let file = captured("deadlock.mtrc");
    let file = file.to_str().unwrap();
    let error = |words: &[&str]| {
        let output = tool(words);
        assert_eq!(output.status.code(), Some(125), "{words:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let names: Vec<&str> = ::export::FORMATS.iter().map(|form| form.name).collect();
    assert_eq!(
        error(&["export", "--to", "jsnl", file]),
        format!("rpctrace2: option `--to`: expected {}, found `jsnl`; did you mean `jsonl`?\n", names.join(", "))
    );
    assert!(
        error(&["export", file])
            .starts_with(&format!("rpctrace2: expected --to FORM, which is one of {}; ", names.join(", ")))
    );
    let list = String::from_utf8(tool(&["export"]).stdout).unwrap();
    assert!(names.iter().all(|name| list.contains(&format!("\n  {name} "))), "{list}");
    assert!(error(&["export", "--to=jsonl", "-c", file]).contains("are answered in text"));
    assert!(
        error(&["export", "--to=jsonl", "-o", "/no/such/place/out", file]).contains("cannot write /no/such/place/out")
    );
    assert!(error(&["export", "--to=jsonl", "-o", "|cat", file]).contains("option `-o`"));
    assert!(error(&["export", "--to=jsonl", "/no/such/file"]).starts_with("rpctrace2: cannot read /no/such/file"));
    // A file that is there stays as it is where nothing can be written in its place.
    let place = TempDir::new().unwrap();
    let out = place.path().join("out");
    fs::write(&out, "before").unwrap();
    error(&["export", "--to=jsonl", "-o", out.to_str().unwrap(), "/no/such/file"]);
    assert_eq!(fs::read_to_string(&out).unwrap(), "before");
}

#[test]
fn what_is_no_file_stays_and_a_link_does_too() {
    let file = captured("deadlock.mtrc");
    let place = TempDir::new().unwrap();
    let [target, link, pipe] = ["target", "link", "pipe"].map(|name| place.path().join(name));
    fs::write(&target, "before").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let write = |out: &Path| tool(&["export", "--to=mermaid", "-o", out.to_str().unwrap(), file.to_str().unwrap()]);
    assert!(write(&link).status.success());
    assert!(link.is_symlink() && fs::read_to_string(&target).unwrap().starts_with("sequenceDiagram"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read_to_string(pipe).unwrap()
    });
    assert!(write(&pipe).status.success());
    assert!(reader.join().unwrap().starts_with("sequenceDiagram"));
    assert!(!fs::metadata(&pipe).unwrap().is_file(), "it is a pipe still");
}

#[test]
fn a_filter_that_matches_nothing_says_so() {
    let file = captured("deadlock.mtrc");
    let file = file.to_str().unwrap();
    let noted = |words: &[&str]| {
        let output = tool(&[&["export", "--to", "jsonl"], words].concat());
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(noted(&["-e", "task_terminate", file]), "rpctrace2: -e task_terminate matched none of 57 records\n");
    assert_eq!(noted(&[file]), "");
    for empty in made_of_nothing() {
        let name = empty.path().to_str().unwrap();
        assert_eq!(noted(&[name]), format!("rpctrace2: {name}: there is no exchange in it\n"));
    }
}
