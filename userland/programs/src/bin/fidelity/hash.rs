// SPDX-License-Identifier: GPL-2.0-or-later
//! The hash of what was seen (FNV-1a over 64-bit words).

use core::fmt::{self, Display};

/// A running hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hash(pub(crate) u64);

impl Hash {
    pub(crate) const START: Self = Self(0xcbf2_9ce4_8422_2325);

    pub(crate) fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        self.0 ^= self.0 >> 29;
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        words.iter().for_each(|word| self.word(u64::from_le_bytes(*word)));
        self.word(rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
    }
}

/// What is seen, told apart, so that a difference says where to look.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Results,
    Buffers,
    Servers,
    Names,
    Messages,
    State,
}

/// Hashes of all that was seen, and of each kind of it.
pub(crate) struct Seen {
    pub(crate) all: Hash,
    kinds: [Hash; 6],
}

impl Seen {
    pub(crate) const NOTHING: Self = Self { all: Hash::START, kinds: [Hash::START; 6] };

    pub(crate) fn note(&mut self, kind: Kind, hash: Hash) {
        self.all.word(hash.0);
        self.kinds[kind as usize].word(hash.0);
    }
}

impl Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [results, buffers, servers, names, messages, state] = self.kinds.map(|hash| hash.0);
        write!(
            f,
            "{:016x} results {results:016x} buffers {buffers:016x} servers {servers:016x} names {names:016x} \
             messages {messages:016x} state {state:016x}",
            self.all.0
        )
    }
}
