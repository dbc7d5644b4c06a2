//! Mutated inputs: no .defs text makes the compiler panic, no table bytes make the decoder panic or read beyond them.
//!
//! `MIG_DEFS_MUTATIONS` is how many of each kind are tried (2000).
#![cfg(feature = "compiler")]

mod common;

use common::{Builder, compile_text, decode_all, good_files, tables};
use mig_defs::table::Tables;
use mig_defs::value::View;

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

fn count() -> usize {
    std::env::var("MIG_DEFS_MUTATIONS").map_or(2000, |count| count.parse().expect("a number"))
}

fn corpus() -> Vec<String> {
    good_files().iter().map(|path| std::fs::read_to_string(path).expect("a good file")).collect()
}

#[test]
fn mutated_defs_give_diagnostics() {
    let (corpus, mut random) = (corpus(), Random(0x6d69_675f_6465_6673));
    for round in 0..count() {
        let mut bytes = corpus[round % corpus.len()].clone().into_bytes();
        random.mutate(&mut bytes);
        let compilation = compile_text(&String::from_utf8_lossy(&bytes));
        // Rendering reads every span.
        let report = compilation.report();
        assert_eq!(report.is_empty(), compilation.diagnostics.list().is_empty());
    }
}

#[test]
fn mutated_tables_are_refused_or_decode_something() {
    let (corpus, mut random) = (corpus(), Random(0x7461_626c_6573));
    let texts: Vec<&str> = corpus.iter().map(String::as_str).collect();
    let sound = tables(&texts);
    let ids: Vec<u32> = Tables::parse(&sound).expect("sound").routines().map(|routine| routine.request_id()).collect();
    let mut accepted = 0;
    for round in 0..count() {
        let mut bytes = sound.clone();
        random.mutate(&mut bytes);
        let Ok(found) = Tables::parse(&bytes) else { continue };
        accepted += 1;
        let mut message = Builder::new(ids[round % ids.len()], 0x1513, 7, 9)
            .item(0x1_2000_2002, &1_u32.to_le_bytes())
            .item(0x4_2000_2002, &[1; 16])
            .finish();
        random.mutate(&mut message);
        assert!(!decode_all(found, &message, View::Received).is_empty());
    }
    assert!(accepted > 0, "some single changes, as of a letter in a name, leave tables sound");
}
