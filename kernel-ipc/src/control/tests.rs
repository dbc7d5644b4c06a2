// SPDX-License-Identifier: GPL-2.0-or-later
//! Requests of every shape, and what they are answered with.

use std::rc::Rc;
use std::vec;
use std::vec::Vec;

use trace_port::control::{event, flag, policy, stop};

use super::*;
use crate::gnumach::fake::{CHILD, KERNEL_TASK, TASK, THREAD, TRACE, TRACER, TRACERS_THREAD, control_port};
use crate::hooks::model::asking::{Arguments, rule};
use crate::hooks::model::random::Random;
use crate::hooks::model::{Call, HOST, Model};

/// Trace ports of engines.
const ONE: Port = Port::fake(0x5200);
const TWO: Port = Port::fake(0x5300);

fn attached() -> (Model, Port) {
    let model = Model::new();
    let engine = model.attach(TASK, ONE, 0, event::ALL, policy::BLOCK).unwrap();
    (model, engine)
}

#[test]
fn any_port_of_the_kernels_says_what_there_is() {
    let model = Model::new();
    let (code, results) = model.ask(THREAD, HOST, control::VERSION_ID, &Arguments::default()).unwrap();
    let words: Vec<u32> = results[8..].chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
    assert_eq!((code, &words[..5]), (0, &[3, u32::from(record::VERSION), 8, 16, 65536][..]));
    assert_eq!(results[..8], control::LIMITS.to_le_bytes());
    assert!(model.state.nowhere().is_none(), "asking makes nothing");
    model.assert_ends_clean();
}

#[test]
fn what_is_not_of_the_interface_is_not_served() {
    let (model, engine) = attached();
    for id in [0, 70, 5000, 5099, 5106, 5109, 5200, u32::MAX] {
        assert_eq!(model.ask(TRACERS_THREAD, HOST, id, &Arguments::default()), None, "{id}");
    }
    model.give_back_engine(engine);
    model.assert_ends_clean();
}

/// Requests that are right but for their port.
fn requests() -> Vec<(u32, Arguments)> {
    let none = Arguments::default;
    vec![
        (control::VERSION_ID, none()),
        (control::ATTACH_ID, none().right(None).name("name").integer(1).integer(1).integer(1)),
        (control::ENGINES_ID, none()),
        (control::ENGINE_ID, none()),
        (control::SET_EVENTS_ID, none().integer(1).integer(1)),
        (control::SET_FILTER_ID, none().integer(9).rules(&[rule(0, 0, 1, 0); 3])),
        (control::DETACH_ID, none().right(None)),
        (control::BARRIER_ID, none()),
        (control::ANSWER_ID, none().integer(1).integer(0).integer(0)),
        (stop::STOP_ID, none().integer(1)),
        (stop::RESUME_ID, none().integer(1)),
        (stop::INTERRUPT_ID, none().integer(1)),
        (stop::REPORT_ID, none().integer(1)),
        (stop::PREPARE_ID, none().integer(1)),
        (stop::FINISH_ID, none().integer(1).integer(1)),
    ]
}

#[test]
fn a_request_to_the_wrong_port_or_of_the_wrong_shape_is_refused() {
    let (model, engine) = attached();
    for (id, arguments) in requests() {
        let is_tasks = matches!(id, control::ATTACH_ID | control::ENGINES_ID);
        let (right, wrong) = if is_tasks { (control_port(CHILD), engine) } else { (engine, control_port(CHILD)) };
        if id != control::VERSION_ID {
            for port in [HOST, wrong] {
                assert_eq!(model.ask_for_code(port, id, &arguments), mr::KERN_INVALID_ARGUMENT, "{id}");
            }
        }
        for (bytes, is_complex) in arguments.misshapen() {
            let code = model.ask_for_code(right, id, &Arguments::raw(bytes, is_complex));
            assert_eq!(code, mr::MIG_BAD_ARGUMENTS, "{id}");
        }
    }
    assert_eq!(model.engines_of(TASK).len(), 1, "nothing has happened");
    model.give_back_engine(engine);
    model.assert_ends_clean();
}

