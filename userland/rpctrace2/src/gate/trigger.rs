// SPDX-License-Identifier: GPL-2.0-or-later
//! `--on` and `--until`: a call that is waited for.

use alloc::vec::Vec;

use exchanges::Selection;
use exchanges::exchange::{Exchange, Outcome};
use mig_defs::table::Tables;

use crate::options::filter::{self, FilterError, expand, no_patterns};
use crate::options::near::Suggestion;
use crate::options::selecting::{End, Trigger};

/// A call that is waited for.
#[derive(Debug)]
pub(super) struct Await {
    selection: Selection,
    end: Option<Ending>,
}

/// How it is to end.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Successful,
    Failed,
    Code(i32),
}

/// What messages a call that is waited for has.
pub(super) fn selection(option: &'static str, trigger: &Trigger, tables: Tables<'_>) -> Result<Selection, FilterError> {
    let set = expand(option, &trigger.set, tables, &no_patterns)?;
    let unknown = |name| FilterError::UnknownName { option, name, near: Suggestion::none() };
    Selection::new(&Vec::from([set]), tables).map_err(|error| unknown(error.0))
}

impl Await {
    pub(super) fn new(option: &'static str, trigger: &Trigger, tables: Tables<'_>) -> Result<Self, FilterError> {
        let end = match &trigger.end {
            None => None,
            Some(End::Successful) => Some(Ending::Successful),
            Some(End::Failed) => Some(Ending::Failed),
            Some(End::Code(word)) => Some(Ending::Code(filter::code(option, word, tables)?)),
        };
        Ok(Self { selection: selection(option, trigger, tables)?, end })
    }

    /// Whether it is known as soon as it begins.
    pub(super) fn is_known_at_once(&self) -> bool {
        self.end.is_none()
    }

    /// Whether it is this one.
    pub(super) fn has(&self, exchange: &Exchange<'_>) -> bool {
        self.selection.has(exchange.subject)
            && self.end.is_none_or(|end| match end {
                Ending::Successful => {
                    matches!(exchange.outcome, Outcome::OneWay | Outcome::Answered { failed: false })
                }
                Ending::Failed => exchange.has_failed(),
                Ending::Code(code) => exchange.code() == Some(code),
            })
    }
}
