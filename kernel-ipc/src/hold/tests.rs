// SPDX-License-Identifier: GPL-2.0-or-later
//! Threads that are held with what they have received, and new ones.

use std::boxed::Box;
use std::rc::Rc;
use std::vec::Vec;

use trace_port::control::stop::{PREPARE_ID, RESUME_ID};
use trace_port::control::{self, event, flag, policy, what};
use trace_port::{Direction, EventKind};

use super::*;
use crate::engines::EngineKey;
use crate::gnumach::fake::{CHILD, CHILDS_THREAD, TASK, THREAD};
use crate::gnumach::{Port, mr};
use crate::hooks::lifecycle;
use crate::hooks::model::asking::{Arguments, action};
use crate::hooks::model::{Call, Model};
use crate::numbers::ThreadNumber;

/// Trace ports of engines.
const ONE: Port = Port::fake(0x5200);
const TWO: Port = Port::fake(0x5300);

fn end(model: &Model, engines: &[Port]) {
    engines.iter().for_each(|&engine| model.give_back_engine(engine));
    model.assert_ends_clean();
}

/// An engine that holds a thread with replies of the host.
fn holding(model: &Model, port: Port, events: u32) -> Port {
    let engine = model.attach(TASK, port, flag::CONTROL, events, policy::BLOCK).unwrap();
    let arguments = Arguments::default().actions(&[action(2121, what::HOLD, 0)]);
    assert_eq!(model.ask_for_code(engine, control::SET_ACTIONS_ID, &arguments), 0);
    engine
}

fn resume(model: &Model, engine: Port, thread: u32) -> u32 {
    model.ask_for_code(engine, RESUME_ID, &Arguments::default().integer(thread))
}

/// Kind, direction and place of what came to a port.
fn seen(model: &Model, port: Port) -> Vec<(EventKind, Direction, u32)> {
    model.seen_at(port).iter().map(|seen| (seen.kind, seen.direction, seen.header.sender.get())).collect()
}

/// What happens while a thread is held.
fn meanwhile(model: &Rc<Model>, act: impl FnOnce(&Model) + 'static) {
    let actor = Rc::clone(model);
    *model.fake.while_waiting.borrow_mut() = Some(Box::new(move || act(&actor)));
}

const RETURN: (EventKind, Direction, u32) = (EventKind::Stopped, Direction::Receive, place::BEFORE_RETURN);

#[test]
fn a_thread_stays_with_what_it_has_received_until_it_is_resumed() {
    let model = Rc::new(Model::new());
    let engine = holding(&model, ONE, event::ALL);
    meanwhile(&model, move |model| {
        assert_eq!(model.fake.thread(THREAD).held, 1);
        // All that there is to tell has been told: the call's own record came behind that of the stop.
        let all = model.seen_at(ONE);
        let kinds: Vec<_> = all.iter().map(|seen| (seen.kind, seen.direction)).collect();
        let normal = |direction| (EventKind::Normal, direction);
        assert_eq!(
            kinds,
            [(EventKind::Stopped, Direction::Receive), normal(Direction::Send), normal(Direction::Receive)]
        );
        assert_eq!((all[0].header.sequence, &all[0].message), (all[2].header.sequence, &all[2].message));
        assert_eq!(resume(model, engine, 1), 0);
        assert_eq!(resume(model, engine, 1), mr::KERN_INVALID_ARGUMENT, "once");
    });
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(*model.fake.stayed.borrow(), [(THREAD, 0)]);
    assert_eq!(seen(&model, ONE)[0], RETURN);
    assert!(!model.state.holds_any());
    // What is only sent has nothing that could be held.
    assert_eq!(model.call(THREAD, &Call::simple()), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(model.fake.stayed.borrow().len(), 1);
    end(&model, &[engine]);
}

#[test]
fn two_engines_hold_a_thread_until_both_resume_it() {
    let model = Rc::new(Model::new());
    let engines = [ONE, TWO].map(|port| holding(&model, port, event::STOP));
    meanwhile(&model, move |model| {
        assert_eq!(model.fake.thread(THREAD).held, 2);
        assert_eq!(resume(model, engines[1], 0), 0);
        assert_eq!(model.fake.thread(THREAD).held, 1, "the other one holds it still");
        assert_eq!(resume(model, engines[1], 0), mr::KERN_INVALID_ARGUMENT);
        assert_eq!(resume(model, engines[0], 1), 0);
    });
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!([ONE, TWO].map(|port| seen(&model, port)), [[RETURN]; 2]);
    end(&model, &engines);
}

#[test]
fn an_engine_that_lets_go_or_ends_holds_nobody() {
    for detaches in [true, false] {
        let model = Rc::new(Model::new());
        let engine = holding(&model, ONE, event::STOP);
        meanwhile(&model, move |model| match detaches {
            true => {
                assert_eq!(model.ask_for_code(engine, control::DETACH_ID, &Arguments::default().right(None)), 0);
            }
            false => model.give_back_engine(engine),
        });
        assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_MSG_SUCCESS));
        assert_eq!(*model.fake.stayed.borrow(), [(THREAD, 0)]);
        end(&model, &[engine][usize::from(!detaches)..]);
    }
}

