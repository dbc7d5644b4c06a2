// SPDX-License-Identifier: GPL-2.0-or-later
//! `--posix` on a Hurd: the calls that a program has made, of the messages by which it made them.

use anyhow::{Result, ensure};
use tests::guest::{Run, qemu};

/// Runs a program in the small Hurd, with these words before it.
fn run(words: &[&str]) -> Result<Run> {
    let run = qemu(&[&["--icount", "run", "small-hurd", "rpctrace2", "--posix"], words].concat())?;
    ensure!(run.status == Some(0), "{words:?}: {:?}: {}{}", run.status, run.stdout, run.stderr);
    Ok(Run { stdout: run.stdout.replace('\r', ""), ..run })
}

/// What the program calls, as userland/programs/src/bin/hurd-posix.rs says, by hand. It reads up to 64 KiB at once.
const CALLS: [&str; 19] = [
    r#"open("/etc/motd", O_RDONLY) = file "etc/motd""#,
    r#"fstat(file "etc/motd", {st_mode=S_IFREG|0644, st_size=22}) = 0"#,
    r#"read(file "etc/motd", "This is a small Hurd.\n", 65536) = 22"#,
    r#"read(file "etc/motd", "", 65536) = 0"#,
    r#"close(file "etc/motd") = 0"#,
    r#"write(fd 0-2, "22 of 22 bytes\n", 15) = 15"#,
    r#"stat("/etc/motd", {st_mode=S_IFREG|0644, st_size=22}) = 0"#,
    r#"write(fd 0-2, "mode 0o100644\n", 14) = 14"#,
    r#"open("/home/user/letter", O_RDONLY) = file "home/user/letter""#,
    r#"close(file "home/user/letter") = 0"#,
    r#"open("/etc/none", O_RDONLY) = -1 ENOENT (No such file or directory)"#,
    r#"write(fd 0-2, "/etc/none: ENOENT\n", 18) = 18"#,
    r#"open("/tmp/posix", O_WRONLY|O_CREAT|O_TRUNC, 0666) = file "tmp/posix""#,
    r#"write(file "tmp/posix", "four", 4) = 4"#,
    r#"close(file "tmp/posix") = 0"#,
    r#"unlink("/tmp/posix") = 0"#,
    r#"unlink("/tmp/posix") = -1 ENOENT (No such file or directory)"#,
    r#"write(fd 0-2, "/tmp/posix: ENOENT\n", 19) = 19"#,
    "_exit(0) = ?",
];

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_program_of_a_hurd_is_told_by_its_calls() -> Result<()> {
    let whole = run(&["hurd-posix"])?;
    let calls: Vec<&str> = whole.stdout.lines().filter_map(|line| line.strip_prefix("hurd-posix(12)[1] ")).collect();
    assert_eq!(calls, CALLS, "{}", whole.stdout);
    // What is no call is said at the end.
    let end = whole.stdout.lines().last().unwrap_or_default();
    assert!(end.starts_with("--- left out, as no call of a program's: ") && end.ends_with(" ---"), "{end}");
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn calls_that_fail_are_a_line_each() -> Result<()> {
    let failed = run(&["-Z", "-q", "hurd-posix"])?;
    let lines: Vec<&str> = failed.stdout.lines().filter(|line| line.contains("[1] ")).collect();
    let expected = [CALLS[10], CALLS[16]].map(|call| format!("hurd-posix(12)[1] {call}"));
    assert_eq!(lines, expected, "{}", failed.stdout);
    Ok(())
}
