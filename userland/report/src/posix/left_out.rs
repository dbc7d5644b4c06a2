// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages that are no call of a programmer's, and how many of them had no line.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;

use exchanges::exchange::{Exchange, Outcome};
use mach_abi::code::mr;

use super::recipes::{OF_LIBC, OF_THE_KERNEL};
use crate::number::decimal;

/// Most names that are said.
const NAMES: usize = 5;
/// Messages by which libc wakes a thread of its own up.
const WAKE_UPS: [u32; 2] = [0, 8_675_309];
/// Routines whose failure libc lives with: a lock that has changed is no error.
const LOCKS: &str = "gsync_";

/// How many messages had no line, by what they ask for.
#[derive(Debug, Default)]
pub(super) struct LeftOut<'t>(BTreeMap<&'t str, u64>);

impl<'t> LeftOut<'t> {
    /// One more.
    pub(super) fn add(&mut self, name: &'t str) {
        *self.0.entry(name).or_default() += 1;
    }

    /// Appends a line about them, if there are any.
    pub(super) fn write(&self, out: &mut String) {
        let mut most: Vec<_> = self.0.iter().map(|(name, count)| (*name, *count)).collect();
        most.sort_by_key(|(name, count)| (Reverse(*count), *name));
        let (said, others) = most.split_at(most.len().min(NAMES));
        if said.is_empty() {
            return;
        }
        out.push_str("--- left out, as no call of a program's: ");
        for (place, (name, count)) in said.iter().enumerate() {
            out.push_str(if place > 0 { ", " } else { "" });
            out.push_str(name);
            out.push(' ');
            decimal(out, *count);
        }
        if !others.is_empty() {
            out.push_str(", others ");
            decimal(out, others.iter().map(|(_, count)| *count).sum::<u64>());
        }
        out.push_str(" ---\n");
    }
}

/// Whether libc does it for itself, as far as nothing else is known.
pub(super) fn is_own_affair(exchange: &Exchange<'_>) -> bool {
    match (exchange.subject.routine, exchange.subject.msgh_id) {
        (Some(routine), _) => {
            OF_LIBC.contains(&routine.name()) || OF_THE_KERNEL.iter().any(|start| routine.name().starts_with(start))
        }
        (None, Some(id)) => WAKE_UPS.contains(&id),
        (None, None) => false,
    }
}

/// Whether it is of no interest that it failed.
pub(super) fn may_fail(exchange: &Exchange<'_>) -> bool {
    exchange.subject.routine.is_some_and(|routine| routine.name().starts_with(LOCKS))
}

/// Whether a `mach_msg` did nothing but wait: libc sleeps so, and signals end that.
pub(super) fn is_wait(exchange: &Exchange<'_>) -> bool {
    matches!(exchange.outcome, Outcome::Failed(mr::MACH_RCV_TIMED_OUT | mr::MACH_RCV_INTERRUPTED))
}
