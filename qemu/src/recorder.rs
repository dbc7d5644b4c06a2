// SPDX-License-Identifier: GPL-2.0-or-later
//! The machine's recorder, read from outside: from the file that is the machine's memory, while it runs and after its end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use kernel_ipc::ring::{FRAMES_WORD, LARGEST_FRAME, MARKS, MARKS_WORD, Memory, WAIT, WISHES_WORD, wishes};

pub use kernel_ipc::ring::{Item, Reader, RingError};

use crate::error::InstrumentError;

/// A ring in a file that a machine has as its memory. It is read and written by system calls alone: the processor that writes it may be
/// running on another one of the host's.
#[derive(Debug)]
pub struct GuestRing {
    file: File,
    /// Where in the file it begins.
    base: u64,
    /// Words of its frames.
    words: u64,
}

impl GuestRing {
    /// The ring at a physical address, with so many bytes in all.
    pub fn open(memory: &Path, base: u64, bytes: u64) -> io::Result<Self> {
        Ok(Self::over(File::options().read(true).write(true).open(memory)?, base, bytes))
    }

    /// The ring at a physical address in an open file, with so many bytes in all; what is beyond the file's end is not there.
    pub const fn over(file: File, base: u64, bytes: u64) -> Self {
        Self { file, base, words: (bytes / 8).saturating_sub(FRAMES_WORD as u64) }
    }

    /// The ring of an instrumented kernel, by the layout that was written beside it; `None` if it has none.
    pub fn of_layout(memory: &Path, layout: &str) -> Result<Option<Self>, InstrumentError> {
        let Some((base, bytes)) = place(layout).filter(|&(_, bytes)| bytes != 0) else { return Ok(None) };
        let error = |source| InstrumentError::Io { what: "read", path: memory.to_owned(), source };
        Self::open(memory, base, bytes).map(Some).map_err(error)
    }

    /// Bytes that are read of it at once.
    pub const BATCH: usize = if LARGEST_FRAME > 1 << 20 { LARGEST_FRAME } else { 1 << 20 };

    /// A buffer for a reader of it.
    pub fn buffer() -> Vec<u64> {
        vec![0; Self::BATCH.div_ceil(8)]
    }

    /// Says what has been read.
    pub fn set_tail(&self, position: u64) -> io::Result<()> {
        self.set(WISHES_WORD + wishes::TAIL, position)
    }

    /// Asks the kernel to wait until what is full has been read.
    pub fn ask_to_wait(&self) -> io::Result<()> {
        self.set(WISHES_WORD + wishes::WANTS, WAIT)
    }

    fn set(&self, word: usize, value: u64) -> io::Result<()> {
        self.file.write_all_at(&value.to_le_bytes(), self.base + word as u64 * 8)
    }

    fn word(&self, index: usize) -> Option<u64> {
        let read = || {
            let mut bytes = [0; 8];
            self.file.read_exact_at(&mut bytes, self.base + index as u64 * 8).ok()?;
            Some(u64::from_le_bytes(bytes))
        };
        // The copy need not be made in one piece, and the word may change meanwhile: one that is the same twice is whole.
        let mut before = read()?;
        loop {
            let again = read()?;
            if again == before {
                return Some(again);
            }
            before = again;
        }
    }
}

impl Memory for GuestRing {
    fn control(&self, index: usize) -> Option<u64> {
        self.word(index)
    }

    fn marks(&self) -> usize {
        MARKS
    }

    fn mark(&self, index: usize) -> Option<u64> {
        self.word(MARKS_WORD + index)
    }

    fn frames(&self, index: usize, out: &mut [u64]) -> usize {
        let mut bytes = vec![0; out.len() * 8];
        let place = self.base + (FRAMES_WORD + index) as u64 * 8;
        let mut there = 0;
        while let Some(rest) = bytes.get_mut(there..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, place + there as u64) {
                Ok(0) => break,
                Ok(count) => there += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        let words = bytes.get(..there).unwrap_or(&[]).as_chunks::<8>().0;
        let words = words.iter().map(|bytes| u64::from_le_bytes(*bytes));
        out.iter_mut().zip(words).map(|(out, word)| *out = word).count()
    }

    fn words(&self) -> u64 {
        self.words
    }

    fn fence(&self) {
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
    }
}

/// Where a layout says that the recorder is in the machine's memory, and how large.
fn place(layout: &str) -> Option<(u64, u64)> {
    let line = layout.lines().find_map(|line| line.strip_prefix("recorder "))?;
    let mut words = line.split_whitespace();
    let mut after = |name: &str| {
        words.find(|word| *word == name)?;
        u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()
    };
    Some((after("phys")?, after("memory")?))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use kernel_ipc::ring::{HEADER_SIZE, MIN_CAPACITY, Policy, Producer, RECORD, Reader, Ring};
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::*;

    #[test]
    fn a_layout_says_where_it_is() {
        let text = "payload  x\nrecorder 0xffffffff81236000 phys 0x1236000 memory 0x402000\nslots    1\n";
        assert_eq!(place(text), Some((0x123_6000, 0x40_2000)));
        assert_eq!(place("recorder nowhere\n"), None);
        assert_eq!(place("payload  x\n"), None);
    }

    /// A ring with one record's room in it.
    pub(crate) fn ring_of_one() -> Vec<u8> {
        let words: Vec<AtomicU64> = (0..(HEADER_SIZE + MIN_CAPACITY) / 8).map(|_| AtomicU64::new(0)).collect();
        let ring = Ring::over(&words).unwrap();
        let mut producer = Producer::new();
        producer.begin(&ring);
        let room = producer.reserve(&ring, (RECORD, 8), Policy::Overwrite).unwrap();
        producer.commit(&ring, room);
        words.iter().flat_map(|word| word.load(Relaxed).to_le_bytes()).collect()
    }

    #[test]
    fn what_is_in_the_file_is_read_and_the_tail_comes_there() {
        let place = tempfile::NamedTempFile::new().unwrap();
        fs::write(place.path(), [vec![0; 4096], ring_of_one()].concat()).unwrap();
        let found = GuestRing::open(place.path(), 4096, (HEADER_SIZE + MIN_CAPACITY) as u64).unwrap();
        let mut reader = Reader::open(&found).unwrap();
        let mut buffer = GuestRing::buffer();
        // Eight bytes are no record: it is gone past, and said.
        assert_eq!(reader.read(&found, &mut buffer).unwrap().count(), 0);
        assert_eq!((reader.position(), reader.rest(&found).unwrap().count()), (32, 1));
        found.set_tail(32).unwrap();
        found.ask_to_wait().unwrap();
        let written = fs::read(place.path()).unwrap();
        assert_eq!(written[4096 + 4096..][..16], [&32u64.to_le_bytes()[..], &1u64.to_le_bytes()].concat());
    }
}
