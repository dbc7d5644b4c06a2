// SPDX-License-Identifier: GPL-2.0-or-later
//! What engines are told is the same, whether a thread is looked at lightly or not.

use std::vec::Vec;

use trace_port::Direction::{Receive, Send};
use trace_port::control::{self, Rule, event, policy};

use crate::gnumach::fake::{CHILD, CHILDS_THREAD, TASK, THREAD, control_port};
use crate::gnumach::{Port, Tasks, mr};
use crate::hooks::model::asking::{Arguments, rule};
use crate::hooks::model::random::Random;
use crate::hooks::model::{
    ANSWER, Call, Model, Moment, REPLY_NAME, REQUEST, SERVICE_NAME, SIMPLE, TO_HOST, TO_SERVICE, message,
};

/// Trace ports of engines.
const ONE: Port = Port::fake(0x5200);
const TWO: Port = Port::fake(0x5300);

fn filter(model: &Model, engine: Port, rules: &[Rule]) {
    let arguments = Arguments::default().integer(u32::MAX).rules(rules);
    assert_eq!(model.ask_for_code(engine, control::SET_FILTER_ID, &arguments), 0);
}

fn events(model: &Model, engine: Port, events: u32) {
    let arguments = Arguments::default().integer(events).integer(policy::BLOCK);
    assert_eq!(model.ask_for_code(engine, control::SET_EVENTS_ID, &arguments), 0);
}

/// A model with an engine of [`TASK`]'s that is told of these ids.
fn told_of(first: u32, last: u32) -> (Model, Port) {
    let model = Model::new();
    let engine = model.attach(TASK, ONE, 0, event::ALL, policy::BLOCK).unwrap();
    filter(&model, engine, &[rule(0, first, last, 0)]);
    (model, engine)
}

fn end(model: &Model, engine: Port) {
    model.give_back_engine(engine);
    model.assert_ends_clean();
}

fn is_light(model: &Model) -> bool {
    model.fake.thread(THREAD).lightly && model.fake.thread(THREAD).call == 1
}

/// Directions and ids of the messages that came to a port.
fn seen(model: &Model, port: Port) -> Vec<(trace_port::Direction, u32)> {
    model.seen_at(port).iter().map(|seen| (seen.direction, (seen.word(24) >> 32) as u32)).collect()
}

#[test]
fn after_a_message_that_nobody_wants_the_next_ones_take_no_number() {
    let (model, engine) = told_of(7000, 7000);
    model.call(THREAD, &Call::of_host());
    assert!(is_light(&model));
    let before = (model.state.next_sequence(), model.state.next_correlation().get());
    for _ in 0..5 {
        assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_MSG_SUCCESS));
    }
    let after = (model.state.next_sequence(), model.state.next_correlation().get());
    assert_eq!(after, (before.0 + 1, before.1 + 1));
    assert_eq!(seen(&model, ONE), []);
    model.call(THREAD, &Call::simple());
    assert_eq!(seen(&model, ONE), [(Send, 7000)]);
    assert!(!is_light(&model), "it is looked at closely for a while");
    model.call(THREAD, &Call::of_host());
    assert!(is_light(&model));
    end(&model, engine);
}

#[test]
fn an_engine_that_asks_for_no_messages_leaves_threads_light() {
    let model = Model::new();
    let engine = model.attach(TASK, ONE, 0, event::EXCEPTION, policy::BLOCK).unwrap();
    model.call(THREAD, &Call::of_host());
    assert!(is_light(&model));
    events(&model, engine, event::ALL);
    assert!(!model.fake.thread(THREAD).lightly, "from its next call on");
    model.call(THREAD, &Call::of_host());
    assert_eq!(seen(&model, ONE), [(Send, 2021), (Receive, 2121)]);
    end(&model, engine);
}

