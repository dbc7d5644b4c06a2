// SPDX-License-Identifier: GPL-2.0-or-later
//! Hurd programs in the small Hurd: started by exec, files by every kind of name, children, signals, refusals, faults, nothing left.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tests::golden;
use tests::guest::{Run, qemu};

/// Runs a program in the small Hurd; options of that come first.
fn run(words: &[&str]) -> Result<Run> {
    let run = qemu(&[&["--icount", "run", "small-hurd"], words].concat()).with_context(|| format!("{words:?}"))?;
    Ok(Run { stdout: run.stdout.replace('\r', ""), ..run })
}

/// Compares what it prints and its status.
fn check(words: &[&str], expected: &str, status: i32) -> Result<()> {
    let run = run(words)?;
    assert_eq!(run.stdout, expected, "{words:?}: {}", run.stderr);
    assert_eq!(run.status, Some(status), "{words:?}: {}", run.stderr);
    Ok(())
}

/// Compares what it prints with a golden; it ends with 0.
fn check_golden(name: &str, words: &[&str]) -> Result<()> {
    let run = run(words)?;
    assert_eq!(run.status, Some(0), "{words:?}: {}{}", run.stdout, run.stderr);
    golden::compare(&golden_file(name), &run.stdout)
}

fn golden_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../userland/small-hurd/golden/{name}.out"))
}

const HELLO: &str =
    "hello, Hurd\nargument 1: a\nargument 2: b c\nenvironment: LD_ORIGIN_PATH=/bin\nenvironment: PATH=/bin\n";

/// Arguments, environment, standard output and status; the same with arrays that are too large for a message, and traced.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn hurd_hello() -> Result<()> {
    check(&["hurd-hello", "a", "b c"], HELLO, 3)?;
    check(
        &["--user=1000", "/home/user/hello"],
        "hello, Hurd\nenvironment: LD_ORIGIN_PATH=/home/user\nenvironment: PATH=/bin\n",
        3,
    )?;
    let far = run(&["--out-of-line", "hurd-hello", "a", "b c"])?;
    let padding = format!("environment: PADDING={}\n", "x".repeat(3000));
    assert_eq!((far.stdout, far.status), (format!("{HELLO}{padding}"), Some(3)), "{}", far.stderr);
    let out = tempfile::NamedTempFile::new()?;
    let file = out.path().to_string_lossy().into_owned();
    let traced = qemu(&["--icount", "rpctrace2", "-o", &file, "small-hurd", "hurd-hello", "a", "b c"])?;
    assert_eq!((traced.stdout.replace('\r', ""), traced.status), (HELLO.to_owned(), Some(3)), "{}", traced.stderr);
    let trace = std::fs::read_to_string(out.path())?;
    for line in ["file_exec_paths(", "exec_exec_paths(", "proc_mark_exit(", "status: exit 3", "io_write("] {
        assert!(trace.contains(line), "expected {line:?} in:\n{trace}");
    }
    Ok(())
}

/// rpctrace2 is a Hurd program itself there: what it runs is the same, and its trace is that program's alone.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn hurd_rpctrace2() -> Result<()> {
    check(&["rpctrace2", "-o", "/tmp/trace", "hurd-hello", "a", "b c"], HELLO, 3)?;
    check(&["rpctrace2", "--capture=/tmp/kept", "-o/tmp/trace", "hurd-hello", "a", "b c"], HELLO, 3)?;
    let shown = run(&["rpctrace2", "hurd-hello"])?;
    assert_eq!(shown.status, Some(3), "{}{}", shown.stdout, shown.stderr);
    let trace = shown.stdout + &shown.stderr;
    for line in ["] exec_startup_get_info(", "io_write(", "] proc_mark_exit(", "exited with 3 +++\n"] {
        assert!(trace.contains(line), "expected {line:?} in:\n{trace}");
    }
    assert!(!trace.contains("exec_exec_paths"), "what exec is asked is nobody's business:\n{trace}");
    Ok(())
}

/// A thousand lookups of names of every kind, with few threads and with many.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn hurd_lookups() -> Result<()> {
    check_golden("hurd-lookups", &["hurd-lookups"])?;
    check_golden("hurd-lookups", &["--threads=30", "hurd-lookups"])
}

/// Programs of every kind are started, or refused.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn hurd_spawn() -> Result<()> {
    check_golden("hurd-spawn", &["hurd-spawn"])
}

/// A user's set-id program has its owner's ids; all else is as root has it.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn hurd_spawn_user() -> Result<()> {
    check_golden("hurd-spawn-user", &["--user=1000", "hurd-spawn"])
}

/// What servers refuse everybody, and what they grant root.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn hurd_strict() -> Result<()> {
    check_golden("hurd-strict", &["hurd-strict"])
}

/// What servers refuse a user.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn hurd_strict_user() -> Result<()> {
    check_golden("hurd-strict-user", &["--user=1000", "hurd-strict"])
}

/// Ctrl-C reaches who has a message port, and nobody else; who asks for one that has died waits.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn hurd_signal() -> Result<()> {
    check(&["--interrupt=waiting", "hurd-signal"], "waiting for a signal\nsignal 2\n", 0)?;
    check(&["--interrupt=waiting", "hurd-signal", "deaf"], "waiting for a signal\nno signal comes\n", 0)?;
    let lost = "who asks for a message port that has died waits\nthe next one is there\n";
    check(&["hurd-signal", "lost"], lost, 0)
}

/// Servers that are slow, that refuse, and that die in the middle of a request.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn hurd_faults() -> Result<()> {
    check(&["--slow=io_write:20", "--slow=exec_startup_get_info:20", "hurd-hello", "a", "b c"], HELLO, 3)?;
    check(&["--refuse=io_read:EIO", "hurd-hello"], "/bin/hurd-hello: EIO\n", 127)?;
    check(&["--refuse=exec_exec_paths:ENOMEM", "hurd-hello"], "/bin/hurd-hello: ENOMEM\n", 127)?;
    check(&["--dies=exec_exec_paths", "hurd-hello"], "/bin/hurd-hello: MIG_SERVER_DIED\n", 127)?;
    check(&["none"], "/bin/none: ENOENT\n", 127)?;
    check(&["--dies=auth_getids", "--user=1000", "/etc/set-id"], "/etc/set-id: MIG_SERVER_DIED\n", 127)
}
