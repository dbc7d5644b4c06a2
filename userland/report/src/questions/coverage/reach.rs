// SPDX-License-Identifier: GPL-2.0-or-later
//! What traces reached of the interfaces: plain data of its own, to which one trace after another adds.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use mach_abi::KernReturn;
use mig_defs::table::{Routine, Set, Tables};

use crate::words;

/// Numbers without a name that are kept of an argument.
const NAMELESS_MAX: usize = 16;

/// How often there was which return code, by number, with its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Codes(BTreeMap<i32, (String, u64)>);

impl Codes {
    pub(crate) fn count(&mut self, tables: Tables<'_>, code: i32) {
        self.0.entry(code).or_insert_with(|| (words::code(tables, code), 0)).1 += 1;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.values().map(|(name, count)| (name.as_str(), *count))
    }

    fn times(&self, code: i32) -> u64 {
        self.0.get(&code).map_or(0, |(_, count)| *count)
    }
}

/// Calls of a routine by tasks of the traces, or of tasks of the traces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Side {
    pub(crate) calls: u64,
    pub(crate) codes: Codes,
    /// Calls whose answer has no return code: the right to answer died, or the record has only its beginning.
    pub(crate) without_code: u64,
    /// Calls of which no answer was seen.
    pub(crate) unanswered: u64,
}

impl Side {
    /// Calls that were answered that there is no such routine.
    fn in_vain(&self) -> u64 {
        self.codes.times(KernReturn::MIG_BAD_ID.0)
    }
}

/// What an argument was in some request: names of its numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Values {
    /// All names that there are, in the order of the table.
    pub(crate) names: Vec<String>,
    seen: BTreeSet<String>,
    /// Numbers, or bits, that have no name.
    pub(crate) nameless: BTreeSet<u32>,
    /// There were more of these.
    pub(crate) more: bool,
}

impl Values {
    pub(crate) fn of(set: Set<'_>) -> Self {
        Self { names: set.values().map(|(_, name)| name.to_string()).collect(), ..Self::default() }
    }

    pub(crate) fn of_truth() -> Self {
        Self { names: ["false", "true"].map(ToString::to_string).into(), ..Self::default() }
    }

    pub(crate) fn number(&mut self, set: Set<'_>, number: u32) {
        let mut names = set.names_of(number);
        let mut any = false;
        for name in names.by_ref() {
            self.name(name);
            any = true;
        }
        if names.rest() != 0 || !any {
            self.more |= self.nameless.len() >= NAMELESS_MAX && !self.nameless.contains(&names.rest());
            if self.nameless.len() < NAMELESS_MAX {
                self.nameless.insert(names.rest());
            }
        }
    }

    pub(crate) fn name(&mut self, name: &str) {
        if !self.seen.contains(name) {
            self.seen.insert(name.to_string());
        }
    }

    pub(crate) fn is_seen(&self, name: &str) -> bool {
        self.seen.contains(name)
    }
}

/// A routine, and what was reached of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    /// Tasks of the traces called it.
    pub(crate) asked: Side,
    /// It was called of a task of the traces: it serves it, or is what the kernel was asked about.
    pub(crate) served: Side,
    /// By the names of arguments, with those of members behind a dot.
    pub(crate) arguments: BTreeMap<String, Values>,
}

impl Reached {
    pub(crate) fn is_called(&self) -> bool {
        self.asked.calls + self.served.calls > 0
    }

    /// An argument, or a member of one, by its name.
    pub(crate) fn argument(&mut self, path: &str, make: impl FnOnce() -> Values) -> &mut Values {
        self.arguments.entry(path.to_string()).or_insert_with(make)
    }

    /// Whether some call was not answered that there is no such routine.
    pub(crate) fn is_reached(&self) -> bool {
        [&self.asked, &self.served].iter().any(|side| side.calls > side.in_vain())
    }
}

/// What traces reached of the interfaces. Grows with what is reached, not with the traces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Routines by subsystem and name: all that there are.
    pub(crate) subsystems: BTreeMap<String, BTreeMap<String, Reached>>,
    /// Calls by tasks of the traces, and of them, of no known routine.
    pub(crate) unknown: BTreeMap<u32, [u64; 2]>,
    /// Options of `mach_msg`.
    pub(crate) options: Values,
    /// What it returned, where it sends and where it receives.
    pub(crate) returned: [Codes; 2],
    /// Calls that a tracer has answered, or has let fail.
    pub(crate) injected: u64,
    /// Requests whose record has only their beginning.
    pub(crate) cut: u64,
    pub(crate) lost: u64,
    pub(crate) traces: u64,
}

impl Reach {
    /// A trace that these tables decode is added now.
    pub(crate) fn begin(&mut self, tables: Tables<'_>) {
        self.traces += 1;
        // What another table has the id of is decoded as that table's.
        let is_used = |routine: &Routine<'_>| {
            tables
                .request(routine.request_id())
                .is_some_and(|first| (first.subsystem(), first.name()) == (routine.subsystem(), routine.name()))
        };
        for routine in tables.routines().filter(is_used) {
            let subsystem = self.subsystems.entry(routine.subsystem().to_string()).or_default();
            subsystem.entry(routine.name().to_string()).or_default();
        }
        if let Some(set) = tables.set("mach_msg_option") {
            self.options.names = Values::of(set).names;
        }
    }

    pub(crate) fn routine(&mut self, routine: Routine<'_>) -> &mut Reached {
        let subsystem = self.subsystems.entry(routine.subsystem().to_string()).or_default();
        subsystem.entry(routine.name().to_string()).or_default()
    }
}
