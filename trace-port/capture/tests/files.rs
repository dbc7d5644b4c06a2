// SPDX-License-Identifier: GPL-2.0-or-later
//! Captures written, read again, cut at every byte and damaged in every byte.
#![cfg(feature = "std")]

use std::io::{self, Cursor, Read};

use capture::format::{self, FULL, HEAD, TRAILER, VERSION};
use capture::{
    CaptureError, Contents, Entries, Entry, Fact, Facts, Found, Memory, Note, ReadError, Reader, Writer, index,
};
use proptest::collection::vec;
use proptest::prelude::*;
use trace_port::record::{HEADER_OFFSET, Part, body_type};
use trace_port::{RecordHeader, Records};
use zerocopy::IntoBytes;

const TABLES: &[u8] = b"tables that are the same again and again and again and again";

/// What came, with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Came {
    Message(Vec<u8>),
    Ended(u32),
    Mark(String),
    /// What was read of memory out of line at an address.
    Memory(u64, Vec<u8>),
    /// Nothing, and the block is written.
    Pause,
}

fn facts() -> Facts {
    Facts::default().with(Fact::Writer, "a test").with(Fact::Kernel, "GNU Mach 1.8 ä")
}

/// A message whose first record is of this time.
fn message(time: u64, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_OFFSET + 80];
    bytes[28..32].copy_from_slice(&5000_u32.to_le_bytes());
    bytes[HEADER_OFFSET + 32..HEADER_OFFSET + 40].copy_from_slice(&time.to_le_bytes());
    bytes.extend(rest);
    bytes
}

fn memory(address: u64, bytes: &[u8]) -> Memory<'_> {
    Memory { sequence: 1, address, size: 1 << 20, found: Found::Read(bytes) }
}

fn written(came: &[Came]) -> Vec<u8> {
    let has_memory = came.iter().any(|came| matches!(came, Came::Memory(..)));
    let new = if has_memory { Writer::with_memory } else { Writer::new };
    let mut writer = new(64, &facts(), TABLES);
    let mut file = Vec::new();
    for came in came {
        match came {
            Came::Message(bytes) => writer.message(bytes),
            Came::Ended(task) => writer.note(Note::Ended(*task)),
            Came::Mark(text) => writer.note(Note::Mark(text)),
            Came::Memory(address, bytes) => writer.note(Note::Memory(memory(*address, bytes))),
            Came::Pause => writer.end_block(),
        }
        file.extend_from_slice(writer.bytes());
        writer.appended();
    }
    writer.finish();
    file.extend_from_slice(writer.bytes());
    file
}

/// All entries of a file, and why there are no more.
fn read(file: impl Read) -> (Vec<Came>, Option<ReadError>) {
    let mut reader = Reader::new(file);
    let mut came = Vec::new();
    let mut read = || {
        let expected = Contents { width: 64, facts: facts(), tables: TABLES.to_vec() };
        assert_eq!(reader.contents()?, expected);
        while let Some(block) = reader.next_block()? {
            for entry in Entries::new(&block.contents) {
                came.push(match entry.expect("a whole block has entries") {
                    Entry::Message(bytes) => Came::Message(bytes.to_vec()),
                    Entry::Note(Note::Ended(task)) => Came::Ended(task),
                    Entry::Note(Note::Mark(text)) => Came::Mark(text.to_owned()),
                    Entry::Note(Note::Memory(Memory { address, found: Found::Read(bytes), .. })) => {
                        Came::Memory(address, bytes.to_vec())
                    }
                    other => panic!("{other:?}"),
                });
            }
        }
        Ok(())
    };
    let result = read();
    (came, result.err())
}

fn some() -> Vec<Came> {
    vec![
        Came::Message(message(5, b"a message")),
        Came::Ended(3),
        Came::Pause,
        Came::Message(message(7, b"another")),
        Came::Mark("a mark".into()),
        Came::Memory(0x1000, b"what was there".to_vec()),
        Came::Pause,
        Came::Message(message(9, &[7; 300])),
    ]
}

fn without_pauses(came: &[Came]) -> Vec<Came> {
    came.iter().filter(|came| **came != Came::Pause).cloned().collect()
}

fn came() -> impl Strategy<Value = Came> {
    prop_oneof![
        (any::<u64>(), vec(any::<u8>(), 0..3000)).prop_map(|(time, rest)| Came::Message(message(time, &rest))),
        vec(any::<u8>(), 0..50).prop_map(Came::Message),
        any::<u32>().prop_map(Came::Ended),
        "\\PC{0,30}".prop_map(Came::Mark),
        (any::<u64>(), vec(any::<u8>(), 0..3000)).prop_map(|(address, bytes)| Came::Memory(address, bytes)),
        Just(Came::Pause),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(came in vec(came(), 0..200)) {
        let (found, error) = read(&written(&came)[..]);
        prop_assert!(error.is_none(), "{error:?}");
        prop_assert_eq!(found, without_pauses(&came));
    }

    #[test]
    fn what_is_none_is_refused(bytes in vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&bytes[..]).1.is_some());
    }
}

