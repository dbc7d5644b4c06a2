// SPDX-License-Identifier: GPL-2.0-or-later
//! How quick records become text on this machine, on one core: `cargo bench -p rpctrace2`.
//!
//! The records are those of a program that asks the kernel and a server, writes, and fails now and then.
//!
//! `cargo bench -p rpctrace2 -- --write FILE GIB` writes a capture of so many GiB instead, for `cargo rpctrace2 show`: each text that is written
//! is another one, so that the file does not shrink to nothing when it is compressed.

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
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
/// Bytes of a capture that are written at once.
const WRITTEN: usize = 1 << 20;
/// Mixtures in a round.
const TIMES: u64 = 4000;

/// What the program writes in the mixture.
const TEXT: &[u8] = b"a line of text that is written\n";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = words.iter().position(|word| word == "--write") {
        let [file, size] = words.get(at + 1..).and_then(|words| words.first_chunk()).expect("--write FILE GIB");
        return write(file, size.parse().expect("a number of GiB"));
    }
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

/// Writes a capture to a file.
fn write(file: &str, size: u64) {
    let mut out = File::create(file).expect("a file that can be made");
    let mut writer = Writer::new(64, &Facts::default(), &common::BYTES);
    let (mut written, mut random, mut count) = (0, 0x9e37_79b9_7f4a_7c15_u64, 0_u64);
    for message in mixture::messages(u64::MAX / 10) {
        let mut message = message.to_vec();
        if let Some(at) = message.windows(TEXT.len()).position(|bytes| bytes == TEXT) {
            for byte in &mut message[at..at + TEXT.len() - 1] {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                *byte = b'a' + (random % 26) as u8;
            }
        }
        writer.message(&message);
        count += 1;
        if writer.bytes().len() > WRITTEN {
            out.write_all(writer.bytes()).expect("room on the disk");
            written += writer.bytes().len() as u64;
            writer.appended();
            if written >= size << 30 {
                break;
            }
        }
    }
    writer.finish();
    out.write_all(writer.bytes()).expect("room on the disk");
    println!("{file}: {count} records");
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
