// SPDX-License-Identifier: GPL-2.0-or-later
//! What the fuzz target does with its input; trace-port/capture/tests/fuzz.rs runs the same without libFuzzer.

use std::io::Cursor;

use capture::format::{BLOCK, BLOCK_HEAD, HEAD, MAGIC, MAX_FACTS, VERSION};
use capture::{Entries, Fact, Facts, Found, Memory, Note, Reader, Writer, index};

/// Input: a file. It is read as it is, and once more with its checksums made right, so that what is behind them is reached.
pub fn read(data: &[u8]) {
    whole(data);
    let mut mended = data.to_vec();
    mend(&mut mended);
    whole(&mended);
}

/// Reads all there is of a file, in both ways.
fn whole(file: &[u8]) {
    let _ = index(&mut Cursor::new(file));
    let mut reader = Reader::new(file);
    let Ok(contents) = reader.contents() else { return };
    let size = |fact: &Fact| contents.facts.get(*fact).map_or(0, str::len);
    assert!(Fact::ALL.iter().map(size).sum::<usize>() <= MAX_FACTS);
    while let Ok(Some(block)) = reader.next_block() {
        let count = Entries::new(&block.contents).filter(Result::is_ok).count();
        assert!(count <= block.contents.len() / 8 && block.contents.len() == block.head.contents as usize);
    }
    assert!(reader.offset() <= file.len() as u64);
}

/// Makes what is constant, and each checksum, right, as far as blocks can be told.
fn mend(file: &mut [u8]) {
    let Some(head) = file.get_mut(..HEAD) else { return };
    head[..8].copy_from_slice(&MAGIC);
    head[8..10].copy_from_slice(&VERSION.to_le_bytes());
    head[10] = 64;
    let sum = crc32fast::hash(&head[..12]);
    head[12..].copy_from_slice(&sum.to_le_bytes());
    let (mut at, mut number) = (HEAD, 0_u32);
    while let Some(block) = file.get_mut(at..).filter(|rest| rest.len() >= BLOCK_HEAD) {
        let (head, contents) = block.split_at_mut(BLOCK_HEAD);
        let stored = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
        let stored = contents.get(..stored).unwrap_or(contents);
        head[..4].copy_from_slice(&BLOCK.to_le_bytes());
        head[8..12].copy_from_slice(&(stored.len() as u32).to_le_bytes());
        head[36..40].copy_from_slice(&number.to_le_bytes());
        head[40..44].copy_from_slice(&crc32fast::hash(stored).to_le_bytes());
        let sum = crc32fast::hash(&head[..44]);
        head[44..].copy_from_slice(&sum.to_le_bytes());
        at += BLOCK_HEAD + stored.len();
        number += 1;
    }
}

/// What fuzzing starts from: small files of all kinds of blocks.
pub fn seeds() -> Vec<Vec<u8>> {
    let facts = Facts::default().with(Fact::Writer, "a fuzzer").with(Fact::Command, "a\0b");
    let file = |messages: u8, is_finished: bool| {
        let mut writer = Writer::with_memory(64, &facts, b"tables");
        for count in 0..messages {
            writer.message(&vec![count; 40 * usize::from(count)]);
            writer.note(Note::Mark("a mark"));
            writer.note(Note::Called(count.into(), "a name"));
            let found = if count % 2 == 0 { Found::Read(b"contents") } else { Found::Refused(1) };
            writer.note(Note::Memory(Memory { sequence: 1, address: 4096, size: 4096, found }));
            if count % 3 == 0 {
                writer.end_block();
            }
        }
        if is_finished {
            writer.note(Note::Finished);
            writer.finish();
        }
        writer.bytes().to_vec()
    };
    vec![file(0, false), file(0, true), file(1, true), file(7, true), file(20, false), file(20, true)]
}
