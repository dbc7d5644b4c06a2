// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo rpctrace2` as a user meets it who has mistyped something, or whose disk is full: what is printed where, the status, and what files are left.
#![cfg(feature = "host")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A capture of a program that ran: tests/captures.
fn captured(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/captures").join(name)
}

fn tool(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rpctrace2"));
    command.args(words);
    command
}

fn run(words: &[&str]) -> Output {
    tool(words).output().unwrap()
}

/// The one line that is said on standard error, without `rpctrace2: `; nothing is on standard output, and the status is that of a failure.
fn refusal(words: &[&str]) -> String {
    let output = run(words);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout), (Some(125), Vec::new()), "{words:?}: {said}");
    assert_eq!(said.lines().count(), 1, "{words:?}: {said}");
    said.trim_end().strip_prefix("rpctrace2: ").unwrap_or_else(|| panic!("{said}")).to_owned()
}

#[test]
fn what_is_read_is_not_written() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let (file, other, linked, symbolic) = (path("a"), path("b"), path("linked"), path("symbolic"));
    let bytes = fs::read(captured("echo.mtrc")).unwrap();
    fs::write(&file, &bytes).unwrap();
    fs::write(&other, &bytes).unwrap();
    fs::hard_link(&file, &linked).unwrap();
    std::os::unix::fs::symlink(&file, &symbolic).unwrap();
    let (list, definitions) = (path("list"), path("definitions"));
    fs::write(&list, "mine 6400 second 1 6401 0\n").unwrap();
    fs::create_dir(&definitions).unwrap();
    let inner = format!("{definitions}/mine.msgids");
    fs::copy(&list, &inner).unwrap();
    let (file, other) = (file.as_str(), other.as_str());
    for out in [file, &linked, &symbolic] {
        for words in [
            &["show", "-o", out, file][..],
            &["show", "-c", "-o", out, file],
            &["show", "-A", "-o", out, file],
            &["show", "--follow", "-o", out, file],
            &["stuck", "-o", out, file],
            &["coverage", "-o", out, other, file],
            &["export", "--to", "jsonl", "-o", out, file],
            &["show", "--to", "jsonl", "-o", out, file],
            &["diff", "-o", out, file, other],
            &["diff", "-o", out, other, file],
        ] {
            assert_eq!(refusal(words), format!("cannot write {out}: it is a file that is read, {file}"));
        }
    }
    for (out, words) in [(&list, ["-i", &list]), (&inner, ["-I", &definitions])] {
        let said = refusal(&["show", "-o", out, words[0], words[1], file]);
        assert_eq!(said, format!("cannot write {out}: it is a file that is read, {out}"));
        assert_eq!(fs::read_to_string(out).unwrap(), "mine 6400 second 1 6401 0\n");
    }
    assert!([file, other].iter().all(|name| fs::read(name).unwrap() == bytes), "they are as they were");
    assert_eq!(run(&["show", "-o", &path("new"), file]).status.code(), Some(0));
}
