// SPDX-License-Identifier: GPL-2.0-or-later
//! The time of records, while the kernel's clock is set to and fro: it never goes back, and follows as kernel-ipc/src/clock.rs says.

use anyhow::Result;
use tests::guest::{all, qemu};

/// Runs the program `clock`.
fn clock(options: &[&str], records: &str) -> Result<()> {
    let run = qemu(&[options, &["run", "clock", "${host-port}", records]].concat())?;
    assert_eq!(run.status, Some(0), "{options:?}: {}{}", run.stdout, run.stderr);
    let last = "clock: no record's time is before the one of the record before\n";
    assert!(run.stdout.contains(last), "{options:?}: {}", run.stdout);
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn time_never_goes_back_in_a_trace_and_follows_a_clock_that_is_set() -> Result<()> {
    if !all()? {
        return clock(&[], "50000");
    }
    clock(&["--timeout", "900"], "1000000")?;
    ["1", "2", "4", "6"].iter().try_for_each(|processors| {
        let machine = ["--timeout", "900", "--suite", "sid", "--flavour", "smp", "--smp", processors];
        clock(&machine, "1000000")
    })
}
