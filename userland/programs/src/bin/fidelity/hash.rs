// SPDX-License-Identifier: GPL-2.0-or-later
//! The hash of what was seen (FNV-1a over 64-bit words).

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
