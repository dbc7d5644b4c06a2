// SPDX-License-Identifier: GPL-2.0-or-later
//! Each engine is told of what it wants, in its turn, and none notices another.

use std::boxed::Box;
use std::rc::Rc;
use std::vec::Vec;

use trace_port::Direction::{Receive, Send};
use trace_port::control::{self, event, flag, policy};
use trace_port::record::MAX_BATCH;

use super::*;
use crate::gnumach::Port;
use crate::gnumach::fake::{CHILD, CHILDS_THREAD, TASK, THREAD, TRACE, Waiting, control_port};
use crate::hooks::lifecycle;
use crate::hooks::model::asking::{Arguments, rule};
use crate::hooks::model::{Call, Model, Moment, REPLY_NAME, TO_SERVICE, message};

/// Trace ports of engines.
const ONE: Port = Port::fake(0x5200);
const TWO: Port = Port::fake(0x5300);
const THREE: Port = Port::fake(0x5400);

/// A model with an engine of [`TASK`]'s for each of these ports, told of everything; and their own ports.
fn with_engines(ports: &[Port]) -> (Model, Vec<Port>) {
    let model = Model::new();
    let engines = ports.iter().map(|&port| model.attach(TASK, port, 0, event::ALL, policy::BLOCK).unwrap()).collect();
    (model, engines)
}

/// Messages so large that no record goes behind another.
fn large() -> Call {
    Call::send(message(19, TO_SERVICE, 0, 7000, MAX_BATCH - 200))
}

fn end(model: &Model, engines: Vec<Port>) {
    engines.into_iter().for_each(|engine| model.give_back_engine(engine));
    model.assert_ends_clean();
}

/// What a record says but for what was lost before it.
fn said(model: &Model, port: Port) -> Vec<(trace_port::RecordHeader, Vec<u8>, Vec<trace_port::Port>)> {
    model.seen_at(port).into_iter().map(|seen| (seen.header, seen.message, seen.ports)).collect()
}

#[test]
fn engines_and_the_trace_port_are_told_the_same() {
    for trace_port in [false, true] {
        let (model, engines) = with_engines(&[ONE, TWO]);
        if trace_port {
            model.trace(TASK);
        }
        for call in [Call::of_host(), Call::simple()] {
            assert_eq!(model.call(THREAD, &call), Some(mr::MACH_MSG_SUCCESS), "tracing changes no result");
        }
        let told = said(&model, ONE);
        assert_eq!(told.iter().map(|(header, ..)| header.direction).collect::<Vec<_>>(), [0, 1, 0]);
        assert_eq!(told, said(&model, TWO));
        assert_eq!(if trace_port { told.clone() } else { Vec::new() }, said(&model, TRACE));
        assert_eq!(model.fake.task(TASK).messages_sent, 1, "the user's own message");
        end(&model, engines);
    }
}

#[test]
fn what_enters_the_kernel_the_last_engine_is_told_first() {
    let (model, engines) = with_engines(&[ONE, TWO, THREE]);
    model.trace(TASK);
    model.call(THREAD, &Call::simple());
    assert_eq!(model.told(), [THREE, TWO, ONE, TRACE]);
    model.script(|steps| steps.receive = 0x1000_4003);
    model.call(THREAD, &Call::receive(REPLY_NAME, 100));
    assert_eq!(model.told()[4..], [ONE, TWO, THREE, TRACE]);
    end(&model, engines);
}

#[test]
fn one_that_is_attached_during_an_event_is_told_of_later_ones_alone() {
    let (model, mut engines) = with_engines(&[ONE]);
    model.at(Moment::Serve, |model| {
        model.attach(TASK, TWO, 0, event::ALL, policy::BLOCK).unwrap();
    });
    model.call(THREAD, &Call::of_host());
    let directions = |port| model.seen_at(port).iter().map(|seen| seen.direction).collect::<Vec<_>>();
    assert_eq!((directions(ONE), directions(TWO)), (Vec::from([Send, Receive]), Vec::from([Receive])));
    let listed = model.engines_of(TASK);
    assert_eq!(listed.iter().map(|engine| engine.tasks.get()).collect::<Vec<_>>(), [1, 1]);
    let ports = model.fake.ports.borrow().clone();
    let second = ports.iter().find(|&(&at, port)| {
        port.rights == 1
            && Port::fake(at) != engines[0]
            && matches!(port.kobject, Some(crate::gnumach::fake::Kobject::Payload(2)))
    });
    engines.push(Port::fake(*second.unwrap().0));
    end(&model, engines);
}

