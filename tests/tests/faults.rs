// SPDX-License-Identifier: GPL-2.0-or-later
//! Fault injection: a traced program runs again and again, each time with another record or message that fails.
//!
//! The payload of these boots is built with its feature `faults`; the program `faults` counts what comes and compares.

use anyhow::Result;
use tests::guest::{all, qemu};

/// Kinds of userland/programs/src/bin/faults.rs.
const ALLOCATION: &str = "1";
const QUEUEING: &str = "2";
const COPY_IN: &str = "3";

/// Runs `program` with the first to the last event of a kind failing, in one boot, until there are no more such events.
fn sweep(kind: &str, last: u32, program: &str) -> Result<()> {
    let last = if all()? { 10_000 } else { last };
    let last_word = last.to_string();
    let line = ["--icount", "--timeout", "1800", "--payload-feature", "faults"];
    let run = qemu(&[&line[..], &["run", "faults", kind, "1", &last_word, program]].concat())?;
    assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
    let runs = run.stdout.lines().filter(|line| line.contains(": Outcome ")).count();
    assert!(runs >= 5, "expected at least 5 runs with a fault, found {runs}:\n{}", run.stdout);
    if kind != COPY_IN {
        check_output(program, &run.stdout, runs)?;
    }
    Ok(())
}

/// Every run printed what the program prints untraced: those with a fault, the one before them without, and the one after
/// them whose fault never came.
fn check_output(program: &str, stdout: &str, runs: usize) -> Result<()> {
    let untraced = qemu(&["--icount", "run", program])?;
    let is_programs =
        |line: &&str| !line.starts_with("faults: ") && !line.contains(": Outcome ") && !line.starts_with("rpctrace2: ");
    let printed: String = stdout.lines().filter(is_programs).flat_map(|line| [line, "\n"]).collect();
    let whole = usize::from(stdout.contains(" comes "));
    assert_eq!(printed, untraced.stdout.repeat(runs + 1 + whole), "output of {program} with faults");
    Ok(())
}

/// rpctrace2 says where in the trace records are missing, and the kernel says it on its console.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_loss_is_a_line_of_the_trace() -> Result<()> {
    // A message that cannot be queued takes the records of a request and its reply with it.
    for (kind, line_of_trace, lost) in
        [(ALLOCATION, "--- 1 record lost ---\n", 1), (QUEUEING, "--- 2 records lost ---\n", 2)]
    {
        let line = ["--icount", "--payload-feature", "faults", "rpctrace2", "faults", "ask", kind, "4"];
        let run = qemu(&line)?;
        assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
        assert_eq!(run.stderr.matches(line_of_trace).count(), 1, "kind {kind}:\n{}", run.stderr);
        let report = format!("rpctrace2: {lost} trace records dropped since boot");
        assert!(run.stdout.contains(&report), "kind {kind}:\n{}", run.stdout);
    }
    Ok(())
}

/// The record of the call in which a task ends itself is lost: nothing of the task follows, and it is told all the same, before the end.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_loss_after_the_last_record_is_told_before_the_end() -> Result<()> {
    for (nth, before) in [("3", "faults[1] task_terminate() = ?\n"), ("4", "")] {
        let line = ["--icount", "--payload-feature", "faults", "rpctrace2", "faults", "end", QUEUEING, nth];
        let run = qemu(&line)?;
        assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
        let end = format!("--- 1 record lost ---\n{before}+++ faults[1] exited with 0 +++\n");
        assert!(run.stderr.ends_with(&end), "expected {end:?} at the end of:\n{}", run.stderr);
    }
    Ok(())
}

macro_rules! sweeps {
    ($($name:ident: $kind:ident, $last:literal, $program:literal;)*) => {$(
        #[test]
        #[ignore = "needs a kernel and QEMU: run cargo qemu test"]
        fn $name() -> Result<()> {
            sweep($kind, $last, $program)
        }
    )*};
}

sweeps! {
    a_record_without_memory_is_counted: ALLOCATION, 40, "ports";
    a_record_that_is_interrupted_is_counted: QUEUEING, 40, "ports";
    a_message_that_cannot_be_copied_in_is_refused: COPY_IN, 40, "ports";
}
