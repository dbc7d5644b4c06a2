// SPDX-License-Identifier: GPL-2.0-or-later
//! The rights of a task, by its names, as far as the records say how it has come by them and given them back.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use trace_port::Port;

use crate::questions::carried::Kind;

/// A right is called leaked if what brings it has done so this often and none of it was given back.
pub(super) const GROWTH: u64 = 8;
/// Names that were given back and stand for nothing any more that are kept in mind.
const FREED: usize = 1024;

/// What brings rights to a task, or takes them from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// In the answer to a request with this id.
    Answer(u32),
    /// In a request, or a message that expects no answer, with this id.
    Message(u32),
    /// As the right to answer a request with this id.
    ToAnswer(u32),
    /// By this trap of a thread's.
    Trap(u32, u32),
    /// By a request to the kernel about its own rights, which has this id.
    Call(u32),
}

/// What brings a kind of right, or takes it.
pub(super) type Site = (Way, Kind);

/// What is known of a site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) brought: u64,
    /// Some of it was given back, or may have been.
    pub(super) is_returned: bool,
}

/// What a name stands for.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    /// Which port, as far as it is known: number 0 if it is not.
    port: Port,
    /// References that came less those that went; below 0 if there were some before the records.
    refs: i64,
    /// What brought those that are there, the last at the end.
    by: Vec<(Site, u64)>,
    /// Whether any has been given back.
    is_returned: bool,
    /// When the first of them came.
    since: u64,
    /// The name has stood in a message since.
    is_used: bool,
}

/// What a name stood for that stands for nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Freed {
    /// Number 0 if it is not known.
    pub(super) port: Port,
    pub(super) time: u64,
    pub(super) by: Way,
}

/// Where and when a right came or went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) name: u32,
    pub(super) kind: Kind,
    pub(super) way: Way,
    pub(super) time: u64,
}

/// A task's rights.
#[derive(Debug, Default)]
pub(super) struct Space {
    names: BTreeMap<(u32, Kind), Held>,
    sites: BTreeMap<Site, Count>,
    out: BTreeMap<Site, u64>,
    freed: BTreeMap<u32, Freed>,
    order: VecDeque<(u32, u64)>,
}

/// A right that leaks: what brought it, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leak {
    pub(super) site: Site,
    /// Others that this brought are given back, but of these nothing has been done.
    pub(super) is_idle: bool,
    pub(super) count: u64,
    /// Some names, each with its port, since when and how many references: the first ones.
    pub(super) names: Vec<(u32, Port, u64, u64)>,
}

/// Names of a leak that are told.
const TOLD: usize = 3;

impl Space {
    /// References of a right have come.
    pub(super) fn gain(&mut self, step: Step, port: Option<Port>, references: u64) {
        let Step { name, kind, way, time } = step;
        self.freed.remove(&name);
        let is_other =
            |held: &Held| held.port.number.get() != 0 && port.is_some_and(|port| port.number != held.port.number);
        if self.names.get(&(name, kind)).is_some_and(is_other) {
            // What it stood for went unseen.
            self.forget_one(name, kind);
        }
        let count = self.sites.entry((way, kind)).or_default();
        count.brought += references;
        let held = self.names.entry((name, kind)).or_default();
        held.port = port.unwrap_or(held.port);
        held.since = if held.refs == 0 { time } else { held.since };
        held.refs += references as i64;
        if held.refs <= 0 {
            // They make up for some that went, of which nobody knows when they came.
            count.is_returned = true;
        } else {
            match held.by.last_mut().filter(|last| last.0 == (way, kind)) {
                Some(last) => last.1 += references,
                None => held.by.push(((way, kind), references)),
            }
        }
        if held.refs == 0 {
            self.names.remove(&(name, kind));
        }
    }

