// SPDX-License-Identifier: GPL-2.0-or-later
//! A trace port is set, read, replaced and taken away.

use super::*;
use crate::gnumach::fake::{CHILD, CHILDS_THREAD, Fake, KERNEL_TASK, TASK, THREAD, TRACE, TRACER, TRACERS_THREAD};
use crate::gnumach::{Ports, Threads};
use crate::hooks::model::{Call, HOST, Model, REPLY, REPLY_NAME};
use crate::numbers::HalfCorrelation;
use crate::open_call::OpenCall;

/// Another trace port.
const OTHER: Port = Port::fake(0x5100);

/// Gives the caller's right to a port.
fn set_to(fake: &Fake, state: &State, task: Task, port: Port) -> u32 {
    set(fake, state, task, Some(SendRight::fake(port)))
}

#[test]
fn a_trace_port_is_set_read_back_replaced_and_cleared() {
    let model = Model::traced(&[TASK]);
    let (fake, state) = (&model.fake, &model.state);
    fake.add_port(OTHER, TRACER);
    fake.run(TRACERS_THREAD);
    assert_eq!(get(fake, state, TASK), Ok(TRACE.into()));
    fake.ipc_port_release_send(SendRight::fake(TRACE));
    model.trace(TASK);
    assert_eq!(fake.rights(TRACE), 2);
    fake.port(OTHER).rights += 1;
    assert_eq!(set_to(fake, state, TASK, OTHER), mr::MACH_MSG_SUCCESS);
    assert_eq!((fake.rights(TRACE), fake.rights(OTHER)), (1, 1));
    assert_eq!(set(fake, state, TASK, None), mr::MACH_MSG_SUCCESS);
    assert_eq!(fake.rights(OTHER), 0);
    assert_eq!(get(fake, state, TASK), Ok(MaybePort::NULL));
    assert_eq!(set(fake, state, TASK, None), mr::MACH_MSG_SUCCESS, "twice");
    assert_eq!(*fake.redirected.borrow(), [true, false]);
    model.assert_ends_clean();
}

#[test]
fn a_dead_trace_port_is_told_once() {
    let model = Model::traced(&[TASK]);
    model.fake.kill(TRACE);
    assert_eq!(get(&model.fake, &model.state, TASK), Ok(MaybePort::DEAD));
    assert_eq!(get(&model.fake, &model.state, TASK), Ok(MaybePort::NULL));
    model.assert_ends_clean();
}

#[test]
fn the_kernel_task_a_dying_task_and_ones_own_port_are_refused() {
    let model = Model::traced(&[TASK]);
    let (fake, state) = (&model.fake, &model.state);
    assert_eq!(set_to(fake, state, KERNEL_TASK, TRACE), mr::KERN_NO_ACCESS);
    assert_eq!(set_to(fake, state, TRACER, TRACE), mr::KERN_FAILURE, "it would receive its own trace");
    fake.task(CHILD).dying = true;
    assert_eq!(set_to(fake, state, CHILD, TRACE), mr::KERN_FAILURE);
    assert_eq!(get(fake, state, CHILD), Err(mr::KERN_FAILURE));
    assert_eq!(fake.rights(TRACE), 2, "the caller keeps its right");
    model.assert_ends_clean();
}

#[test]
fn a_port_of_the_kernels_is_no_trace_port() {
    let model = Model::traced(&[TASK]);
    assert_eq!(set_to(&model.fake, &model.state, CHILD, HOST), mr::KERN_INVALID_ARGUMENT);
    assert_eq!(model.fake.rights(HOST), 0);
    model.assert_ends_clean();
}

/// Neither the traced task nor another one sees, replaces or ends the trace, until nobody receives it any more.
#[test]
fn a_trace_is_its_receivers() {
    let model = Model::traced(&[TASK]);
    let (fake, state) = (&model.fake, &model.state);
    fake.add_port(OTHER, CHILD);
    for thread in [THREAD, CHILDS_THREAD] {
        fake.run(thread);
        for right in [None, Some(SendRight::fake(OTHER))] {
            assert_eq!(set(fake, state, TASK, right), mr::KERN_NO_ACCESS);
        }
        assert_eq!(get(fake, state, TASK), Err(mr::KERN_NO_ACCESS));
    }
    assert_eq!(fake.rights(TRACE), 2);
    fake.kill(TRACE);
    fake.port(OTHER).rights += 1;
    assert_eq!(set_to(fake, state, TASK, OTHER), mr::MACH_MSG_SUCCESS);
    assert_eq!(fake.rights(TRACE), 1);
    assert_eq!(set(fake, state, TASK, None), mr::MACH_MSG_SUCCESS);
    model.assert_ends_clean();
}

#[test]
fn where_there_is_no_room_for_a_trace_it_is_a_shortage() {
    let model = Model::new();
    model.fake.script.borrow_mut().no_room = true;
    assert_eq!(set_to(&model.fake, &model.state, TASK, TRACE), mr::KERN_RESOURCE_SHORTAGE);
    assert_eq!((model.fake.rights(TRACE), model.fake.is_redirected()), (1, false));
    model.fake.script.borrow_mut().no_room = false;
    model.trace(TASK);
    model.assert_ends_clean();
}

/// What threads do when the trace begins.
#[test]
fn a_first_trace_joins_who_sleeps_and_forgets_what_is_over() {
    let model = Model::new();
    let idle = crate::gnumach::Thread::fake(0x7010);
    model.add_thread(TASK, idle);
    assert_eq!(model.call(THREAD, &Call::receive(REPLY_NAME, 100)), None);
    for thread in [THREAD, idle] {
        // Left by a call of an earlier trace, when the path was led past the payload.
        OpenCall::open(&model.fake).received().keep(&model.fake, thread);
        let mut fake = model.fake.thread(thread);
        (fake.message, fake.awaited) = (0x9000_0008, HalfCorrelation::new(3));
    }
    model.fake.run(CHILDS_THREAD);
    model.trace(TASK);
    for (thread, call) in [(THREAD, OpenCall::open(&model.fake)), (idle, OpenCall::NONE)] {
        assert_eq!(OpenCall::of(&model.fake, thread), call);
        let fake = model.fake.thread(thread);
        assert_eq!((fake.message, fake.awaited.get()), (0, 0));
    }
    model.notify(REPLY, 72, 40);
    assert_eq!(model.resume(THREAD), mr::MACH_MSG_SUCCESS);
    assert_eq!(model.seen().len(), 1);
    model.assert_ends_clean();
}

/// Their calls have been seen from the first.
#[test]
fn a_trace_that_is_replaced_leaves_the_calls_alone() {
    let model = Model::traced(&[TASK]);
    assert_eq!(model.call(THREAD, &Call::of_service()), None);
    let before = model.fake.thread(THREAD).clone();
    assert!(!before.awaited.is_none());
    model.fake.add_port(OTHER, TRACER);
    model.fake.port(OTHER).rights += 1;
    model.trace_to(TASK, OTHER);
    assert_eq!(model.fake.thread(THREAD).call, before.call);
    assert_eq!(model.fake.thread_awaited(THREAD), before.awaited);
    model.assert_ends_clean();
}
