// SPDX-License-Identifier: GPL-2.0-or-later
//! Pseudo-random numbers for tests that try everything.

/// A generator (xorshift); the same seed, which is not 0, gives the same numbers.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below a limit, which is not 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// One of some values.
    pub(crate) fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }
}
