// SPDX-License-Identifier: GPL-2.0-or-later
//! Calls in a row that only keep count of rights, in one line: `mach_port_deallocate(name: port 7), (name: port 9) = 0`.

use alloc::string::String;

use exchanges::Actor;
use exchanges::exchange::{Exchange, Role};

/// Routines by which a task keeps count of its rights, and of which success is all there is to know.
const BOOKKEEPING: [&str; 3] = ["mach_port_deallocate", "mach_port_destroy", "mach_port_mod_refs"];

/// Bytes of a line that does not grow any more.
const LONG: usize = 160;

/// A line that may grow.
#[derive(Debug)]
pub(crate) struct Fold {
    actor: Actor,
    msgh_id: Option<u32>,
    /// Without the result.
    line: String,
}

impl Fold {
    /// Whether an exchange is of a kind that lines are folded of.
    pub(crate) fn takes(exchange: &Exchange<'_>) -> bool {
        exchange.role == Role::Client
            && exchange.subject.routine.is_some_and(|routine| BOOKKEEPING.contains(&routine.name()))
    }

    /// A call that succeeded, of one of the routines; its line without the result.
    pub(crate) fn new(exchange: &Exchange<'_>, line: &str) -> Self {
        Self { actor: exchange.actor, msgh_id: exchange.subject.msgh_id, line: line.into() }
    }

    /// Whether a call, if it succeeds, becomes a part of the line.
    pub(crate) fn continues(&self, exchange: &Exchange<'_>) -> bool {
        self.actor == exchange.actor
            && self.msgh_id == exchange.subject.msgh_id
            && exchange.role == Role::Client
            && self.line.len() < LONG
    }

    /// Takes the arguments of the next call, with their parentheses.
    pub(crate) fn grow(&mut self, arguments: &str) {
        self.line.push_str(", ");
        self.line.push_str(arguments);
    }

    /// The line without its result.
    pub(crate) fn line(&self) -> &str {
        &self.line
    }
}