#[test]
fn masks_and_filters_say_what_an_engine_is_told_of() {
    let (model, engines) = with_engines(&[ONE, TWO]);
    let set = |events| {
        let arguments = Arguments::default().integer(events).integer(policy::DROP);
        assert_eq!(model.ask_for_code(engines[1], control::SET_EVENTS_ID, &arguments), 0);
    };
    let filter = |rules: &[_]| {
        let arguments = Arguments::default().integer(u32::MAX).rules(rules);
        assert_eq!(model.ask_for_code(engines[1], control::SET_FILTER_ID, &arguments), 0);
    };
    let mut before = 0;
    let mut told = |call: &Call| {
        model.call(THREAD, call);
        let seen = model.seen_at(TWO);
        let new: Vec<_> = seen[before..].iter().map(|seen| seen.direction).collect();
        before = seen.len();
        new
    };
    set(event::RECEIVE);
    assert_eq!(told(&Call::of_host()), [Receive]);
    set(event::FAILED);
    assert_eq!(told(&Call::of_host()), []);
    model.script(|steps| steps.copyin = 0x1000_0003);
    assert_eq!(told(&Call::simple()), [Send]);
    model.script(|steps| steps.copyin = 0);
    set(event::KERNEL_CALL);
    assert_eq!(told(&Call::of_host()), [Send, Receive]);
    assert_eq!(told(&Call::simple()), []);
    model.script(|steps| steps.reply = Some((2121, MAX_BATCH)));
    assert_eq!(told(&Call::of_host()), [Send, Receive], "in two messages");
    model.script(|steps| steps.reply = Some((2121, 48)));
    set(event::ALL);
    filter(&[rule(0, 7000, 7000, 0)]);
    assert_eq!(told(&Call::simple()), [Send]);
    assert_eq!(told(&Call::of_host()), [], "2021 and 2121");
    filter(&[rule(0, 1, 1, 0), rule(control::rule::RECEIVE, 0, u32::MAX, 0)]);
    assert_eq!(told(&Call::of_host()), [Receive]);
    let number = model.seen_at(ONE)[0].ports[0].number.get();
    filter(&[rule(0, 0, u32::MAX, number)]);
    assert_eq!(told(&Call::of_host()), [Send], "the reply has another port");
    assert_eq!(told(&Call::simple()), []);
    assert_eq!(model.seen_at(ONE).len(), 18, "the other one is told of all");
    end(&model, engines);
}

#[test]
fn of_a_long_message_only_the_first_bytes_are_shown_and_all_its_ports() {
    for bytes in [0, 4, 36, 40] {
        let (model, engines) = with_engines(&[ONE, TWO]);
        let arguments = Arguments::default().integer(bytes).rules(&[]);
        assert_eq!(model.ask_for_code(engines[1], control::SET_FILTER_ID, &arguments), 0);
        for call in [Call::of_host(), large()] {
            model.call(THREAD, &call);
        }
        let (whole, cut) = (model.seen_at(ONE), model.seen_at(TWO));
        assert_eq!((whole.len(), cut.len()), (3, 3));
        for (whole, cut) in whole.iter().zip(&cut) {
            let shown = (bytes as usize).min(whole.message.len());
            assert_eq!((&cut.message[..], &cut.ports), (&whole.message[..shown], &whole.ports));
            assert_eq!(cut.header.message_size, whole.header.message_size);
            assert_eq!(cut.header.captured_size.get() as usize, shown);
        }
        end(&model, engines);
    }
}