#[test]
fn values_that_mean_nothing_are_refused() {
    let (model, engine) = attached();
    let refused = |id, arguments: Arguments| {
        assert_eq!(model.ask_for_code(engine, id, &arguments), mr::KERN_INVALID_VALUE);
    };
    let none = Arguments::default;
    refused(control::SET_EVENTS_ID, none().integer(event::ALL + 1).integer(0));
    refused(control::SET_EVENTS_ID, none().integer(0).integer(policy::LAST + 1));
    refused(control::SET_FILTER_ID, none().integer(0).rules(&[rule(0, 0, 0, 0), rule(32, 0, 0, 0)]));
    for wrong in [[flag::ALL + 1, 0, 0], [flag::CREATE, event::ALL + 1, 0], [flag::CREATE, 0, policy::LAST + 1]] {
        assert_eq!(model.attach_as("name", TASK, None, wrong), Err(mr::KERN_INVALID_VALUE));
    }
    let too_many = none().integer(0).rules(&[rule(0, 0, 0, 0); 17]);
    assert_eq!(model.ask_for_code(engine, control::SET_FILTER_ID, &too_many), mr::MIG_BAD_ARGUMENTS);
    model.give_back_engine(engine);
    model.assert_ends_clean();
}

#[test]
fn some_tasks_and_some_ports_are_refused() {
    let model = Model::new();
    model.fake.add_port(ONE, TRACER);
    let attach = |task, port: Option<Port>| {
        if let Some(port) = port {
            model.fake.port(port).rights += 1;
        }
        model.attach_as("name", task, port, [flag::CREATE, event::ALL, 0])
    };
    assert_eq!(attach(KERNEL_TASK, Some(ONE)), Err(mr::KERN_NO_ACCESS));
    assert_eq!(attach(TASK, None), Err(mr::KERN_INVALID_ARGUMENT));
    assert_eq!(attach(TASK, Some(HOST)), Err(mr::KERN_INVALID_ARGUMENT), "each record would be a request");
    assert_eq!(attach(TRACER, Some(ONE)), Err(mr::KERN_FAILURE), "it would receive its own trace");
    model.fake.task(CHILD).dying = true;
    assert_eq!(attach(CHILD, Some(ONE)), Err(mr::KERN_FAILURE));
    model.fake.script.borrow_mut().no_ports = true;
    assert_eq!(attach(TASK, Some(ONE)), Err(mr::KERN_RESOURCE_SHORTAGE));
    model.fake.script.borrow_mut().no_ports = false;
    model.fake.script.borrow_mut().no_room = true;
    assert_eq!(attach(TASK, Some(ONE)), Err(mr::KERN_RESOURCE_SHORTAGE));
    model.assert_ends_clean();
}

#[test]
fn a_ninth_engine_is_refused_and_a_name_that_is_to_be_the_only_one() {
    let model = Model::new();
    let engines: Vec<Port> = (0..8).map(|_| model.attach(TASK, ONE, 0, event::ALL, 0).unwrap()).collect();
    assert_eq!(model.attach(TASK, ONE, 0, event::ALL, 0), Err(mr::KERN_RESOURCE_SHORTAGE));
    let numbers: Vec<u32> = model.engines_of(TASK).iter().map(|engine| engine.number.get()).collect();
    assert_eq!(numbers, (1..=8).collect::<Vec<_>>(), "in the order of their attaching");
    model.give_back_engine(engines[3]);
    assert_eq!(model.attach(TASK, ONE, flag::EXCLUSIVE, event::ALL, 0), Err(mr::KERN_NAME_EXISTS));
    let ninth = model.attach(TASK, ONE, 0, event::ALL, 0).unwrap();
    for engine in engines.into_iter().enumerate().filter(|&(index, _)| index != 3).map(|(_, engine)| engine) {
        model.give_back_engine(engine);
    }
    model.give_back_engine(ninth);
    model.assert_ends_clean();
}

