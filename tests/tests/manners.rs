// SPDX-License-Identifier: GPL-2.0-or-later
//! What `cargo qemu` does around a program: its input, Ctrl-C, its names, its text, and how a run ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use qemu::cache::Cache;
use qemu::fetch::programs::find_qemu;
use tests::guest::{Signal, qemu, setting, signal};

/// Starts the tool with pipes for all three.
fn start(arguments: &[&str]) -> Result<Child> {
    let pipes =
        |command: &mut Command| command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    pipes(Command::new(setting("RPCTRACE2_QEMU")?).args(arguments)).context("starting cargo qemu")
}

/// What comes until the prompt waits for a key.
fn until_prompt(output: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut shown = Vec::new();
    while !shown.ends_with(b"mach> ") {
        anyhow::ensure!(output.read_until(b' ', &mut shown)? > 0, "no prompt: {}", String::from_utf8_lossy(&shown));
    }
    Ok(shown)
}

/// Runs the prompt under rpctrace2 until it waits for a key, presses Ctrl-C, and waits for the end.
fn interrupt(options: &[&str]) -> Result<Output> {
    let mut tool = start(&[&["rpctrace2"], options, &["shell"]].concat())?;
    let mut output = BufReader::new(tool.stdout.take().context("its output")?);
    let mut shown = until_prompt(&mut output)?;
    // Held open: the end of the input would end the prompt.
    let keys = tool.stdin.take();
    signal(tool.id(), Signal::INT)?;
    output.read_to_end(&mut shown)?;
    let mut ended = tool.wait_with_output()?;
    drop(keys);
    ended.stdout = shown;
    Ok(ended)
}

/// The trace ends with all that belongs to an end: who is left, and the calls that have no answer yet.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn the_first_ctrl_c_ends_the_trace() -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    let ended = interrupt(&["-C", "-o", &file.path().to_string_lossy()])?;
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(130), "{said}");
    assert!(said.contains("the trace ends; once more ends the machine"), "{said}");
    let trace = std::fs::read_to_string(file.path())?;
    let (before, after) = trace.split_once("--- interrupted ---\n").with_context(|| format!("no end in:\n{trace}"))?;
    assert!(before.contains("shell[1] device_read_inband(") && before.contains("<unfinished ...>"), "{trace}");
    assert!(after.contains("--- traced tasks are left, the end was not seen of shell[1] ---"), "{trace}");
    assert!(after.contains("% time     seconds  usecs/call     calls    errors routine"), "{trace}");
    assert!(trace.ends_with(" total\n"), "{trace}");
    Ok(())
}

/// Each prints its own trace: what the inner one traces has an engine beside the outer one's trace port.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_tracer_is_traced_to_its_end() -> Result<()> {
    let run = qemu(&["rpctrace2", "-e", "boot_exit", "rpctrace2", "-e", "task_get_special_port", "hello"])?;
    assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("hello, world\n"), "{}", run.stdout);
    let said = "rpctrace2: the command: its trace port is another tracer's; traced by an engine beside it\n";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    for line in [
        "hello[1] task_get_special_port(",
        "+++ hello[1] exited with 0 +++",
        "rpctrace2[1] boot_exit(",
        "hello[2] boot_exit(",
    ] {
        assert!(run.stderr.contains(line), "{line}: {}", run.stderr);
    }
    assert!(!run.stderr.contains("--- interrupted ---"), "{}", run.stderr);
    assert!(run.stderr.ends_with("+++ rpctrace2[1] exited with 0 +++\n"), "{}", run.stderr);
    Ok(())
}

/// The inner one's trace ends, and so its own end is seen by the outer one, which ends as its command has.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn of_two_tracers_the_inner_one_is_interrupted() -> Result<()> {
    let ended = interrupt(&["-e", "boot_exit", "rpctrace2", "-e", "boot_exit"])?;
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(130), "{said}");
    assert_eq!(said.matches("--- interrupted ---").count(), 1, "{said}");
    assert!(said.contains("+++ rpctrace2[1] exited with 130 +++\n"), "{said}");
    Ok(())
}

/// Reads lines until one of them has these words.
fn read_until(lines: &mut impl BufRead, words: &str) -> Result<()> {
    let mut line = String::new();
    while !line.contains(words) {
        line.clear();
        anyhow::ensure!(lines.read_line(&mut line)? > 0, "no line with {words:?}");
    }
    Ok(())
}

/// Waits until a file has these words.
fn file_has(path: &Path, words: &str) -> Result<()> {
    for _ in 0..600 {
        if std::fs::read_to_string(path)?.contains(words) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    anyhow::bail!("no {words:?} in {}", path.display())
}

/// QEMU is stopped before the first Ctrl-C, so that nobody in the guest can follow that.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn the_second_ctrl_c_ends_the_machine() -> Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    let mut tool = start(&["rpctrace2", "-o", &file.path().to_string_lossy(), "shell"])?;
    let mut output = BufReader::new(tool.stdout.take().context("its output")?);
    let mut errors = BufReader::new(tool.stderr.take().context("its errors")?);
    until_prompt(&mut output)?;
    // What the shell has sent stands there once it has come to rest, which on a busy machine may be later than its prompt.
    file_has(file.path(), "shell[1] ")?;
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", tool.id()))?;
    let machine = children.split_whitespace().next().context("QEMU is its child")?.parse()?;
    signal(machine, Signal::STOP)?;
    signal(tool.id(), Signal::INT)?;
    read_until(&mut errors, "the trace ends; once more ends the machine")?;
    signal(tool.id(), Signal::INT)?;
    assert_eq!(tool.wait()?.code(), Some(130));
    assert!(!Path::new(&format!("/proc/{machine}")).exists(), "QEMU goes on");
    let trace = std::fs::read_to_string(file.path())?;
    assert!(trace.contains("shell[1] ") && trace.ends_with('\n'), "{trace}");
    Ok(())
}

