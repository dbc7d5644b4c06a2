// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages of random content, built where they are sent: a player's thread may be ended anywhere, and must not hold a lock of the
//! heap then.

use mach::port::{Disposition, PortName};
use mach_abi::Descriptor;
use mach_abi::header::{MACH_MSGH_BITS_COMPLEX, word};
use mach_abi::type_name::{BYTE, INTEGER_32};
use programs::random::Random;

use crate::board::Board;
use crate::names::PORTS;

/// Words in a message of ours, and of any that is received: a whole message of records.
pub(crate) const ROOM: usize = 640;

const COMPLEX: u64 = MACH_MSGH_BITS_COMPLEX as u64;

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
        self.words[..word::BODY].copy_from_slice(&[bits, to.0.into(), reply.0.into(), u64::from(id) << 32]);
        self.used = word::BODY;
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
        self.words[word::BITS] |= COMPLEX;
        self.push(&[Descriptor::inline(how as u32, 64, 1).to_word(), name.0.into()]);
    }

    /// Adds a random body; what is out of line is at `memory`.
    pub(crate) fn body(&mut self, board: Board, random: &mut Random, memory: u64) {
        for _ in 0..random.below(4) {
            match random.below(8) {
                0..3 => self.push(&[Descriptor::inline(INTEGER_32, 32, 1).to_word(), random.word() & 0xffff_ffff]),
                3 | 4 => {
                    let words = random.below(60) as usize;
                    self.push(&[Descriptor::inline(BYTE, 8, 8 * words as u32).to_word()]);
                    self.used = (self.used + words).min(ROOM);
                }
                5 | 6 => self.right(board.port(random.below(PORTS as u64) as usize), Disposition::CopySend),
                _ => {
                    self.words[word::BITS] |= COMPLEX;
                    let bytes = Descriptor::inline(BYTE, 8, 1 + random.below(5000) as u32);
                    self.push(&[Descriptor { inline: false, ..bytes }.to_word(), memory]);
                }
            }
        }
    }
}
