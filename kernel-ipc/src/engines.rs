// SPDX-License-Identifier: GPL-2.0-or-later
//! Engines: further tracers of a task, each with a trace port, a mask of events, a policy and a filter of its own.
//!
//! An engine may have several tasks, and a task several engines, in the order in which they were attached. An engine ends with the last
//! right to its own port, or with its trace port; a task that ends is no longer the engine's.

use mach_abi::header::REPLY_ID_OFFSET;
use trace_port::control::{self, Action, MAX_ACTIONS, MAX_ENGINES, MAX_RULES, Name, Rule, Seen, flag, policy};
use trace_port::{Direction, EventKind};

use crate::gnumach::{Port, SendRight};
use crate::slab::Slab;
use crate::table::Asked;

/// Engines of a chunk.
const IN_CHUNK: usize = 4;
/// Most chunks.
const CHUNKS: usize = 256;
/// Lists of a chunk.
const LISTS_IN_CHUNK: usize = 16;
/// Most chunks: as many lists as there are entries.
const LIST_CHUNKS: usize = crate::table::CAPACITY / LISTS_IN_CHUNK;

/// All engines.
pub(crate) type Engines = Slab<Engine, IN_CHUNK, CHUNKS>;
/// The lists of all tasks that have engines.
pub(crate) type Lists = Slab<List, LISTS_IN_CHUNK, LIST_CHUNKS>;

/// What an engine is known by, also when it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EngineKey {
    /// 1 + index of its place.
    pub(crate) place: u32,
    /// Its number, which no other engine gets.
    pub(crate) number: u32,
}

/// What an engine is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// Its name.
    pub(crate) name: Name,
    /// The number of its maker's control port.
    pub(crate) owner: u32,
    /// Bits of [`flag`].
    pub(crate) flags: u32,
    /// What it is told of.
    pub(crate) events: u32,
    /// What becomes of what there is no room for.
    pub(crate) policy: u32,
}

/// What an engine has that ends with it.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EngineEnd {
    /// Its own port, which the kernel receives from.
    pub(crate) control: Port,
    /// Its trace port.
    pub(crate) right: SendRight,
}

/// A tracer.
#[derive(Debug)]
pub(crate) struct Engine {
    number: u32,
    control: Port,
    right: SendRight,
    wish: Wish,
    rules: heapless::Vec<Rule, MAX_RULES>,
    /// Most bytes of a message.
    bytes: u32,
    /// What becomes of messages, and how many each has been for.
    actions: heapless::Vec<(Action, u32), MAX_ACTIONS>,
    /// How many lists it is in.
    pub(crate) tasks: u32,
    /// Whether it has been in one.
    pub(crate) had_tasks: bool,
    /// Records on their way to its trace port.
    pub(crate) flying: u32,
    /// Records it has lost in all.
    pub(crate) lost: u32,
    /// Whether somebody is ending it.
    pub(crate) ends: bool,
}

impl Engine {
    /// A new one.
    pub(crate) fn new(number: u32, control: Port, right: SendRight, wish: Wish) -> Self {
        Self {
            number,
            control,
            right,
            wish,
            rules: heapless::Vec::new(),
            bytes: u32::MAX,
            actions: heapless::Vec::new(),
            tasks: 0,
            had_tasks: false,
            flying: 0,
            lost: 0,
            ends: false,
        }
    }

    /// Its number.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Its own port.
    pub(crate) fn control(&self) -> Port {
        self.control
    }

    /// Its trace port.
    pub(crate) fn port(&self) -> Port {
        self.right.port()
    }

    /// Whether it has this name.
    pub(crate) fn is_called(&self, name: &Name) -> bool {
        self.wish.name == *name
    }

    /// What it is told of.
    pub(crate) fn events(&self) -> u32 {
        self.wish.events
    }

    /// Of which events there has to be a record for it: also of those that it says what becomes of.
    pub(crate) fn needs(&self) -> u32 {
        let of = |(action, _): &(Action, u32)| control::event_of(EventKind::Normal, action.direction());
        self.actions.iter().fold(self.wish.events, |needs, action| needs | of(action))
    }

    /// Whether it is told of all messages that its tasks exchange, and of what fails, and no more than told.
    pub(crate) fn wants_all_messages(&self) -> bool {
        use control::event::{FAILED, RECEIVE, SEND};
        const ALL: u32 = SEND | RECEIVE | FAILED;
        self.wish.events & ALL == ALL && self.rules.is_empty() && self.actions.is_empty()
    }