    /// References of a right have gone.
    pub(super) fn lose(&mut self, step: Step, references: u64) {
        let Step { name, kind, way, time } = step;
        *self.out.entry((way, kind)).or_default() += references;
        let held = self.names.entry((name, kind)).or_default();
        held.refs -= references as i64;
        held.is_returned = true;
        for (site, _) in &held.by {
            self.sites.entry(*site).or_default().is_returned = true;
        }
        let mut left = references;
        while let Some(last) = held.by.last_mut().filter(|_| left > 0) {
            let taken = last.1.min(left);
            last.1 -= taken;
            left -= taken;
            if last.1 == 0 {
                held.by.pop();
            }
        }
        if held.refs == 0 {
            let port = held.port;
            self.names.remove(&(name, kind));
            self.free(name, Freed { port, time, by: way });
        }
    }

    /// One reference that `mach_port_deallocate` gives back: of a send right or a dead name, or a send-once right.
    pub(super) fn deallocate(&mut self, name: u32, way: Way, time: u64) {
        let has = |kind| self.names.get(&(name, kind)).is_some_and(|held| held.refs > 0);
        let kind = if !has(Kind::Send) && has(Kind::SendOnce) { Kind::SendOnce } else { Kind::Send };
        self.lose(Step { name, kind, way, time }, 1);
    }

    /// All that a name stands for is given back.
    pub(super) fn destroy(&mut self, name: u32, way: Way, time: u64) {
        for kind in [Kind::Send, Kind::SendOnce, Kind::Receive, Kind::Set] {
            match self.names.get(&(name, kind)).map(|held| held.refs) {
                Some(refs @ 1..) => self.lose(Step { name, kind, way, time }, refs as u64),
                // Whatever there was before the records is gone, too.
                Some(_) => drop(self.names.remove(&(name, kind))),
                None => {}
            }
        }
        let port = self.freed.get(&name).map_or(Port::default(), |freed| freed.port);
        self.free(name, Freed { port, time, by: way });
    }

    /// A name stands for what another stood for.
    pub(super) fn rename(&mut self, from: u32, to: u32) {
        for kind in [Kind::Send, Kind::SendOnce, Kind::Receive, Kind::Set] {
            if let Some(held) = self.names.remove(&(from, kind)) {
                self.freed.remove(&to);
                self.names.insert((to, kind), held);
            }
        }
    }

    /// Of what a name stands for nothing is certain any more.
    pub(super) fn forget(&mut self, name: u32) {
        [Kind::Send, Kind::SendOnce, Kind::Receive, Kind::Set].into_iter().for_each(|kind| self.forget_one(name, kind));
        self.freed.remove(&name);
    }

    fn forget_one(&mut self, name: u32, kind: Kind) {
        let Some(held) = self.names.remove(&(name, kind)) else { return };
        for (site, _) in held.by {
            self.sites.entry(site).or_default().is_returned = true;
        }
    }

    /// Nothing is certain any more: what has come so far may have gone.
    pub(super) fn forget_all(&mut self) {
        self.names.clear();
        self.sites.values_mut().for_each(|count| *count = Count { is_returned: false, ..*count });
        self.freed.clear();
        self.order.clear();
    }

    fn free(&mut self, name: u32, freed: Freed) {
        if self.names.range((name, Kind::Send)..=(name, Kind::Set)).any(|(_, held)| held.refs > 0) {
            return;
        }
        self.freed.insert(name, freed);
        self.order.push_back((name, freed.time));
        if self.order.len() > FREED
            && let Some((oldest, time)) = self.order.pop_front()
            && self.freed.get(&oldest).is_some_and(|freed| freed.time == time)
        {
            self.freed.remove(&oldest);
        }
    }

    /// What a name stood for that was given back.
    pub(super) fn freed(&self, name: u32) -> Option<Freed> {
        self.freed.get(&name).copied()
    }

    /// The port that a name is known to stand for a right to send to.
    pub(super) fn port_of(&self, name: u32) -> Option<Port> {
        self.names.get(&(name, Kind::Send)).filter(|held| held.refs > 0).map(|held| held.port)
    }

    /// What came how often, and what went.
    pub(super) fn balance(&self) -> (impl Iterator<Item = (Site, u64)>, impl Iterator<Item = (Site, u64)>) {
        let brought = self.sites.iter().map(|(site, count)| (*site, count.brought));
        (brought.filter(|brought| brought.1 > 0), self.out.iter().map(|(site, count)| (*site, *count)))
    }

