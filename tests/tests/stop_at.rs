// SPDX-License-Identifier: GPL-2.0-or-later
//! `rpctrace2 --stop-at`: a thread waits before it sends a message, and a user at the terminal says what becomes of that.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};
use tests::guest::{Run, Signal, options, qemu, setting, signal};

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
    let mut user = User::of(&["rpctrace2", "--stop-at", "device_write_inband", "hello"])?;
    user.until_asked()?;
    signal(user.tool.id(), Signal::INT)?;
    let (_, trace, status) = user.until_the_end()?;
    assert_eq!(status, Some(130), "{trace}");
    assert!(trace.contains("--- interrupted ---\n"), "{trace}");
    Ok(())
}

/// A user who reads before typing.
struct User {
    tool: Child,
    keys: ChildStdin,
    screen: BufReader<ChildStdout>,
}

impl User {
    fn of(words: &[&str]) -> Result<Self> {
        let mut tool = start(words)?;
        let keys = tool.stdin.take().context("its input")?;
        let screen = BufReader::new(tool.stdout.take().context("its output")?);
        Ok(Self { tool, keys, screen })
    }

    /// What is shown up to the next prompt, without it.
    fn until_asked(&mut self) -> Result<String> {
        let mut shown = Vec::new();
        while !shown.ends_with(b"stop> ") {
            let count = self.screen.read_until(b' ', &mut shown)?;
            anyhow::ensure!(count > 0, "no prompt: {}", String::from_utf8_lossy(&shown));
        }
        Ok(String::from_utf8_lossy(&shown).replace('\r', ""))
    }

    fn types(&mut self, line: &str) -> Result<()> {
        Ok(self.keys.write_all(format!("{line}\n").as_bytes())?)
    }

    /// What is shown up to the end, the trace, and the status.
    fn until_the_end(mut self) -> Result<(String, String, Option<i32>)> {
        let mut shown = String::new();
        self.screen.read_to_string(&mut shown)?;
        let ended = self.tool.wait_with_output()?;
        // Held open until then: the end of the input would be an answer.
        drop(self.keys);
        Ok((shown.replace('\r', ""), String::from_utf8_lossy(&ended.stderr).into_owned(), ended.status.code()))
    }
}

/// The hexadecimal number behind the first of these words in a text.
fn number(text: &str, word: &str) -> Option<u64> {
    let (_, after) = text.split_once(word)?;
    let digits = after.trim_start().strip_prefix("0x")?;
    let digits = digits.split(|letter: char| !letter.is_ascii_hexdigit()).next()?;
    u64::from_str_radix(digits, 16).ok()
}

/// Three threads have stopped with a message of one id, and each has its own registers.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn of_several_threads_the_one_that_is_asked_about_has_its_registers() -> Result<()> {
    const STACK: u64 = 0x2_0000;
    let mut user = User::of(&["rpctrace2", "--stop-at", "6450", "alike"])?;
    let mut stacks = Vec::new();
    for _ in 0..3 {
        let line = user.until_asked()?;
        user.types("registers")?;
        let registers = user.until_asked()?;
        let stack = number(&line, "stack ").with_context(|| line.clone())?;
        let pointer = number(&registers, "rsp ").with_context(|| registers.clone())?;
        assert_eq!(stack / STACK, pointer / STACK, "{line}{registers}");
        stacks.push(stack / STACK);
        user.types("go")?;
    }
    stacks.sort_unstable();
    stacks.dedup();
    let (shown, trace, _) = user.until_the_end()?;
    assert_eq!(stacks.len(), 3, "{stacks:x?}");
    assert!(shown.contains("alike: 3 messages\n") && trace.ends_with("+++ alike[1] exited with 0 +++\n"), "{trace}");
    Ok(())
}

/// Where nothing tells them apart, none is said to be it.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn registers_that_may_be_anothers_are_not_shown() -> Result<()> {
    let mut user = User::of(&["rpctrace2", "--stop-at", "6450", "alike", "same"])?;
    user.until_asked()?;
    // The others come to their message while the first is asked about.
    let said = loop {
        user.types("registers")?;
        let answer = user.until_asked()?;
        if !answer.contains("rip ") {
            break answer;
        }
    };
    let (_, said) = said.split_once("of 4 threads ").with_context(|| said.clone())?;
    let after = " are in such a call: it cannot be said which one has stopped\nstop> ";
    assert!(["2", "3"].iter().any(|count| said.strip_prefix(count) == Some(after)), "{said}");
    for _ in 0..2 {
        user.types("go")?;
        user.until_asked()?;
    }
    user.types("go")?;
    let (_, trace, _) = user.until_the_end()?;
    assert!(trace.ends_with("+++ alike[1] exited with 0 +++\n"), "{trace}");
    Ok(())
}

/// A process that ran before, at whose calls it is asked, and which goes on to its end when that is enough.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_process_that_runs_already_stops_and_is_let_go() -> Result<()> {
    let words = ["run", "small-hurd", "hurd-engines", "stopped"];
    let run = typed(&words, "show\nregisters\ngo\nquit\n")?;
    let text = &run.stdout;
    assert_eq!(run.status, Some(0), "{text}{}", run.stderr);
    let asked: Vec<&str> = text.split("stop> ").filter_map(|part| part.lines().next_back()).collect();
    let is_asked = |line: &&&str| line.starts_with("hurd-engines(12)[1] proc_getpids(") && line.ends_with(" <stopped>");
    assert_eq!(asked.iter().filter(is_asked).count(), 2, "{text}");
    assert!(text.contains(" | message, 32 bytes\n") && text.contains("  rip    0x0000"), "{text}");
    // The rest of its work is not traced.
    let traced = text.lines().filter(|line| line.starts_with("one: hurd-engines(12)[1] proc_getpids(")).count();
    assert!((1..=2).contains(&traced), "{text}");
    // It may come to its end while what was on its way is still being taken.
    let (_, after) = text.split_once("one: --- detached ---\n").with_context(|| text.clone())?;
    assert!(["", "one: +++ hurd-engines(12)[1] ended +++\n"].contains(&after), "{text}");
    Ok(())
}

/// Ctrl-C at the prompt ends the trace also where the command hears of it.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn ctrl_c_at_a_hurds_prompt_ends_the_trace() -> Result<()> {
    let words = ["run", "small-hurd", "--interrupt=stop> ", "rpctrace2", "--stop-at", "proc_mark_exit", "hurd-hello"];
    let mut user = User::of(&words)?;
    user.until_asked()?;
    let (shown, trace, status) = user.until_the_end()?;
    assert_eq!(status, Some(130), "{shown}{trace}");
    assert!(shown.contains("\n--- interrupted ---\n"), "{shown}{trace}");
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
