// SPDX-License-Identifier: GPL-2.0-or-later
//! Which call a run of messages is: the rows of the table are tried against it.

use mig_defs::table::Tables;

use super::item::Item;
use super::recipe::{Need, Recipe};
use super::recipes;

/// Most steps of a row.
pub(super) const STEPS: usize = 12;

/// Which item of a run each step of a row is.
pub(super) type Places = [Option<usize>; STEPS];

/// A run's beginning is this call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// The row.
    pub(super) recipe: &'static Recipe,
    /// How many items of the run it is.
    pub(super) items: usize,
    /// Where its steps are.
    pub(super) places: Places,
    /// The row has no further step that would have to come.
    is_whole: bool,
}

/// What a run may be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fit {
    /// The most of it that is a call.
    pub(super) found: Option<Found>,
    /// More may come that belongs to it.
    pub(super) may_grow: bool,
    /// All of it belongs together.
    pub(super) is_all: bool,
}

/// A row that is tried against a run.
struct Try<'a, 't> {
    tables: Tables<'t>,
    recipe: &'static Recipe,
    run: &'a [Item<'t>],
    places: Places,
    fit: Fit,
}

impl Fit {
    /// Of a run.
    pub(super) fn of<'t>(tables: Tables<'t>, run: &[Item<'t>]) -> Self {
        let tries = recipes::all().map(|recipe| {
            let mut one = Try { tables, recipe, run, places: Places::default(), fit: Self::default() };
            one.step(0, 0, false);
            one.fit
        });
        let mut all = Self::default();
        // What a call that has failed would have been is not known if several begin so.
        let mut is_one_of_several = false;
        for fit in tries {
            all.may_grow |= fit.may_grow;
            all.is_all |= fit.is_all;
            let Some(new) = fit.found else { continue };
            let Some(best) = all.found.filter(|best| best.items >= new.items) else {
                (all.found, is_one_of_several) = (Some(new), false);
                continue;
            };
            if best.items == new.items && !best.is_whole {
                is_one_of_several |= new.recipe.call != best.recipe.call;
                if new.is_whole {
                    (all.found, is_one_of_several) = (Some(new), false);
                }
            }
        }
        if is_one_of_several {
            all.found = None;
        }
        all
    }
}

impl Try<'_, '_> {
    /// Tries steps from this one on against items from this one on; whether one has failed before.
    fn step(&mut self, step: usize, item: usize, has_failed: bool) {
        let steps = self.recipe.steps;
        let rest = steps.get(step..).unwrap_or_default();
        let is_whole = rest.iter().all(|step| step.need != Need::Must);
        if item > 0 && (is_whole || has_failed) {
            self.found(item, is_whole);
        }
        let Some(next) = self.run.get(item) else {
            self.fit.is_all = true;
            // After a failure only what is given back follows.
            self.fit.may_grow |= rest.iter().any(|step| !has_failed || is_cleaning(step.routine));
            return;
        };
        for (place, step) in steps.iter().enumerate().skip(step) {
            if has_failed && !is_cleaning(step.routine) {
                continue;
            }
            let mut before = [None; STEPS];
            for (before, place) in before.iter_mut().zip(self.places) {
                *before = place.and_then(|place| self.run.get(place));
            }
            if next.is_step(self.tables, step, &before)
                && let Some(known) = self.places.get(place).copied()
            {
                self.places[place] = Some(item);
                let fails = next.failed.is_some() && !matches!(step.need, Need::Tries | Need::Cleans);
                let ends = fails || next.is_unanswered() && item + 1 < self.run.len();
                self.step(place + 1, item + 1, has_failed || ends);
                self.places[place] = known;
            }
            if step.need == Need::Must && !has_failed {
                break;
            }
        }
    }

    fn found(&mut self, items: usize, is_whole: bool) {
        if self.fit.found.is_none_or(|found| found.items < items) {
            self.fit.found = Some(Found { recipe: self.recipe, items, places: self.places, is_whole });
        }
    }
}

fn is_cleaning(routine: &str) -> bool {
    matches!(routine, "mach_port_deallocate" | "mach_port_destroy")
}