    /// References of each kind that are held.
    pub(super) fn held(&self) -> BTreeMap<Kind, u64> {
        let mut held = BTreeMap::new();
        for ((_, kind), one) in self.names.iter().filter(|(_, one)| one.refs > 0) {
            *held.entry(*kind).or_default() += one.refs as u64;
        }
        held
    }

    /// A name stands in a message.
    pub(super) fn used(&mut self, name: u32) {
        if let Some(held) = self.names.get_mut(&(name, Kind::Receive)) {
            held.is_used = true;
        }
    }

    /// What leaks, most first: what [`GROWTH`] times brought a right of which none was given back; names that have so many references that
    /// several such things brought; and so many receive rights of one such thing with which nothing was done.
    pub(super) fn leaks(&self) -> Vec<Leak> {
        let mut held: Vec<(u32, &Held)> =
            self.names.iter().filter(|(_, held)| held.refs > 0).map(|((name, _), held)| (*name, held)).collect();
        held.sort_by_key(|(name, held)| (held.since, *name));
        let is_growing = |site: &Site| self.sites.get(site).is_some_and(|count| !count.is_returned);
        let mut leaks = by_site(held.iter().copied(), false, is_growing);
        for (name, one) in held.iter().filter(|(_, held)| !held.is_returned && held.refs >= GROWTH as i64) {
            let is_new = one.by.iter().all(|(site, _)| !leaks.contains_key(site));
            if let Some((site, _)) = one.by.last().filter(|_| is_new) {
                let (count, names) = (one.refs as u64, Vec::from([(*name, one.port, one.since, one.refs as u64)]));
                leaks.insert(*site, Leak { site: *site, is_idle: false, count, names });
            }
        }
        let idle = held.iter().copied().filter(|(_, held)| !held.is_used);
        for (site, leak) in by_site(idle, true, |site| site.1 == Kind::Receive) {
            leaks.entry(site).or_insert(leak);
        }
        let mut leaks: Vec<Leak> = leaks.into_values().collect();
        leaks.sort_by_key(|leak| u64::MAX - leak.count);
        leaks
    }
}

