// SPDX-License-Identifier: GPL-2.0-or-later
//! `rpctrace2 --stop-at`: a thread waits before it sends a message, and a user at the terminal says what becomes of that.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use tests::guest::{Run, options, qemu, setting};

/// Starts the tool with these words, and pipes for all three.
fn start(words: &[&str]) -> Result<Child> {
    let mut command = Command::new(setting("RPCTRACE2_QEMU")?);
    command.args(options().split_whitespace()).args(words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("starting cargo qemu")
}

/// Runs it to its end, with this typed.
fn typed(words: &[&str], keys: &str) -> Result<Run> {
    let mut tool = start(words)?;
    tool.stdin.take().context("its input")?.write_all(keys.as_bytes())?;
    let ended = tool.wait_with_output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\r', "");
    Ok(Run { stdout: text(&ended.stdout), stderr: text(&ended.stderr), status: ended.status.code() })
}

/// What stands between the prompt at which this was typed and the next one, or the end.
fn answer<'a>(run: &'a Run, line: &str) -> &'a str {
    let typed = format!("stop> {line}\n");
    let after = run.stdout.split_once(&typed).map_or("", |(_, after)| after);
    after.split("stop> ").next().unwrap_or_default()
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_stopped_thread_waits_for_what_is_typed() -> Result<()> {
    let keys = "shwo\nshow\nregisters\nfail KERN_NONSENSE\n\ngo\n";
    let run = typed(&["rpctrace2", "--stop-at", "device_write_inband", "hello"], keys)?;
    let text = &run.stdout;
    assert_eq!(run.status, Some(0), "{text}{}", run.stderr);
    let asked = text.lines().find(|line| line.ends_with(" <stopped>")).unwrap_or_default();
    let (asked, _) = asked.split_once(" <stopped>").unwrap_or_default();
    let is_it = asked.starts_with("hello[1] device_write_inband(") && asked.contains("data: \"hello, world\\n\"");
    assert!(is_it && text.contains(" <stopped>\nstop> "), "{text}");
    let said = "expected show, registers, go, fail CODE, quit or help, found `shwo`; did you mean `show`?\n";
    assert_eq!(answer(&run, "shwo"), said, "{text}");
    let shown = answer(&run, "show");
    assert!(
        shown.contains("hello[1] device_write_inband(") && shown.contains(" | ") && shown.contains("hello, wo"),
        "{text}"
    );
    let registers = answer(&run, "registers");
    assert!(registers.contains("  rip    0x0000") && registers.contains("  rsp    0x0000"), "{text}");
    assert_eq!(registers.split_ascii_whitespace().filter(|word| word.starts_with("0x")).count(), 18, "{text}");
    assert!(answer(&run, "fail KERN_NONSENSE").starts_with("`fail KERN_NONSENSE`: expected a name, "), "{text}");
    // What it was asked about is sent only then, and stands in the trace.
    assert!(answer(&run, "go").starts_with("hello, world\n"), "{text}");
    assert!(run.stderr.contains(asked), "{}", run.stderr);
    assert!(run.stderr.ends_with("+++ hello[1] exited with 0 +++\n"), "{}", run.stderr);
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_stopped_message_fails_as_is_typed() -> Result<()> {
    let run = typed(
        &["rpctrace2", "--stop-at", "device_write_inband", "hello"],
        "fail MACH_SEND_INVALID_DEST\nfail MACH_SEND_INVALID_DEST\n",
    )?;
    assert!(run.stderr.contains(" = MACH_SEND_INVALID_DEST (INJECTED)\n"), "{}", run.stderr);
    assert!(!run.stdout.contains("\nhello, world\n"), "{}", run.stdout);

    let run = typed(&["rpctrace2", "--stop-at", "boot_console", "hello"], "fail KERN_NO_ACCESS\n")?;
    let line = "hello[1] boot_console(bootstrap: bootstrap) = KERN_NO_ACCESS (INJECTED)\n";
    assert!(run.stderr.contains(line), "{}", run.stderr);
    assert_eq!(run.status, Some(0));

    let run = typed(&["rpctrace2", "--stop-at", "boot_exit", "hello"], "fail KERN_NO_ACCESS\ngo\n")?;
    let said = "`fail`: this routine has no reply; a MACH_SEND_ code can be had\n";
    assert_eq!(answer(&run, "fail KERN_NO_ACCESS"), said, "{}", run.stdout);
    assert_eq!(run.status, Some(0));
    Ok(())
}

/// Without anybody to answer everything goes on, which one line says.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn at_the_end_of_the_input_everything_goes_on() -> Result<()> {
    for keys in ["", "show\n"] {
        let run = typed(&["rpctrace2", "--stop-at", "device_write_inband,boot_exit", "hello"], keys)?;
        assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains("hello, world\n"), "{}", run.stdout);
        let said = "rpctrace2: the input has ended: no thread stops any more, and everything goes on\n";
        assert_eq!(run.stderr.matches(said).count(), 1, "{}", run.stderr);
        assert!(run.stderr.ends_with("+++ hello[1] exited with 0 +++\n"), "{}", run.stderr);
    }
    Ok(())
}

