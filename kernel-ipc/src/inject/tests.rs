// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages that are not sent, or later, and threads that wait to be told.

use std::boxed::Box;
use std::rc::Rc;
use std::vec::Vec;

use trace_port::Direction::{Receive, Send};
use trace_port::EventKind;
use trace_port::control::{self, event, flag, policy, what};

use super::*;
use crate::gnumach::Port;
use crate::gnumach::fake::{TASK, THREAD};
use crate::hooks::model::asking::{Arguments, action};
use crate::hooks::model::{Call, Model, REPLY_NAME};

/// Trace ports of engines.
const ONE: Port = Port::fake(0x5200);
const TWO: Port = Port::fake(0x5300);

/// A model with an engine that says what becomes of requests to the host, and that engine.
fn with(what: u32, value: u32) -> (Model, Port) {
    let model = Model::new();
    let engine = model.attach(TASK, ONE, flag::CONTROL, event::ALL, policy::BLOCK).unwrap();
    let arguments = Arguments::default().actions(&[action(2021, what, value)]);
    assert_eq!(model.ask_for_code(engine, control::SET_ACTIONS_ID, &arguments), 0);
    (model, engine)
}

fn end(model: &Model, engines: &[Port]) {
    engines.iter().for_each(|&engine| model.give_back_engine(engine));
    model.assert_ends_clean();
}

/// Direction and result of what came to a port.
fn outcomes(model: &Model, port: Port) -> Vec<(trace_port::Direction, u32)> {
    model.seen_at(port).iter().map(|seen| (seen.direction, seen.retval())).collect()
}

#[test]
fn a_message_fails_and_is_not_sent() {
    for call in [Call::of_host(), Call::send(Call::of_host().message)] {
        let (model, engine) = with(what::FAIL, mr::MACH_SEND_INVALID_DEST);
        let other = model.attach(TASK, TWO, 0, event::ALL, policy::BLOCK).unwrap();
        assert_eq!(model.call(THREAD, &call), Some(mr::MACH_SEND_INVALID_DEST));
        for port in [ONE, TWO] {
            assert_eq!(outcomes(&model, port), [(Send, mr::MACH_SEND_INVALID_DEST)]);
            assert_eq!(model.seen_at(port)[0].header.reserved.get(), 0);
        }
        assert!(model.received.borrow().is_empty());
        // Others go their way.
        assert_eq!(model.call(THREAD, &Call::simple()), Some(mr::MACH_MSG_SUCCESS));
        end(&model, &[engine, other]);
    }
}

#[test]
fn a_reply_comes_that_nobody_has_sent() {
    let (model, engine) = with(what::REPLY, 5);
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(outcomes(&model, ONE), [(Send, 0), (Receive, 0)]);
    let seen = model.seen_at(ONE);
    assert_eq!(*model.fake.written.borrow(), [seen[1].message.clone()], "what the task has got is what is shown");
    let word = |offset| seen[1].word(offset);
    assert_eq!((word(0), word(8), word(16)), (0x30_0000_1200, 0, u64::from(REPLY_NAME)));
    assert_eq!((word(24) >> 32, word(32), word(40)), (2121, control::INTEGER, 5));
    assert_eq!(seen[1].ports.len(), 1);
    end(&model, &[engine]);
}

#[test]
fn who_receives_nothing_gets_no_reply_and_a_bad_buffer_is_told() {
    let (model, engine) = with(what::REPLY, 5);
    assert_eq!(model.call(THREAD, &Call::send(Call::of_host().message)), Some(mr::MACH_MSG_SUCCESS));
    assert!(model.fake.written.borrow().is_empty());
    model.fake.script.borrow_mut().bad_buffer = true;
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_RCV_INVALID_DATA));
    end(&model, &[engine]);
}

#[test]
fn a_message_is_sent_later() {
    let (model, engine) = with(what::DELAY, 250);
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(*model.fake.slept.borrow(), [250]);
    assert_eq!(outcomes(&model, ONE), [(Send, 0), (Receive, 0)]);
    model.fake.thread(THREAD).halting = true;
    model.call(THREAD, &Call::of_host());
    assert_eq!(model.fake.slept.borrow().len(), 1, "one that ends does not sleep");
    end(&model, &[engine]);
}

#[test]
fn only_an_engine_with_control_may_say_so() {
    let model = Model::new();
    let engine = model.attach(TASK, ONE, 0, event::ALL, policy::BLOCK).unwrap();
    let set =
        |actions: &[_]| model.ask_for_code(engine, control::SET_ACTIONS_ID, &Arguments::default().actions(actions));
    assert_eq!(set(&[action(1, what::GO, 0)]), mr::KERN_NO_ACCESS);
    assert_eq!(set(&[action(1, what::FAIL, 0)]), mr::KERN_INVALID_VALUE);
    assert_eq!(set(&[action(1, what::GO, 0); 17]), mr::MIG_BAD_ARGUMENTS);
    assert!(!model.state.has_actions());
    end(&model, &[engine]);
}