#[test]
fn an_engine_that_is_not_told_does_not_hold() {
    let model = Model::new();
    let engine = holding(&model, ONE, event::SEND);
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_MSG_SUCCESS));
    assert!(model.fake.stayed.borrow().is_empty() && !model.state.holds_any());
    end(&model, &[engine]);
}

/// One that has to end goes on though it is held, and its stop is gone when it ends.
#[test]
fn a_thread_that_ends_is_held_by_nobody() {
    let model = Rc::new(Model::new());
    let engine = holding(&model, ONE, event::STOP);
    meanwhile(&model, |model| model.fake.thread(THREAD).halting = true);
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(*model.fake.stayed.borrow(), [(THREAD, 1)]);
    lifecycle::thread_terminated(&model.fake, &model.state, THREAD);
    assert_eq!((model.fake.thread(THREAD).held, model.state.holds_any()), (0, false));
    // One that is ending already is not held at all.
    model.call(THREAD, &Call::of_host());
    assert_eq!(model.fake.stayed.borrow().len(), 1);
    end(&model, &[engine]);
}

#[test]
fn a_new_thread_is_held_before_its_first_instruction() {
    let model = Model::new();
    let flags = flag::CONTROL | flag::BIRTHS | flag::CHILDREN;
    let engine = model.attach(TASK, ONE, flags, event::STOP | event::THREAD_BIRTH, policy::BLOCK).unwrap();
    let other = model.attach(TASK, TWO, flag::CONTROL | flag::CHILDREN, event::STOP, policy::BLOCK).unwrap();
    lifecycle::created(&model.fake, &model.state, CHILD, Some(TASK));
    lifecycle::thread_created(&model.fake, &model.state, CHILDS_THREAD);
    assert_eq!(model.fake.thread(CHILDS_THREAD).held, 1);
    let all = model.seen_at(ONE);
    let kinds: Vec<_> = all.iter().map(|seen| (seen.kind, seen.header.sender.get(), seen.who())).collect();
    assert_eq!(kinds, [(EventKind::ThreadBirth, 0, (2, 1)), (EventKind::Stopped, place::AT_BIRTH, (2, 1))]);
    assert!(model.seen_at(TWO).is_empty());
    assert_eq!(resume(&model, other, 1), mr::KERN_INVALID_ARGUMENT);
    assert_eq!(resume(&model, engine, 1), 0);
    assert_eq!(model.fake.thread(CHILDS_THREAD).held, 0);
    // One that has been ended already.
    model.fake.thread(CHILDS_THREAD).dead = true;
    lifecycle::thread_created(&model.fake, &model.state, CHILDS_THREAD);
    assert_eq!((model.fake.thread(CHILDS_THREAD).held, model.state.holds_any()), (0, false));
    model.fake.thread(CHILDS_THREAD).dead = false;
    // Without memory it is not told, and so does not hold.
    model.fake.script.borrow_mut().no_memory = true;
    lifecycle::thread_created(&model.fake, &model.state, CHILDS_THREAD);
    assert_eq!((model.fake.thread(CHILDS_THREAD).held, model.state.holds_any()), (0, false));
    model.fake.script.borrow_mut().no_memory = false;
    end(&model, &[engine, other]);
}

/// On another processor its call is not over yet when the engine asks.
#[test]
fn an_engine_that_was_told_of_a_stop_is_not_told_that_there_is_none() {
    let model = Model::new();
    let engine = holding(&model, ONE, event::STOP);
    let key = model.state.key(&model.fake, TASK).unwrap();
    let number = model.engines_of(TASK)[0].number.get();
    let of_engine = (EngineKey { place: 1, number }, key);
    let how = (place::BEFORE_RETURN, How::Due);
    model.state.hold(&model.fake, of_engine, (THREAD, ThreadNumber::new(1)), how).unwrap();
    let prepare = |thread| model.ask_for_code(engine, PREPARE_ID, &Arguments::default().integer(thread));
    assert_eq!((prepare(1), prepare(2)), (mr::KERN_FAILURE, mr::KERN_INVALID_ARGUMENT));
    assert_eq!(model.fake.thread(THREAD).held, 0);
    assert_eq!(resume(&model, engine, 1), 0);
    assert_eq!(prepare(1), mr::KERN_INVALID_ARGUMENT);
    end(&model, &[engine]);
}
