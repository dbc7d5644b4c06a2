// SPDX-License-Identifier: GPL-2.0-or-later
//! How quick records become text on this machine, on one core: `cargo bench -p rpctrace2`.
//!
//! The records are those of a program that asks the kernel and a server, writes, and fails now and then.

use std::hint::black_box;
use std::time::{Duration, Instant};

use capture::{Entries, Entry, Facts, Reader, Writer};
use rpctrace2::replay::Replay;
use trace_port::Records;

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
    let (file, records) = capture();
    let size = file.len() as f64 / records as f64;
    println!("a capture of {records} records has {size:.1} bytes for each");
    for (what, take) in [
        ("a capture to text", to_text as fn(&[u8], &[&str]) -> usize),
        ("a capture, read", |file, _| read(file)),
        ("a capture, -c", |file, _| to_text(file, &["-c"])),
    ] {
        let times = (0..ROUNDS).map(|_| {
            let start = Instant::now();
            black_box(take(&file, &[]));
            start.elapsed()
        });
        let each = times.min().unwrap_or_default().as_nanos() as f64 / records as f64;
        println!("{what:<22} {:>6.2} million records a second, {each:.0} ns each", 1000.0 / each);
    }
}

/// A capture of the mixtures, and how many records it has.
fn capture() -> (Vec<u8>, usize) {
    let mut writer = Writer::new(64, &Facts::default(), &[]);
    let count = mixture::messages(TIMES).map(|message| writer.message(&message)).count();
    writer.finish();
    (writer.bytes().to_vec(), count)
}

/// Reads a capture and makes text of it; answers how many bytes.
fn to_text(file: &[u8], arguments: &[&str]) -> usize {
    let mut reader = Reader::new(file);
    let (mut replay, mut trace) = (Replay::default(), common::usual_trace(arguments));
    let (mut out, mut size) = (String::new(), 0);
    reader.contents().expect("facts and tables");
    while let Some(block) = reader.next_block().expect("a whole file") {
        replay.block(&block.contents.into(), &mut trace, &mut out).expect("entries");
        size += black_box(&out).len();
        out.clear();
    }
    size
}

/// Reads a capture and takes its records apart; answers how many there are.
fn read(file: &[u8]) -> usize {
    let mut reader = Reader::new(file);
    let mut count = 0;
    reader.contents().expect("facts and tables");
    while let Some(block) = reader.next_block().expect("a whole file") {
        for entry in Entries::new(&block.contents) {
            if let Ok(Entry::Message(message)) = entry {
                count += Records::parse(message).expect("a message of records").filter(Result::is_ok).count();
            }
        }
    }
    count
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