#[test]
fn calls_of_the_kernel_are_told_with_their_answers_where_nothing_else_is_asked_for() {
    for rules in [&[][..], &[rule(0, 2121, 2121, 0)]] {
        let model = Model::new();
        let engine = model.attach(TASK, ONE, 0, event::KERNEL_CALL, policy::BLOCK).unwrap();
        filter(&model, engine, rules);
        for _ in 0..3 {
            model.call(THREAD, &Call::simple());
            model.call(THREAD, &Call::of_host());
        }
        let both = [(Send, 2021), (Receive, 2121)];
        let each = if rules.is_empty() { &both[..] } else { &both[1..] };
        assert_eq!(seen(&model, ONE), each.repeat(3));
        end(&model, engine);
    }
}

#[test]
fn a_reply_alone_is_told_where_its_request_is_not_wanted() {
    let (model, engine) = told_of(2121, 2121);
    for _ in 0..3 {
        model.call(THREAD, &Call::of_host());
    }
    assert_eq!(seen(&model, ONE), [(Receive, 2121); 3]);
    let numbers: Vec<u64> = model.seen_at(ONE).iter().map(|seen| seen.correlation()).collect();
    assert!(
        numbers[0] != 0 && numbers[0] != numbers[1] && numbers[1] != numbers[2],
        "each is of its own request: {numbers:?}"
    );
    end(&model, engine);
}

#[test]
fn whatever_else_a_rule_says_all_is_looked_at() {
    for rules in [
        &[][..],
        &[rule(control::rule::SEND, 0, u32::MAX, 0)],
        &[rule(control::rule::FAILED, 100, 90_000, 0)],
        &[rule(0, 5, 5, 0), rule(0, 0, u32::MAX, 3)],
    ] {
        let model = Model::new();
        let engine = model.attach(TASK, ONE, 0, event::ALL, policy::BLOCK).unwrap();
        filter(&model, engine, rules);
        model.call(THREAD, &Call::of_host());
        assert!(!is_light(&model), "{rules:?}");
        end(&model, engine);
    }
}

#[test]
fn another_engine_and_the_trace_port_are_told_of_everything() {
    for is_trace_port in [false, true] {
        let (model, engine) = told_of(9, 9);
        model.call(THREAD, &Call::of_host());
        assert!(is_light(&model));
        let other = match is_trace_port {
            true => {
                model.trace(TASK);
                None
            }
            false => Some(model.attach(TASK, TWO, 0, event::ALL, policy::BLOCK).unwrap()),
        };
        model.call(THREAD, &Call::of_host());
        let told = model.seen();
        assert!(told.iter().all(|seen| seen.header.kind == trace_port::EventKind::Normal as u8));
        assert_eq!(told.iter().map(|seen| seen.direction).collect::<Vec<_>>(), [Send, Receive]);
        // And none again, when that one lets go.
        match other {
            Some(other) => model.give_back_engine(other),
            None => model.untrace(TASK),
        }
        model.call(THREAD, &Call::of_host());
        model.call(THREAD, &Call::of_host());
        assert!(is_light(&model));
        let normal = model.seen().iter().filter(|seen| seen.kind == trace_port::EventKind::Normal).count();
        assert_eq!(normal, 2);
        end(&model, engine);
    }
}

#[test]
fn who_sleeps_in_a_receive_is_told_of_when_more_is_wanted() {
    let (model, engine) = told_of(9, 9);
    model.call(THREAD, &Call::of_host());
    assert_eq!(model.call(THREAD, &Call::receive(REPLY_NAME, 100)), None);
    assert!(is_light(&model));
    filter(&model, engine, &[]);
    model.notify(crate::hooks::model::REPLY, 70, 40);
    assert_eq!(model.resume(THREAD), 0);
    assert_eq!(seen(&model, ONE), [(Receive, 70)]);
    end(&model, engine);
}

