// SPDX-License-Identifier: GPL-2.0-or-later
//! The summary against the rules.

use std::boxed::Box;
use std::vec::Vec;

use trace_port::control::{MAX_RULES, Seen, event, policy, rule};
use trace_port::{Direction, EventKind};

use super::*;
use crate::engines::Wish;
use crate::gnumach::{Port, SendRight};
use crate::hooks::model::asking;
use crate::hooks::model::random::Random;

fn engine(number: u32, events: u32, rules: &[Rule]) -> Engine {
    let wish = Wish { name: Default::default(), owner: 0, flags: 0, events, policy: policy::BLOCK };
    let mut engine = Engine::new(number, Port::fake(8), SendRight::fake(Port::fake(16)), wish);
    engine.set_filter(rules.iter().copied(), u32::MAX);
    engine
}

fn counted(of: Vec<Engine>) -> Wanted {
    let mut engines = Engines::new();
    for engine in of {
        if engines.is_full() {
            let chunk = Box::new(std::array::from_fn(|_| crate::slab::Place::default()));
            assert!(engines.grow(Box::leak(chunk)));
        }
        engines.add(engine).unwrap();
    }
    let wanted = Wanted::new();
    wanted.count(&mut engines);
    wanted
}

/// Ids at which something may change.
fn id(random: &mut Random, rules: &[Rule]) -> u32 {
    let near = random.below(400) as u32;
    match random.below(4) {
        0 => near,
        1 => random.below(1 << 32) as u32,
        _ if rules.is_empty() => 2000 + near,
        side => {
            let rule = random.one(rules);
            let end = if side == 2 { rule.first.get() } else { rule.last.get() };
            end.wrapping_add(near).wrapping_sub(200)
        }
    }
}

fn rules(random: &mut Random) -> Vec<Rule> {
    (0..random.below(MAX_RULES as u64 / 2))
        .map(|_| {
            let first = id(random, &[]);
            let more = random.one(&[0, 0, 1, 63, 64, 65, 99, 5000, 1 << 16, u32::MAX]);
            let port = random.one(&[0, 0, 7]);
            let flags = random.below(u64::from(rule::ALL) + 1) as u32;
            let last = if random.below(16) == 0 { first.wrapping_sub(1) } else { first.saturating_add(more) };
            asking::rule(flags, first, last, port)
        })
        .collect()
}

/// What an engine that goes by ids wants is never left out, with its request and its reply.
#[test]
fn what_a_rule_allows_is_wanted_and_so_are_its_request_and_its_reply() {
    let mut random = Random(0x5eed);
    let (mut allowed, mut by_ids, mut left_out) = (0, 0, 0);
    for number in 1..=400 {
        let rules = rules(&mut random);
        let asked = [
            event::ALL,
            event::SEND,
            event::RECEIVE,
            event::FAILED,
            event::KERNEL_CALL,
            event::CONTROL,
            event::RPC_TRAP,
        ];
        let events = random.one(&asked);
        let engine = engine(number, events, &rules);
        if !engine.goes_by_ids() {
            continue;
        }
        by_ids += 1;
        let ids: Vec<u32> = (0..200).map(|_| id(&mut random, &rules)).collect();
        let wants = |msgh_id: u32| {
            [Direction::Send, Direction::Receive].into_iter().any(|direction| {
                [(false, false), (false, true), (true, false), (true, true)].into_iter().any(|(failed, kernel_call)| {
                    let msgh_id = Some(msgh_id);
                    engine.wants(&Seen { direction, kind: EventKind::Normal, failed, kernel_call, msgh_id }, |_| true)
                })
            })
        };
        let wanted: Vec<bool> = ids.iter().map(|&id| wants(id)).collect();
        let summary = counted(std::vec![engine]);
        for (&id, &is_wanted) in ids.iter().zip(&wanted) {
            if is_wanted {
                allowed += 1;
                for id in [id, id.wrapping_add(REPLY), id.wrapping_sub(REPLY)] {
                    assert!(summary.may_be(id), "{id} of {rules:?}");
                }
            }
            left_out += usize::from(!summary.may_be(id));
        }
    }
    assert!(by_ids > 50 && allowed > 1000 && left_out > 1000, "{by_ids} {allowed} {left_out}");
}

#[test]
fn what_is_wanted_is_that_of_a_rule_of_its_request_or_of_its_reply_and_nothing_else() {
    let one = asking::rule(0, 2021, 2022, 0);
    let wanted = counted(std::vec![engine(1, event::ALL, &[one])]);
    let found: Vec<u32> = (0..1 << 16).filter(|&id| wanted.may_be(id)).collect();
    assert_eq!(found, [1921, 1922, 2021, 2022, 2121, 2122]);
    assert!(wanted.may_be((1 << 16) + 2021), "by its lower half");
    let wanted = counted(std::vec![engine(1, event::ALL, &[asking::rule(rule::ANSWERS, 2021, 2022, 0)])]);
    let found: Vec<u32> = (0..1 << 16).filter(|&id| wanted.may_be(id)).collect();
    assert_eq!(found, [1921, 1922, 2021, 2022, 2121, 2122, 2221, 2222]);
}

#[test]
fn an_engine_that_does_not_go_by_ids_has_none() {
    let port = asking::rule(0, 0, u32::MAX, 7);
    for (events, rules) in [
        (event::ALL, &[][..]),
        (event::ALL, &[port]),
        (event::KERNEL_CALL, &[asking::rule(rule::FAILED, 9, 40_000, 0)]),
    ] {
        let engine = engine(1, events, rules);
        assert!(!engine.goes_by_ids() && engine.ids().next().is_none(), "{rules:?}");
        let wanted = counted(std::vec![engine]);
        assert!((0..1 << 16).all(|id| !wanted.may_be(id)));
    }
    let told_of_no_message = engine(1, event::CONTROL | event::TASK_DEATH, &[]);
    assert!(told_of_no_message.goes_by_ids() && told_of_no_message.ids().next().is_none());
    let none = engine(1, event::ALL, &[asking::rule(rule::NO_MESSAGE, 0, u32::MAX, 0)]);
    assert!(none.goes_by_ids() && none.ids().next().is_none(), "of no message");
}

#[test]
fn with_too_many_rules_everything_is_wanted() {
    let with_engines = |count| {
        let rules = [asking::rule(0, 5, 5, 0); MAX_RULES];
        counted((1..=count).map(|number| engine(number, event::ALL, &rules)).collect())
    };
    assert!(!with_engines(4).may_be(6));
    let wanted = with_engines(5);
    assert!((0..1 << 16).all(|id| wanted.may_be(id)));
}

/// Each bit by itself, round the circle.
#[test]
fn the_bits_of_a_range_are_those_of_its_ids() {
    let mut random = Random(0x0b17);
    for _ in 0..20_000 {
        let [any, some, some_word] = [1 << 16, 1 << 16, WORDS as u64].map(|limit| random.below(limit));
        let first = random.one(&[0, 1, 63, 64, 65_472, 65_500, 65_535, any as u16]);
        let more = random.one(&[0, 1, 35, 62, 63, 64, 100, 65_470, 65_534, 65_535, 70_000, some as u32]);
        let word = random.one(&[0, 1, 2, 1022, 1023, some_word as u32]);
        let is_of = |bit: u32| u32::from(((word * BITS + bit) as u16).wrapping_sub(first)) <= more;
        let expected = (0..BITS).fold(0, |bits, bit| bits | u64::from(is_of(bit)) << bit);
        assert_eq!(bits_of_range(first, more, word), expected, "{first} {more} {word}");
    }
}
