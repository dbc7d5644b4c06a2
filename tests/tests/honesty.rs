// SPDX-License-Identifier: GPL-2.0-or-later
//! What a traced program, and one with every privilege, cannot do to a trace; and what the trace says of those who try.

use anyhow::{Context, Result};
use tests::guest::{Run, qemu};

/// Runs the program `forger` traced; the last line of its own output must be that it did what it was told.
fn forge(word: &str) -> Result<(Run, String)> {
    let out = tempfile::NamedTempFile::new()?;
    let file = out.path().to_string_lossy().into_owned();
    let run =
        qemu(&["rpctrace2", "-X", "raw", "-o", &file, "forger", "${host-port}", word]).context(word.to_owned())?;
    assert_eq!(run.status, Some(0), "{word}: {}{}", run.stdout, run.stderr);
    let trace = std::fs::read_to_string(out.path())?;
    // The trace goes on to the program's end.
    let done = format!("data: \"forger: {word}: done\\n\") = KERN_SUCCESS");
    for expected in [done.as_str(), "task_terminate(target_task: self)", "+++ forger[1] exited with 0 +++\n"] {
        assert!(trace.contains(expected), "{word}: expected {expected:?} in:\n{trace}");
    }
    Ok((run, trace))
}

/// The lines that rpctrace2 says itself.
fn remarks(trace: &str) -> Vec<&str> {
    trace.lines().filter(|line| line.starts_with("--- ")).collect()
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_traced_program_can_neither_read_nor_end_nor_replace_its_trace() -> Result<()> {
    for word in ["end", "replace", "silently"] {
        let (run, trace) = forge(word)?;
        assert!(run.stdout.contains("forger: its trace port: refused\n"), "{word}: {}", run.stdout);
        assert!(!run.stdout.contains("forger: setting it: done\n"), "{word}: {}", run.stdout);
        assert!(!trace.contains("traced no longer"), "{word}: {trace}");
    }
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn what_the_kernel_did_not_send_is_a_remark_and_the_trace_goes_on() -> Result<()> {
    const FROM: &str = "--- at the trace port, not from the kernel: msgh_id";
    let unknown = format!("{FROM} 4711, ");
    let malformed = format!("{FROM} 5000, ");
    let notification = format!("{FROM} 70, 48 bytes: a notification that was not asked for here ---");
    let version = "--- at the trace port: msgh_id 5000, 144 bytes: trace record has version 9, ";
    let total = "--- at the trace port ";
    for (word, expected) in [
        ("id", &[unknown.as_str()][..]),
        ("malformed", &[&malformed]),
        ("version", &[version]),
        ("notifications", &[&notification, total]),
        ("large", &[&unknown]),
        ("rights", &[&unknown]),
        ("names", &[&malformed, &unknown, total]),
        ("flood", &[&unknown, total]),
    ] {
        let (run, trace) = forge(word)?;
        let found = remarks(&trace);
        let matches = found.iter().zip(expected).all(|(line, start)| line.starts_with(start));
        assert!(matches && found.len() == expected.len(), "{word}: expected {expected:?}, found {found:?}");
        let given_back = run.stdout.contains("forger: what it brought was given back\n");
        assert_eq!(given_back, word == "rights", "{word}: {}", run.stdout);
    }
    Ok(())
}