#[test]
fn actions_are_gone_with_their_engine() {
    let (model, engine) = with(what::FAIL, 1);
    let other = model.attach(TASK, TWO, 0, 0, policy::BLOCK).unwrap();
    assert!(model.state.has_actions());
    model.give_back_engine(engine);
    assert!(!model.state.has_actions());
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_MSG_SUCCESS));
    end(&model, &[other]);
}

/// A model with an engine that stops requests to the host, what happens while the thread waits, and what the call returns.
fn stopped(act: impl Fn(&Model, Port) + 'static) -> (Rc<Model>, Port, Option<u32>) {
    let (model, engine) = with(what::STOP, 0);
    let model = Rc::new(model);
    let actor = Rc::clone(&model);
    *model.fake.while_waiting.borrow_mut() = Some(Box::new(move || {
        let seen = actor.seen_at(ONE);
        assert_eq!(seen.iter().map(|seen| seen.kind).collect::<Vec<_>>(), [EventKind::Stopped]);
        assert_eq!((seen[0].message.len(), seen[0].ports.len(), seen[0].who()), (40, 2, (1, 1)));
        act(&actor, engine);
    }));
    let result = model.call(THREAD, &Call::of_host());
    assert_eq!(model.fake.waits.borrow().len(), 1);
    (model, engine, result)
}

fn answer(model: &Model, engine: Port, what: u32, value: u32) -> u32 {
    let arguments = Arguments::default().integer(1).integer(what).integer(value);
    model.ask_for_code(engine, control::ANSWER_ID, &arguments)
}

#[test]
fn a_thread_waits_for_an_answer() {
    for (what, value, result, outcome) in [
        (what::GO, 0, 0, Vec::from([(Send, 0), (Send, 0), (Receive, 0)])),
        (what::FAIL, 7, 7, Vec::from([(Send, 0), (Send, 7)])),
        (what::REPLY, 5, 0, Vec::from([(Send, 0), (Send, 0), (Receive, 0)])),
        (what::DELAY, 9, 0, Vec::from([(Send, 0), (Send, 0), (Receive, 0)])),
    ] {
        let (model, engine, returned) = stopped(move |model, engine| {
            assert_eq!(answer(model, engine, what, value), 0);
            assert_eq!(answer(model, engine, what, value), mr::KERN_INVALID_ARGUMENT, "once");
        });
        assert_eq!((returned, outcomes(&model, ONE)), (Some(result), outcome));
        let seen = model.seen_at(ONE);
        assert_eq!(seen[0].header.sequence, seen[1].header.sequence);
        assert_eq!(answer(&model, engine, what, value), mr::KERN_INVALID_ARGUMENT, "nobody waits");
        end(&model, &[engine]);
    }
}

/// The last one that was attached is the closest to user mode.
#[test]
fn the_first_engine_that_lets_a_message_fail_is_the_last_that_is_asked() {
    let (model, engine) = with(what::FAIL, 7);
    let last = model.attach(TASK, TWO, flag::CONTROL, 0, policy::BLOCK).unwrap();
    let say = |what, value| {
        let arguments = Arguments::default().actions(&[action(2021, what, value)]);
        assert_eq!(model.ask_for_code(last, control::SET_ACTIONS_ID, &arguments), 0);
        model.call(THREAD, &Call::of_host())
    };
    assert_eq!((say(what::FAIL, 9), say(what::GO, 0)), (Some(9), Some(7)));
    end(&model, &[engine, last]);
}

#[test]
fn a_thread_that_is_ended_does_not_wait_and_sends_nothing() {
    let (model, engine, returned) = stopped(|model, _| model.fake.thread(THREAD).halting = true);
    assert_eq!(returned, Some(mr::MACH_SEND_INTERRUPTED));
    end(&model, &[engine]);
}

#[test]
fn a_thread_goes_on_when_its_engine_lets_go_or_ends() {
    let (model, engine, returned) = stopped(|model, engine| {
        assert_eq!(model.ask_for_code(engine, control::DETACH_ID, &Arguments::default().right(None)), 0);
    });
    assert_eq!(returned, Some(mr::MACH_MSG_SUCCESS));
    end(&model, &[engine]);
    let (model, _, returned) = stopped(|model, engine| model.give_back_engine(engine));
    assert_eq!(returned, Some(mr::MACH_MSG_SUCCESS));
    end(&model, &[]);
}

#[test]
fn an_engine_that_is_not_told_does_not_stop() {
    let model = Model::new();
    let engine = model.attach(TASK, ONE, flag::CONTROL, event::SEND, policy::BLOCK).unwrap();
    let arguments = Arguments::default().actions(&[action(2021, what::STOP, 0)]);
    assert_eq!(model.ask_for_code(engine, control::SET_ACTIONS_ID, &arguments), 0);
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_MSG_SUCCESS));
    assert!(model.fake.waits.borrow().is_empty());
    end(&model, &[engine]);
}