#[test]
fn engines_run_out_and_trace_ports_do_not() {
    let model = Model::new();
    let tasks: Vec<Task> = (0..128).map(|index| Task::fake(0x10_0000 + index * 0x1000)).collect();
    let mut engines = Vec::new();
    for &task in &tasks {
        model.fake.add_task(task);
        engines.extend((0..8).map(|_| model.attach(task, ONE, 0, event::ALL, 0).unwrap()));
    }
    assert_eq!(model.attach(TASK, ONE, 0, event::ALL, 0), Err(mr::KERN_RESOURCE_SHORTAGE));
    model.trace(TASK);
    model.call(THREAD, &Call::simple());
    assert_eq!(model.seen_at(TRACE).len(), 1);
    model.give_back_engine(engines.swap_remove(0));
    let late = model.attach(TASK, ONE, 0, event::ALL, 0).unwrap();
    engines.into_iter().chain([late]).for_each(|engine| model.give_back_engine(engine));
    model.assert_ends_clean();
}

#[test]
fn an_engine_is_found_again_by_who_receives_from_its_trace_port() {
    let (model, engine) = attached();
    model.fake.add_port(TWO, CHILD);
    model.fake.port(TWO).rights += 1;
    let other = model.attach_as("other", TASK, Some(TWO), [flag::CREATE, event::ALL, 0]).unwrap();
    assert_eq!(model.attach_as("", TASK, None, [0; 3]), Ok(engine));
    assert_eq!(model.attach_as("engine", TASK, None, [flag::MATCH, 0, 0]), Ok(engine));
    assert_eq!(
        model.attach_as("other", TASK, None, [flag::MATCH, 0, 0]),
        Err(mr::KERN_INVALID_NAME),
        "it is another's"
    );
    assert_eq!(model.attach_as("", CHILD, None, [0; 3]), Err(mr::KERN_INVALID_NAME), "it is not traced");
    // A right that is not needed is given back.
    model.fake.port(ONE).rights += 1;
    assert_eq!(model.attach_as("", TASK, Some(ONE), [0; 3]), Ok(engine));
    (0..4).for_each(|_| model.give_back_engine(engine));
    assert_eq!(model.engines_of(TASK).len(), 1);
    model.give_back_engine(other);
    model.assert_ends_clean();
}

#[test]
fn an_engine_lets_go_of_one_task_or_of_all_and_ends_with_its_last_right() {
    let model = Model::new();
    let engine = model.attach(TASK, ONE, flag::CHILDREN, event::ALL, 0).unwrap();
    crate::hooks::lifecycle::created(&model.fake, &model.state, CHILD, Some(TASK));
    let detach = |task: Option<Task>| {
        if let Some(task) = task {
            model.fake.port(control_port(task)).rights += 1;
        }
        model.ask_for_code(engine, control::DETACH_ID, &Arguments::default().right(task.map(control_port)))
    };
    assert_eq!(detach(Some(TRACER)), mr::KERN_INVALID_TASK);
    assert_eq!((detach(Some(CHILD)), detach(Some(CHILD))), (0, mr::KERN_INVALID_TASK));
    assert_eq!((model.engines_of(TASK).len(), model.engines_of(CHILD).len()), (1, 0));
    assert!(model.fake.is_redirected());
    assert_eq!((detach(None), detach(None)), (0, 0));
    assert!(!model.state.any_traced() && !model.fake.is_redirected());
    let state = model.ask(TRACERS_THREAD, engine, control::ENGINE_ID, &Arguments::default()).unwrap();
    assert_eq!(state.0, 0, "it is there until its port has no senders");
    model.give_back_engine(engine);
    assert!(model.fake.port(engine).dead);
    model.assert_ends_clean();
}

