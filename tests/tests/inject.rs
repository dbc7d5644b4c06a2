// SPDX-License-Identifier: GPL-2.0-or-later
//! `rpctrace2 --inject`: messages that fail, are answered by nobody, or are late, and what the trace says of them.

use anyhow::Result;
use tests::guest::{Run, qemu};

/// Traces a program with this injection.
fn injected(how: &str, program: &str) -> Result<Run> {
    let run = qemu(&["--icount", "rpctrace2", "--inject", how, program])?;
    Ok(Run { stdout: run.stdout.replace('\r', ""), ..run })
}

/// The lines of a trace about a routine, from its name on.
fn calls<'a>(run: &'a Run, routine: &str) -> Vec<&'a str> {
    let from = |line: &'a str| line.find(&format!("] {routine}(")).map(|at| &line[at + 2..]);
    run.stderr.lines().filter_map(from).collect()
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn messages_become_what_is_injected() -> Result<()> {
    let run = injected("boot_console:retval=KERN_NO_ACCESS", "hello")?;
    assert_eq!(calls(&run, "boot_console"), ["boot_console(bootstrap: bootstrap) = KERN_NO_ACCESS (INJECTED)"]);
    // Who has no console writes nothing to it.
    assert!(calls(&run, "device_write_inband").is_empty(), "{}", run.stderr);
    assert_eq!(run.status, Some(0));

    let run = injected("device_write_inband:error=MACH_SEND_INVALID_DEST", "hello")?;
    let failed: Vec<&str> = run.stderr.lines().filter(|line| line.contains("] mach_msg(")).collect();
    assert!(!failed.is_empty(), "{}", run.stderr);
    assert!(failed.iter().all(|line| line.ends_with(" = MACH_SEND_INVALID_DEST (INJECTED)")), "{failed:?}");
    assert!(!run.stdout.contains("hello, world"), "{}", run.stdout);

    let run = injected("task_get_special_port,boot_console:delay_enter=20ms", "hello")?;
    let late: Vec<&str> = run.stderr.lines().filter(|line| line.ends_with(" (DELAYED)")).collect();
    assert_eq!(late.len(), 2, "{}", run.stderr);
    assert!(run.stdout.contains("hello, world"), "{}", run.stdout);
    Ok(())
}

/// The second of a routine's messages, and no other; the program finds that it is so.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn one_of_many_messages_is_injected() -> Result<()> {
    let run = injected("vm_read:retval=KERN_NO_SPACE:when=2", "vm")?;
    let reads = calls(&run, "vm_read");
    let marked: Vec<bool> = reads.iter().map(|line| line.ends_with(" = KERN_NO_SPACE (INJECTED)")).collect();
    assert!(marked.len() >= 2, "{}", run.stderr);
    assert!(marked.iter().enumerate().all(|(index, is_marked)| *is_marked == (index == 1)), "{reads:?}");
    assert!(run.stdout.contains("KERN_NO_SPACE"), "{}", run.stdout);
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn what_cannot_be_injected_is_one_clear_line() -> Result<()> {
    for (options, how, said) in [
        (
            &[][..],
            "boot_exit:retval=0",
            "option `--inject`: boot_exit has no reply, which retval= would make up; error= and delay_enter= can be had",
        ),
        (
            &["--stock"][..],
            "boot_exit:error=MACH_SEND_NO_BUFFER",
            "rpctrace2: this kernel has no engines, which `--as`, `--inject`, `--stop-at`, `--ool`, `--engines`, `-p all` and `owner` need (trace_version: MIG_BAD_ID)",
        ),
    ] {
        let run = qemu(&[options, &["rpctrace2", "--inject", how, "hello"]].concat())?;
        assert!(run.stderr.contains(said) && run.stdout.is_empty(), "{}{}", run.stdout, run.stderr);
        assert_ne!(run.status, Some(0));
    }
    Ok(())
}
