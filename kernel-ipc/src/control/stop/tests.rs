// SPDX-License-Identifier: GPL-2.0-or-later
//! Threads that are stopped on request, looked at, woken and let go.

use std::boxed::Box;
use std::rc::Rc;
use std::vec::Vec;

use trace_port::EventKind;
use trace_port::control::stop::{Report, place, state};
use trace_port::control::{self, event, flag, policy, what};
use zerocopy::FromBytes;

use super::*;
use crate::gnumach::fake::{CHILD, CHILDS_THREAD, FakeThread, TASK, THREAD, TRACERS_THREAD, Waiting, control_port};
use crate::gnumach::{Port, Threads as _};
use crate::hooks::lifecycle;
use crate::hooks::model::asking::{Arguments, action};
use crate::hooks::model::random::Random;
use crate::hooks::model::{Call, HOST, Model};

/// Trace ports of engines.
const ONE: Port = Port::fake(0x5200);
const TWO: Port = Port::fake(0x5300);
/// Another thread of [`TASK`]'s.
const SECOND: Thread = Thread::fake(0x7080);

/// A task with two threads and an engine that is told of stops.
fn stopping() -> (Model, Port) {
    let model = Model::new();
    model.fake.add_thread(TASK, SECOND);
    let engine = model.attach(TASK, ONE, flag::CONTROL, event::STOP, policy::BLOCK).unwrap();
    (model, engine)
}

fn end(model: &Model, engines: &[Port]) {
    engines.iter().for_each(|&engine| model.give_back_engine(engine));
    model.assert_ends_clean();
}

fn ask(model: &Model, engine: Port, id: u32, thread: u32) -> u32 {
    model.ask_for_code(engine, id, &Arguments::default().integer(thread))
}

fn report(model: &Model, engine: Port, thread: u32) -> [u32; 4] {
    let asked = model.ask(TRACERS_THREAD, engine, stop::REPORT_ID, &Arguments::default().integer(thread));
    let (code, results) = asked.unwrap();
    assert_eq!((code, &results[..8]), (0, &stop::REPORT.to_le_bytes()[..]));
    let Report { flags, place, stops, stop } = Report::read_from_bytes(&results[8..]).unwrap();
    [flags.get(), place.get(), stops.get(), stop.get()]
}

fn prepare(model: &Model, engine: Port, thread: u32) -> Result<u32, u32> {
    let asked = model.ask(TRACERS_THREAD, engine, stop::PREPARE_ID, &Arguments::default().integer(thread));
    let (code, results) = asked.unwrap();
    if code != 0 { Err(code) } else { Ok(u32::from_le_bytes(results[8..12].try_into().unwrap())) }
}

fn finish(model: &Model, engine: Port, thread: u32, stop: u32) -> u32 {
    model.ask_for_code(engine, stop::FINISH_ID, &Arguments::default().integer(thread).integer(stop))
}

/// Place and thread of the stops that an engine was told of.
fn told(model: &Model, port: Port) -> Vec<(u32, u32)> {
    let seen = model.seen_at(port);
    assert!(seen.iter().all(|seen| seen.kind == EventKind::Stopped));
    seen.iter().map(|seen| (seen.header.sender.get(), seen.header.thread.get())).collect()
}

#[test]
fn threads_stop_on_request_until_each_engine_resumes_them() {
    let (model, engine) = stopping();
    let other = model.attach(TASK, TWO, flag::CONTROL, event::STOP, policy::BLOCK).unwrap();
    let held = || [THREAD, SECOND].map(|thread| model.fake.thread(thread).held);
    assert_eq!((ask(&model, engine, stop::STOP_ID, 0), held()), (0, [1, 1]));
    assert_eq!((ask(&model, engine, stop::STOP_ID, 1), held()), (0, [1, 1]), "once for each engine");
    assert_eq!((ask(&model, other, stop::STOP_ID, 1), held()), (0, [2, 1]));
    assert_eq!(told(&model, ONE), [(place::ON_REQUEST, 1), (place::ON_REQUEST, 2)]);
    assert_eq!(told(&model, TWO), [(place::ON_REQUEST, 1)]);
    assert_eq!(report(&model, engine, 1)[..3], [state::STOPPED | state::STANDS, place::ON_REQUEST, 2]);
    assert_eq!(report(&model, other, 2), [state::STANDS, 0, 1, 0]);
    assert_eq!((ask(&model, engine, stop::RESUME_ID, 0), held()), (0, [1, 0]));
    assert_eq!(ask(&model, engine, stop::RESUME_ID, 1), mr::KERN_INVALID_ARGUMENT);
    assert_eq!((ask(&model, other, stop::RESUME_ID, 1), held()), (0, [0, 0]));
    end(&model, &[engine, other]);
}

