// SPDX-License-Identifier: GPL-2.0-or-later
//! QEMU's gdb stub, as far as reading the machine's physical memory needs it. The machine stands still while it is connected.

use std::io::{self, BufReader, Read, Write};

use kernel_ipc::ring::{HEADER_SIZE, MAGIC, MAX_CAPACITY, control};

use super::PAGE;
use super::copy::Copy;
use super::wire::{PATIENCE, Wire, shown};
use crate::ending::Ending;

/// Below it there is no kernel, but what reads of which may change a device.
const FIRST: u64 = 1 << 20;

/// Bytes that one answer may have: twice as many digits, and less than the stub's 4096.
const PACKET: u64 = 1024;

/// Writes what seem to be recorders into a copy, each at its physical address, of a machine with so much memory; only the one at this address,
/// if one is given. The machine runs on afterwards, whatever fails.
pub(super) fn save(address: &str, bytes: u64, at: Option<u64>, copy: &Copy, ending: &Ending) -> io::Result<()> {
    copy.set_len(bytes)?;
    let mut stub = Stub { wire: BufReader::new(Wire::connect(address, ending)?), unanswered: 0 };
    let saved = stub.save(bytes, at, copy);
    // Else the machine would not run on.
    stub.wire.get_mut().gives_way = false;
    let let_go = stub.let_go().map_err(|error| {
        io::Error::new(error.kind(), format!("{error}; the machine may stand still: gdb's `detach` lets it go on"))
    });
    saved.and(let_go)
}

struct Stub<'a> {
    wire: BufReader<Wire<'a>>,
    /// Packets that were sent and have no answer.
    unanswered: u32,
}

impl Stub<'_> {
    fn save(&mut self, bytes: u64, at: Option<u64>, copy: &Copy) -> io::Result<()> {
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
                copy.write(&part, place)?;
                place += part.len() as u64;
            }
        }
        Ok(())
    }

    /// Lets the machine run. What was asked before and given up is answered first.
    fn let_go(&mut self) -> io::Result<()> {
        self.send("D")?;
        while self.unanswered > 0 {
            self.answer()?;
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

    fn ask(&mut self, command: &str) -> io::Result<String> {
        self.send(command)?;
        self.answer()
    }

    fn send(&mut self, command: &str) -> io::Result<()> {
        let sum = command.bytes().fold(0, |sum: u8, byte| sum.wrapping_add(byte));
        self.unanswered += 1;
        self.wire.get_mut().ask(format!("+${command}#{sum:02x}").as_bytes(), PATIENCE)
    }

    /// What the next packet says, but for the news that the machine has stopped, which comes with the connection.
    fn answer(&mut self) -> io::Result<String> {
        loop {
            let answer = self.packet()?;
            if !answer.starts_with(['T', 'S']) {
                self.unanswered -= 1;
                return Ok(answer);
            }
            self.wire.get_mut().write_all(b"+")?;
        }
    }

    fn packet(&mut self) -> io::Result<String> {
        while self.byte()? != b'$' {}
        let mut text = Vec::new();
        loop {
            match self.byte()? {
                b'#' => break,
                byte => text.push(byte),
            }
            if text.len() as u64 > 4 * PACKET {
                return Err(unexpected("the end of an answer", "more of it"));
            }
        }
        // The sum of it: what is damaged on the way of a socket is no answer at all.
        self.byte().and_then(|_| self.byte())?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        match self.wire.read(&mut byte)? {
            0 => Err(unexpected("an answer", "the end of the connection")),
            _ => Ok(byte[0]),
        }
    }
}

fn unexpected(expected: &str, found: &str) -> io::Error {
    io::Error::other(format!("QEMU's gdb stub: expected {expected}, found `{}`", shown(found)))
}
