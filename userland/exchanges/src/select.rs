// SPDX-License-Identifier: GPL-2.0-or-later
//! Which messages the user wants to see: `-e trace=...`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use mach_abi::header::REPLY_ID_OFFSET;
use mach_abi::trap;
use mig_defs::table::{Routine, Tables};

use crate::event::Event;

/// A name that is neither routine nor subsystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName(pub String);

/// One `-e trace=` expression.
#[derive(Debug)]
struct Expression {
    negated: bool,
    names: Vec<Wanted>,
}

/// A name in an expression.
#[derive(Debug)]
struct Wanted {
    name: String,
    /// The `msgh_id` that it is.
    id: Option<u32>,
}

/// What is to be printed.
#[derive(Debug, Default)]
pub struct Selection {
    expressions: Vec<Expression>,
    /// What is selected besides, by what each of these select.
    also: Vec<Vec<Expression>>,
}

/// What is asked about: the request that a message is, or answers.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its `msgh_id`, if there is a message.
    pub msgh_id: Option<u32>,
    /// Its routine, if known.
    pub routine: Option<Routine<'a>>,
    /// Whether it is a `mach_msg` call that failed.
    pub failed: bool,
}

impl<'a> Subject<'a> {
    /// Of a request, or of a message that may be a reply; and whether it is one.
    pub(crate) fn look(tables: Tables<'a>, event: &Event) -> (Self, bool) {
        let Some(id) = event.mach_header.map(|header| header.id) else {
            return (Self { msgh_id: None, routine: None, failed: false }, false);
        };
        if event.is_foreign {
            return (Self { msgh_id: Some(id), routine: None, failed: false }, false);
        }
        let of = |msgh_id, routine| Self { msgh_id: Some(msgh_id), routine, failed: false };
        if let Some(routine) = tables.request(id) {
            return (of(id, Some(routine)), false);
        }
        match tables.reply(id) {
            Some(routine) => (of(id.wrapping_sub(REPLY_ID_OFFSET), Some(routine)), true),
            None => (of(id, None), false),
        }
    }

    /// Of a request, or of a message that may be a reply.
    pub(crate) fn of(tables: Tables<'a>, event: &Event) -> Self {
        Self::look(tables, event).0
    }

    /// Of a reply.
    pub(crate) fn of_reply(tables: Tables<'a>, event: &Event) -> Self {
        let id = event.mach_header.map(|header| header.id);
        Self {
            msgh_id: id.map(|id| id.wrapping_sub(REPLY_ID_OFFSET)),
            routine: id.filter(|_| !event.is_foreign).and_then(|id| tables.reply(id)),
            failed: false,
        }
    }
}

/// Places of [`Looked`].
const PLACES: usize = 16;

/// What messages are about, by their ids, as it was looked up before.
#[derive(Debug, Default)]
pub(crate) struct Looked<'t>([Option<(u32, Subject<'t>, bool)>; PLACES]);

impl<'t> Looked<'t> {
    /// As [`Subject::look`].
    pub(crate) fn look(&mut self, tables: Tables<'t>, event: &Event) -> (Subject<'t>, bool) {
        let Some(header) = event.mach_header.filter(|_| !event.is_foreign) else { return Subject::look(tables, event) };
        let place = &mut self.0[header.id as usize % PLACES];
        if let Some((id, subject, is_reply)) = *place
            && id == header.id
        {
            return (subject, is_reply);
        }
        let (subject, is_reply) = Subject::look(tables, event);
        *place = Some((header.id, subject, is_reply));
        (subject, is_reply)
    }
}

impl Selection {
    /// Reads the expressions: names separated by commas, the first may have `!` before it.
    ///
    /// # Errors
    /// [`UnknownName`], because a mistyped name would select nothing.
    pub fn new(expressions: &[String], tables: Tables<'_>) -> Result<Self, UnknownName> {
        let known = |name: &str| {
            matches!(name, "all" | "none" | "mach_msg")
                || name.parse::<u32>().is_ok()
                || trap::GIVING.iter().any(|giving| giving.1 == name)
                || tables.routines().any(|routine| routine.name() == name || routine.subsystem() == name)
        };
        let read = |text: &String| {
            let (negated, text) = text.strip_prefix('!').map_or((false, text.as_str()), |rest| (true, rest));
            match text.split(',').find(|name| !known(name)) {
                Some(name) => Err(UnknownName(name.to_string())),
                None => {
                    let wanted = |name: &str| Wanted { name: name.to_string(), id: name.parse().ok() };
                    Ok(Expression { negated, names: text.split(',').map(wanted).collect() })
                }
            }
        };
        Ok(Self { expressions: expressions.iter().map(read).collect::<Result<_, _>>()?, also: Vec::new() })
    }

    /// What this or another one selects.
    pub fn or(mut self, other: Self) -> Self {
        self.also.push(other.expressions);
        self.also.extend(other.also);
        self
    }

    /// Whether it is selected: by any of the positive expressions, if there are some, and by every negated one.
    pub fn has(&self, subject: Subject<'_>) -> bool {
        self.wants(|expression| expression.names_it(subject))
    }

    /// The ids that the expressions have as numbers.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u32> {
        let expressions = self.expressions.iter().chain(self.also.iter().flatten());
        expressions.flat_map(|expression| &expression.names).filter_map(|wanted| wanted.id)
    }

    /// Whether nothing is, whatever comes.
    pub fn is_empty(&self) -> bool {
        let is_empty = |expressions: &[Expression]| {
            let mut names = expressions.iter().filter(|expression| !expression.negated).flat_map(|one| &one.names);
            names.next().is_some_and(|first| first.name == "none") && names.all(|wanted| wanted.name == "none")
        };
        is_empty(&self.expressions) && self.also.iter().all(|also| is_empty(also))
    }

    /// Whether a trap that gives a right is.
    pub fn has_trap(&self, number: u32) -> bool {
        let called = trap::giving(number);
        self.wants(|expression| {
            expression.names.iter().any(|Wanted { name, .. }| name == "all" || Some(name.as_str()) == called)
        })
    }

    fn wants(&self, names_it: impl Fn(&Expression) -> bool) -> bool {
        let want = |expressions: &[Expression]| {
            let mut positive = expressions.iter().filter(|expression| !expression.negated).peekable();
            let wanted = positive.peek().is_none() || positive.any(&names_it);
            wanted && !expressions.iter().any(|expression| expression.negated && names_it(expression))
        };
        want(&self.expressions) || self.also.iter().any(|also| want(also))
    }
}

impl Expression {
    fn names_it(&self, subject: Subject<'_>) -> bool {
        self.names.iter().any(|Wanted { name, id }| match name.as_str() {
            "all" => true,
            "none" => false,
            "mach_msg" if subject.failed => true,
            name => {
                subject.routine.is_some_and(|routine| routine.name() == name || routine.subsystem() == name)
                    || (id.is_some() && subject.msgh_id == *id)
            }
        })
    }
}
