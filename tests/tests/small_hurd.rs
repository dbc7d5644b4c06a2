// SPDX-License-Identifier: GPL-2.0-or-later
//! Hurd programs in the small Hurd: started by exec, files by every kind of name, children, signals, faults, nothing left.

use anyhow::Result;
use tests::guest::{Run, qemu};

/// Runs a program in the small Hurd, which gets these options.
fn run(words: &[&str]) -> Result<Run> {
    qemu(&[&["--icount", "run", "small-hurd"], words].concat())
}

/// What it prints, and its status.
fn check(words: &[&str], expected: &str, status: i32) -> Result<()> {
    let run = run(words)?;
    assert_eq!(run.stdout.replace('\r', ""), expected, "{words:?}: {}", run.stderr);
    assert_eq!(run.status, Some(status), "{words:?}: {}", run.stderr);
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_hurd_program_is_started_and_ends() -> Result<()> {
    let hello =
        "hello, Hurd\nargument 1: a\nargument 2: b c\nenvironment: LD_ORIGIN_PATH=/bin\nenvironment: PATH=/bin\n";
    check(&["hurd-hello", "a", "b c"], hello, 3)?;
    let far = run(&["--out-of-line", "hurd-hello", "a", "b c"])?;
    let lines: Vec<&str> = far.stdout.lines().filter(|line| !line.starts_with("environment: PADDING=xxx")).collect();
    assert_eq!(lines, hello.lines().collect::<Vec<_>>(), "{}", far.stderr);
    assert_eq!((far.stdout.lines().count(), far.status), (lines.len() + 1, Some(3)), "{}", far.stdout);
    check(&["none"], "/bin/none: ENOENT\n", 127)
}