#[test]
fn stops_end_with_their_engine_alone() {
    let (model, engine) = stopping();
    let other = model.attach(TASK, TWO, flag::CONTROL, 0, policy::BLOCK).unwrap();
    assert_eq!([engine, other].map(|engine| ask(&model, engine, stop::STOP_ID, 0)), [0, 0]);
    model.give_back_engine(engine);
    assert_eq!([THREAD, SECOND].map(|thread| model.fake.thread(thread).held), [1, 1]);
    assert_eq!(model.ask_for_code(other, control::DETACH_ID, &Arguments::default().right(None)), 0);
    assert_eq!([THREAD, SECOND].map(|thread| model.fake.thread(thread).held), [0, 0]);
    end(&model, &[other]);
}

#[test]
fn one_that_does_not_stand_still_yet_is_waited_for_a_second_and_stops_later() {
    let (model, engine) = stopping();
    model.fake.thread(SECOND).moves = true;
    assert_eq!(ask(&model, engine, stop::STOP_ID, 0), mr::KERN_TIMEDOUT);
    assert_eq!(model.fake.slept.borrow().iter().sum::<u32>(), 1000);
    assert_eq!((told(&model, ONE), model.fake.thread(SECOND).held), (Vec::from([(place::ON_REQUEST, 1)]), 1));
    assert_eq!(prepare(&model, engine, 2), Err(mr::KERN_FAILURE));
    assert_eq!(report(&model, engine, 2)[..2], [state::STOPPED, place::ON_REQUEST]);
    model.fake.thread(SECOND).moves = false;
    assert_eq!(ask(&model, engine, stop::STOP_ID, 2), 0);
    assert_eq!(told(&model, ONE).len(), 2);
    // Who asks is ended: nobody waits.
    model.fake.thread(SECOND).moves = true;
    model.fake.thread(TRACERS_THREAD).halting = true;
    model.fake.slept.borrow_mut().clear();
    assert_eq!(ask(&model, engine, stop::STOP_ID, 0), mr::KERN_TIMEDOUT);
    assert!(model.fake.slept.borrow().is_empty());
    end(&model, &[engine]);
}

#[test]
fn an_engine_that_ends_while_its_stop_is_waited_for_ends_that() {
    let (model, engine) = stopping();
    let model = Rc::new(model);
    model.fake.thread(SECOND).moves = true;
    model.fake.script.borrow_mut().waiting = Waiting::SomethingElse;
    let actor = Rc::clone(&model);
    *model.fake.while_waiting.borrow_mut() = Some(Box::new(move || actor.give_back_engine(engine)));
    assert_eq!(ask(&model, engine, stop::STOP_ID, 0), 0);
    assert_eq!([THREAD, SECOND].map(|thread| model.fake.thread(thread).held), [0, 0]);
    model.fake.script.borrow_mut().waiting = Waiting::TracerReceives;
    end(&model, &[]);
}

#[test]
fn an_examination_says_whether_the_thread_has_moved_meanwhile() {
    let (model, engine) = stopping();
    assert_eq!(prepare(&model, engine, 1), Err(mr::KERN_INVALID_ARGUMENT), "nobody stops it");
    assert_eq!(ask(&model, engine, stop::STOP_ID, 0), 0);
    let first = prepare(&model, engine, 1).unwrap();
    assert_eq!(finish(&model, engine, 1, first), 0);
    assert_eq!(finish(&model, engine, 1, first), 0, "as long as it stands still");
    assert_eq!([finish(&model, engine, 2, first), finish(&model, engine, 1, first + 9)], [mr::KERN_ABORTED; 2]);
    // Somebody brings its call to an end: it has moved, and does not move after that.
    model.fake.thread(THREAD).halted = true;
    assert_eq!(finish(&model, engine, 1, first), mr::KERN_ABORTED);
    let again = prepare(&model, engine, 1).unwrap();
    assert_eq!((finish(&model, engine, 1, again), again), (0, first));
    for moves in [|thread: &mut FakeThread| thread.moves = true, |thread: &mut FakeThread| thread.halting = true] {
        let before = model.fake.thread(THREAD).clone();
        moves(&mut model.fake.thread(THREAD));
        assert_eq!(finish(&model, engine, 1, again), mr::KERN_ABORTED);
        *model.fake.thread(THREAD) = before;
    }
    // A stop that ends and begins again is another one.
    assert_eq!((ask(&model, engine, stop::RESUME_ID, 1), ask(&model, engine, stop::STOP_ID, 1)), (0, 0));
    assert_eq!(finish(&model, engine, 1, again), mr::KERN_ABORTED);
    assert_ne!(prepare(&model, engine, 1).unwrap(), again);
    end(&model, &[engine]);
}

