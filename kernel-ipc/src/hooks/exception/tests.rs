// SPDX-License-Identifier: GPL-2.0-or-later
//! Exceptions of a traced task's threads, and messages that look like exceptions.

use trace_port::record::PORT_NUMBER;

use super::*;
use crate::gnumach::fake::{CHILD, CHILDS_THREAD, TASK, TASK_PORT, THREAD};
use crate::gnumach::{Port, Task, Thread, mr, option};
use crate::hooks::model::{Call, Model, REPLY, SERVICE, SERVICE_NAME, message};

/// The port that the kernel receives the reply by, and the server's right to it.
const EXCEPTION_REPLY: Port = Port::fake(0xffff_ffff_8123_0220);
const RIGHT: u32 = 0x61;

const RAISED: Raised = Raised {
    port: MaybePort::fake(SERVICE.address()),
    thread: MaybePort::fake(REPLY.address()),
    task: MaybePort::fake(TASK_PORT.address()),
    exception: 1,
    code: 2,
    subcode: -3,
};

/// [`CHILD`] handles exceptions by [`SERVICE`].
fn model(traced: &[Task]) -> Model {
    let model = Model::traced(traced);
    model.fake.add_port(EXCEPTION_REPLY, crate::gnumach::fake::KERNEL_TASK);
    model.fake.task(CHILD).names.insert(RIGHT, EXCEPTION_REPLY.address());
    model.script(|steps| steps.parsed = 5);
    model
}

fn raise(model: &Model, thread: Thread) {
    model.raise(thread, &RAISED, EXCEPTION_REPLY);
}

/// The server's reply, in a call that receives the next exception.
fn answer() -> Call {
    Call::rpc(message(18, RIGHT, 0, 2500, 48), SERVICE_NAME)
}

fn server_waits(model: &Model) {
    assert_eq!(model.call(CHILDS_THREAD, &Call::receive(SERVICE_NAME, 4096)), None);
}

#[test]
fn an_exception_and_its_reply_are_recorded_and_share_a_number() {
    let model = model(&[TASK]);
    model.fake.thread(THREAD).exception_is_threads = true;
    server_waits(&model);
    raise(&model, THREAD);
    model.fake.thread(THREAD).exception_is_threads = false;
    assert_eq!(model.call(CHILDS_THREAD, &answer()), None);
    assert_eq!(model.results.borrow()[&THREAD.address()], 5, "what exception_parse_reply has said");
    let [asked, answered] = model.seen_exactly();
    assert_eq!((asked.kind, asked.direction), (EventKind::ThreadException, Direction::Send));
    assert_eq!((answered.kind, answered.direction), (EventKind::TaskException, Direction::Receive));
    assert_eq!((asked.message.len(), asked.header.message_size.get()), (112, 112));
    assert_eq!(asked.word(0), u64::from(COMPLEX | 17 | 18 << 8) | 112 << 32);
    assert_eq!(asked.word(24) >> 32, 2400);
    assert_eq!(asked.word(40), 0x12, "the task's own name");
    assert_eq!(asked.word(56), u64::from(PORT_NUMBER | 3));
    assert_eq!((asked.word(72), asked.word(88), asked.word(104)), (1, 2, (-3i64).cast_unsigned()));
    assert_ne!(asked.correlation(), 0);
    assert_eq!(asked.correlation(), answered.correlation());
    assert_eq!((asked.retval(), answered.retval()), (0, 5));
    assert_eq!((asked.who(), answered.who()), ((1, 1), (1, 1)));
    assert_eq!(*model.fake.options.borrow(), [0, 0], "its thread is alive and in no call");
    model.assert_ends_clean();
}

/// The thread takes the processor from the server that answers: what the server has left is queued first.
#[test]
fn a_traced_servers_reply_by_hand_off_is_recorded_before_what_became_of_it() {
    let model = model(&[TASK, CHILD]);
    server_waits(&model);
    raise(&model, THREAD);
    assert_eq!(model.call(CHILDS_THREAD, &answer()), None);
    assert!(model.fake.thread(CHILDS_THREAD).receives);
    assert_eq!(model.fake.thread(THREAD).call, 0);
    let [raised, received, replied, parsed] = model.seen_exactly();
    assert_eq!((raised.kind, received.kind), (EventKind::TaskException, EventKind::Normal));
    assert_eq!((replied.kind, replied.direction, replied.who()), (EventKind::Normal, Direction::Send, (2, 2)));
    assert_eq!((parsed.kind, parsed.retval()), (EventKind::TaskException, 5));
    assert_eq!((received.correlation(), received.message.len()), (0, 112), "no sender has left a number in it");
    assert_eq!(model.fake.options.borrow()[2..], [option::MACH_SEND_ALWAYS, 0]);
    model.interrupt(CHILDS_THREAD);
    model.assert_ends_clean();
}

