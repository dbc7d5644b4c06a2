// SPDX-License-Identifier: GPL-2.0-or-later
//! What the kernel may leave out, because no line would be otherwise but for names: ranges of the `msgh_id`s of all other messages.
//!
//! Wanted are the messages that are selected, what answers them, and those that tell which tasks and ports there are and how tasks end. What has no
//! message, as a receive that failed, is let through whatever is selected: it may be how a call ends that is. More is let through than is wanted
//! where there are more ranges than the kernel has rules.

use alloc::vec::Vec;

use mach_abi::header::REPLY_ID_OFFSET;
use mig_defs::table::{Routine, Tables};

use crate::lessons::Lessons;
use crate::ours;
use crate::select::{Selection, Subject};

/// Exceptions tell how a task has ended.
const EXCEPTION: &str = "exception_raise";

/// What the kernel is to let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetThrough {
    /// The first and the last `msgh_id` of each range, in their order.
    pub ids: Vec<(u32, u32)>,
    /// Whether what answers these is let through, too.
    pub answers: bool,
    /// Calls of `mach_msg` that failed, whatever id their messages have.
    pub failed: bool,
}

impl LetThrough {
    /// What a selection needs, in so many rules at most; nothing if that is everything.
    pub(crate) fn of(selection: &Selection, tables: Tables<'_>, lessons: &Lessons, rules: usize) -> Option<Self> {
        let is_selected = |msgh_id, routine| selection.has(Subject { msgh_id, routine, failed: false });
        let is_asked = |id: u32| {
            let routine = tables.request(id);
            let tells = |routine: Routine<'_>| lessons.names(id) || routine.name().starts_with(EXCEPTION);
            // Messages of others may have the ids of our own interfaces.
            let may_be_foreign = routine.is_none_or(|routine| ours::interface(routine).is_some());
            is_selected(Some(id), routine)
                || may_be_foreign && is_selected(Some(id), None)
                || routine.is_some_and(tells)
        };
        let is_answer = |id: u32| id.checked_sub(REPLY_ID_OFFSET).is_some_and(is_asked);
        let is_wanted = |id: u32| match (tables.request(id), tables.reply(id)) {
            // It may be anything.
            (None, None) => is_asked(id) || is_answer(id),
            (request, reply) => request.is_some() && is_asked(id) || reply.is_some() && is_answer(id),
        };
        let asked = tables.routines().map(|routine| routine.request_id()).chain(selection.ids());
        let are_others = is_selected(None, None);
        let answers_of =
            |id: u32| [id, id.saturating_add(REPLY_ID_OFFSET)].into_iter().take(1 + usize::from(are_others));
        let mut known: Vec<u32> = asked.flat_map(answers_of).collect();
        known.sort_unstable();
        known.dedup();
        // With others answers are said one by one, as others may have such ids.
        let mut ids = match are_others {
            true => ranges(&known, is_wanted, true),
            false => ranges(&known, is_asked, false),
        };
        if ids[..] == [(0, u32::MAX)] {
            return None;
        }
        let failed = selection.has(Subject { msgh_id: None, routine: None, failed: true });
        let between = |from: u32, to: u32| known.iter().filter(|&&id| from < id && id < to).count();
        // One is for what has no message. A range between whose parts there are few messages lets few through.
        close(&mut ids, rules.saturating_sub(1 + usize::from(failed)), |from, to| (between(from, to), to - from));
        Some(Self { ids, answers: !are_others, failed })
    }
}

/// The ranges of those ids that are wanted; of those that are not known all are, or none.
fn ranges(known: &[u32], is_wanted: impl Fn(u32) -> bool, are_others: bool) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    let mut add = |first: u32, last: u32| match ranges.last_mut() {
        Some(range) if range.1.checked_add(1) == Some(first) => range.1 = last,
        _ => ranges.push((first, last)),
    };
    let mut next = Some(0);
    for &id in known {
        if let Some(first) = next.filter(|first| are_others && *first < id) {
            add(first, id - 1);
        }
        if is_wanted(id) {
            add(id, id);
        }
        next = id.checked_add(1);
    }
    if let Some(first) = next.filter(|_| are_others) {
        add(first, u32::MAX);
    }
    ranges
}

/// Makes one of ranges that are close to each other, until there are so many at most.
pub fn close_gaps(ranges: &mut Vec<(u32, u32)>, most: usize) {
    close(ranges, most, |from, to| to - from);
}

/// Makes one of two ranges between whose end and begin there is the least of something, until there are so many at most.
fn close<T: Ord>(ranges: &mut Vec<(u32, u32)>, most: usize, gap: impl Fn(u32, u32) -> T) {
    while ranges.len() > most.max(1) {
        let gap = |at: &usize| gap(ranges[*at - 1].1, ranges[*at].0);
        let Some(closest) = (1..ranges.len()).min_by_key(gap) else { return };
        let (_, last) = ranges.remove(closest);
        ranges[closest - 1].1 = last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_is_wanted() {
        let wanted = |id: u32| [0, 5, 6, 9].contains(&id);
        assert_eq!(ranges(&[0, 5, 6, 9, 12], wanted, false), [(0, 0), (5, 6), (9, 9)]);
        assert_eq!(ranges(&[0, 5, 6, 9, 12, u32::MAX], wanted, true), [(0, 11), (13, u32::MAX - 1)]);
        assert_eq!(ranges(&[0, 5], |_| true, true), [(0, u32::MAX)]);
    }

    #[test]
    fn the_smallest_gaps_are_closed_first() {
        let mut few = Vec::from([(0, 0), (5, 6), (8, 9), (100, 100), (102, 110)]);
        close_gaps(&mut few, 3);
        assert_eq!(few, [(0, 0), (5, 9), (100, 110)]);
        close_gaps(&mut few, 0);
        assert_eq!(few, [(0, 110)]);
    }
}
