// SPDX-License-Identifier: GPL-2.0-or-later
//! Functions that are found by others: what stands in the same order in both kernels, as calls in a function and as functions in the file.

use std::collections::{BTreeMap, BTreeSet};

use super::{Function, Image, Matching, Rule};

/// Functions that say nothing by being called: every other one does, and the debugging build oftener.
const EVERYBODYS: [&str; 7] = ["Assert", "panic", "printf", "log", "Debugger", "SoftDebugger", "__stack_chk_fail"];
/// Rounds after which nothing new is expected.
const ROUNDS: usize = 40;
/// Functions between two that are found, of which it is still asked which is which.
const GAP: usize = 12;
/// Pairs of two lists that are compared; no functions of a kernel have more.
const PAIRS: usize = 1 << 22;
/// Least functions of a run in the same order.
const RUN: usize = 4;
/// How alike functions have to be: called in the same place, in the same place of the file, alone alike between two.
const CALLED: f64 = 0.45;
const PLACED: f64 = 0.5;
const ALONE: f64 = 0.85;
/// By how much the best has to be better than the second.
const RATIO: f64 = 1.3;
const MARGIN: f64 = 0.15;

/// Goes on from what is found until nothing new is.
pub(super) fn propagate(matching: &mut Matching<'_>) {
    let mut runs = take_back_what_is_out_of_order(matching);
    for _ in 0..ROUNDS {
        let before = matching.len();
        calls(matching, &runs);
        runs = take_back_what_is_out_of_order(matching);
        neighbours(matching, &runs);
        runs = take_back_what_is_out_of_order(matching);
        if matching.len() <= before {
            break;
        }
    }
}

/// Which run of ascending addresses each function that is found belongs to; what belongs to none is taken back.
fn take_back_what_is_out_of_order(matching: &mut Matching<'_>) -> BTreeMap<u64, usize> {
    let mut left: Vec<(u64, u64)> = matching.pairs().collect();
    let mut runs = BTreeMap::new();
    for run in 0.. {
        let longest = longest_ascending(&left);
        if longest.len() < RUN {
            break;
        }
        runs.extend(longest.iter().map(|(named, _)| (*named, run)));
        left.retain(|pair| !runs.contains_key(&pair.0));
    }
    left.iter().for_each(|(named, _)| matching.take_back(*named));
    runs
}

/// The longest part of pairs, in order of their first, whose seconds ascend.
fn longest_ascending(pairs: &[(u64, u64)]) -> Vec<(u64, u64)> {
    // For each length the place of the smallest last second, and for each place the one before it.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (place, pair) in pairs.iter().enumerate() {
        let length = ends.partition_point(|end| pairs[*end].1 < pair.1);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        if length == ends.len() {
            ends.push(place);
        } else {
            ends[length] = place;
        }
    }
    let mut found = Vec::new();
    let mut next = ends.last().copied();
    while let Some(place) = next {
        found.push(pairs[place]);
        next = before[place];
    }
    found.reverse();
    found
}

/// What the functions of a kernel call, without what everybody calls.
pub(super) fn calls_of(image: &Image) -> BTreeMap<u64, Vec<u64>> {
    let is_everybodys = |target: &u64| image.names.get(target).is_some_and(|name| EVERYBODYS.contains(&name.as_str()));
    let called = |function: &Function| {
        let targets = function.calls.iter().map(|call| call.1).filter(|target| image.functions.contains_key(target));
        targets.filter(|target| !is_everybodys(target)).collect()
    };
    image.functions.iter().map(|(start, function)| (*start, called(function))).collect()
}

/// How often the order of calls says that a function is another, by both.
pub(super) type Votes = BTreeMap<u64, BTreeMap<u64, u32>>;