/// The send stop of an engine is examined and resumed as others are.
#[test]
fn a_thread_that_waits_to_send_is_examined_and_resumed() {
    let (model, engine) = stopping();
    let arguments = Arguments::default().actions(&[action(2021, what::STOP, 0)]);
    assert_eq!(model.ask_for_code(engine, control::SET_ACTIONS_ID, &arguments), 0);
    let model = Rc::new(model);
    let actor = Rc::clone(&model);
    *model.fake.while_waiting.borrow_mut() = Some(Box::new(move || {
        let stop = prepare(&actor, engine, 1).unwrap();
        let flags = state::STOPPED | state::STANDS;
        assert_eq!(report(&actor, engine, 1), [flags, place::BEFORE_SEND, 1, stop]);
        assert_eq!(finish(&actor, engine, 1, stop), 0);
        assert_eq!(ask(&actor, engine, stop::STOP_ID, 1), 0);
        assert_eq!(report(&actor, engine, 1)[1..3], [place::ON_REQUEST, 1], "one engine");
        assert_eq!(ask(&actor, engine, stop::RESUME_ID, 1), 0);
        assert_eq!(finish(&actor, engine, 1, stop), mr::KERN_ABORTED);
        assert_eq!(ask(&actor, engine, stop::RESUME_ID, 1), mr::KERN_INVALID_ARGUMENT);
    }));
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(told(&model, ONE), [(place::BEFORE_SEND, 1), (place::ON_REQUEST, 1)]);
    end(&model, &[engine]);
}

#[test]
fn threads_are_woken() {
    let (model, engine) = stopping();
    assert_eq!(ask(&model, engine, stop::STOP_ID, 0), 0);
    assert_eq!((ask(&model, engine, stop::INTERRUPT_ID, 2), ask(&model, engine, stop::INTERRUPT_ID, 0)), (0, 0));
    assert_eq!(*model.fake.interrupted.borrow(), [SECOND, THREAD, SECOND]);
    assert_eq!([THREAD, SECOND].map(|thread| model.fake.thread(thread).held), [1, 1], "no stop ends by that");
    end(&model, &[engine]);
}

#[test]
fn only_threads_of_its_own_tasks_and_only_an_engine_with_control() {
    let (model, engine) = stopping();
    let plain = model.attach(TASK, TWO, 0, event::STOP, policy::BLOCK).unwrap();
    model.fake.give_thread_number(CHILDS_THREAD, &model.state.numbers);
    let foreign = model.fake.thread(CHILDS_THREAD).number.get();
    let of_thread = [stop::STOP_ID, stop::RESUME_ID, stop::INTERRUPT_ID, stop::REPORT_ID, stop::PREPARE_ID];
    for id in of_thread {
        assert_eq!(ask(&model, plain, id, 1), mr::KERN_NO_ACCESS, "{id}");
        for thread in [foreign, 77, u32::MAX] {
            assert_eq!(ask(&model, engine, id, thread), mr::KERN_INVALID_ARGUMENT, "{id}");
        }
        for port in [HOST, control_port(CHILD)] {
            assert_eq!(ask(&model, port, id, 1), mr::KERN_INVALID_ARGUMENT, "{id}");
        }
        for (bytes, is_complex) in Arguments::default().integer(1).misshapen() {
            let code = model.ask_for_code(engine, id, &Arguments::raw(bytes, is_complex));
            assert_eq!(code, mr::MIG_BAD_ARGUMENTS, "{id}");
        }
    }
    assert_eq!(finish(&model, plain, 1, 1), mr::KERN_NO_ACCESS);
    assert_eq!(
        [stop::REPORT_ID, stop::PREPARE_ID].map(|id| ask(&model, engine, id, 0)),
        [mr::KERN_INVALID_ARGUMENT; 2]
    );
    // By itself: not at all, and among all it is left out.
    model.fake.give_thread_number(SECOND, &model.state.numbers);
    let own = model.fake.thread(SECOND).number.get();
    let asked =
        |thread: u32| model.ask(SECOND, engine, stop::STOP_ID, &Arguments::default().integer(thread)).unwrap().0;
    assert_eq!((asked(own), asked(0)), (mr::KERN_FAILURE, 0));
    assert_eq!([THREAD, SECOND].map(|thread| model.fake.thread(thread).held), [1, 0]);
    // A thread that is gone when it is held is let go.
    model.fake.thread(THREAD).dead = true;
    assert_eq!((ask(&model, engine, stop::RESUME_ID, 0), ask(&model, engine, stop::STOP_ID, 0)), (0, 0));
    assert_eq!(model.fake.thread(THREAD).held, 0);
    let births = model.attach_as("name", TASK, None, [flag::CREATE | flag::BIRTHS, 0, 0]);
    assert_eq!(births, Err(mr::KERN_INVALID_VALUE));
    end(&model, &[engine, plain]);
}

