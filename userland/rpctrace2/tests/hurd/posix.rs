// SPDX-License-Identifier: GPL-2.0-or-later
//! The calls that programs of a real Hurd made, of the messages that its C library made of them, with the identities that today's kernel would
//! have put into the records.

use std::path::Path;

use mig_defs::compile::{Options as CompileOptions, compile};
use mig_defs::model::Model;
use mig_defs::source::Disk;
use rpctrace2::Options;

use crate::lines::rest;
use crate::names::lines_of;
use crate::{FILES, File};

/// Interfaces of the Hurd, as far as calls are told of them, in this project's own words.
const HURD: [&str; 9] = ["exec_startup", "fs", "io", "auth", "process", "term", "socket", "ifsock", "msg"];

fn calls(file: &File) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/defs/hurd");
    let models: [Model; 9] = HURD.map(|name| {
        let path = folder.join(name).with_extension("defs");
        compile(&path, &CompileOptions::lp64(Vec::new()), &Disk).model.expect("a subsystem")
    });
    lines_of(file, &models, &Options { posix: true, ..Options::default() })
}

#[test]
#[ignore = "needs Debian's gnumach-dev: set GNUMACH_DEFS, as `cargo qemu test` does"]
fn calls_of_a_real_hurd_are_those_of_its_programs() {
    let pipes = calls(&FILES[0]);
    // What its source has: it writes lines, waits for three children, makes pipes and pairs, and looks for what this Hurd does not have.
    for expected in [
        "write(fd 0-2, \"pipes: select 1\\n\", 16) = 16",
        "open(\"/dev/urandom\", O_RDONLY|O_NONBLOCK) = -1 ENOENT (No such file or directory)",
        "fork() = 13",
        "fork() = 14",
        "fork() = 15",
        "select(port 18, SELECT_READ, 1795637272.030000000s) = SELECT_READ",
        "select(port 18, SELECT_READ, 1795637271.130000000s) = 0",
        "wait4(13, exit 0, 0) = 13",
        "wait4(14, killed by SIGTERM, 0) = 14",
        "wait4(15, killed by SIGSEGV, 0) = 15",
        "pipe() = [port 18, port 19]",
        "socketpair(PF_LOCAL, SOCK_STREAM, 0) = [port 30, port 31]",
        "kill(14, SIGTERM) = 0",
        "write(port 19, \"x\", 1) = -1 EPIPE (Broken pipe)",
    ] {
        assert_eq!(pipes.iter().filter(|line| rest(line) == expected).count(), 1, "{expected}\n{}", pipes.join("\n"));
    }
    let stress = calls(&FILES[2]);
    // Each child that is known by its pid; the third process was cut off while it was made.
    let forks: Vec<&str> = stress.iter().map(|line| rest(line)).filter(|line| line.starts_with("fork(")).collect();
    assert_eq!(forks, ["fork() = 13", "fork() = 14", "fork() = 16"], "{}", stress.join("\n"));
    for file in ["tmp/s13.0", "tmp/s14.2"] {
        let begins = |start: &str| stress.iter().filter(|line| rest(line).starts_with(start)).count();
        assert_eq!(begins(&format!("write(file \"{file}\", ool ")), 8, "{}", stress.join("\n"));
        assert!(begins(&format!("open(\"/{file}\", O_")) > 0, "{}", stress.join("\n"));
    }
}
