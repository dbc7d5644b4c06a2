// SPDX-License-Identifier: GPL-2.0-or-later
//! Of which messages the rules of some engine may allow a record: a bit for each `msgh_id`, by its lower half.
//!
//! The stubs look at it before anything else is done for a message of a task whose engines all go by ids ([`Engine::goes_by_ids`]), so that
//! it needs no lock and no look at the task's own engines. It has the ids of all rules of all engines, and those of their requests and
//! replies: who sees a reply has seen its request, so that what it keeps with the reply port is that request's. A bit too many costs
//! time alone; the rules themselves are asked before there is a record.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mach_abi::header::REPLY_ID_OFFSET as REPLY;
use trace_port::control::{Rule, rule};

use crate::engines::{Engine, Engines};

/// The bits of a word.
const BITS: u32 = u64::BITS;
/// Words: a bit for each lower half of an id.
const WORDS: usize = (1 << 16) / BITS as usize;
/// With more rules than so many in all everything is wanted, as counting them would take long, with the table locked.
const MOST_RULES: usize = 64;

/// The bits. All zero where no engine has rules.
#[derive(Debug)]
pub(crate) struct Wanted {
    words: [AtomicU64; WORDS],
}

impl Wanted {
    /// Nothing.
    pub(crate) const fn new() -> Self {
        Self { words: [const { AtomicU64::new(0) }; WORDS] }
    }

    /// Whether a rule may allow a message of this id.
    #[inline(always)]
    pub(crate) fn may_be(&self, msgh_id: u32) -> bool {
        let (word, bit) = ((msgh_id as u16 as u32 / BITS) as usize, msgh_id % BITS);
        self.words.get(word).is_none_or(|word| word.load(Relaxed) >> bit & 1 != 0)
    }

    /// Says anew what is wanted, after an engine has other rules. A bit that is set before and after is set meanwhile.
    #[inline(never)]
    pub(crate) fn count(&self, engines: &mut Engines) {
        let (mut rules, mut places) = (0, heapless::Vec::<u16, MOST_RULES>::new());
        for place in 1..=engines.last() {
            let of_this = engines.get(place).map_or(0, |engine| engine.ids().count());
            if of_this != 0 {
                rules += of_this;
                // Of more engines than that there are too many rules.
                let _ = places.push(place as u16);
            }
        }
        for (index, word) in self.words.iter().enumerate() {
            let mut of_engine =
                |place: &u16| engines.get((*place).into()).map_or(0, |engine| bits_of(engine, index as u32));
            let bits = match rules > MOST_RULES {
                true => u64::MAX,
                false => places.iter().fold(0, |bits, place| bits | of_engine(place)),
            };
            word.store(bits, Relaxed);
        }
    }
}

fn bits_of(engine: &Engine, word: u32) -> u64 {
    engine.ids().fold(0, |bits, rule| bits | bits_of_rule(rule, word))
}

/// Which bits of a word a rule sets.
fn bits_of_rule(rule: &Rule, word: u32) -> u64 {
    let (first, last) = (rule.first.get(), rule.last.get());
    let Some(more) = last.checked_sub(first) else { return 0 };
    // What answers may be asked for itself, and be answered.
    let last = if rule.flags.get() & rule::ANSWERS == 0 { 1 } else { 2 };
    (0..=last + 1)
        .map(|answers| first.wrapping_sub(REPLY).wrapping_add(answers * REPLY))
        .fold(0, |bits, first| bits | bits_of_range(first as u16, more, word))
}

/// Which bits of a word the ids from `first` on set, of which there are `more` behind it.
#[inline(never)]
fn bits_of_range(first: u16, more: u32, word: u32) -> u64 {
    // Where the word begins, seen from the first id, round the circle.
    let begin = (word as u16).wrapping_mul(BITS as u16).wrapping_sub(first);
    let begin = u32::from(begin);
    if more >= u32::from(u16::MAX) {
        return u64::MAX;
    }
    // So many bits until the circle closes, where the first id is.
    let round = (1 << 16) - begin;
    let before = lowest((more + 1).saturating_sub(begin).min(round));
    before | lowest(round + more + 1) & !lowest(round)
}

/// So many of the lowest bits, or all.
const fn lowest(bits: u32) -> u64 {
    if bits < BITS { (1 << bits) - 1 } else { u64::MAX }
}

#[cfg(test)]
mod tests;