/// What the calls of functions that are found say of those that are called between ones that are known; `but` is taken as not known.
pub(super) fn votes(matching: &Matching<'_>, but: Option<u64>) -> Votes {
    let mut votes = Votes::new();
    let stripped_of = |named: &u64| matching.of(*named).filter(|_| Some(*named) != but).map(|found| found.0);
    let unknown = but.and_then(|named| matching.of(named)).map(|found| found.0);
    let is_known = |stripped: &u64| matching.name_of(*stripped).is_some() && Some(*stripped) != unknown;
    let mut ask = |one: &[u64], other: &[u64]| {
        if but.is_some_and(|but| !one.contains(&but)) {
            return;
        }
        let first: Vec<Option<u64>> = one.iter().map(stripped_of).collect();
        let second: Vec<Option<u64>> = other.iter().map(|target| is_known(target).then_some(*target)).collect();
        let mut from = (0, 0);
        for (at, there) in common(&first, &second).into_iter().chain([(one.len(), other.len())]) {
            let gap: Vec<u64> = (from.0..at).filter(|place| first[*place].is_none()).map(|place| one[place]).collect();
            let room = (from.1..there).filter(|place| second[*place].is_none()).map(|place| other[place]);
            let room: Vec<u64> = room.collect();
            if gap.len() == room.len() {
                for (one, other) in gap.iter().zip(&room) {
                    *votes.entry(*one).or_default().entry(*other).or_default() += 1;
                }
            }
            from = (at + 1, there + 1);
        }
    };
    for (named, stripped) in matching.pairs() {
        ask(&matching.calls[0][&named], &matching.calls[1][&stripped]);
        ask(&addressed(matching.named, named), &addressed(matching.stripped, stripped));
    }
    votes
}

/// Functions whose addresses a function has, as of continuations.
fn addressed(image: &Image, function: u64) -> Vec<u64> {
    image.functions[&function].data.iter().copied().filter(|address| image.functions.contains_key(address)).collect()
}

/// Places of a longest common part of two lists, of what is known in both.
pub(super) fn common(one: &[Option<u64>], other: &[Option<u64>]) -> Vec<(usize, usize)> {
    if one.len().saturating_mul(other.len()) > PAIRS {
        return Vec::new();
    }
    let width = other.len() + 1;
    let mut lengths = vec![0_u32; (one.len() + 1) * width];
    for (at, value) in one.iter().enumerate().rev() {
        for (there, found) in other.iter().enumerate().rev() {
            lengths[at * width + there] = match value.is_some() && value == found {
                true => lengths[(at + 1) * width + there + 1] + 1,
                false => lengths[(at + 1) * width + there].max(lengths[at * width + there + 1]),
            };
        }
    }
    let (mut at, mut there) = (0, 0);
    let mut places = Vec::new();
    while at < one.len() && there < other.len() {
        if one[at].is_some() && one[at] == other[there] {
            places.push((at, there));
            (at, there) = (at + 1, there + 1);
        } else if lengths[(at + 1) * width + there] >= lengths[at * width + there + 1] {
            at += 1;
        } else {
            there += 1;
        }
    }
    places
}

/// Places what the order of calls says.
fn calls(matching: &mut Matching<'_>, runs: &BTreeMap<u64, usize>) {
    for (named, others) in votes(matching, None) {
        if matching.of(named).is_some() {
            continue;
        }
        let window = window(matching, runs, named);
        let mut candidates: Vec<(f64, u64)> = others
            .into_iter()
            .filter(|(stripped, _)| window.0 < *stripped && *stripped < window.1)
            .filter(|(stripped, _)| matching.name_of(*stripped).is_none())
            .map(|(stripped, votes)| (f64::from(votes) * likeness(matching, named, stripped), stripped))
            .collect();
        candidates.sort_by(|one, other| other.0.total_cmp(&one.0));
        let second = candidates.get(1).map_or(0.0, |candidate| candidate.0);
        if let Some((_, stripped)) =
            candidates.first().copied().filter(|best| best.0 >= CALLED && best.0 > RATIO * second)
        {
            matching.put(named, stripped, Rule::CallOrder);
        }
    }
}

/// Between which addresses of the stripped kernel a function has to be, by its neighbours in the file.
fn window(matching: &Matching<'_>, runs: &BTreeMap<u64, usize>, named: u64) -> (u64, u64) {
    let before = runs.range(..named).next_back();
    let after = runs.range(named..).next();
    let place = |named: &u64| matching.of(*named).map(|found| found.0);
    match before.zip(after) {
        Some(((before, one), (after, other))) if one == other => {
            place(before).zip(place(after)).unwrap_or((0, u64::MAX))
        }
        _ => (0, u64::MAX),
    }
}

