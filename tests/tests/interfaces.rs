// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu rpctrace2 -I DIR`: interfaces that nobody built in, from a directory of the user's.

use std::fs;

use anyhow::Result;
use tests::guest::qemu;

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn messages_decode_with_definitions_of_the_user() -> Result<()> {
    let directory = tempfile::tempdir()?;
    // The program's first thread sends 6400, the second 6401; nothing built in has these ids.
    let defs =
        "subsystem mine 6400;\n#include <mach/std_types.defs>\nsimpleroutine first(to: mach_port_t; number: int);\n";
    fs::write(directory.path().join("mine.defs"), defs)?;
    fs::write(directory.path().join("mine.msgids"), "mine 6400 second 1 6401 0\n")?;
    let place = directory.path().to_string_lossy().into_owned();
    let run = qemu(&["--icount", "rpctrace2", "-I", &place, "threads"])?;
    assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
    let line = |start: &str, end: &str| run.stderr.lines().any(|line| line.contains(start) && line.ends_with(end));
    assert!(line(" first(to: port ", ", number: 0) = sent"), "{}", run.stderr);
    assert!(line(" second(port: port ", ", 0) = sent"), "{}", run.stderr);
    assert!(line(" mach_port_allocate(right: MACH_PORT_RIGHT_RECEIVE)", "}"), "built in:\n{}", run.stderr);
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_bad_file_is_one_error_with_its_place() -> Result<()> {
    let directory = tempfile::tempdir()?;
    fs::write(directory.path().join("bad.defs"), "subsystem bad 1;\nroutine one(p: nothing);\n")?;
    let place = directory.path().to_string_lossy().into_owned();
    let run = qemu(&["rpctrace2", "-I", &place, "hello"])?;
    assert_eq!((run.status, run.stdout.as_str()), (Some(125), ""), "{}", run.stderr);
    assert!(run.stderr.contains("bad.defs:2:16: error[MD0031]: "), "{}", run.stderr);
    assert!(run.stderr.contains("2 | routine one(p: nothing);"), "{}", run.stderr);
    Ok(())
}
