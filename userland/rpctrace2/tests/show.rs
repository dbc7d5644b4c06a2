// SPDX-License-Identifier: GPL-2.0-or-later
//! Captures in files, shown as `cargo rpctrace2 show` shows them.
#![cfg(feature = "host")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use capture::{Fact, Facts, Writer};
use common::Sample;
use exchanges::Memory;
use exchanges::memory::Found;
use rpctrace2::host::show;

#[path = "stages/common.rs"]
#[expect(dead_code, unused_imports, reason = "only what makes records is used")]
mod common;
#[path = "stages/mixture.rs"]
mod mixture;

/// A capture with so many records of each kind, and the text of its trace, with these options.
fn kept(times: u64, arguments: &[&str]) -> (Vec<u8>, String) {
    let facts = Facts::default().with(Fact::Command, "hello\0world").with(Fact::Writer, "rpctrace2 of a test");
    let mut trace = common::usual_trace(arguments);
    trace.keep(Writer::new(64, &facts, &common::BYTES));
    let mut text = String::new();
    mixture::messages(times).for_each(|message| trace.message(&message, &mut text));
    trace.exited(0, &mut text);
    trace.finish(&mut text);
    (trace.capture().expect("it is kept").bytes().to_vec(), text)
}

/// A capture of messages with memory out of line, of which some was read, and the text of its trace.
fn kept_with_memory() -> (Vec<u8>, String) {
    let facts = Facts::default().with(Fact::Command, "hello\0world").with(Fact::Writer, "rpctrace2 of a test");
    let mut trace = common::usual_trace(&[]);
    trace.keep(Writer::with_memory(64, &facts, &common::BYTES));
    let mut text = String::new();
    mixture::messages(1).for_each(|message| trace.message(&message, &mut text));
    for (sequence, found) in [
        (11, Found::Read(Bytes::from_static(b"what was in it"))),
        (12, Found::Refused(1)),
        (13, Found::GivenAway),
        (14, Found::Paged),
    ] {
        trace.remember(sequence, Memory { address: 0x5000, size: 100, found });
        let sample = Sample::sent(common::Message::request_from(2999, 7, 0).memory(0x5000, 100)).sequence(sequence);
        trace.message(&sample.wire().into(), &mut text);
    }
    trace.exited(0, &mut text);
    trace.finish(&mut text);
    (trace.capture().expect("it is kept").bytes().to_vec(), text)
}

/// What `show` makes of a file, and its exit status.
fn shown(file: &Path, options: &[&str]) -> (String, u8) {
    let out = tempfile::NamedTempFile::new().unwrap();
    let words = [&["-o", out.path().to_str().unwrap()], options, &[file.to_str().unwrap()]].concat();
    let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    let status = show::run(&words).unwrap_or_else(|error| panic!("{error:#}"));
    (fs::read_to_string(out.path()).unwrap(), status)
}

fn refusal(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    format!("{:#}", show::run(&words).expect_err("must be refused"))
}

#[test]
fn every_option_of_text_is_followed() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), kept(3, &[]).0).unwrap();
    for options in [&["-c"][..], &["-Xraw", "-T"], &["-e", "/^vm_.*t$"], &["-Z"], &["--dump-messages", "-tt"]] {
        let expected = match options {
            ["-e", _] => kept(3, &["-e", "vm_protect"]).1,
            options => kept(3, options).1,
        };
        assert_eq!(shown(file.path(), options), (expected, 0), "{options:?}");
    }
    let (column, _) = shown(file.path(), &["-a", "70"]);
    assert!(column.lines().next().unwrap().find(" = ").unwrap() >= 70, "{column}");
    let (color, _) = shown(file.path(), &["--color=always"]);
    assert!(color.contains("\x1b[36mhello[1]"), "{color:?}");
    let (undecoded, _) = shown(file.path(), &["--nostdinc"]);
    assert!(!undecoded.contains("vm_protect") && undecoded.contains("hello[1]"), "{undecoded}");
}

/// What selects in a trace selects in its capture; regular expressions are known here.
#[test]
fn a_capture_is_shown_from_a_call_until_a_call() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (bytes, whole) = kept(3, &[]);
    fs::write(file.path(), bytes).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let first = lines.iter().position(|line| line.contains("] vm_protect(")).unwrap();
    let (text, status) = shown(file.path(), &["--on=/^vm_prot/", "--history=2", "--limit=1"]);
    let found: Vec<&str> = text.lines().collect();
    assert_eq!((found[0], status), (lines[first.saturating_sub(2)], 0), "{text}");
    assert_eq!(found.last(), Some(&"rpctrace2: --limit=1: the trace ends here"), "{text}");
    assert_eq!(found.len(), first - first.saturating_sub(2) + 2, "{text}\n{whole}");
    assert!(refusal(&["--on=/(/", file.path().to_str().unwrap()]).starts_with("option `--on`: regular expression `(`"));
}

#[test]
fn a_file_that_is_cut_is_shown_up_to_there() {
    let (bytes, text) = kept(300, &[]);
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("cut");
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let (part, status) = shown(&file, &[]);
    assert_eq!(status, 1);
    assert!(part.len() > 1000 && part.len() < text.len() && text.starts_with(&part[..part.len() - 200]));
    let name = file.to_str().unwrap();
    fs::write(&file, b"text").unwrap();
    assert!(refusal(&[name]).ends_with(": no capture: it begins with [74, 65, 78, 74, 00, 00, 00, 00]"));
    fs::write(&file, &bytes[..100]).unwrap();
    assert!(refusal(&[name]).contains(": cut in block 0 at offset 64: expected "), "{}", refusal(&[name]));
    assert!(refusal(&["/no/such/file"]).starts_with("cannot read /no/such/file: "));
}

#[test]
fn a_capture_that_grows_is_followed() {
    let (bytes, text) = kept(300, &[]);
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("growing");
    let mut file = File::create(&path).unwrap();
    let writer = thread::spawn(move || {
        for piece in bytes.chunks(bytes.len() / 7) {
            file.write_all(piece).unwrap();
            thread::sleep(Duration::from_millis(30));
        }
    });
    assert_eq!(shown(&path, &["--follow"]), (text, 0));
    writer.join().unwrap();
}

#[test]
fn what_memory_out_of_line_held_is_shown_again() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (bytes, text) = kept_with_memory();
    fs::write(file.path(), bytes).unwrap();
    assert_eq!(shown(file.path(), &[]), (text.clone(), 0));
    for said in ["; 14 read after the copy: \"what was in it\"]", "; not read: KERN_INVALID_ADDRESS]", "; given away]"]
    {
        assert!(text.contains(said), "{text}");
    }
}

/// The file of the version that is written now, which `BLESS=1` makes when there is a new version: what stands there stays.
#[test]
fn there_is_a_file_of_this_version() {
    let place = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/captures");
    let name = |extension: &str| place.join(format!("version{}.{extension}", capture::format::VERSION));
    if std::env::var_os("BLESS").is_some() && !name("mtrc").exists() {
        let (bytes, text) = kept_with_memory();
        fs::write(name("mtrc"), bytes).unwrap();
        fs::write(name("txt"), text).unwrap();
    }
    assert_eq!(shown(&name("mtrc"), &[]), (fs::read_to_string(name("txt")).unwrap(), 0));
}