#[test]
fn nobody_is_told_later_because_another_is_slow() {
    let (model, engines) = with_engines(&[ONE, TWO, THREE]);
    model.trace(TASK);
    model.fake.behind.set(true);
    model.fake.port(ONE).limit = 1;
    model.fake.port(THREE).limit = 1;
    model.call(THREAD, &large());
    model.fake.script.borrow_mut().waiting = Waiting::SomethingElse;
    let model = Rc::new(model);
    let watched = Rc::clone(&model);
    *model.fake.while_waiting.borrow_mut() = Some(Box::new(move || {
        assert_eq!((watched.told().len(), &watched.told()[4..]), (6, &[TWO, TRACE][..]), "before the first wait");
        watched.fake.receive_records();
    }));
    model.call(THREAD, &large());
    assert_eq!([ONE, TWO, THREE, TRACE].map(|port| model.seen_at(port).len()), [2; 4]);
    assert!(model.engines_of(TASK).iter().all(|engine| engine.lost.get() == 0));
    end(&model, engines);
}

#[test]
fn who_does_not_block_loses_what_there_is_no_room_for_and_is_told() {
    let model = Model::new();
    let engine = model.attach(TASK, ONE, 0, event::SEND, policy::DROP).unwrap();
    let other = model.attach(TASK, TWO, 0, event::ALL, policy::BLOCK).unwrap();
    model.fake.behind.set(true);
    model.fake.port(ONE).limit = 2;
    for _ in 0..5 {
        model.call(THREAD, &large());
    }
    assert_eq!((model.seen_at(ONE).len(), model.seen_at(TWO).len()), (2, 5));
    assert_eq!(model.engines_of(TASK)[0].lost.get(), 3);
    model.fake.receive_records();
    model.call(THREAD, &large());
    let dropped: Vec<u32> = model.seen_at(ONE).iter().map(|seen| seen.header.dropped.get()).collect();
    assert_eq!(dropped, [0, 0, 3]);
    assert!(model.seen_at(TWO).iter().all(|seen| seen.header.dropped.get() == 0));
    assert_eq!(model.state.lost(), 0, "nothing of the trace port's");
    end(&model, Vec::from([engine, other]));
}

#[test]
fn an_interrupted_wait_goes_beyond_the_limit() {
    let (model, engines) = with_engines(&[ONE]);
    model.fake.behind.set(true);
    model.fake.port(ONE).limit = 1;
    model.fake.script.borrow_mut().waiting = Waiting::Interrupted;
    (0..3).for_each(|_| assert_eq!(model.call(THREAD, &large()), Some(mr::MACH_MSG_SUCCESS)));
    assert_eq!((model.seen_at(ONE).len(), model.engines_of(TASK)[0].lost.get()), (3, 0));
    end(&model, engines);
}

#[test]
fn a_thread_waits_no_more_for_an_engine_that_lets_go() {
    let (model, engines) = with_engines(&[ONE]);
    model.fake.behind.set(true);
    model.fake.port(ONE).limit = 1;
    model.call(THREAD, &large());
    model.fake.script.borrow_mut().waiting = Waiting::SomethingElse;
    let model = Rc::new(model);
    let (actor, engine) = (Rc::clone(&model), engines[0]);
    *model.fake.while_waiting.borrow_mut() = Some(Box::new(move || {
        let arguments = Arguments::default().right(None);
        assert_eq!(actor.ask_for_code(engine, control::DETACH_ID, &arguments), 0);
        assert_eq!(*actor.fake.interrupted.borrow(), [THREAD]);
    }));
    model.call(THREAD, &large());
    assert_eq!(model.seen_at(ONE).len(), 1, "nothing after it has let go");
    assert!(!model.state.any_traced());
    end(&model, engines);
}

#[test]
fn an_engine_ends_with_its_trace_port_and_others_do_not_notice() {
    let (model, engines) = with_engines(&[ONE, TWO]);
    model.fake.kill(ONE);
    model.call(THREAD, &Call::simple());
    assert_eq!(model.seen_at(TWO).len(), 1);
    assert!(model.fake.port(engines[0]).dead, "its own port died with it");
    assert_eq!(model.engines_of(TASK).len(), 1);
    model.call(THREAD, &Call::simple());
    assert_eq!(model.seen_at(TWO).len(), 2);
    end(&model, engines);
}