#[test]
fn a_barrier_waits_until_no_record_is_on_its_way() {
    let (model, engine) = attached();
    assert_eq!(model.ask_for_code(engine, control::BARRIER_ID, &Arguments::default()), 0);
    assert_eq!(model.fake.slept.borrow().len(), 0);
    // A thread waits for room: it is on its way all the time.
    model.fake.behind.set(true);
    model.fake.port(ONE).limit = 0;
    model.fake.script.borrow_mut().waiting = crate::gnumach::fake::Waiting::SomethingElse;
    let model = Rc::new(model);
    let asker = Rc::clone(&model);
    *model.fake.while_waiting.borrow_mut() = Some(std::boxed::Box::new(move || {
        assert_eq!(asker.ask_for_code(engine, control::BARRIER_ID, &Arguments::default()), mr::KERN_TIMEDOUT);
        assert_eq!(asker.fake.slept.borrow().len(), LOOKS as usize, "not for ever");
        asker.fake.port(ONE).limit = 5;
    }));
    model.call(THREAD, &Call::simple());
    model.fake.receive_records();
    assert_eq!(model.seen_at(ONE).len(), 1);
    assert_eq!(model.ask_for_code(engine, control::BARRIER_ID, &Arguments::default()), 0);
    model.give_back_engine(engine);
    model.assert_ends_clean();
}

/// What no senders are left of is asked of any port of the kernel's.
#[test]
fn a_notification_for_another_port_is_the_kernels() {
    let (model, engine) = attached();
    assert_eq!(model.ask(THREAD, control_port(TASK), 70, &Arguments::default().integer(1)), None);
    model.give_back_engine(engine);
    assert_eq!(model.ask(THREAD, engine, 70, &Arguments::default().integer(1)), None, "it has ended");
    model.assert_ends_clean();
}

/// 100,000 requests of any shape by anybody to any port, between messages: the books of the fake kernel are right at any time, and nothing is left.
#[test]
fn random_requests_break_nothing_and_leave_nothing() {
    for seed in 1..=20 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (seed << 40));
        let model = Model::new();
        model.fake.add_port(ONE, TRACER);
        model.fake.add_port(TWO, CHILD);
        let mut engines: Vec<Port> = Vec::new();
        for _ in 0..5000 {
            let mut ports = vec![HOST, control_port(TASK), control_port(CHILD), control_port(TRACER)];
            ports.extend(&engines);
            let (id, arguments) = random.one(&requests());
            let arguments = match random.below(4) {
                0 => arguments.changed(random.below(1 << 40) as usize, random.below(256) as u8),
                1 if id == control::ATTACH_ID => {
                    let port = random.one(&[ONE, TWO, TRACE]);
                    model.fake.port(port).rights += 1;
                    let flags = random.below(u64::from(flag::ALL) + 1) as u32 | flag::CREATE;
                    let events = random.below(u64::from(event::ALL) + 1) as u32;
                    Arguments::default().right(Some(port)).name("x").integer(flags).integer(events).integer(1)
                }
                _ => arguments,
            };
            let thread = random.one(&[THREAD, TRACERS_THREAD]);
            let answer = model.ask(thread, random.one(&ports), id, &arguments);
            if let (control::ATTACH_ID, Some((0, results))) = (id, answer) {
                engines.push(Port::fake(u64::from_le_bytes(results[8..16].try_into().unwrap()) as usize));
            }
            match random.below(8) {
                0 if !engines.is_empty() => {
                    let index = random.below(engines.len() as u64) as usize;
                    model.give_back_engine(engines.swap_remove(index));
                }
                1 => drop(model.call(THREAD, &Call::of_host())),
                2 => drop(model.call(THREAD, &Call::simple())),
                3 => model.fake.script.borrow_mut().no_memory ^= true,
                _ => {}
            }
        }
        model.fake.script.borrow_mut().no_memory = false;
        engines.into_iter().for_each(|engine| model.give_back_engine(engine));
        model.assert_ends_clean();
    }
}

/// By a send right, which is all that others than the kernel can have: its body and its reply right would be taken by nobody.
#[test]
fn only_the_kernel_says_that_an_engine_has_no_senders() {
    let model = Model::new();
    let engine = model.attach(TASK, TRACE, 0, event::ALL, policy::BLOCK).unwrap();
    let forged = Arguments::default().integer(1);
    assert_eq!(model.ask(TRACERS_THREAD, engine, mach_abi::notify::MACH_NOTIFY_NO_SENDERS, &forged), None);
    assert_eq!(model.engines_of(TASK).len(), 1);
    model.give_back_engine(engine);
    assert_eq!(model.engines_of(TASK).len(), 0);
}
