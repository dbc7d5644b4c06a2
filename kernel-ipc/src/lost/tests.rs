// SPDX-License-Identifier: GPL-2.0-or-later
//! Records that are lost with nothing after them.

use std::vec::Vec;

use trace_port::record::MAX_BATCH;

use super::*;
use crate::bare::CAP;
use crate::gnumach::fake::{CHILD, CHILDS_THREAD, TASK, THREAD, TRACE, TRACER};
use crate::gnumach::{Port, Ports, Task, mr};
use crate::hooks::lifecycle::{terminated, terminates};
use crate::hooks::model::seen::Seen;
use crate::hooks::model::{Call, Model, Moment, SERVICE_NAME, TO_SERVICE, message};

/// Messages that may be queued beyond a port's limit by who must not wait.
const QUEUE_CAP: u32 = 64;

/// Messages so large that no record goes behind another.
fn large(to: u32) -> Call {
    Call::send(message(19, to, 0, 7000, MAX_BATCH - 200))
}

/// [`TASK`], whose thread is being halted, and [`CHILD`] are traced, and nobody receives.
fn traced(tasks: &[Task]) -> Model {
    let model = Model::traced(tasks);
    model.fake.behind.set(true);
    model.fake.thread(THREAD).halting = true;
    model.fake.thread(CHILDS_THREAD).halting = true;
    model
}

/// `task_terminate`, as far as it is seen.
fn end(model: &Model, task: Task) {
    terminates(&model.fake, &model.state, task);
    model.fake.task(task).dying = true;
    terminated(&model.fake, &model.state, task);
}

/// What such records say: whose, and how many.
fn told(model: &Model) -> Vec<(u32, u32)> {
    let is_it = |seen: &&Seen| seen.kind == EventKind::Lost;
    let seen = model.seen();
    assert!(
        seen.iter().filter(is_it).all(|seen| seen.message.is_empty() && seen.ports.is_empty() && seen.who().1 == 0)
    );
    seen.iter().filter(is_it).map(|seen| (seen.who().0, seen.header.dropped.get())).collect()
}

#[test]
fn what_a_task_lost_last_is_told_with_its_end() {
    let model = traced(&[TASK]);
    for _ in 0..QUEUE_CAP + 3 {
        assert_eq!(model.call(THREAD, &large(TO_SERVICE)), Some(mr::MACH_MSG_SUCCESS));
    }
    assert_eq!((model.seen().len(), model.state.lost()), (64, 3));
    end(&model, TASK);
    assert_eq!(told(&model), [(1, 3)]);
    let last = model.seen().pop().unwrap();
    assert_eq!((last.kind, last.header.sequence.get()), (EventKind::Lost, 68), "after all others");
    assert_eq!(model.fake.task(TASK).messages_sent, i64::from(QUEUE_CAP + 3), "its own messages alone");
    model.assert_ends_clean();
}

#[test]
fn the_end_of_a_task_that_lost_nothing_more_is_no_record() {
    let model = traced(&[TASK]);
    for _ in 0..QUEUE_CAP + 3 {
        model.call(THREAD, &large(TO_SERVICE));
    }
    model.fake.receive_records();
    model.call(THREAD, &large(TO_SERVICE));
    assert_eq!(model.seen().pop().unwrap().header.dropped.get(), 3);
    end(&model, TASK);
    assert_eq!(told(&model), []);
    model.assert_ends_clean();
}

/// The call in which a task ends itself is over only when its trace has ended.
#[test]
fn a_record_that_is_lost_after_the_end_is_told_on_its_own() {
    let model = traced(&[TASK, CHILD]);
    for _ in 0..QUEUE_CAP {
        model.call(CHILDS_THREAD, &large(SERVICE_NAME));
    }
    model.at(Moment::Send, |model| end(model, TASK));
    assert_eq!(model.call(THREAD, &large(TO_SERVICE)), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!((model.state.lost(), told(&model)), (1, Vec::from([(1, 1)])));
    // The other's are told by its next record.
    model.call(CHILDS_THREAD, &large(SERVICE_NAME));
    model.fake.receive_records();
    model.call(CHILDS_THREAD, &large(SERVICE_NAME));
    assert_eq!((model.seen().pop().unwrap().header.dropped.get(), told(&model).len()), (1, 1));
    model.assert_ends_clean();
}

#[test]
fn the_port_of_a_trace_that_goes_elsewhere_is_told_what_was_lost_until_then() {
    let other = Port::fake(0xa000);
    for replace in [false, true] {
        let model = traced(&[TASK]);
        model.fake.add_port(other, TRACER);
        for _ in 0..QUEUE_CAP + 2 {
            model.call(THREAD, &large(TO_SERVICE));
        }
        if replace {
            model.fake.port(other).rights = 1;
            model.trace_to(TASK, other);
        } else {
            model.untrace(TASK);
        }
        assert_eq!(told(&model), [(1, 2)]);
        let port = model.fake.queued.borrow().last().unwrap().port;
        assert_eq!(port, TRACE, "whose records they were");
        model.assert_ends_clean();
    }
}

#[test]
fn without_memory_nobody_is_told_and_a_dead_port_is_not() {
    for is_dead in [false, true] {
        let model = traced(&[TASK]);
        for _ in 0..QUEUE_CAP + 3 {
            model.call(THREAD, &large(TO_SERVICE));
        }
        if is_dead {
            model.fake.kill(TRACE);
        } else {
            model.fake.script.borrow_mut().no_memory = true;
        }
        end(&model, TASK);
        assert_eq!(told(&model), []);
        model.assert_ends_clean();
    }
}

#[test]
fn however_many_tasks_end_the_queue_has_an_end() {
    let model = traced(&[]);
    for _ in 0..CAP + 5 {
        let right = model.fake.ipc_port_copy_send(TRACE).unwrap();
        tell(&model.fake, &model.state, right, (TaskNumber::new(7), 1));
    }
    assert_eq!(told(&model).len(), CAP as usize);
    model.assert_ends_clean();
}
