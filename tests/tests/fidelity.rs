// SPDX-License-Identifier: GPL-2.0-or-later
//! A traced program cannot tell: pseudo-random `mach_msg` calls have the same results and the same effects traced and untraced.
//!
//! What is excluded, and why, is in docs/differences.md.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;

use anyhow::{Context, Result, ensure};
use tests::guest::{Run, all, qemu};

/// Machines that run at once in the long test.
const MACHINES: usize = 2;

/// The program's own lines: hashes of everything seen so far. The kernel's remarks about bad names come in between.
fn hashes(stdout: &str) -> Vec<&str> {
    let is_hash = |line: &&str| {
        let mut words = line.split(' ');
        let (count, hash) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        !count.is_empty()
            && count.bytes().all(|byte| byte.is_ascii_digit())
            && hash.len() == 16
            && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    stdout.lines().filter(is_hash).collect()
}

/// How many records the tracer says that it received, and how many of them by a ring.
fn records(stdout: &str) -> Option<(u32, u32)> {
    let (records, rest) = stdout.lines().last()?.strip_prefix("drain: ")?.split_once(" records, ")?;
    let in_ring = rest.split_once(" lost, ")?.1.strip_suffix(" in a ring")?;
    Some((records.parse().ok()?, in_ring.parse().ok()?))
}

/// The program untraced.
const PLAIN: [&str; 2] = ["run", "fidelity"];
/// How it is traced: its records come in messages, or by a ring.
const WAYS: [&[&str]; 2] = [&["run", "drain", "fidelity"], &["run", "drain", "-ring", "fidelity"]];

/// Makes calls of the program; of a window of them it prints a log.
fn boot(program: &[&str], seed: u32, count: u32, window: &[&str]) -> Result<Run> {
    let machine = ["--icount", "--timeout", "1800"];
    qemu(&[&machine[..], program, &[&seed.to_string(), &count.to_string()], window].concat())
}

/// All hashes of a run.
fn whole(run: &Run, what: &str, seed: u32, count: u32) -> Result<Vec<String>> {
    let hashes: Vec<String> = hashes(&run.stdout).into_iter().map(str::to_owned).collect();
    let is_whole = hashes.len() as u32 == count.div_ceil(1000);
    ensure!(is_whole, "seed {seed}, {what}: status {:?}\n{}{}", run.status, run.stdout, run.stderr);
    Ok(hashes)
}

/// Makes the same calls untraced and traced in both ways and compares the hashes, one for each 1000 calls. Only if they differ is there
/// a log of each call, of the thousand in which they begin to.
fn compare(seed: u32, count: u32) -> Result<()> {
    let untraced = boot(&PLAIN, seed, count, &[]).context("untraced")?;
    let expected = whole(&untraced, "untraced", seed, count)?;
    WAYS.iter().try_for_each(|way| compare_with(way, (&untraced, &expected), seed, count))
}

fn compare_with(traced: &[&str], (untraced, expected): (&Run, &[String]), seed: u32, count: u32) -> Result<()> {
    let found_run = boot(traced, seed, count, &[]).context("traced")?;
    let found = whole(&found_run, "traced", seed, count)?;
    if let Some(index) = (0..expected.len()).find(|&index| found.get(index) != Some(&expected[index])) {
        let (from, to) = ((index * 1000 + 1).to_string(), (index * 1000 + 1001).to_string());
        let window = [from.as_str(), &to];
        let (expected_run, found_run) = (boot(&PLAIN, seed, count, &window)?, boot(traced, seed, count, &window)?);
        let calls = |run: &Run| -> Vec<String> {
            run.stdout.lines().filter(|line| line.contains(" option 0x")).map(str::to_owned).collect()
        };
        let hashes = [expected[index].as_str(), found.get(index).map_or("none", String::as_str)];
        let (expected, found) = (calls(&expected_run), calls(&found_run));
        let first = (0..expected.len()).find(|&call| found.get(call) != expected.get(call)).unwrap_or(expected.len());
        ensure!(
            false,
            "seed {seed}: the first difference is among the calls from {from}:\n  untraced {}\n  traced   {}\nand looked at again it is:\n  \
             untraced {:?}\n  traced   {:?}\n{}",
            hashes[0],
            hashes[1],
            expected.get(first),
            found.get(first),
            found_run.stderr
        );
    }
    ensure!(found_run.status == untraced.status, "seed {seed}: exit status {:?}", found_run.status);
    let (records, in_ring) = records(&found_run.stdout).context("the tracer's line")?;
    ensure!(records > count, "seed {seed}: {records} records of {count} calls");
    let is_by_way = if traced.contains(&"-ring") { in_ring > count / 2 } else { in_ring == 0 };
    ensure!(is_by_way, "seed {seed}, {traced:?}: {in_ring} of {records} records in a ring");
    Ok(())
}

/// Compares the seeds from 1 to `last`, several at once.
fn compare_all(last: u32, count: u32) -> Result<()> {
    let next = AtomicU32::new(1);
    let work = || -> Result<()> {
        loop {
            let seed = next.fetch_add(1, Relaxed);
            if seed > last {
                return Ok(());
            }
            compare(seed, count)?;
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..MACHINES).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker that does not panic"))
    })
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn pseudo_random_calls_do_the_same_traced_and_untraced() -> Result<()> {
    if all()? { compare_all(20, 100_000) } else { compare_all(2, 2_000) }
}

/// Only traced: see docs/differences.md.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_message_that_the_stock_kernel_would_copy_over_its_heap_is_refused() -> Result<()> {
    let run = qemu(&["--icount", "run", "drain", "fidelity", "huge"])?;
    for (size, option, expected) in [
        ("0x80000000", "0x1", "0x1000000d"),
        ("0xfffffff8", "0x11", "0x1000000d"),
        ("0x80000020", "0x3", "0x1000000d"),
        ("0x80000024", "0x3", "0x10000008"),
        ("0x80000022", "0x3", "0x10000008"),
    ] {
        let line = format!("fidelity: {size} bytes, option {option}: {expected}\n");
        ensure!(run.stdout.contains(&line), "expected {line:?} in:\n{}{}", run.stdout, run.stderr);
    }
    Ok(())
}
