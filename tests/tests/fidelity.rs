//! A traced program cannot tell: pseudo-random `mach_msg` calls have the same results and the same effects traced and untraced.
//!
//! What is excluded, and why, is in docs/differences.md.

use anyhow::{Context, Result};
use tests::guest::{qemu, setting};

/// The program's own lines: a hash of everything seen so far. The kernel's remarks about bad names come in between.
fn hashes(stdout: &str) -> Vec<&str> {
    let is_hash = |line: &&str| {
        line.split_once(' ').is_some_and(|(count, hash)| {
            count.bytes().all(|byte| byte.is_ascii_digit())
                && hash.len() == 16
                && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    stdout.lines().filter(is_hash).collect()
}

/// Makes the same calls untraced and traced and compares the hashes, one for each 1000 calls.
fn compare(seed: u32, count: u32) -> Result<()> {
    let (seed_word, count_word) = (seed.to_string(), count.to_string());
    let program = ["fidelity", &seed_word, &count_word];
    let machine = ["--icount", "--timeout", "3600"];
    let out = tempfile::NamedTempFile::new()?;
    let file = out.path().to_string_lossy().into_owned();
    let untraced = qemu(&[&machine[..], &["run"], &program].concat()).context("untraced")?;
    let traced = qemu(&[&machine[..], &["rpctrace2", "-c", "-o", &file], &program].concat()).context("traced")?;
    let (expected, found) = (hashes(&untraced.stdout), hashes(&traced.stdout));
    assert_eq!(expected.len() as u32, count.div_ceil(1000), "untraced:\n{}{}", untraced.stdout, untraced.stderr);
    if let Some(index) = (0..expected.len()).find(|&index| found.get(index) != Some(&expected[index])) {
        let from = index * 1000 + 1;
        panic!(
            "seed {seed}: the first difference is among the 1000 calls from {from}: expected {}, found {:?}; `cargo qemu \
             --icount run fidelity {seed} {count} {from} {}` and the same with rpctrace2 -c show each call\n{}",
            expected[index],
            found.get(index),
            from + 1000,
            traced.stderr
        );
    }
    assert_eq!(traced.status, untraced.status, "exit status of seed {seed}");
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn pseudo_random_calls_do_the_same_traced_and_untraced() -> Result<()> {
    if setting("RPCTRACE2_ALL")? == "1" {
        return (1..=20).try_for_each(|seed| compare(seed, 100_000));
    }
    (1..=2).try_for_each(|seed| compare(seed, 2_000))
}