/// Places functions that stand between two of the same run: all of them, if there are as many, or the one that is alone alike.
fn neighbours(matching: &mut Matching<'_>, runs: &BTreeMap<u64, usize>) {
    let known: Vec<(u64, usize)> = runs.iter().map(|(named, run)| (*named, *run)).collect();
    for pair in known.windows(2) {
        let ((first, run), (last, other)) = (pair[0], pair[1]);
        let Some((from, to)) = matching.of(first).zip(matching.of(last)).map(|(from, to)| (from.0, to.0)) else {
            continue;
        };
        if run != other || to < from {
            continue;
        }
        let gap: Vec<u64> = between(&matching.named.functions, first, last);
        let room: Vec<u64> = between(&matching.stripped.functions, from, to);
        if gap.is_empty() || room.is_empty() || gap.len() > GAP || room.len() > GAP {
            continue;
        }
        if gap.len() == room.len() {
            for (named, stripped) in gap.into_iter().zip(room) {
                if likeness(matching, named, stripped) >= PLACED {
                    matching.put(named, stripped, Rule::LinkOrder);
                }
            }
        } else {
            alone_alike(matching, &gap, &room);
        }
    }
}

pub(super) fn between(functions: &BTreeMap<u64, Function>, first: u64, last: u64) -> Vec<u64> {
    functions.range(first + 1..last).map(|(start, _)| *start).collect()
}

fn alone_alike(matching: &mut Matching<'_>, gap: &[u64], room: &[u64]) {
    let mut pairs = Vec::new();
    for named in gap {
        pairs.extend(room.iter().map(|stripped| (likeness(matching, *named, *stripped), *named, *stripped)));
    }
    pairs.sort_by(|one, other| other.0.total_cmp(&one.0));
    let Some((best, named, stripped)) = pairs.first().copied().filter(|best| best.0 > ALONE) else { return };
    let rival = pairs[1..].iter().find(|pair| pair.1 == named || pair.2 == stripped);
    if rival.is_none_or(|rival| rival.0 < best - MARGIN) {
        matching.put(named, stripped, Rule::Likeness);
    }
}

/// How alike two functions are, from 0 to 1: numbers, members, size, count of calls.
pub(super) fn likeness(matching: &Matching<'_>, named: u64, stripped: u64) -> f64 {
    let (one, other) = (&matching.named.functions[&named], &matching.stripped.functions[&stripped]);
    let part = |one: usize, other: usize| one.min(other) as f64 / one.max(other).max(1) as f64;
    let mut parts: Vec<f64> =
        [shared(&one.numbers, &other.numbers), shared(&one.members, &other.members)].into_iter().flatten().collect();
    parts.push(part(one.instructions, other.instructions));
    let (mine, others) = (matching.calls[0][&named].len(), other.calls.len());
    parts.push(1.0 - (mine.abs_diff(others) as f64 / mine.max(others).max(1) as f64));
    parts.iter().sum::<f64>() / parts.len() as f64
}

/// The part of two bags that they have in common; nothing if both are empty.
fn shared(one: &BTreeMap<u64, u32>, other: &BTreeMap<u64, u32>) -> Option<f64> {
    let keys: BTreeSet<&u64> = one.keys().chain(other.keys()).collect();
    let count = |bag: &BTreeMap<u64, u32>, key: &u64| bag.get(key).copied().unwrap_or(0);
    let common: u32 = keys.iter().map(|key| count(one, key).min(count(other, key))).sum();
    let all: u32 = keys.iter().map(|key| count(one, key).max(count(other, key))).sum();
    (all > 0).then(|| f64::from(common) / f64::from(all))
}

#[cfg(test)]
mod tests {
    use super::{common, longest_ascending};

    #[test]
    fn what_is_out_of_order_is_left_out() {
        let pairs = [(1, 10), (2, 50), (3, 20), (4, 30), (5, 5), (6, 40)];
        assert_eq!(longest_ascending(&pairs), [(1, 10), (3, 20), (4, 30), (6, 40)]);
        assert_eq!(longest_ascending(&[]), []);
    }

    #[test]
    fn what_is_known_in_both_lists_divides_them() {
        let one = [None, Some(7), None, Some(8), None];
        let other = [Some(7), None, Some(9), Some(8)];
        assert_eq!(common(&one, &other), [(1, 0), (3, 3)]);
        assert_eq!(common(&[None], &[None]), [], "what is not known is nowhere alike");
    }
}
