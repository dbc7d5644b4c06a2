// SPDX-License-Identifier: GPL-2.0-or-later
//! Numbers counted by their size, in a bounded space: eight steps for each power of two, so that a number is known to an eighth of itself.

use alloc::vec::Vec;

/// Steps of a power of two.
const STEPS: u64 = 8;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// How often there was a number of each size. At most 496 counts, of which those from the smallest to the largest size that there was are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Histogram {
    /// The place of the first count.
    low: usize,
    counts: Vec<u64>,
}

/// Where a number is counted: numbers below 16 each alone.
fn place(number: u64) -> usize {
    let Some(shift) = number.checked_ilog2().and_then(|log| log.checked_sub(STEP_BITS)) else { return number as usize };
    (u64::from(shift) * STEPS + (number >> shift)) as usize
}

/// The first and the last number that are counted at a place.
fn range(place: usize) -> (u64, u64) {
    let place = place as u64;
    let shift = (place / STEPS).saturating_sub(1) as u32;
    let first = (place - u64::from(shift) * STEPS) << shift;
    (first, first + ((1 << shift) - 1))
}

impl Histogram {
    /// Counts a number.
    pub(crate) fn add(&mut self, number: u64) {
        *self.at(place(number)) += 1;
    }

    /// Counts what another has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (offset, count) in other.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            *self.at(other.low + offset) += count;
        }
    }

    fn at(&mut self, place: usize) -> &mut u64 {
        if self.counts.is_empty() {
            self.low = place;
        }
        if place < self.low {
            let more = self.low - place;
            self.counts.splice(0..0, core::iter::repeat_n(0, more));
            self.low = place;
        }
        let offset = place - self.low;
        if offset >= self.counts.len() {
            self.counts.resize(offset + 1, 0);
        }
        &mut self.counts[offset]
    }

    /// A number that at least so many of a thousand do not exceed: the largest one that is counted where the smallest such is. `None` if there is none.
    pub(crate) fn quantile(&self, thousandths: u64) -> Option<u64> {
        let total: u64 = self.counts.iter().sum();
        let rank = (u128::from(total) * u128::from(thousandths)).div_ceil(1000).max(1);
        let mut seen = 0;
        let offset = self.counts.iter().position(|count| {
            seen += u128::from(*count);
            seen >= rank
        })?;
        Some(range(self.low + offset).1)
    }

    /// How many numbers there are by powers of two: the first number, the first one that is not counted there any more but for the last of all, and
    /// the count, from the smallest power that has some to the largest.
    pub(crate) fn powers(&self) -> Vec<(u64, u64, u64)> {
        let mut powers: Vec<(u64, u64, u64)> = Vec::new();
        for (offset, count) in self.counts.iter().enumerate() {
            let number = range(self.low + offset).0;
            let first = number.checked_ilog2().map_or(0, |log| 1 << log);
            match powers.last_mut() {
                Some(last) if last.0 == first => last.2 += count,
                _ => powers.push((first, first.max(1).saturating_mul(2) - u64::from(first == 0), *count)),
            }
        }
        powers
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn places_follow_one_another_without_gap_up_to_the_largest_number() {
        let mut next = 0;
        for at in 0..=place(u64::MAX) {
            let (first, last) = range(at);
            assert_eq!((first, place(first), place(last)), (next, at, at));
            assert!(last - first <= first / STEPS, "{first} to {last}");
            next = last.wrapping_add(1);
        }
        assert_eq!((next, place(u64::MAX)), (0, 495));
    }

    #[test]
    fn a_quantile_is_as_exact_as_a_step_is_wide() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(500), None);
        // From the largest down, so that it grows to both sides.
        (1..=1000).rev().for_each(|number| histogram.add(number));
        for (thousandths, exact) in [(1, 1), (500, 500), (990, 990), (1000, 1000)] {
            let found = histogram.quantile(thousandths).unwrap();
            assert!(found >= exact && found - exact <= exact / STEPS, "{thousandths}: {found}");
        }
        let mut twice = histogram.clone();
        twice.merge(&histogram);
        twice.add(u64::MAX);
        assert_eq!(twice.quantile(500), histogram.quantile(500));
        assert_eq!(twice.quantile(1000), Some(u64::MAX));
    }

    #[test]
    fn powers_of_two_have_their_counts() {
        let mut histogram = Histogram::default();
        [0, 1, 2, 3, 3, 17, 31].into_iter().for_each(|number| histogram.add(number));
        assert_eq!(histogram.powers(), vec![(0, 1, 1), (1, 2, 1), (2, 4, 3), (4, 8, 0), (8, 16, 0), (16, 32, 2)]);
    }
}
