// SPDX-License-Identifier: GPL-2.0-or-later
//! Items of a message with where they stand in it, beside what they were decoded to.

use exchanges::Event;
use export::model::{Field, Half};
use mach_abi::Format;
use mig_defs::raw::{Item, Items};
use protocol::replay::Place;

/// The format of the messages that are replayed.
pub(crate) const FORMAT: Format = Format::Lp64;

/// An item of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    /// As it stands there.
    pub(crate) item: Item<'a>,
    /// What it was decoded to.
    pub(crate) field: &'a Field,
    /// Where its descriptor stands.
    pub(crate) descriptor_at: usize,
    /// Where its data stand.
    pub(crate) data_at: usize,
}

impl Part<'_> {
    /// Where something stands in it, so many bytes behind the begin of its data.
    pub(crate) fn place(&self, behind: usize) -> Place {
        let descriptor = self.item.descriptor.to_word();
        Place { offset: self.data_at + behind, descriptor_offset: self.descriptor_at, descriptor }
    }
}

/// The items of a message, of which the first `skipped` are no arguments; `None` if there are not as many as it was decoded to.
pub(crate) fn parts<'a>(event: &'a Event, half: &'a Half, skipped: usize) -> Option<Vec<Part<'a>>> {
    let message = event.message();
    let mut items = Items::new(FORMAT, message);
    let mut found = Vec::new();
    loop {
        let descriptor_at = message.len() - items.rest().len();
        let Some(item) = items.next() else { break };
        let data_at = descriptor_at + item.descriptor.bytes(FORMAT);
        found.push((item, descriptor_at, data_at));
    }
    if found.len() != skipped + half.arguments.len() {
        return None;
    }
    let whole = found.into_iter().skip(skipped).zip(&half.arguments);
    Some(whole.map(|((item, descriptor_at, data_at), field)| Part { item, field, descriptor_at, data_at }).collect())
}