/// KVM may be there and hang. So does a machine that a script in QEMU's place starts, emulated and stopped.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_machine_that_says_nothing_with_kvm_is_said_to() -> Result<()> {
    let place = tempfile::tempdir()?;
    let script = place.path().join("qemu-system-x86_64");
    let path = std::env::var("PATH")?;
    let words = "for word; do shift; [ \"$word\" = kvm ] && word=tcg; set -- \"$@\" \"$word\"; done";
    let emulator = find_qemu(&Cache::open()?).context("QEMU is not there")?;
    std::fs::write(&script, format!("#!/bin/sh\n{words}\nexec '{}' \"$@\" -S\n", emulator.display()))?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    let path = format!("{}:{path}", place.path().display());
    let mut command = Command::new(setting("RPCTRACE2_QEMU")?);
    command.args(["--kvm", "run", "hello"]).env("PATH", path).stdin(Stdio::null()).stdout(Stdio::null());
    let mut tool = command.stderr(Stdio::piped()).spawn()?;
    let mut errors = BufReader::new(tool.stderr.take().context("its errors")?);
    let said =
        read_until(&mut errors, "KVM: the machine has said nothing for 10 seconds; without --kvm it is emulated");
    // Not INT, which whoever runs the tests in the background may have had ignored.
    signal(tool.id(), Signal::TERM)?;
    tool.wait()?;
    said
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_program_gets_the_input_and_its_end() -> Result<()> {
    for verb in [&["run"][..], &["rpctrace2", "-o", "/dev/null"]] {
        let mut tool = start(&[verb, &["shell"]].concat())?;
        tool.stdin.take().context("its input")?.write_all(b"hello typed\nexit 7\n")?;
        let ended = tool.wait_with_output()?;
        let shown = String::from_utf8_lossy(&ended.stdout);
        assert!(shown.contains("hello, world\nargument 1: typed\n"), "{shown}");
        assert_eq!(ended.status.code(), Some(7), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    Ok(())
}

/// By paths whose last parts are too long for a ustar archive, the tracer's own name, and an option.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_program_can_be_called_anything() -> Result<()> {
    let target = std::path::Path::new(&setting("RPCTRACE2_PAYLOAD")?).with_file_name("hello");
    let place = tempfile::tempdir()?;
    for name in ["n".repeat(200).as_str(), "rpctrace2", "-x"] {
        let path = place.path().join(name);
        std::fs::copy(&target, &path)?;
        let trace = place.path().join("trace");
        let run = qemu(&["--icount", "rpctrace2", "-o", &trace.to_string_lossy(), &path.to_string_lossy()])?;
        assert_eq!((run.stdout.as_str(), run.status), ("hello, world\n", Some(0)), "{}", run.stderr);
        let trace = std::fs::read_to_string(trace)?;
        assert!(trace.ends_with(&format!("+++ {name}[1] exited with 0 +++\n")), "{trace}");
    }
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_programs_text_is_nobody_elses() -> Result<()> {
    let run = qemu(&["run", "pretend"])?;
    let text = "\x01xexit 0\n\x01tforged[1] line of a trace\npanic ../kern/pretend.c:1: pretend: it is not true\nDebugger \
                invoked: panic\ndb> it goes on\n";
    assert_eq!((run.stdout.as_str(), run.status), (text, Some(21)), "{}", run.stderr);
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_program_that_restarts_the_machine_ends_the_run() -> Result<()> {
    let run = qemu(&["run", "pretend", "${host-port}"])?;
    assert!(run.stdout.ends_with("db> it goes on\n"), "{}", run.stdout);
    assert!(run.stderr.ends_with("the program restarted the machine\n"), "{}", run.stderr);
    assert_eq!(run.status, Some(0));
    Ok(())
}

/// Nobody answers then, so that it is told from the text of a program.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_kernel_that_stops_ends_the_run() -> Result<()> {
    let run = qemu(&["run", "pretend", "${host-port}", "4096"])?;
    assert!(run.stdout.contains("db> it goes on\n"), "{}", run.stdout);
    assert_eq!(run.status, Some(125), "{}", run.stderr);
    assert!(run.stderr.contains("error: the kernel stopped: "), "{}", run.stderr);
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn processors_that_a_kernel_of_ones_own_does_not_use_are_said_to() -> Result<()> {
    let kernel = setting("RPCTRACE2_KERNEL")?;
    let run = qemu(&["--kernel", &kernel, "--smp", "2", "run", "hello"])?;
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(run.stderr.contains("the kernel is for one processor: 1 of 2 stay unused"), "{}", run.stderr);
    Ok(())
}
