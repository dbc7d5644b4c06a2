// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo rpctrace2` as a user meets it who has mistyped something, or whose disk is full: what is printed where, the status, and what files are left.
#![cfg(feature = "host")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};

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
    let place = Place::new();
    let path = |name: &str| place.path(name);
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
            assert_eq!(refusal(words), format!("cannot write {out}: it is the capture that is read, {file}"));
        }
    }
    for (out, words, role) in [(&list, ["-i", &list], "a list of ids"), (&inner, ["-I", &definitions], "an interface")]
    {
        let said = refusal(&["show", "-o", out, words[0], words[1], file]);
        assert_eq!(said, format!("cannot write {out}: it is {role} that is read, {out}"));
        assert_eq!(fs::read_to_string(out).unwrap(), "mine 6400 second 1 6401 0\n");
    }
    assert!([file, other].iter().all(|name| fs::read(name).unwrap() == bytes), "they are as they were");
    assert_eq!(run(&["show", "-o", &path("new"), file]).status.code(), Some(0));
}

/// Names and files that a test makes.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// The names of all files that are there.
    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn echo() -> String {
    captured("echo.mtrc").to_str().unwrap().to_owned()
}

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

#[test]
fn what_cannot_be_said_is_no_panic() {
    for (words, status) in [
        (&["nonsense"][..], 125),
        (&["show", "--thread", "99", &echo()], 0),
        (&["show", "/no/such/file"], 125),
        (&["diff", "-e", "none", &echo(), &echo()], 0),
        (&["explain", "nothing_like_it", &echo()], 1),
        (&["export", "--to", "jsonl", "-e", "none", &echo()], 0),
    ] {
        let output = tool(words).stderr(full()).stdout(Stdio::null()).status().unwrap();
        assert_eq!(output.code(), Some(status), "{words:?}");
    }
}

#[test]
fn who_cannot_be_written_is_named() {
    for words in [
        &["show", &echo()][..],
        &["info", &echo()],
        &["export", "--to", "jsonl", &echo()],
        &["explain", "vm_map", &echo()],
        &["show", "--help"],
        &["help"],
    ] {
        let output = tool(words).stdout(full()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            said, "rpctrace2: cannot write standard output: No space left on device (os error 28)\n",
            "{words:?}"
        );
        assert_eq!(output.status.code(), Some(125));
    }
    for words in [&["show", "-o", "/dev/full", &echo()][..], &["show", "-A", "-o", "/dev/full", &echo()]] {
        assert_eq!(refusal(words), "cannot write /dev/full: No space left on device (os error 28)");
    }
}

/// A file is there when it is whole; what was there before stays otherwise, and nothing else is left.
#[test]
fn a_file_is_written_whole_or_not_at_all() {
    let place = Place::new();
    let (damaged, out) = (place.path("damaged"), place.path("out"));
    let mut bytes = fs::read(echo()).unwrap();
    fs::write(&damaged, &bytes[..bytes.len() / 2 - 1000]).unwrap();
    fs::write(&out, "before").unwrap();
    fs::set_permissions(&out, fs::Permissions::from_mode(0o600)).unwrap();
    for words in
        [&["show", "-o", &out, "-e", "nothing_like_it", &echo()][..], &["coverage", "-o", &out, "/no/such/file"]]
    {
        refusal(words);
        assert_eq!(
            (fs::read_to_string(&out).unwrap().as_str(), place.files()),
            ("before", vec!["damaged".into(), "out".into()])
        );
    }
    assert_eq!(run(&["show", "-o", &out, &echo()]).status.code(), Some(0));
    assert_eq!(fs::read(&out).unwrap(), run(&["show", &echo()]).stdout);
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600, "who may read it stays as it was");
    // One that ends too early has text all the same.
    bytes.truncate(bytes.len() - 100);
    fs::write(&damaged, &bytes).unwrap();
    let output = run(&["show", "-o", &out, &damaged]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().ends_with("; what is before it has been shown\n"));
    assert_eq!(place.files(), ["damaged", "out"]);
}

/// A program that would not end by itself, with what it has printed when there is a line of it.
struct Following(Child, BufReader<ChildStdout>);

