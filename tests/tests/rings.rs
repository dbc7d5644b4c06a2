// SPDX-License-Identifier: GPL-2.0-or-later
//! Rings of tracers: what becomes of them, and of who is traced, where tracers die, scribble, stand still, sleep, are too many, or hand their trace port
//! on.

use anyhow::Result;
use tests::guest::qemu;

/// Runs a scene of the program ring, which prints these lines, and no other. The kernel may say between them that records were dropped, whose tracer
/// has ended.
fn shows(scene: &str, lines: &[&str]) -> Result<()> {
    let run = qemu(&["--timeout", "900", "run", "ring", scene, "${host-port}"])?;
    let said: Vec<&str> = run.stdout.lines().filter_map(|line| line.trim_end().strip_prefix("ring: ")).collect();
    assert_eq!((&*said, run.status), (lines, Some(0)), "{scene}: {}{}", run.stdout, run.stderr);
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_tracer_may_end_at_any_instant() -> Result<()> {
    shows(
        "kill",
        &[
            "100 tracers end, and what is made once is there",
            "1000 tracers end, and who was traced goes on",
            "no cache of the kernel has grown by more than 100 objects",
            "there are as many rings as before",
        ],
    )
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn who_gets_no_ring_gets_messages() -> Result<()> {
    shows(
        "bounds",
        &[
            "who gets no ring gets messages",
            "where one has ended, another one gets its ring",
            "after they have ended, all rings may be had again",
            "a tracer of many ports gets a few rings, and gives them back",
            "nobody gets the ring of a port that another one receives from",
        ],
    )
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn what_a_tracer_writes_hurts_itself_alone() -> Result<()> {
    shows(
        "scribble",
        &[
            "a tracer scribbles into its page, and who is traced goes on",
            "a store to the kernel's pages is the exception of who stores",
        ],
    )
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_ring_that_is_full_loses_nothing() -> Result<()> {
    shows(
        "full",
        &["a ring that nobody reads fills, and then who is traced waits", "when it is read, everything is there once"],
    )
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn who_sleeps_is_woken_once() -> Result<()> {
    shows(
        "sleep",
        &[
            "who sleeps is woken once",
            "also who receives from a port set",
            "who sleeps until much is there is not woken by less",
        ],
    )
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_ring_does_not_move_with_its_port() -> Result<()> {
    shows(
        "moved",
        &["where another one receives from the trace port, records go there in messages", "it gets a ring of its own"],
    )
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn what_a_header_alone_was_received_with_is_told() -> Result<()> {
    shows(
        "headers",
        &[
            "what a header alone was received with is what the call returned",
            "also where another thread has changed the registers of who sleeps",
        ],
    )
}