#[test]
fn what_is_asked_for_during_a_call_is_told_of_what_comes_later_in_it() {
    for are_events in [false, true] {
        let (model, engine) = told_of(9, 9);
        model.call(THREAD, &Call::of_host());
        assert!(is_light(&model));
        if are_events {
            events(&model, engine, event::CONTROL);
            filter(&model, engine, &[]);
        }
        model.call(THREAD, &Call::of_host());
        assert!(is_light(&model));
        model.at(Moment::Serve, move |model| match are_events {
            true => events(model, engine, event::ALL),
            false => filter(model, engine, &[]),
        });
        model.call(THREAD, &Call::of_host());
        assert_eq!(seen(&model, ONE), [(Receive, 2121)]);
        model.call(THREAD, &Call::of_host());
        assert_eq!(seen(&model, ONE)[1..], [(Send, 2021), (Receive, 2121)]);
        end(&model, engine);
    }
}

#[test]
fn a_receive_that_began_before_and_fails_is_told_where_all_is_asked_for_meanwhile() {
    for is_interrupted in [false, true] {
        let (model, engine) = told_of(9, 9);
        model.call(THREAD, &Call::of_host());
        model.call(THREAD, &Call::receive(REPLY_NAME, 100));
        filter(&model, engine, &[]);
        let result = if is_interrupted { mr::MACH_RCV_INTERRUPTED } else { mr::MACH_RCV_TIMED_OUT };
        match is_interrupted {
            true => model.interrupt(THREAD),
            false => model.give_up(THREAD, result),
        }
        let told: Vec<u32> = model.seen_at(ONE).iter().map(|seen| seen.retval()).collect();
        assert_eq!(told, [result]);
        end(&model, engine);
    }
}

/// A `mach_msg` that fails before it has a message, and one whose message nobody wants.
#[test]
fn what_fails_without_a_message_is_told_where_a_rule_says_so() {
    for has_rule in [false, true] {
        let (model, engine) = told_of(9, 9);
        if has_rule {
            filter(&model, engine, &[rule(0, 9, 9, 0), rule(control::rule::NO_MESSAGE, 0, 0, 0)]);
        }
        let call = |call: &Call| {
            model.call(THREAD, &Call::of_host());
            assert!(is_light(&model));
            model.call(THREAD, call)
        };
        model.script(|steps| steps.receive = mr::MACH_RCV_TIMED_OUT);
        assert_eq!(call(&Call::receive(REPLY_NAME, 100)), Some(mr::MACH_RCV_TIMED_OUT));
        model.script(|steps| steps.receive = 0);
        model.script(|steps| steps.bad_copyins = 0);
        assert_eq!(call(&Call::receive(REPLY_NAME, 100)), None);
        model.interrupt(THREAD);
        model.call(THREAD, &Call::of_host());
        model.call(THREAD, &Call::of_host());
        assert!(is_light(&model));
        model.script(|steps| steps.bad_copyins = 2);
        assert_eq!(model.call(THREAD, &Call::simple()), Some(mr::MACH_SEND_INVALID_DATA));
        // These have messages, which are not wanted.
        model.script(|steps| steps.copyin = mr::MACH_SEND_INVALID_DEST);
        assert_eq!(call_again(&model, &Call::simple()), Some(mr::MACH_SEND_INVALID_DEST));
        model.script(|steps| steps.copyin = 0);
        model.script(|steps| steps.send = mr::MACH_SEND_TIMED_OUT);
        assert_eq!(call_again(&model, &Call::simple()), Some(mr::MACH_SEND_TIMED_OUT));
        let told: Vec<_> = model.seen_at(ONE).iter().map(|seen| (seen.direction, seen.retval())).collect();
        let expected = [
            (Receive, mr::MACH_RCV_TIMED_OUT),
            (Receive, mr::MACH_RCV_INTERRUPTED),
            (Send, mr::MACH_SEND_INVALID_DATA),
        ];
        assert_eq!(told, if has_rule { &expected[..] } else { &[] });
        end(&model, engine);
    }
}

/// A call of a thread that is looked at lightly.
fn call_again(model: &Model, call: &Call) -> Option<u32> {
    let before = model.state.next_sequence();
    while !is_light(model) {
        let (copyin, send) = (model.steps.borrow().copyin, model.steps.borrow().send);
        model.script(|steps| (steps.copyin, steps.send) = (0, 0));
        model.call(THREAD, &Call::of_host());
        model.script(|steps| (steps.copyin, steps.send) = (copyin, send));
        assert!(model.state.next_sequence() < before + 20);
    }
    model.call(THREAD, call)
}

