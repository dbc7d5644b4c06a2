// SPDX-License-Identifier: GPL-2.0-or-later
//! Births and deaths, each told once, in order, to those that ask.

use std::vec::Vec;

use trace_port::EventKind;
use trace_port::control::{event, flag, policy};

use crate::gnumach::fake::{CHILD, CHILDS_THREAD, TASK, THREAD};
use crate::gnumach::{Port, Task};
use crate::hooks::lifecycle;
use crate::hooks::model::{Call, Model};

/// Trace ports of engines.
const ONE: Port = Port::fake(0x5200);
const TWO: Port = Port::fake(0x5300);

const LIVES: u32 = event::TASK_BIRTH | event::THREAD_BIRTH | event::THREAD_DEATH | event::TASK_DEATH | event::END;

/// Kind, task, thread and sender of what came to a port.
fn told(model: &Model, port: Port) -> Vec<(EventKind, u32, u32, u32)> {
    let news = |seen: crate::hooks::model::Seen| {
        (seen.kind, seen.header.task.get(), seen.header.thread.get(), seen.header.sender.get())
    };
    model.seen_at(port).into_iter().map(news).collect()
}

fn die(model: &Model, thread: crate::gnumach::Thread) {
    lifecycle::thread_terminates(&model.fake, &model.state, thread);
    model.fake.thread(thread).dead = true;
    // The kernel calls it several times.
    lifecycle::thread_terminates(&model.fake, &model.state, thread);
}

fn end_task(model: &Model, task: Task) {
    lifecycle::terminates(&model.fake, &model.state, task);
    lifecycle::terminated(&model.fake, &model.state, task);
}

#[test]
fn each_birth_and_each_death_is_told_once() {
    for children in [0, flag::CHILDREN] {
        let model = Model::new();
        let engine = model.attach(TASK, ONE, children, LIVES, policy::BLOCK).unwrap();
        let other = model.attach(TASK, TWO, 0, event::SEND, policy::BLOCK).unwrap();
        lifecycle::created(&model.fake, &model.state, CHILD, Some(TASK));
        model.add_thread(CHILD, CHILDS_THREAD);
        die(&model, CHILDS_THREAD);
        end_task(&model, CHILD);
        die(&model, THREAD);
        end_task(&model, TASK);
        let child = if children == 0 { 0 } else { 2 };
        let mut expected = Vec::from([(EventKind::TaskBirth, child, 0, 1)]);
        if children != 0 {
            expected.push((EventKind::ThreadBirth, 2, 1, 0));
            expected.push((EventKind::ThreadDeath, 2, 1, 0));
            expected.push((EventKind::TaskDeath, 2, 0, 0));
        }
        let thread = if children == 0 { 1 } else { 2 };
        expected.push((EventKind::ThreadDeath, 1, thread, 0));
        expected.push((EventKind::TaskDeath, 1, 0, 0));
        assert_eq!(told(&model, ONE), expected);
        assert_eq!(told(&model, TWO), []);
        model.give_back_engine(engine);
        assert_eq!(told(&model, ONE).last().map(|news| (news.0, news.2)), Some((EventKind::EngineEnd, 1)));
        model.give_back_engine(other);
        model.assert_ends_clean();
    }
}

#[test]
fn what_there_was_no_memory_for_is_told_with_the_death() {
    let model = Model::new();
    let engine = model.attach(TASK, ONE, 0, event::THREAD_DEATH | event::TASK_DEATH, policy::BLOCK).unwrap();
    model.fake.script.borrow_mut().no_memory = true;
    die(&model, THREAD);
    model.fake.script.borrow_mut().no_memory = false;
    end_task(&model, TASK);
    let seen = model.seen_at(ONE);
    assert_eq!((seen.len(), seen[0].kind, seen[0].header.dropped.get()), (1, EventKind::TaskDeath, 1));
    model.give_back_engine(engine);
    model.assert_ends_clean();
}

/// A task that ends itself does so in a call: its request is told before its death.
#[test]
fn the_request_that_ends_its_own_task_is_told_before_the_death() {
    let model = Model::new();
    let engine = model.attach(TASK, ONE, 0, event::ALL & !event::CONTROL, policy::BLOCK).unwrap();
    model.at(crate::hooks::model::Moment::Serve, |model| {
        model.fake.run(THREAD);
        end_task(model, TASK);
    });
    model.call(THREAD, &Call::of_host());
    let kinds: Vec<EventKind> = model.seen_at(ONE).iter().map(|seen| seen.kind).collect();
    assert_eq!(kinds, [EventKind::Normal, EventKind::TaskDeath]);
    model.give_back_engine(engine);
    model.assert_ends_clean();
}

#[test]
fn an_engine_whose_port_is_dead_ends_at_the_news() {
    let model = Model::new();
    model.attach(TASK, ONE, 0, LIVES, policy::BLOCK).unwrap();
    let other = model.attach(TASK, TWO, 0, LIVES, policy::BLOCK).unwrap();
    model.fake.kill(ONE);
    die(&model, THREAD);
    assert_eq!(told(&model, TWO), [(EventKind::ThreadDeath, 1, 1, 0)]);
    assert_eq!(model.engines_of(TASK).len(), 1);
    model.give_back_engine(other);
    // The other one's own port died with its trace port, and its maker still has a right.
    let ports = model.fake.ports.borrow().clone();
    for (address, port) in ports.iter().filter(|(_, port)| port.dead && port.rights > 0) {
        assert_eq!(port.rights, 1, "{address:#x}");
        model.give_back_engine(Port::fake(*address));
    }
    model.assert_ends_clean();
}
