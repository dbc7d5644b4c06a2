// SPDX-License-Identifier: GPL-2.0-or-later
//! The fuzz targets without libFuzzer: over every seed, every prefix and every changed byte of the captured messages, and
//! seeded mutations of all of them.
//!
//! `MIG_DEFS_MUTATIONS` is how many mutations each target gets; without it they get 300, and the bytes of messages only some
//! of the 256 values. `MIG_DEFS_SEEDS` names a directory to which the seeds
//! are written for libFuzzer.
#![cfg(feature = "compiler")]

use std::fs;
use std::path::Path;

#[path = "../fuzz/src/targets.rs"]
#[expect(unreachable_pub, reason = "the file is also a library")]
mod targets;

use targets::seeds;

/// A target: its name, what it starts from, what it does with an input.
type Target = (&'static str, fn() -> Vec<Vec<u8>>, fn(&[u8]));

const TARGETS: [Target; 3] = [
    ("compiler", seeds::compiler, targets::compiler),
    ("table", seeds::table, targets::table),
    ("decoder", seeds::decoder, targets::decoder),
];

/// xorshift64*: the same inputs in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
    }

    /// A few bytes changed, taken out, doubled or cut off.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(5) {
                0 => bytes.truncate(at.max(1)),
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, bytes[at]),
                3 => bytes[at] = b" ;:,()[]{}*^=#0\n"[self.below(16)],
                _ => bytes[at] ^= 1 << self.below(8),
            }
            if bytes.is_empty() {
                bytes.push(0);
            }
        }
    }
}

/// How many mutations are asked for.
fn asked() -> Option<usize> {
    std::env::var("MIG_DEFS_MUTATIONS").ok().map(|count| count.parse().expect("a number"))
}

#[test]
fn every_seed_and_seeded_mutations_of_them() {
    for (name, seeds, target) in TARGETS {
        let seeds = seeds();
        assert!(seeds.len() >= 5, "{name} has {} seeds", seeds.len());
        seeds.iter().for_each(|seed| target(seed));
        let mut random = Random(0x6d69_675f_6465_6673);
        for round in 0..asked().unwrap_or(300) {
            let mut input = seeds[round % seeds.len()].clone();
            random.mutate(&mut input);
            target(&input);
        }
    }
}

#[test]
fn every_prefix_and_every_changed_byte_of_captured_messages() {
    let messages = seeds::decoder();
    // Every bit turned round, the ends, and one more: 11 of 256.
    let all = asked().is_some();
    let few = |byte: u8| (0..8).map(|bit| byte ^ 1 << bit).chain([0, 0xff, byte.wrapping_add(1)]).collect::<Vec<u8>>();
    assert!(messages.len() >= 100, "{} messages", messages.len());
    for message in &messages {
        assert_eq!(message.len(), u32::from_le_bytes(message[4..8].try_into().expect("four bytes")) as usize);
        (0..message.len()).for_each(|length| targets::decoder(&message[..length]));
        let mut changed = message.clone();
        for at in 0..message.len() {
            for value in if all { (0..=255).collect() } else { few(message[at]) } {
                changed[at] = value;
                targets::decoder(&changed);
            }
            changed[at] = message[at];
        }
    }
}

#[test]
#[ignore = "writes the seeds to MIG_DEFS_SEEDS, for `cargo qemu test --all`"]
fn seeds_for_libfuzzer() {
    let Some(directory) = std::env::var_os("MIG_DEFS_SEEDS") else { return };
    for (name, seeds, _) in TARGETS {
        let place = Path::new(&directory).join(name);
        fs::create_dir_all(&place).expect("a directory");
        for (index, seed) in seeds().iter().enumerate() {
            fs::write(place.join(format!("seed-{index:03}")), seed).expect("a seed");
        }
    }
}