/// The bit that the stubs of those traps look at.
#[test]
fn traps_that_stand_for_requests_are_refused_where_somebody_asks_for_them() {
    let model = Model::new();
    let refuses = || model.fake.task_entry(TASK) & crate::state::REFUSES_TRAPS != 0;
    let engine = model.attach(TASK, ONE, 0, event::SEND | event::RECEIVE, policy::BLOCK).unwrap();
    assert!(!refuses());
    events(&model, engine, event::RPC_TRAP);
    assert!(refuses());
    events(&model, engine, event::ALL & !event::RPC_TRAP);
    assert!(!refuses());
    model.trace(TASK);
    assert!(refuses(), "a trace port is told of everything");
    model.untrace(TASK);
    assert!(!refuses());
    end(&model, engine);
}

#[test]
fn a_message_that_is_wanted_is_told_however_it_comes() {
    for wanted in [6000, 6100] {
        // By a hand-off to a server that is looked at lightly, and back.
        let model = Model::new();
        let engine = model.attach(CHILD, ONE, 0, event::ALL, policy::BLOCK).unwrap();
        filter(&model, engine, &[rule(0, wanted, wanted, 0)]);
        model.call(CHILDS_THREAD, &Call::send(message(SIMPLE, SERVICE_NAME, 0, 5, 40)));
        model.call(CHILDS_THREAD, &Call::receive(SERVICE_NAME, 400));
        assert!(model.fake.thread(CHILDS_THREAD).lightly);
        model.call(CHILDS_THREAD, &Call::receive(SERVICE_NAME, 400));
        model.call(THREAD, &Call::of_service());
        let reply = u64::from_le_bytes(model.received.borrow()[&CHILDS_THREAD.address()][8..16].try_into().unwrap());
        model.call(CHILDS_THREAD, &Call::send(message(ANSWER, reply as u32, 0, 6100, 40)));
        let direction = if wanted == 6000 { Receive } else { Send };
        assert_eq!(seen(&model, ONE), [(direction, wanted)]);
        model.resume(THREAD);
        end(&model, engine);
    }
}

/// A message fails whose id becomes wanted between its copy in and its being given back: it is not told as one that is received.
#[test]
fn what_is_given_back_is_no_receive_though_it_has_come_to_be_wanted() {
    let (model, engine) = told_of(9, 9);
    model.call(THREAD, &Call::of_host());
    model.at(Moment::Send, move |model| filter(model, engine, &[rule(0, 7000, 7000, 0)]));
    model.script(|steps| steps.send = mr::MACH_SEND_TIMED_OUT);
    assert_eq!(model.call(THREAD, &Call::simple()), Some(mr::MACH_SEND_TIMED_OUT));
    assert_eq!(seen(&model, ONE), []);
    end(&model, engine);
}

#[test]
fn a_thread_that_is_left_behind_is_not_looked_at_any_more() {
    for is_detached in [false, true] {
        let (model, engine) = told_of(9, 9);
        model.trace(CHILD);
        model.call(THREAD, &Call::of_host());
        assert!(is_light(&model));
        if is_detached {
            model.fake.port(control_port(TASK)).rights += 1;
            let task = Arguments::default().right(Some(control_port(TASK)));
            assert_eq!(model.ask_for_code(engine, control::DETACH_ID, &task), 0);
        } else {
            model.give_back_engine(engine);
        }
        assert_eq!(model.fake.task_entry(TASK), 0);
        model.call(THREAD, &Call::of_host());
        assert!(!model.fake.thread(THREAD).watched && model.fake.thread(THREAD).call == 0);
        if is_detached {
            model.give_back_engine(engine);
        }
        model.untrace(CHILD);
        model.assert_ends_clean();
    }
}