    /// Whether it may say what becomes of messages, and stop threads.
    pub(crate) fn has_control(&self) -> bool {
        self.wish.flags & flag::CONTROL != 0
    }

    /// Whether it stops each new thread of its tasks.
    pub(crate) fn stops_births(&self) -> bool {
        self.has_control() && self.wish.flags & flag::BIRTHS != 0
    }

    /// Whether it says so.
    pub(crate) fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }

    /// It says this alone from now on.
    pub(crate) fn set_actions(&mut self, actions: impl Iterator<Item = Action>) {
        self.actions.clear();
        for action in actions {
            if self.actions.push((action, 0)).is_err() {
                break;
            }
        }
    }

    /// What becomes of the next message of this id and direction: the first action that takes hold of it. All that are for it count it.
    pub(crate) fn act(&mut self, msgh_id: u32, direction: Direction) -> Option<Action> {
        let mut held = None;
        let is_for = |action: &Action| action.is_for(msgh_id) && action.direction() == direction;
        for (action, count) in self.actions.iter_mut().filter(|(action, _)| is_for(action)) {
            *count = count.saturating_add(1);
            if held.is_none() && action.takes_hold(*count) {
                held = Some(*action);
            }
        }
        held
    }

    /// Whether a traced thread waits for room.
    pub(crate) fn blocks(&self) -> bool {
        self.wish.policy == policy::BLOCK
    }

    /// Whether children of its tasks are its own.
    pub(crate) fn has_children(&self) -> bool {
        self.wish.flags & flag::CHILDREN != 0
    }

    /// Most bytes of a message that it is shown.
    pub(crate) fn bytes(&self) -> u32 {
        self.bytes
    }

    /// Whose it is.
    pub(crate) fn set_owner(&mut self, owner: u32) {
        self.wish.owner = owner;
    }

    /// It is told of this from now on.
    pub(crate) fn set_events(&mut self, events: u32, policy: u32) {
        self.wish = Wish { events, policy, ..self.wish };
    }

    /// It is told of this alone from now on, and of so many bytes.
    pub(crate) fn set_filter(&mut self, rules: impl Iterator<Item = Rule>, bytes: u32) {
        self.rules.clear();
        for rule in rules {
            if self.rules.push(rule).is_err() {
                break;
            }
        }
        self.bytes = bytes;
    }

    /// What one is told of it.
    pub(crate) fn state(&self) -> control::Engine {
        control::Engine {
            name: self.wish.name,
            number: self.number.into(),
            owner: self.wish.owner.into(),
            flags: (self.wish.flags & (flag::CHILDREN | flag::CONTROL | flag::BIRTHS)).into(),
            events: self.wish.events.into(),
            policy: self.wish.policy.into(),
            rules: (self.rules.len() as u32).into(),
            tasks: self.tasks.into(),
            lost: self.lost.into(),
        }
    }

    /// What it leaves.
    pub(crate) fn end(self) -> EngineEnd {
        EngineEnd { control: self.control, right: self.right }
    }

    /// Whether it may want an event, of which not all is known yet.
    pub(crate) fn may_want(&self, asked: Asked) -> bool {
        // That it was the kernel that was asked is known of an answer by the record of the request.
        let is_for = |rule: &Rule, id: u32| {
            rule.is_for(id) || self.asks_for_kernel_calls() && rule.is_for(id.wrapping_add(REPLY_ID_OFFSET))
        };
        let of_rules = |id: u32| self.rules.iter().any(|rule| is_for(rule, id));
        self.needs() & asked.events != 0
            && (self.rules.is_empty() || !self.actions.is_empty() || asked.msgh_id.is_none_or(of_rules))
    }

    /// Whether it asks for messages that its tasks exchange themselves.
    fn asks_for_messages(&self) -> bool {
        use control::event::{FAILED, KERNEL_CALL, RECEIVE, SEND};
        self.wish.events & (SEND | RECEIVE | FAILED | KERNEL_CALL) != 0
    }

    /// Whether it is told of such a message only if the id is among [`Engine::ids`], whatever else there is to the message. A rule for very many
    /// ids is as none.
    pub(crate) fn goes_by_ids(&self) -> bool {
        let is_narrow = |rule: &Rule| is_of_none(rule) || rule.last.get().saturating_sub(rule.first.get()) < MOST_IDS;
        let has_ids = !self.rules.is_empty() && self.rules.iter().all(is_narrow);
        self.actions.is_empty() && (!self.asks_for_messages() || has_ids)
    }

    /// The rules whose ids it goes by; none if it goes by other things, or is told of no message.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &Rule> {
        let has_ids = self.asks_for_messages() && self.goes_by_ids();
        self.rules.iter().filter(move |rule| has_ids && !is_of_none(rule))
    }

    /// Whether it asks for calls of the kernel as such.
    pub(crate) fn asks_for_kernel_calls(&self) -> bool {
        self.wish.events & control::event::KERNEL_CALL != 0
    }

    /// Whether it wants an event. `has_port` says whether one of the message's ports has a number.
    pub(crate) fn wants(&self, seen: &Seen, has_port: impl Fn(u32) -> bool) -> bool {
        let allows = |rule: &Rule| {
            let port = rule.port.get();
            seen.is_allowed(rule.flags.get(), rule.first.get(), rule.last.get()) && (port == 0 || has_port(port))
        };
        let is_allowed = || !seen.needs_rule() || self.rules.is_empty() || self.rules.iter().any(allows);
        seen.is_among(self.wish.events) && is_allowed()
    }
}