#[test]
fn the_trace_port_dies_and_engines_do_not_notice() {
    let (model, engines) = with_engines(&[ONE]);
    let another = Port::fake(0x5100);
    model.fake.add_port(another, crate::gnumach::fake::TRACER);
    model.fake.port(another).rights = 1;
    model.trace_to(TASK, another);
    model.fake.kill(another);
    model.call(THREAD, &Call::simple());
    assert_eq!(model.seen_at(ONE).len(), 1, "the very event at which it was noticed");
    model.trace(TASK);
    model.call(THREAD, &Call::simple());
    model.untrace(TASK);
    model.call(THREAD, &Call::simple());
    assert_eq!((model.seen_at(ONE).len(), model.seen_at(TRACE).len()), (3, 1));
    end(&model, engines);
}

#[test]
fn without_memory_each_engine_is_told_what_it_lost() {
    let (model, engines) = with_engines(&[ONE, TWO]);
    model.fake.script.borrow_mut().no_memory = true;
    model.call(THREAD, &Call::simple());
    model.fake.script.borrow_mut().no_memory = false;
    model.call(THREAD, &Call::simple());
    for port in [ONE, TWO] {
        let dropped: Vec<u32> = model.seen_at(port).iter().map(|seen| seen.header.dropped.get()).collect();
        assert_eq!(dropped, [1]);
    }
    end(&model, engines);
}

#[test]
fn a_child_is_an_engines_if_it_asked_for_children() {
    let model = Model::new();
    let with = model.attach(TASK, ONE, flag::CHILDREN, event::ALL, policy::BLOCK).unwrap();
    let without = model.attach(TASK, TWO, 0, event::ALL, policy::BLOCK).unwrap();
    lifecycle::created(&model.fake, &model.state, CHILD, Some(TASK));
    let tasks = |task| model.engines_of(task).iter().map(|engine| engine.tasks.get()).collect::<Vec<_>>();
    assert_eq!((tasks(TASK), tasks(CHILD)), (Vec::from([2, 1]), Vec::from([2])));
    model.call(CHILDS_THREAD, &Call::receive(crate::hooks::model::SERVICE_NAME, 100));
    model.call(THREAD, &Call::simple());
    model.resume(CHILDS_THREAD);
    let normal = |port| model.seen_at(port).iter().filter(|seen| seen.kind == EventKind::Normal).count();
    assert_eq!((normal(ONE), normal(TWO)), (2, 1));
    lifecycle::terminated(&model.fake, &model.state, CHILD);
    assert_eq!(tasks(TASK), [1, 1]);
    end(&model, Vec::from([with, without]));
}

#[test]
fn what_was_lost_is_told_when_a_task_ends_or_is_let_go() {
    for ends in [true, false] {
        let model = Model::new();
        let engine = model.attach(TASK, ONE, 0, event::SEND, policy::DROP).unwrap();
        model.fake.behind.set(true);
        model.fake.port(ONE).limit = 0;
        model.call(THREAD, &large());
        if ends {
            lifecycle::terminates(&model.fake, &model.state, TASK);
            lifecycle::terminated(&model.fake, &model.state, TASK);
        } else {
            let arguments = Arguments::default().right(Some(control_port(TASK)));
            model.fake.port(control_port(TASK)).rights += 1;
            assert_eq!(model.ask_for_code(engine, control::DETACH_ID, &arguments), 0);
        }
        let told: Vec<_> = model.seen_at(ONE).iter().map(|seen| (seen.kind, seen.header.dropped.get())).collect();
        assert_eq!(told, [(EventKind::Lost, 1)]);
        end(&model, Vec::from([engine]));
    }
}

#[test]
fn a_trace_that_ends_within_a_call_leaves_nothing_to_nowhere() {
    let (model, engines) = with_engines(&[ONE]);
    let engine = engines[0];
    model.at(Moment::Send, move |model| {
        let arguments = Arguments::default().right(None);
        assert_eq!(model.ask_for_code(engine, control::DETACH_ID, &arguments), 0);
    });
    model.call(THREAD, &Call::simple());
    assert_eq!(model.fake.records().len(), 0);
    end(&model, engines);
}
