// SPDX-License-Identifier: GPL-2.0-or-later
//! The arguments of calls as proptest makes them: how a call that fails becomes the simplest one that does, and how it is told.

use std::fmt::Write as _;

use mig_defs::layout::{Message, Source, layout};
use mig_defs::model::{Model, Routine};
use mig_defs::value::View;
use proptest::strategy::ValueTree;

use super::values::{Drawn, Values, give};

/// Most calls on the way to the simplest one that fails.
const STEPS: usize = 2000;

/// How many items a routine's request and reply have.
pub(crate) fn items(model: &Model, routine: &Routine) -> (usize, usize) {
    let layout = layout(model, routine);
    (layout.request.items.len(), if routine.one_way { 0 } else { layout.reply.items.len() })
}

/// The simplest value of a tree for which `fails` says what is wrong, and that; `None` if it is never wrong.
pub(crate) fn minimal<T: ValueTree, W>(
    mut tree: T,
    mut fails: impl FnMut(&T::Value) -> Option<W>,
) -> Option<(T::Value, W)> {
    let mut simplest = None;
    for _ in 0..STEPS {
        let value = tree.current();
        let goes_on = match fails(&value) {
            Some(wrong) => {
                simplest = Some((value, wrong));
                tree.simplify()
            }
            None => tree.complicate(),
        };
        if !goes_on {
            break;
        }
    }
    simplest
}

/// The arguments of a call in words.
pub(crate) fn describe(model: &Model, routine: &Routine, values: &Values) -> String {
    let layout = layout(model, routine);
    let mut text = message(model, routine, &layout.request, View::Sent, &values.request);
    if !routine.one_way {
        text += "; answer: ";
        text += &message(model, routine, &layout.reply, View::Sent, &values.reply);
    }
    text
}

fn message(model: &Model, routine: &Routine, message: &Message, view: View, drawn: &[Drawn]) -> String {
    let mut text = String::new();
    for given in give(model, routine, message, view, drawn) {
        let Source::Argument(index) = given.source else { continue };
        let bytes = if given.out_of_line() { &given.memory } else { &given.data };
        let (shown, more) = bytes.split_at(bytes.len().min(64));
        let place = if given.out_of_line() { " out of line" } else { "" };
        let comma = if text.is_empty() { "" } else { ", " };
        let more = if more.is_empty() { String::new() } else { format!(" and {} bytes", more.len()) };
        let name = &routine.arguments[index].name;
        write!(text, "{comma}{name} = {} x {shown:02x?}{more}{place}", given.count).expect("a string");
    }
    text
}
