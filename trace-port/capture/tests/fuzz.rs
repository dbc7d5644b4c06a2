// SPDX-License-Identifier: GPL-2.0-or-later
//! The fuzz target without libFuzzer: over every seed, every prefix and every changed byte of the smallest, and seeded mutations of all.
//!
//! `CAPTURE_MUTATIONS` is how many mutations there are; `CAPTURE_SEEDS` names a directory to which the seeds are written for libFuzzer.
#![cfg(feature = "std")]

use std::fs;
use std::path::Path;

#[path = "../fuzz/src/target.rs"]
#[expect(unreachable_pub, reason = "the file is also a library")]
mod target;

use target::{read, seeds};

/// Those that are made, those that are kept, and captures of all versions.
fn all() -> Vec<Vec<u8>> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["fuzz/corpus", "../../tests/captures"].into_iter().flat_map(|place| {
        let mut files: Vec<_> =
            fs::read_dir(package.join(place)).expect("seeds").map(|file| file.expect("a file").path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "mtrc"));
        files.sort();
        files
    });
    seeds().into_iter().chain(files.map(|file| fs::read(file).expect("a seed"))).collect()
}

#[test]
fn seeded_mutations_of_every_seed() {
    let seeds = all();
    assert!(seeds.len() >= 7, "{} seeds", seeds.len());
    let count: usize = std::env::var("CAPTURE_MUTATIONS").map_or(2000, |count| count.parse().expect("a number"));
    // xorshift64*: the same inputs in every run.
    let mut state = 0x6361_7074_7572_6500_u64;
    let mut below = |limit: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
    };
    for round in 0..count {
        let mut input = seeds[round % seeds.len()].clone();
        for _ in 0..=below(4) {
            let at = below(input.len());
            match below(5) {
                0 => input.truncate(at),
                1 => input[at] = 0xff,
                2 => input.insert(at, input[at]),
                _ => input[at] ^= 1 << below(8),
            }
            if input.is_empty() {
                input.push(0);
            }
        }
        read(&input);
    }
}

#[test]
fn every_prefix_and_every_changed_byte_of_a_small_file() {
    let file = &seeds()[3];
    (0..file.len()).for_each(|length| read(&file[..length]));
    let mut changed = file.clone();
    for at in 0..file.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff, file[at] ^ 1, file[at].wrapping_add(1)] {
            changed[at] = value;
            read(&changed);
        }
        changed[at] = file[at];
    }
}

#[test]
#[ignore = "writes the seeds to CAPTURE_SEEDS, for `cargo qemu test --all`"]
fn seeds_for_libfuzzer() {
    let Some(directory) = std::env::var_os("CAPTURE_SEEDS") else { return };
    fs::create_dir_all(&directory).expect("a directory");
    for (index, seed) in all().iter().enumerate() {
        fs::write(Path::new(&directory).join(format!("seed-{index:03}")), seed).expect("a seed");
    }
}
