// SPDX-License-Identifier: GPL-2.0-or-later
//! Outputs of `cargo qemu` that are refused before they are opened, and without a machine.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

/// What `cargo qemu` says with these words, which cannot go on for long: in this folder, without a cache, and without a machine.
fn refusal(folder: &Path, words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qemu"));
    command.args(words).current_dir(folder).stdin(Stdio::null());
    let output = command.env("TMPDIR", folder).env("XDG_CACHE_HOME", folder.join("cache")).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), text.lines().count()), (Some(125), 1), "{words:?}: {text}");
    text.trim_end().strip_prefix("error: ").unwrap().to_owned()
}

#[test]
fn a_recorder_that_cannot_be_empties_no_file() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("old"), "old").unwrap();
    let size = "--recorder: expected a power of two from 512K to 1024M, found";
    let room = "M needs a machine of";
    let larger = "a larger one by --memory MIB before the verb";
    for (words, expected) in [
        ("record -o old --recorder 3M hello", format!("{size} 3145728 bytes")),
        ("record --memory-file old --recorder 0 hello", format!("{size} 0 bytes")),
        ("record -o old --recorder 2G hello", format!("{size} 2147483648 bytes")),
        ("record -o old --recorder 1G hello", format!("--recorder: 1024{room} 1124 MiB, found 512: {larger}")),
        ("--memory 64 record -o old --recorder 64M hello", format!("--recorder: 64{room} 164 MiB, found 64: {larger}")),
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        assert_eq!(refusal(place.path(), &words), expected, "{words:?}");
    }
    assert_eq!(fs::read(place.path().join("old")).unwrap(), b"old");
}

#[test]
fn no_output_is_an_input_or_another_output() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("old"), "old").unwrap();
    fs::write(place.path().join("list"), "mine 6400 second 1 6401 0\n").unwrap();
    fs::create_dir(place.path().join("mine")).unwrap();
    fs::write(place.path().join("mine/a.msgids"), "mine 6400 second 1 6401 0\n").unwrap();
    fs::hard_link(place.path().join("old"), place.path().join("link")).unwrap();
    symlink("new", place.path().join("soft")).unwrap();
    for (words, expected) in [
        ("autopsy old -o old", "cannot write old: it is the memory that is read, old"),
        ("autopsy old -o link", "cannot write link: it is the memory that is read, old"),
        ("record -o old --memory-file old hello", "cannot write old: it is where the capture goes, old"),
        ("record -o new --memory-file soft hello", "cannot write soft: it is where the capture goes, new"),
        ("--kernel old record -o link hello", "cannot write link: it is the kernel that is read, old"),
        ("rpctrace2 -o new --capture ./new hello", "cannot write ./new: it is where the trace goes, new"),
        ("rpctrace2 -o list -i list hello", "cannot write list: it is a list of ids that is read, list"),
        (
            "rpctrace2 -o mine/a.msgids -I mine hello",
            "cannot write mine/a.msgids: it is an interface that is read, mine/a.msgids",
        ),
        ("replay old -o link", "cannot write link: it is the capture that is read, old"),
        ("--kernel old image -o link hello", "cannot write link: it is the kernel that is read, old"),
        (
            "profile old --dbg list -o list",
            "cannot write list: it is the file with the kernel's names that is read, list",
        ),
        (
            "instrument old --dbg list -o list",
            "cannot write list: it is the file with the kernel's names that is read, list",
        ),
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        assert_eq!(refusal(place.path(), &words), expected, "{words:?}");
    }
    assert_eq!(fs::read(place.path().join("old")).unwrap(), b"old");
    assert!(!place.path().join("new").exists(), "nothing was made");
}

/// Who hears nothing is told nothing: that is no reason to panic, whose status is 101.
#[test]
fn a_standard_error_that_cannot_be_written_is_no_panic() {
    let place = tempfile::tempdir().unwrap();
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    for words in [["autopsy", "nothing"], ["no", "verb"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qemu"));
        command.args(words).current_dir(place.path()).stdin(Stdio::null()).stdout(full()).stderr(full());
        assert_eq!(command.status().unwrap().code(), Some(125), "{words:?}");
    }
}
