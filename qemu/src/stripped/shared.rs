// SPDX-License-Identifier: GPL-2.0-or-later
//! What functions that are found refer to together: data, code without an entry in `.eh_frame`, and functions again, by another way.

use std::collections::{BTreeMap, HashMap};

use super::{Matching, Place};

/// What most of the functions that refer to something in the named kernel refer to in the stripped one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shared {
    /// Which that is.
    pub place: Place,
    /// Functions of the named kernel that refer to it.
    pub functions: usize,
    /// Dice's score: 1 if it is the same functions that refer to both.
    pub score: f64,
    /// That of the second best.
    pub second: f64,
}

impl Shared {
    /// Whether nothing else comes near.
    pub fn is_clear(&self) -> bool {
        self.score >= 0.9 && self.second < 0.7
    }
}

/// References of all functions that are found, counted once.
#[derive(Debug)]
pub struct References<'m> {
    matching: &'m Matching<'m>,
    /// Functions of the named kernel, that are found, by what they refer to.
    named: HashMap<Place, Vec<u64>>,
    /// How many found functions of the stripped kernel refer to something.
    stripped: HashMap<Place, usize>,
}

impl<'m> References<'m> {
    /// Counts.
    pub fn count(matching: &'m Matching<'m>) -> Self {
        let (mut named, mut stripped): (HashMap<Place, Vec<u64>>, HashMap<Place, usize>) = Default::default();
        for (one, other) in matching.pairs() {
            for place in &matching.named.functions[&one].places {
                named.entry(*place).or_default().push(one);
            }
            for place in &matching.stripped.functions[&other].places {
                *stripped.entry(*place).or_default() += 1;
            }
        }
        Self { matching, named, stripped }
    }

    /// What a place of the named kernel is in the stripped one.
    pub fn of(&self, place: Place) -> Option<Shared> {
        let functions = self.named.get(&place)?;
        let mut together: BTreeMap<Place, usize> = BTreeMap::new();
        for named in functions {
            let Some((stripped, _)) = self.matching.of(*named) else { continue };
            for place in &self.matching.stripped.functions[&stripped].places {
                *together.entry(*place).or_default() += 1;
            }
        }
        let score = |(place, both): (Place, usize)| {
            let all = functions.len() + self.stripped.get(&place).copied().unwrap_or(0);
            (2.0 * both as f64 / all.max(1) as f64, both, place)
        };
        let mut scores: Vec<(f64, usize, Place)> = together.into_iter().map(score).collect();
        scores.sort_by(|one, other| other.0.total_cmp(&one.0).then(other.1.cmp(&one.1)));
        let (score, _, place) = *scores.first()?;
        let second = scores.get(1).map_or(0.0, |second| second.0);
        Some(Shared { place, functions: functions.len(), score, second })
    }
}