/// Requests about threads by chance, between calls, births and deaths: nobody stays held, and nothing is left.
#[test]
fn random_requests_about_threads_break_nothing_and_leave_nothing() {
    let ids = [5103, 5104, 5105, 5116, 5117, 5117, 5118, 5119];
    let mut codes = std::collections::BTreeSet::new();
    for seed in 1..=20 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (seed << 40));
        let model = Model::new();
        model.fake.add_thread(TASK, SECOND);
        let mut engines = Vec::new();
        for _ in 0..2000 {
            if engines.len() < 3 {
                let flags =
                    random.one(&[0, flag::CONTROL, flag::CONTROL | flag::BIRTHS, flag::CONTROL | flag::CHILDREN]);
                engines.push(model.attach(TASK, random.one(&[ONE, TWO]), flags, event::ALL, policy::DROP).unwrap());
            }
            let engine = random.one(&engines);
            let id = random.one(&ids);
            let mut arguments = Arguments::default().integer(random.below(5) as u32);
            for _ in 0..random.below(3) {
                arguments = arguments.integer(random.below(40) as u32);
            }
            if random.below(8) == 0 {
                arguments = arguments.changed(random.below(64) as usize, random.below(256) as u8);
            }
            let asks = random.one(&[TRACERS_THREAD, TRACERS_THREAD, SECOND]);
            codes.insert(model.ask(asks, engine, id, &arguments).unwrap().0);
            let thread = random.one(&[THREAD, SECOND]);
            match random.below(12) {
                0 => model.give_back_engine(engines.swap_remove(random.below(engines.len() as u64) as usize)),
                1 => model.fake.thread(thread).moves ^= true,
                2 => lifecycle::thread_terminates(&model.fake, &model.state, thread),
                3 => lifecycle::thread_created(&model.fake, &model.state, thread),
                4 => drop(model.call(THREAD, &Call::of_host())),
                5 => model.fake.script.borrow_mut().no_memory ^= true,
                6 => {
                    let actions = [action(2121, random.one(&[what::HOLD, what::GO]), 0)];
                    model.ask_for_code(engine, control::SET_ACTIONS_ID, &Arguments::default().actions(&actions));
                }
                _ => {}
            }
        }
        *model.fake.script.borrow_mut() = Default::default();
        engines.into_iter().for_each(|engine| model.give_back_engine(engine));
        model.assert_ends_clean();
    }
    let expected =
        [0, mr::KERN_INVALID_ARGUMENT, mr::KERN_FAILURE, mr::KERN_NO_ACCESS, mr::KERN_ABORTED, mr::KERN_TIMEDOUT];
    assert!(expected.iter().all(|code| codes.contains(code)), "{codes:?}: by chance all of them");
}

#[test]
fn without_room_nobody_is_stopped() {
    let (model, engine) = stopping();
    model.fake.script.borrow_mut().no_room = true;
    assert_eq!(ask(&model, engine, stop::STOP_ID, 0), mr::KERN_RESOURCE_SHORTAGE);
    let hold = Arguments::default().actions(&[action(2121, what::HOLD, 0)]);
    assert_eq!(model.ask_for_code(engine, control::SET_ACTIONS_ID, &hold), 0);
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_MSG_SUCCESS));
    assert!(!model.state.holds_any() && model.seen_at(ONE).is_empty());
    end(&model, &[engine]);
}