/// The trace ends, and the program goes on to its end, whose status is told.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn who_quits_lets_the_program_go_on() -> Result<()> {
    let run = typed(&["rpctrace2", "--stop-at", "device_write_inband", "hello"], "quit\n")?;
    assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(answer(&run, "quit").contains("hello, world\n"), "{}", run.stdout);
    let said = "--- hello[1] is traced no longer, and goes on: its engine has ended, or has let go of it ---\n";
    assert!(run.stderr.contains(said) && !run.stderr.contains("] boot_exit("), "{}", run.stderr);
    assert!(run.stderr.ends_with("+++ hello[1] exited with 0 +++\n"), "{}", run.stderr);
    Ok(())
}

/// Who is asked can end it all instead.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn ctrl_c_ends_the_trace_while_it_asks() -> Result<()> {
    let mut tool = start(&["rpctrace2", "--stop-at", "device_write_inband", "hello"])?;
    let mut output = BufReader::new(tool.stdout.take().context("its output")?);
    let mut shown = Vec::new();
    while !shown.ends_with(b"stop> ") {
        anyhow::ensure!(output.read_until(b' ', &mut shown)? > 0, "no prompt: {}", String::from_utf8_lossy(&shown));
    }
    // Held open: the end of the input would be an answer.
    let keys = tool.stdin.take();
    let kill = Command::new("kill").args(["-INT", &tool.id().to_string()]).status()?;
    anyhow::ensure!(kill.success(), "no process {}", tool.id());
    output.read_to_end(&mut shown)?;
    let ended = tool.wait_with_output()?;
    drop(keys);
    let trace = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(130), "{trace}");
    assert!(trace.contains("--- interrupted ---\n"), "{trace}");
    Ok(())
}

/// At the terminal of a Hurd, of a command.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_hurds_terminal_is_asked_at() -> Result<()> {
    let words = ["run", "small-hurd", "rpctrace2", "-e", "proc_mark_exit", "--stop-at", "proc_mark_exit", "hurd-hello"];
    let run = typed(&words, "sohw\ngo\n")?;
    let text = &run.stdout;
    assert!(text.contains("] proc_mark_exit(") && text.contains(" <stopped>\nstop> "), "{text}{}", run.stderr);
    assert!(text.contains("found `sohw`; did you mean `show`?\nstop> "), "{text}");
    assert!(text.contains("exited with 3 +++\n"), "{text}");
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn where_nobody_can_be_asked_is_one_clear_line() -> Result<()> {
    for (words, said) in [
        (
            &["--icount", "rpctrace2", "--stop-at", "boot_exit", "hello"][..],
            "option `--stop-at`: nothing can be typed with --icount",
        ),
        (&["rpctrace2", "--stop-at", "boot_exti", "hello"], "is called `boot_exti`; did you mean `boot_exit`?"),
        (
            &["rpctrace2", "--stop-at", "!boot_exit", "hello"],
            "option `--stop-at`: `!boot_exit` names no message; expected routines",
        ),
        (&["--stock", "rpctrace2", "--stop-at", "boot_exit", "hello"], "rpctrace2: this kernel has no engines, which "),
    ] {
        let run = qemu(words)?;
        assert!(run.stderr.contains(said) && run.stdout.is_empty(), "{words:?}: {}{}", run.stdout, run.stderr);
        assert_ne!(run.status, Some(0));
    }
    Ok(())
}
