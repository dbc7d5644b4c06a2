// SPDX-License-Identifier: GPL-2.0-or-later
//! How quick records become text on this machine, on one core: `cargo bench -p rpctrace2`.
//!
//! The records are those of a program that asks the kernel and a server, writes, and fails now and then.

use std::hint::black_box;
use std::time::{Duration, Instant};

#[path = "../tests/stages/common.rs"]
#[expect(dead_code, unused_imports, reason = "only what makes records is used")]
mod common;
#[path = "../tests/stages/mixture.rs"]
mod mixture;

/// Rounds, of which the quickest counts: whatever else the machine does slows down some of them.
const ROUNDS: usize = 15;
/// Mixtures in a round.
const TIMES: u64 = 4000;

fn main() {
    for (what, arguments) in [
        ("records to text", &[][..]),
        ("-c", &["-c"]),
        ("-e, nothing matches", &["-e", "none"]),
        ("-e, one routine", &["-e", "vm_protect"]),
    ] {
        let (time, records) = quickest(arguments);
        let each = time.as_nanos() as f64 / records as f64;
        println!("{what:<22} {:>6.2} million records a second, {each:.0} ns each", 1000.0 / each);
    }
}

fn quickest(arguments: &[&str]) -> (Duration, usize) {
    let mut quickest = Duration::MAX;
    let mut records = 0;
    for _ in 0..ROUNDS {
        let messages: Vec<_> = mixture::messages(TIMES).collect();
        let mut trace = common::usual_trace(arguments);
        let mut out = String::new();
        let start = Instant::now();
        for message in &messages {
            trace.message(message, &mut out);
            if out.len() > 4096 {
                black_box(&out);
                out.clear();
            }
        }
        quickest = quickest.min(start.elapsed());
        records = messages.len();
    }
    (quickest, records)
}