/// Where each block begins, and how many entries are before it.
fn blocks(file: &[u8]) -> Vec<(usize, usize)> {
    let mut reader = Reader::new(file);
    reader.contents().unwrap();
    let mut count = 0;
    let mut blocks = Vec::new();
    while let Some(block) = reader.next_block().unwrap() {
        blocks.push((block.offset as usize, count));
        count += Entries::new(&block.contents).count();
    }
    blocks
}

#[test]
fn a_file_that_is_cut_is_read_up_to_there() {
    let whole = written(&some());
    let all = without_pauses(&some());
    let blocks = blocks(&whole);
    assert_eq!(blocks.len(), 3);
    let end = usize::try_from(u64::from_le_bytes(*whole[whole.len() - TRAILER..].first_chunk().unwrap())).unwrap();
    let ends = [blocks[1].0, blocks[2].0, end];
    for cut in 0..whole.len() {
        let (found, error) = read(&whole[..cut]);
        let Some(ReadError::Capture(CaptureError::Cut { block, offset, need, have, .. })) = error else {
            panic!("cut at {cut}: {error:?}")
        };
        assert!(have < need && offset + have == cut as u64, "cut at {cut}: {offset} {need} {have}");
        let whole_blocks = ends.iter().filter(|end| **end <= cut).count();
        let expected = blocks.get(whole_blocks).map_or(all.len(), |block| block.1);
        assert_eq!(found, all[..expected], "cut at {cut}");
        // Two before them have facts and tables.
        let expected = if cut < blocks[0].0 { 0..2 } else { 2 + whole_blocks..2 + whole_blocks + 1 };
        assert!(expected.contains(&(block as usize)) || whole_blocks == 3, "cut at {cut}: {block}");
    }
}

#[test]
fn a_byte_that_is_changed_is_found() {
    let whole = written(&some());
    let all = without_pauses(&some());
    for at in 0..whole.len() {
        for change in [1, 0x80, 0xff] {
            let mut file = whole.clone();
            file[at] ^= change;
            let (found, error) = read(&file[..]);
            assert!(error.is_some(), "byte {at}, {change:#x}");
            assert!(all.starts_with(&found), "byte {at}: {found:?}");
            if (8..10).contains(&at) {
                let text = error.unwrap().to_string();
                assert!(text.starts_with("damaged in block 0 at offset 12: expected CRC-32"), "{text}");
            }
        }
    }
}

/// Whoever reads version 1 alone can read what has no contents of memory.
#[test]
fn only_a_file_with_contents_of_memory_is_of_the_version_that_has_them() {
    let version = |came: &[Came]| u16::from_le_bytes(written(came)[8..10].try_into().unwrap());
    assert_eq!((version(&[Came::Ended(1)]), version(&some())), (1, 2));
}

#[test]
fn a_file_of_a_later_version_is_refused_in_one_line() {
    let mut file = written(&some());
    file[8..10].copy_from_slice(&(VERSION + 1).to_le_bytes());
    let sum = crc32fast::hash(&file[..12]);
    file[12..16].copy_from_slice(&sum.to_le_bytes());
    let text = read(&file[..]).1.unwrap().to_string();
    assert_eq!(text, "a capture of version 3; this rpctrace2 reads versions 1 to 2");
    // There is no such one.
    file[8..10].copy_from_slice(&[0; 2]);
    let sum = crc32fast::hash(&file[..12]);
    file[12..16].copy_from_slice(&sum.to_le_bytes());
    let text = read(&file[..]).1.unwrap().to_string();
    assert_eq!(text, "damaged in block 0 at offset 8: expected version 1 or 2, found 0");
    let text = read(&b"\x7fELF, and more of it"[..]).1.unwrap().to_string();
    assert_eq!(text, "no capture: it begins with [7f, 45, 4c, 46, 2c, 20, 61, 6e]");
    let text = read(&b"text"[..]).1.unwrap().to_string();
    assert_eq!(text, "no capture: it begins with [74, 65, 78, 74, 00, 00, 00, 00]");
    assert_eq!(
        read(&b""[..]).1.unwrap().to_string(),
        "cut in block 0 at offset 0: expected 16 bytes of the file's head, found 0"
    );
}

/// A head that is sound but for a number that is too large costs no memory.
#[test]
fn sizes_have_limits() {
    let whole = written(&some());
    for (at, limit) in [(8, "stored contents of 16777216 at most"), (12, "contents of 1048576 at most")] {
        let mut file = whole.clone();
        file[HEAD + at..HEAD + at + 4].copy_from_slice(&0x7fff_ffff_u32.to_le_bytes());
        let sum = crc32fast::hash(&file[HEAD..HEAD + 44]);
        file[HEAD + 44..HEAD + 48].copy_from_slice(&sum.to_le_bytes());
        let text = read(&file[..]).1.unwrap().to_string();
        let expected = format!("damaged in block 0 at offset {}: expected {limit}, found 2147483647", HEAD + at);
        assert_eq!(text, expected);
    }
}