/// What brought so many of these names' rights that they leak, of what is looked at.
fn by_site<'a>(
    held: impl Iterator<Item = (u32, &'a Held)>,
    is_idle: bool,
    looks_at: impl Fn(&Site) -> bool,
) -> BTreeMap<Site, Leak> {
    let mut leaks: BTreeMap<Site, Leak> = BTreeMap::new();
    for (name, one) in held {
        let sites = one.by.iter().filter(|(site, _)| !matches!(site.0, Way::ToAnswer(_)) && looks_at(site));
        for (site, count) in sites {
            let leak = leaks.entry(*site).or_insert(Leak { site: *site, is_idle, count: 0, names: Vec::new() });
            leak.count += count;
            if leak.names.len() < TOLD {
                leak.names.push((name, one.port, one.since, *count));
            }
        }
    }
    leaks.retain(|_, leak| leak.count >= GROWTH);
    leaks
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOKUP: Way = Way::Answer(100);
    const OPEN: Way = Way::Answer(200);
    const GIVE_BACK: Way = Way::Call(300);

    fn step(name: u32, way: Way) -> Step {
        Step { name, kind: Kind::Send, way, time: u64::from(name) }
    }

    fn port(number: u32) -> Option<Port> {
        Some(Port { number: number.into(), ..Port::default() })
    }

    fn counts(space: &Space) -> Vec<(Way, u64)> {
        space.leaks().iter().map(|leak| (leak.site.0, leak.count)).collect()
    }

    #[test]
    fn what_came_often_and_never_went_leaks() {
        let mut space = Space::default();
        (1..GROWTH as u32).for_each(|name| space.gain(step(name, LOOKUP), port(10 + name), 1));
        assert_eq!(counts(&space), []);
        space.gain(step(8, LOOKUP), port(18), 1);
        assert_eq!(counts(&space), [(LOOKUP, 8)]);
        let names = space.leaks()[0].names.clone();
        assert_eq!(
            names.iter().map(|name| (name.0, name.1.number.get(), name.2)).collect::<Vec<_>>(),
            [(1, 11, 1), (2, 12, 2), (3, 13, 3)]
        );
        // As soon as it is known to be given back somewhere, it is not.
        space.deallocate(8, GIVE_BACK, 20);
        (20..40).for_each(|name| space.gain(step(name, LOOKUP), port(10 + name), 1));
        assert_eq!(counts(&space), []);
        assert_eq!(space.held().into_iter().collect::<Vec<_>>(), [(Kind::Send, 27)]);
    }

    #[test]
    fn references_of_one_name_leak_whoever_brought_them() {
        let mut space = Space::default();
        space.gain(step(1, LOOKUP), port(10), 4);
        space.gain(step(1, OPEN), port(10), 3);
        assert_eq!(counts(&space), []);
        space.gain(step(1, OPEN), port(10), 1);
        assert_eq!(counts(&space), [(OPEN, 8)]);
        space.deallocate(1, GIVE_BACK, 9);
        space.gain(step(1, OPEN), port(10), 8);
        assert_eq!(counts(&space), [], "it is given back now and then");
    }

    #[test]
    fn receive_rights_with_which_nothing_is_done_leak_though_others_go() {
        let mut space = Space::default();
        let made = |name: u32| Step { kind: Kind::Receive, ..step(name, LOOKUP) };
        for name in 1..=10 {
            space.gain(made(name), port(name), 1);
        }
        space.lose(made(10), 1);
        (1..=2).for_each(|name| space.used(name));
        assert_eq!(counts(&space), []);
        space.gain(made(11), port(11), 1);
        assert_eq!(counts(&space), [(LOOKUP, 8)]);
        assert!(space.leaks()[0].is_idle);
        space.used(11);
        assert_eq!(counts(&space), []);
    }

    #[test]
    fn what_was_there_before_makes_nothing_certain() {
        let mut space = Space::default();
        (0..20).for_each(|_| space.deallocate(1, GIVE_BACK, 1));
        (0..20).for_each(|_| space.gain(step(1, LOOKUP), port(10), 1));
        assert_eq!((counts(&space), space.held().len()), (Vec::new(), 0));
        (0..20).for_each(|_| space.gain(step(2, OPEN), port(11), 1));
        space.forget_all();
        assert_eq!(counts(&space), []);
        (0..7).for_each(|_| space.gain(step(2, OPEN), port(11), 1));
        assert_eq!(counts(&space), [], "what came before may have gone");
        space.gain(step(2, OPEN), port(11), 1);
        assert_eq!(counts(&space), [(OPEN, 8)]);
    }

    #[test]
    fn names_that_stand_for_nothing_are_known_until_they_are_used_again() {
        let mut space = Space::default();
        space.gain(step(1, LOOKUP), port(10), 2);
        space.deallocate(1, GIVE_BACK, 5);
        assert_eq!((space.freed(1), space.port_of(1)), (None, port(10)));
        space.deallocate(1, GIVE_BACK, 6);
        assert_eq!(
            (space.freed(1), space.port_of(1)),
            (Some(Freed { port: port(10).unwrap(), time: 6, by: GIVE_BACK }), None)
        );
        space.gain(step(1, LOOKUP), port(11), 1);
        assert_eq!(space.freed(1), None);
        space.destroy(1, GIVE_BACK, 7);
        assert_eq!(space.freed(1), Some(Freed { port: port(11).unwrap(), time: 7, by: GIVE_BACK }));
        for name in 2..3000 {
            space.gain(step(name, LOOKUP), port(name), 1);
            space.deallocate(name, GIVE_BACK, u64::from(name));
        }
        assert_eq!((space.freed(1), space.freed.len()), (None, FREED));
    }

    #[test]
    fn another_port_by_the_same_name_is_another_right() {
        let mut space = Space::default();
        for number in 10..30 {
            space.gain(step(1, LOOKUP), port(number), 1);
        }
        assert_eq!(
            (counts(&space), space.held().into_iter().collect::<Vec<_>>()),
            (Vec::new(), Vec::from([(Kind::Send, 1)]))
        );
    }
}
