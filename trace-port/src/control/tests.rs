// SPDX-License-Identifier: GPL-2.0-or-later
//! What events, rules and actions are for.

use super::*;

const SENT: Seen = Seen {
    direction: Direction::Send,
    kind: EventKind::Normal,
    failed: false,
    kernel_call: false,
    msgh_id: Some(2021),
};

#[test]
fn an_engine_is_told_of_what_it_asks_for() {
    let received = Seen { direction: Direction::Receive, ..SENT };
    assert!(SENT.is_among(event::SEND) && !SENT.is_among(event::ALL & !event::SEND));
    assert!(received.is_among(event::RECEIVE) && !received.is_among(event::SEND | event::FAILED));
    let failed = Seen { failed: true, ..received };
    assert!(failed.is_among(event::FAILED) && failed.is_among(event::RECEIVE) && !failed.is_among(event::TRAP));
    let asked = Seen { kernel_call: true, ..SENT };
    assert!(asked.is_among(event::KERNEL_CALL) && asked.is_among(event::SEND) && !asked.is_among(event::RECEIVE));
    assert!(!SENT.is_among(event::KERNEL_CALL | event::RPC_TRAP));
    assert!(Seen { direction: Direction::Receive, ..asked }.is_among(event::KERNEL_CALL));
    for (kind, event) in [
        (EventKind::Task, event::CONTROL),
        (EventKind::Thread, event::CONTROL),
        (EventKind::TaskException, event::EXCEPTION),
        (EventKind::ThreadException, event::EXCEPTION),
        (EventKind::Trap, event::TRAP),
    ] {
        let seen = Seen { kind, failed: true, kernel_call: true, ..SENT };
        assert!(seen.is_among(event) && !seen.is_among(event::ALL & !event), "{kind:?}");
    }
    assert!(Seen { kind: EventKind::Lost, ..SENT }.is_among(0));
}

#[test]
fn a_rule_allows_a_range_of_ids_a_direction_and_failures() {
    let allowed = |flags, first, last| SENT.is_allowed(flags, first, last);
    assert!(allowed(0, 2021, 2021) && allowed(rule::SEND, 0, u32::MAX) && allowed(rule::SEND | rule::RECEIVE, 0, 2021));
    assert!(!allowed(0, 2022, u32::MAX) && !allowed(0, 0, 2020) && !allowed(rule::RECEIVE, 0, u32::MAX));
    assert!(!allowed(rule::FAILED, 0, u32::MAX) && !allowed(0, 2022, 2020));
    assert!(Seen { failed: true, ..SENT }.is_allowed(rule::FAILED, 0, u32::MAX));
}

#[test]
fn a_rule_is_for_answers_too_if_it_says_so() {
    let rule = |flags: u32| Rule { flags: flags.into(), first: 2020.into(), last: 2021.into(), port: 0.into() };
    let found = |flags| (0..10_000).filter(|&id| rule(flags).is_for(id)).collect::<std::vec::Vec<u32>>();
    assert_eq!(found(0), [2020, 2021]);
    assert_eq!(found(rule::ANSWERS), [2020, 2021, 2120, 2121]);
    assert_eq!(found(rule::ANSWERS | rule::NO_MESSAGE), []);
    let answer = Seen { direction: Direction::Receive, msgh_id: Some(2121), ..SENT };
    assert!(answer.is_allowed(rule::ANSWERS, 2021, 2021) && !answer.is_allowed(0, 2021, 2021));
    assert!(!answer.is_allowed(rule::ANSWERS | rule::SEND, 2021, 2021));
}

#[test]
fn what_shows_no_message_has_a_rule_of_its_own_or_needs_none() {
    let failed = Seen { failed: true, msgh_id: None, ..SENT };
    assert!(!failed.is_allowed(0, 0, u32::MAX) && failed.is_allowed(rule::NO_MESSAGE, 7, 7));
    assert!(!SENT.is_allowed(rule::NO_MESSAGE, 0, u32::MAX), "no message's");
    assert!(!failed.is_allowed(rule::NO_MESSAGE | rule::RECEIVE, 0, 0));
    assert!(failed.is_allowed(rule::NO_MESSAGE | rule::SEND | rule::FAILED, 0, 0));
    let needs_rule = |kind| Seen { kind, ..failed }.needs_rule();
    for kind in (0..=u8::MAX).filter_map(EventKind::from_wire) {
        let is_message = matches!(
            kind,
            EventKind::Normal
                | EventKind::Task
                | EventKind::Thread
                | EventKind::TaskException
                | EventKind::ThreadException
        );
        assert_eq!(needs_rule(kind), is_message, "{kind:?}");
    }
}

#[test]
fn an_action_takes_hold_of_the_nth_message_and_of_every_step_after_it() {
    let held = |nth: u32, step: u32| {
        let action = Action { nth: nth.into(), step: step.into(), ..Action::default() };
        (0..10).filter(|&count| action.takes_hold(count)).fold(0, |held, count| held * 10 + count)
    };
    assert_eq!([held(1, 0), held(3, 0), held(3, 1), held(2, 3)], [1, 3, 3_456_789, 258]);
    let known = |what: u32, value: u32, nth: u32| {
        Action { what: what.into(), value: value.into(), nth: nth.into(), ..Action::default() }.is_known()
    };
    assert!(
        known(what::STOP, 0, 1) && known(what::FAIL, 1, 1) && known(what::REPLY, 0, 1) && known(what::DELAY, 60_000, 2)
    );
    assert!(!known(what::STOP, 0, 0) && !known(what::FAIL, 0, 1) && !known(what::DELAY, 60_001, 1) && !known(6, 1, 1));
    assert!(!is_answer(what::STOP, 0) && !is_answer(what::HOLD, 0) && known(what::HOLD, 0, 1));
}

#[test]
fn only_a_whole_number_of_rules_is_an_array_of_them() {
    assert_eq!([0, 1, 16].map(|count| rules_in(array_of::<Rule>(count))), [Some(0), Some(1), Some(16)]);
    assert_eq!([array_of::<Rule>(17), integers(3), INTEGER, NAME, u64::MAX].map(rules_in), [None; 5]);
}
