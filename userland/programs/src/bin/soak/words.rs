//! Messages of random content, built where they are sent: a player's thread may be ended anywhere, and must not hold a lock of the
//! heap then.

use mach::port::{Disposition, PortName};
use programs::random::Random;

use crate::board::Board;
use crate::names::PORTS;

/// Words in a message of ours, and of any that is received: a whole message of records.
pub(crate) const ROOM: usize = 640;

const COMPLEX: u64 = 0x8000_0000;
const INLINE: u64 = 1 << 29;
const INTEGER_32: u64 = 2;
const BYTE: u64 = 9;

/// A message.
pub(crate) struct Words {
    pub(crate) words: [u64; ROOM],
    used: usize,
}

impl Words {
    /// Room for one.
    pub(crate) const fn new() -> Self {
        Self { words: [0; ROOM], used: 0 }
    }

    /// Begins a message; `bits` are dispositions.
    pub(crate) fn header(&mut self, bits: u64, to: PortName, reply: PortName, id: u32) {
        self.words[..4].copy_from_slice(&[bits, to.0.into(), reply.0.into(), u64::from(id) << 32]);
        self.used = 4;
    }

    /// Size in bytes.
    pub(crate) fn size(&self) -> u32 {
        8 * self.used as u32
    }

    fn push(&mut self, words: &[u64]) {
        if let Some(place) = self.words.get_mut(self.used..self.used + words.len()) {
            place.copy_from_slice(words);
            self.used += words.len();
        }
    }

    /// Adds a right.
    pub(crate) fn right(&mut self, name: PortName, how: Disposition) {
        self.words[0] |= COMPLEX;
        self.push(&[how as u64 | 64 << 8 | INLINE | 1 << 32, name.0.into()]);
    }

    /// Adds a random body; what is out of line is at `memory`.
    pub(crate) fn body(&mut self, board: Board, random: &mut Random, memory: u64) {
        for _ in 0..random.below(4) {
            match random.below(8) {
                0..3 => self.push(&[INTEGER_32 | 32 << 8 | INLINE | 1 << 32, random.word() & 0xffff_ffff]),
                3 | 4 => {
                    let words = random.below(60) as usize;
                    self.push(&[BYTE | 8 << 8 | INLINE | (8 * words as u64) << 32]);
                    self.used = (self.used + words).min(ROOM);
                }
                5 | 6 => self.right(board.port(random.below(PORTS as u64) as usize), Disposition::CopySend),
                _ => {
                    self.words[0] |= COMPLEX;
                    self.push(&[BYTE | 8 << 8 | (1 + random.below(5000)) << 32, memory]);
                }
            }
        }
    }
}