#[test]
fn an_untraced_threads_server_is_recorded_though_the_thread_is_not() {
    let model = model(&[CHILD]);
    server_waits(&model);
    raise(&model, THREAD);
    assert_eq!(model.call(CHILDS_THREAD, &answer()), None);
    let [received, replied] = model.seen_exactly();
    assert_eq!((received.direction, replied.direction), (Direction::Receive, Direction::Send));
    assert_eq!((received.kind, replied.kind), (EventKind::Normal, EventKind::Normal));
    assert_eq!(model.fake.options.borrow()[1..], [option::MACH_SEND_ALWAYS], "the thread queues it and does not wait");
    assert_eq!(model.fake.thread(THREAD).call, 0);
    model.interrupt(CHILDS_THREAD);
    model.assert_ends_clean();
}

#[test]
fn a_reply_that_is_queued_is_recorded_all_the_same() {
    let model = model(&[TASK]);
    raise(&model, THREAD);
    assert_eq!(model.call(CHILDS_THREAD, &Call::receive(SERVICE_NAME, 4096)), Some(mr::MACH_MSG_SUCCESS));
    model.script(|steps| steps.no_handoff = true);
    assert_eq!(model.call(CHILDS_THREAD, &answer()), None);
    assert_eq!(model.resume(THREAD), 5);
    assert_eq!(model.seen().len(), 2);
    model.assert_ends_clean();
}

/// The message is made in a buffer where a traced sender's number may still be.
#[test]
fn an_exception_takes_no_number_from_the_buffer_it_is_made_in() {
    let model = model(&[TASK, CHILD]);
    model.untrace(CHILD);
    let looks_like_one = message(19, 0x11, 0, 2400, 112);
    for sent in [Call::simple(), Call::send(looks_like_one)] {
        assert_eq!(model.call(THREAD, &sent), Some(mr::MACH_MSG_SUCCESS));
        assert_eq!(model.call(CHILDS_THREAD, &Call::receive(SERVICE_NAME, 4096)), Some(mr::MACH_MSG_SUCCESS));
    }
    model.trace(CHILD);
    server_waits(&model);
    raise(&model, THREAD);
    let received = model.seen().pop().unwrap();
    assert_eq!((received.direction, received.message.len(), received.correlation()), (Direction::Receive, 112, 0));
    model.assert_ends_clean();
}

#[test]
fn each_thread_has_the_number_of_its_own_exception() {
    let model = model(&[TASK]);
    let second = Thread::fake(0x7010);
    model.add_thread(TASK, second);
    let state = &model.state;
    for thread in [THREAD, second] {
        model.fake.run(thread);
        raised(&model.fake, state, &RAISED);
    }
    for thread in [second, THREAD] {
        model.fake.run(thread);
        let reply = model.fake.kmsg(&message(18, 0, 0, 2500, 48));
        let parse = || {
            model.fake.free(reply);
            0
        };
        assert_eq!(replied(&model.fake, state, InTransit::fake(reply), parse), 0);
    }
    let numbers: std::vec::Vec<_> = model.seen().iter().map(|seen| (seen.who().1, seen.correlation())).collect();
    assert_eq!(numbers, [(1, 1), (2, 2), (2, 2), (1, 1)]);
    model.assert_ends_clean();
}

#[test]
fn an_exception_of_an_untraced_task_leaves_nothing() {
    for traced in [&[CHILD][..], &[]] {
        let model = model(traced);
        model.fake.run(THREAD);
        raised(&model.fake, &model.state, &RAISED);
        let reply = model.fake.kmsg(&message(18, 0, 0, 2500, 48));
        let parse = || {
            model.fake.free(reply);
            7
        };
        assert_eq!(replied(&model.fake, &model.state, InTransit::fake(reply), parse), 7);
        assert_eq!(model.seen().len(), 0);
        model.assert_ends_clean();
    }
}

#[test]
fn without_memory_the_exception_goes_its_way_and_is_counted() {
    let model = model(&[TASK]);
    model.fake.script.borrow_mut().no_memory = true;
    server_waits(&model);
    raise(&model, THREAD);
    assert_eq!(model.call(CHILDS_THREAD, &answer()), None);
    assert_eq!(model.results.borrow()[&THREAD.address()], 5);
    assert_eq!((model.seen().len(), model.state.lost()), (0, 2));
    model.assert_ends_clean();
}