/// Gives a byte more each time its end has been seen, as a file does that somebody writes.
struct Growing<'a> {
    rest: &'a [u8],
    there: usize,
}

impl Read for Growing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.there.min(buffer.len()).min(self.rest.len());
        buffer[..count].copy_from_slice(&self.rest[..count]);
        (self.rest, self.there) = (&self.rest[count..], self.there - count);
        Ok(count)
    }
}

#[test]
fn a_file_that_grows_is_followed() {
    let whole = written(&some());
    let mut reader = Reader::new(Growing { rest: &whole, there: 0 });
    let mut count = 0;
    let mut cuts = 0;
    let contents = loop {
        match reader.contents() {
            Ok(contents) => break contents,
            Err(error) => {
                assert!(error.is_cut(), "{error}");
                cuts += 1;
                reader.file_mut().there += 1;
            }
        }
    };
    assert_eq!(contents, Contents { width: 64, facts: facts(), tables: TABLES.to_vec() });
    loop {
        match reader.next_block() {
            Ok(Some(block)) => count += Entries::new(&block.contents).count(),
            Ok(None) => break,
            Err(error) => {
                assert!(error.is_cut(), "{error}");
                cuts += 1;
                reader.file_mut().there += 1;
            }
        }
    }
    assert_eq!(count, 6);
    // Its end was seen before each of its bytes.
    assert_eq!((cuts, reader.offset()), (whole.len(), whole.len() as u64));
}

#[test]
fn the_index_of_a_file_that_is_cut_is_made_again() {
    let whole = written(&some());
    let (at_end, is_there) = index(&mut Cursor::new(&whole)).unwrap();
    assert!(is_there);
    assert_eq!((at_end.messages, at_end.first, at_end.last, at_end.blocks), (3, 5, 9, 5));
    let places: Vec<(usize, u64, u64)> =
        at_end.places.iter().map(|place| (place.offset as usize, place.messages, place.time)).collect();
    let blocks = blocks(&whole);
    assert_eq!(places, [(blocks[0].0, 0, 5), (blocks[1].0, 1, 7), (blocks[2].0, 2, 9)]);
    let (made, is_there) = index(&mut Cursor::new(&whole[..whole.len() - TRAILER])).unwrap();
    assert!(!is_there);
    assert_eq!(made, at_end);
    let (made, _) = index(&mut Cursor::new(&whole[..blocks[2].0 + 50])).unwrap();
    assert_eq!((made.messages, made.places.len()), (2, 2));
    for cut in 0..whole.len() {
        assert!(!index(&mut Cursor::new(&whole[..cut])).unwrap().1, "cut at {cut}");
    }
}

#[test]
fn blocks_are_written_when_they_are_full_or_old() {
    let mut writer = Writer::new(64, &facts(), TABLES);
    writer.appended();
    writer.message(&message(1000, &[0; 1000]));
    assert!(writer.bytes().is_empty() && writer.is_waiting());
    writer.message(&message(1000 + format::AGE, b""));
    assert!(!writer.bytes().is_empty() && !writer.is_waiting(), "old");
    writer.appended();
    let mut count = 0;
    while writer.bytes().is_empty() {
        writer.message(&message(1, &[0; 1000]));
        count += 1;
    }
    let entry = 8 + message(1, &[0; 1000]).len().next_multiple_of(8);
    assert_eq!(count, FULL.div_ceil(entry), "full");
}

/// A record of a ring, whose first word may be any, is kept as the message that a tracer would have received.
#[test]
fn a_record_of_a_ring_is_kept_as_a_message() {
    let header = RecordHeader {
        version: trace_port::record::VERSION.into(),
        time: 77.into(),
        captured_size: 5.into(),
        message_size: 5.into(),
        ..RecordHeader::default()
    };
    let part = Part { header_type: u64::MAX.into(), header, body_type: body_type(5).into() };
    let part = [part.as_bytes(), b"bytes\0\0\0"].concat();
    let mut writer = Writer::new(64, &facts(), TABLES);
    writer.record(&part);
    // What is no record is none, and no reason to panic.
    writer.record(b"less");
    writer.finish();
    let (came, error) = read(writer.bytes());
    assert!(error.is_none(), "{error:?}");
    let [Came::Message(message)] = &came[..] else { panic!("{came:?}") };
    let records: Vec<_> = Records::parse(message).expect("a message").collect();
    let [Ok(record)] = records[..] else { panic!("{records:?}") };
    assert_eq!((record.task, record.message, *record.header), (0, &b"bytes"[..], header));
}
