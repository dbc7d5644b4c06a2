// SPDX-License-Identifier: GPL-2.0-or-later
//! QEMU's gdb stub, as far as reading the machine's physical memory needs it. The machine stands still while it is connected.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use kernel_ipc::ring::{HEADER_SIZE, MAGIC, MAX_CAPACITY, control};

use super::PAGE;
use super::wire::{PATIENCE, Stream};

/// Below it there is no kernel, but what reads of which may change a device.
const FIRST: u64 = 1 << 20;

/// Bytes that one answer may have: twice as many digits, and less than the stub's 4096.
const PACKET: u64 = 1024;

/// Writes what seem to be recorders into a file, each at its physical address, of a machine with so much memory; only the one at this address,
/// if one is given.
pub(super) fn save(address: &str, bytes: u64, at: Option<u64>, file: &Path) -> io::Result<()> {
    let stream = Stream::connect(address)?;
    stream.set_patience(PATIENCE)?;
    let mut stub = Stub { stream: BufReader::new(stream) };
    let copy = File::create(file)?;
    copy.set_len(bytes)?;
    let saved = stub.save(bytes, at, &copy);
    // Else the machine would not run on. Its answer does not matter.
    let let_go = stub.ask("D");
    saved.and(let_go.map(drop))
}

struct Stub {
    stream: BufReader<Stream>,
}

impl Stub {
    fn save(&mut self, bytes: u64, at: Option<u64>, copy: &File) -> io::Result<()> {
        let answer = self.ask("Qqemu.PhyMemMode:1")?;
        if answer != "OK" {
            return Err(unexpected("physical addresses: OK", &answer));
        }
        let pages: Box<dyn Iterator<Item = u64>> = match at {
            Some(address) => Box::new(std::iter::once(address)),
            None => Box::new((FIRST..bytes).step_by(PAGE as usize)),
        };
        for page in pages {
            if self.word(page)? != MAGIC {
                continue;
            }
            let capacity = self.word(page.saturating_add(control::CAPACITY as u64 * 8))?;
            let size = capacity.min(MAX_CAPACITY as u64) + HEADER_SIZE as u64;
            let end = page.saturating_add(size).min(bytes);
            let mut place = page;
            while place < end {
                let part = self.bytes(place, PACKET.min(end - place))?;
                copy.write_all_at(&part, place)?;
                place += part.len() as u64;
            }
        }
        Ok(())
    }

    fn word(&mut self, address: u64) -> io::Result<u64> {
        let bytes = self.bytes(address, 8)?;
        bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)).ok_or_else(|| unexpected("eight bytes", "fewer"))
    }

    fn bytes(&mut self, address: u64, count: u64) -> io::Result<Vec<u8>> {
        let answer = self.ask(&format!("m{address:x},{count:x}"))?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let bytes: Option<Vec<u8>> = answer
            .as_bytes()
            .chunks(2)
            .map(|pair| match *pair {
                [high, low] => Some((digit(high)? << 4 | digit(low)?) as u8),
                _ => None,
            })
            .collect();
        bytes.filter(|bytes| bytes.len() as u64 == count).ok_or_else(|| unexpected("memory", &answer))
    }

    /// Sends a packet; answers what the next one says, but for the news that the machine has stopped, which comes with the connection.
    fn ask(&mut self, command: &str) -> io::Result<String> {
        let sum = command.bytes().fold(0, |sum: u8, byte| sum.wrapping_add(byte));
        self.stream.get_mut().write_all(format!("+${command}#{sum:02x}").as_bytes())?;
        loop {
            let answer = self.packet()?;
            if !answer.starts_with(['T', 'S']) {
                return Ok(answer);
            }
            self.stream.get_mut().write_all(b"+")?;
        }
    }

    fn packet(&mut self) -> io::Result<String> {
        let mut byte = [0];
        while byte != *b"$" {
            self.stream.read_exact(&mut byte)?;
        }
        let mut text = Vec::new();
        while self.stream.read_exact(&mut byte).map(|()| byte != *b"#")? {
            text.push(byte[0]);
            if text.len() as u64 > 4 * PACKET {
                return Err(unexpected("the end of an answer", "more of it"));
            }
        }
        let mut sum = [0; 2];
        self.stream.read_exact(&mut sum)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

fn unexpected(expected: &str, found: &str) -> io::Error {
    io::Error::other(format!("QEMU's gdb stub: expected {expected}, found `{found}`"))
}