/// One of thirteen calls of [`THREAD`]'s, some of which fail at different points.
fn make(model: &Model, call: u64) {
    model.script(|steps| {
        steps.send = if call == 5 { mr::MACH_SEND_TIMED_OUT } else { 0 };
        steps.copyin = if call == 6 { mr::MACH_SEND_INVALID_DEST } else { 0 };
        steps.receive = if call == 8 { mr::MACH_RCV_TIMED_OUT } else { 0 };
        steps.bad_copyins = if call == 9 { 2 } else { 0 };
        steps.bad_copyouts = if call == 10 { 2 } else { 0 };
        steps.fast_body = if call == 11 { 0x2000 } else { 0 };
    });
    let calls = match call {
        0..=2 | 10 | 11 => std::vec![Call::of_host()],
        3 | 5 | 6 | 9 => std::vec![Call::simple()],
        // The reply is received by another call.
        4 => std::vec![Call::send(message(REQUEST, TO_HOST, REPLY_NAME, 2021, 40)), Call::receive(REPLY_NAME, 400)],
        7 => std::vec![Call::send(message(SIMPLE, TO_SERVICE, 0, 7100, 40))],
        _ => std::vec![Call::receive(REPLY_NAME, 400)],
    };
    for call in calls {
        if model.call(THREAD, &call).is_none() {
            model.interrupt(THREAD);
        }
    }
}

/// What an engine is told of a record: direction, kind, result, the place of its correlation number in the order of their first use, message.
type Told = (trace_port::Direction, trace_port::EventKind, u32, usize, Vec<u8>);

/// What an engine of these events and rules is told of calls, alone or beside one that is told of everything.
fn told(is_alone: bool, asked: u32, rules: &[Rule], calls: &[u64]) -> Vec<Told> {
    let model = Model::new();
    let engine = model.attach(TASK, ONE, 0, asked, policy::BLOCK).unwrap();
    filter(&model, engine, rules);
    let other = (!is_alone).then(|| model.attach(TASK, TWO, 0, event::ALL, policy::BLOCK).unwrap());
    calls.iter().for_each(|&call| make(&model, call));
    let mut numbers = Vec::new();
    let told = model.seen_at(ONE).into_iter().map(|seen| {
        let number = seen.correlation();
        let place = numbers.iter().position(|&known| known == number).unwrap_or(numbers.len());
        if place == numbers.len() {
            numbers.push(number);
        }
        (seen.direction, seen.kind, seen.retval(), place, seen.message)
    });
    let told = told.collect();
    model.give_back_engine(engine);
    other.into_iter().for_each(|other| model.give_back_engine(other));
    model.assert_ends_clean();
    told
}

/// What the engine that goes by ids is told beside one that is told of everything, where all is looked at, and without that one.
#[test]
fn engines_are_told_the_same_whether_threads_are_looked_at_lightly_or_not() {
    let mut random = Random(0x11_9417);
    let (mut all, mut without) = (0, 0);
    for _ in 0..300 {
        let ids = [6000, 6100, 2021, 2121, 7000, 7100];
        let rules: Vec<Rule> = (0..1 + random.below(3))
            .map(|_| {
                let id = random.one(&ids);
                rule(random.one(&[0, 0, 1, 2, 4, 8, 10, 16, 18]), id, id + random.one(&[0, 0, 20]), 0)
            })
            .collect();
        let asked =
            random.one(&[event::ALL, event::SEND, event::RECEIVE, event::FAILED, event::TRAP, event::KERNEL_CALL]);
        let calls: Vec<u64> = (0..12).map(|_| random.below(13)).collect();
        let (lightly, closely) = (told(true, asked, &rules, &calls), told(false, asked, &rules, &calls));
        all += lightly.len();
        without += lightly.iter().filter(|told| told.4.is_empty()).count();
        assert_eq!(lightly, closely, "{rules:?} {asked:x} {calls:?}");
    }
    assert!(all > 300 && without > 50, "{all} {without}");
}