/// Ids of a rule with which it may be looked for one by one: half of all that are told apart.
const MOST_IDS: u32 = 1 << 15;

/// Whether a rule is for what has no message, and for no message.
fn is_of_none(rule: &Rule) -> bool {
    rule.flags.get() & control::rule::NO_MESSAGE != 0
}

/// That a task is an engine's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attached {
    /// The engine.
    pub(crate) engine: EngineKey,
    /// Place in the order of events: it is told of later ones.
    pub(crate) since: u64,
    /// What the next record of this task is to say was lost: see `RecordHeader::dropped` of trace-port.
    pub(crate) dropped: u32,
    /// The number of the ring's being given ([`RingKey::given`](crate::rings::RingKey::given)) that records of the task may go to; 0 if the next
    /// is to be a message.
    pub(crate) introduced: u32,
}

/// A task's engines, in the order of their attaching.
pub(crate) type List = heapless::Vec<Attached, MAX_ENGINES>;

/// How far the engines of a task have been told of an event: one that is attached or goes meanwhile does not change whose turn it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    direction: Direction,
    last: Option<u64>,
}

impl Turn {
    /// Nobody has been told. What enters the kernel the last one that was attached is told first, as it is the closest to user mode.
    pub(crate) const fn first(direction: Direction) -> Self {
        Self { direction, last: None }
    }

    /// Of what.
    pub(crate) const fn direction(&self) -> Direction {
        self.direction
    }

    /// Whose turn it is.
    pub(crate) fn next<'a>(&mut self, list: &'a mut List) -> Option<&'a mut Attached> {
        let last = self.last;
        let next = match self.direction {
            Direction::Send => list.iter_mut().rev().find(|attached| last.is_none_or(|last| attached.since < last)),
            Direction::Receive => list.iter_mut().find(|attached| last.is_none_or(|last| attached.since > last)),
        }?;
        self.last = Some(next.since);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(sinces: &[u64]) -> List {
        let attached = |&since| Attached {
            engine: EngineKey { place: 1, number: since as u32 },
            since,
            dropped: 0,
            introduced: 0,
        };
        sinces.iter().map(attached).collect()
    }

    fn order(turn: &mut Turn, list: &mut List) -> std::vec::Vec<u64> {
        core::iter::from_fn(|| turn.next(list).map(|attached| attached.since)).collect()
    }

    #[test]
    fn what_enters_the_kernel_the_last_one_is_told_first() {
        let mut list = list(&[3, 5, 9]);
        assert_eq!(order(&mut Turn::first(Direction::Receive), &mut list), [3, 5, 9]);
        assert_eq!(order(&mut Turn::first(Direction::Send), &mut list), [9, 5, 3]);
    }

    #[test]
    fn engines_that_come_and_go_meanwhile_change_nobodys_turn() {
        let mut turn = Turn::first(Direction::Receive);
        assert_eq!(turn.next(&mut list(&[3, 5, 9])).map(|attached| attached.since), Some(3));
        assert_eq!(order(&mut turn, &mut list(&[5, 9, 11])), [5, 9, 11]);
        let mut turn = Turn::first(Direction::Send);
        assert_eq!(turn.next(&mut list(&[3, 5, 9])).map(|attached| attached.since), Some(9));
        assert_eq!(order(&mut turn, &mut list(&[3, 11])), [3]);
    }
}
