// SPDX-License-Identifier: GPL-2.0-or-later
//! The lookup of a name: one request, or as many as the answers ask for, each from where the last one led.

use alloc::boxed::Box;
use alloc::vec::Vec;

use exchanges::exchange::Exchange;
use mig_defs::table::Tables;

use super::item::{Item, bytes, number};

/// `FS_RETRY_NORMAL`, `FS_RETRY_REAUTH`, `FS_RETRY_MAGICAL` of the Hurd's hurd/hurd_types.h.
const NORMAL: i64 = 1;
const REAUTH: i64 = 2;
const MAGICAL: i64 = 3;

/// A lookup that goes on.
#[derive(Debug)]
pub(super) struct Chain<'t> {
    /// The first request.
    first: Item<'t>,
    /// All messages.
    pub(super) parts: Vec<Exchange<'t>>,
    /// From which port it goes on; nothing if from the root directory.
    from: Option<u32>,
    /// What is left of the name.
    rest: Vec<u8>,
}

/// What a message is to a lookup.
#[derive(Debug)]
pub(super) enum Taken<'t> {
    /// It goes on.
    Going(Chain<'t>),
    /// It has ended: all of it as one.
    Done(Item<'t>),
    /// What answers say leads to something else than another lookup: these are its messages.
    Odd(Vec<Exchange<'t>>),
    /// The message is not part of it, which is given up.
    Other(Chain<'t>, Box<Item<'t>>),
}

/// Where a successful answer leads.
enum Leads {
    Here,
    On(Option<u32>, Vec<u8>),
    Elsewhere,
}

fn leads<'t>(tables: Tables<'t>, item: &Item<'t>) -> Leads {
    let rest = item.answered(tables, "retry_name", |_, field| bytes(field.value).map(<[u8]>::to_vec));
    let retry = item.answered(tables, "do_retry", |_, field| number(field.value));
    let result = item.brought.first().copied();
    match (retry, rest) {
        (Some(NORMAL), Some(rest)) if rest.is_empty() => Leads::Here,
        (Some(NORMAL | REAUTH), Some(rest)) if result.is_some() => Leads::On(result, rest),
        (Some(MAGICAL), Some(rest)) if rest.starts_with(b"/") => Leads::On(None, rest),
        _ => Leads::Elsewhere,
    }
}

fn without_slashes(name: &[u8]) -> &[u8] {
    let start = name.iter().take_while(|letter| **letter == b'/').count();
    name.get(start..).unwrap_or_default()
}

impl<'t> Chain<'t> {
    /// A name is looked up.
    pub(super) fn begin(tables: Tables<'t>, item: Item<'t>) -> Taken<'t> {
        let parts = Vec::from([item.exchange.clone()]);
        let chain = Self { first: item.clone(), parts, from: None, rest: Vec::new() };
        chain.answered(tables, item)
    }

    /// Another message of the same thread.
    pub(super) fn take(mut self, tables: Tables<'t>, item: Item<'t>) -> Taken<'t> {
        let goes_on = self.from.is_none() || item.target() == self.from;
        match item.routine() {
            "io_reauthenticate" if goes_on => self.parts.push(item.exchange),
            "auth_user_authenticate" => {
                self.parts.push(item.exchange.clone());
                if item.failed.is_some() {
                    return Taken::Done(self.done(item));
                }
                self.from = item.brought.first().copied();
            }
            _ if item.is_lookup() && goes_on => {
                let name = item.asked_bytes(tables, "file_name").unwrap_or_default();
                if without_slashes(&name) != without_slashes(&self.rest) {
                    return Taken::Other(self, Box::new(item));
                }
                self.parts.push(item.exchange.clone());
                return self.answered(tables, item);
            }
            _ => return Taken::Other(self, Box::new(item)),
        }
        Taken::Going(self)
    }

    fn answered(mut self, tables: Tables<'t>, item: Item<'t>) -> Taken<'t> {
        if item.failed.is_some() || item.is_unanswered() {
            return Taken::Done(self.done(item));
        }
        match leads(tables, &item) {
            Leads::Here => Taken::Done(self.done(item)),
            Leads::On(from, rest) => {
                (self.from, self.rest) = (from, rest);
                Taken::Going(self)
            }
            Leads::Elsewhere => Taken::Odd(self.parts),
        }
    }

    /// The first request with the last answer.
    fn done(self, last: Item<'t>) -> Item<'t> {
        let mut whole = self.first;
        whole.exchange.reply = last.exchange.reply;
        whole.exchange.outcome = last.exchange.outcome;
        Item { failed: last.failed, brought: last.brought, ..whole }
    }
}