impl Following {
    fn of(words: &[&str]) -> Self {
        let mut child = tool(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self(child, out)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.1.read_line(&mut line).unwrap();
        line
    }

    /// The rest of standard output, standard error, and how it has ended.
    fn end(mut self) -> (String, String, ExitStatus) {
        let mut rest = String::new();
        self.1.read_to_string(&mut rest).unwrap();
        let output = self.0.wait_with_output().unwrap();
        (rest, String::from_utf8(output.stderr).unwrap(), output.status)
    }
}

/// A capture that somebody seems to write still.
fn unfinished(place: &Place) -> String {
    let bytes = fs::read(echo()).unwrap();
    let file = place.path("growing");
    fs::write(&file, &bytes[..bytes.len() - 100]).unwrap();
    file
}

#[test]
fn what_is_followed_and_gone_is_no_longer_waited_for() {
    let place = Place::new();
    let file = unfinished(&place);
    let mut following = Following::of(&["show", "--follow", &file]);
    following.line();
    fs::remove_file(&file).unwrap();
    let (_, said, status) = following.end();
    let shown = "; what is before it has been shown\n";
    assert_eq!(said, format!("rpctrace2: {file}: it has been removed while it was followed{shown}"));
    assert_eq!(status.code(), Some(1));
    unfinished(&place);
    let mut following = Following::of(&["show", "--follow", &file]);
    following.line();
    File::options().write(true).open(&file).unwrap().set_len(100).unwrap();
    let (_, said, status) = following.end();
    let begin = format!("rpctrace2: {file}: it has been truncated while it was followed: expected ");
    assert!(said.starts_with(&begin) && said.ends_with(&format!(" bytes at least, found 100{shown}")), "{said}");
    assert_eq!(status.code(), Some(1));
    // Before anything can be shown.
    fs::write(&file, "").unwrap();
    let following = Following::of(&["show", "--follow", &file]);
    fs::remove_file(&file).unwrap();
    let (_, said, status) = following.end();
    assert!(said.contains("growing"), "{said}");
    assert_eq!(status.code(), Some(125));
}

#[test]
fn what_is_followed_is_told_of_when_it_is_interrupted() {
    let place = Place::new();
    let file = unfinished(&place);
    for (words, expected) in [
        (&["show", "--follow", "-C"][..], "% time     seconds  usecs/call     calls    errors routine"),
        (&["show", "--follow", "-C", "-e", "mach_port"], "total"),
    ] {
        let mut following = Following::of(&[words, &[&file]].concat());
        following.line();
        Command::new("sh").args(["-c", &format!("kill -INT {}", following.0.id())]).status().unwrap();
        let (text, said, status) = following.end();
        assert!(text.contains(expected), "{words:?}: {text}");
        assert_eq!((said.as_str(), status.signal()), ("", Some(2)), "as if nothing had caught it");
    }
}

#[test]
fn a_command_that_fails_is_told() {
    for (command, status) in [("nosuchcmd", 127), ("exit 3", 3), ("cat >/dev/null; exit 3", 3)] {
        let output = run(&["show", "-o", &format!("|{command}"), &echo()]);
        let said = String::from_utf8(output.stderr).unwrap();
        let expected =
            format!("rpctrace2: option `-o`: expected command `{command}` to succeed, found exit status: {status}");
        assert_eq!((said.lines().last(), output.status.code()), (Some(expected.as_str()), Some(125)), "{said}");
    }
    // Who has seen enough has not failed.
    let output = run(&["show", "-o", "|head -1", &echo()]);
    assert_eq!((output.stdout.iter().filter(|byte| **byte == b'\n').count(), output.status.code()), (1, Some(0)));
}

#[test]
fn help_is_no_failure() {
    let printed = |words: &[&str]| {
        let output = run(words);
        assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()), "{words:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let help = printed(&["--help"]);
    assert!(["-h", "help"].iter().all(|word| printed(&[word]) == help));
    assert!(["-V", "--version"].iter().all(|word| printed(&[word]).starts_with("rpctrace2 ")));
    let verbs =
        ["show", "view", "info", "export", "diff", "explain", "stuck", "top", "leaks", "ports", "tree", "coverage"];
    for verb in verbs {
        assert!(help.contains(&format!("\n  {verb:<9} ")), "{help}");
        let text = printed(&[verb, "--help"]);
        assert!(text.starts_with(&format!("usage: rpctrace2 {verb} ")), "{text}");
        assert_eq!((printed(&[verb, "-h"]), printed(&["help", verb])), (text.clone(), text.clone()));
        assert_eq!(text.contains("--strings-in-hex"), !["info", "explain"].contains(&verb), "{text}");
        assert!(!text.contains("--inject"), "what cannot be done with a capture: {text}");
    }
    let forms = printed(&["export"]);
    let names: Vec<&str> = forms.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    assert!(names.contains(&"jsonl") && names.contains(&"perfetto"), "{forms}");
}

#[test]
fn mistakes_are_told_of_what_was_asked_for() {
    for (words, expected) in [
        (&[][..], "expected a verb, found nothing; `rpctrace2 --help` lists them"),
        (&["shwo", "x"], "expected a verb, found `shwo`; did you mean `show`?; `rpctrace2 --help` lists them"),
        (&["show"], "expected one file, found 0; usage: rpctrace2 show [OPTION]... FILE"),
        (&["show", "a", "-t"], "expected one file, found 2; usage: rpctrace2 show [OPTION]... FILE"),
        (&["stuck"], "expected one file, found 0; usage: rpctrace2 stuck [OPTION]... FILE"),
        (&["coverage"], "expected one file, found 0; usage: rpctrace2 coverage [OPTION]... FILE..."),
        (&["view"], "expected one file, found 0; usage: rpctrace2 view [--perfetto] [OPTION]... FILE"),
        (
            &["export", "--to", "jsonl"],
            "expected one file, found 0; usage: rpctrace2 export --to FORM [-o FILE] [OPTION]... CAPTURE",
        ),
        (&["diff", "--follow"], "expected two files, found 0; usage: rpctrace2 diff [OPTION]... FIRST SECOND"),
        (&["diff", "a", "b", "-o", "b"], "expected two files, found 4; usage: rpctrace2 diff [OPTION]... FIRST SECOND"),
        (&["info", "--follow"], "option `--follow`: there is none; usage: rpctrace2 info FILE"),
        (&["info", "a", "b"], "expected one file, found 2; usage: rpctrace2 info FILE"),
    ] {
        assert_eq!(refusal(words), expected);
    }
    let said = refusal(&["export", &echo()]);
    assert!(
        said.starts_with("expected --to FORM, which is one of html, jsonl, ") && said.ends_with("CAPTURE"),
        "{said}"
    );
}

#[test]
fn a_pipe_is_told_of_as_a_file_is() {
    let of_file = run(&["info", &echo()]);
    let whole = fs::read(echo()).unwrap();
    for (bytes, is_same) in [(&whole[..], true), (&whole[..whole.len() - 100], false)] {
        let mut child = tool(&["info", "/dev/stdin"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(output.stdout == of_file.stdout, is_same, "{}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(String::from_utf8(output.stdout).unwrap().ends_with("end       whole\n"), is_same);
    }
}

/// Where nothing can be shown that is a failure, and nobody is told that something was.
#[test]
fn a_file_that_is_cut_before_its_first_record_is_refused() {
    let place = Place::new();
    let (file, out) = (place.path("cut"), place.path("out"));
    let bytes = fs::read(echo()).unwrap();
    // The third block is the first of entries.
    let mut at = 16;
    for _ in 0..2 {
        at += 48 + u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
    }
    for cut in [at, at + 10, at + 60] {
        fs::write(&file, &bytes[..cut]).unwrap();
        for words in [
            &["show", &file][..],
            &["show", "-c", "-o", &out, &file],
            &["top", &file],
            &["export", "--to", "jsonl", "-o", &out, &file],
        ] {
            let said = refusal(words);
            assert!(
                said.starts_with(&format!("{file}: cut in block 2 at offset ")) && !said.contains("before"),
                "{said}"
            );
        }
    }
    assert_eq!(place.files(), ["cut"]);
}
