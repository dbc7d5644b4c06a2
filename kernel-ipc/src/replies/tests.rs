// SPDX-License-Identifier: GPL-2.0-or-later
//! Requests and their replies, between tasks of which one, some or all are traced.

use std::vec::Vec;

use trace_port::Direction::Receive;

use crate::gnumach::fake::{CHILD, CHILDS_THREAD, TASK, THIRD, THIRDS_THREAD, THREAD};
use crate::gnumach::{Messages, Port, Threads, mr, option};
use crate::hooks::model::{
    ANSWER, Call, Model, Moment, REPLY, REPLY_NAME, REQUEST, RPC, SERVICE, SERVICE_NAME, Steps, TO_SERVICE, message,
};
use crate::numbers::HalfCorrelation;

/// A port that [`THIRD`] receives requests from, and [`CHILD`]'s name for it.
const BACKEND: Port = Port::fake(0xffff_ffff_8123_0198);
const TO_BACKEND: u32 = 0x22;
const BACKEND_NAME: u32 = 0x31;

/// The request of [`TASK`], sent without a receive.
fn asynchronous() -> Call {
    Call::send(message(REQUEST, TO_SERVICE, REPLY_NAME, 6000, 40))
}

/// The correlation numbers of all records.
fn numbers(model: &Model) -> Vec<u64> {
    model.seen().iter().map(|seen| seen.correlation()).collect()
}

/// The name of the reply right that a thread was given with its last message.
fn reply_right(model: &Model, thread: crate::gnumach::Thread) -> u32 {
    let received = &model.received.borrow()[&thread.address()];
    u32::from_le_bytes(received[8..12].try_into().unwrap())
}

/// The server receives a request and returns its reply right.
fn serve(model: &Model) -> u32 {
    assert_eq!(model.call(CHILDS_THREAD, &Call::receive(SERVICE_NAME, 4096)), Some(mr::MACH_MSG_SUCCESS));
    reply_right(model, CHILDS_THREAD)
}

fn answer(model: &Model, right: u32) {
    let reply = Call::send(message(ANSWER, right, 0, 6100, 48));
    assert_eq!(model.call(CHILDS_THREAD, &reply), Some(mr::MACH_MSG_SUCCESS));
}

#[test]
fn the_reply_that_a_call_receives_has_the_number_of_its_request() {
    let model = Model::traced(&[TASK]);
    assert_eq!(model.call(THREAD, &Call::of_service()), None);
    let right = serve(&model);
    answer(&model, right);
    assert_eq!(model.resume(THREAD), mr::MACH_MSG_SUCCESS);
    assert_eq!(numbers(&model), [1, 1]);
    assert_eq!(model.fake.port(REPLY).awaited.get(), 0, "the number stayed with the thread");
    // The next one has another.
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(numbers(&model), [1, 1, 2, 2]);
    model.assert_ends_clean();
}

#[test]
fn a_reply_received_later_is_known_by_its_port_once() {
    let model = Model::traced(&[TASK]);
    assert_eq!(model.call(THREAD, &asynchronous()), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(model.fake.port(REPLY).awaited.get(), 1);
    let right = serve(&model);
    answer(&model, right);
    assert_eq!(model.call(THREAD, &Call::receive(REPLY_NAME, 4096)), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(numbers(&model), [1, 1]);
    // Another message there is no reply to it.
    model.call(THREAD, &Call::receive(REPLY_NAME, 4096));
    let kmsg = model.fake.kmsg(&message(18, 0, 0, 72, 40));
    model.fake.memory(kmsg).bytes[8..16].copy_from_slice(&(REPLY.address() as u64).to_le_bytes());
    model.fake.port(REPLY).queue.push_back(kmsg);
    assert_eq!(model.resume(THREAD), mr::MACH_MSG_SUCCESS);
    assert_eq!(numbers(&model), [1, 1, 0]);
    model.assert_ends_clean();
}

#[test]
fn of_several_requests_with_one_reply_port_the_last_counts() {
    let model = Model::traced(&[TASK]);
    model.call(THREAD, &asynchronous());
    model.call(THREAD, &asynchronous());
    assert_eq!(model.fake.port(REPLY).awaited.get(), 2);
}

#[test]
fn a_server_answers_with_the_number_of_the_request() {
    for traced in [&[CHILD][..], &[TASK, CHILD]] {
        let model = Model::traced(traced);
        assert_eq!(model.call(THREAD, &Call::of_service()), None);
        let right = serve(&model);
        answer(&model, right);
        assert_eq!(model.resume(THREAD), mr::MACH_MSG_SUCCESS);
        let expected: &[u64] = if traced.len() == 2 { &[1; 4] } else { &[0, 1] };
        assert_eq!(numbers(&model), expected, "a message without a traced sender has no number, its answer has");
        model.assert_ends_clean();
    }
}

#[test]
fn another_thread_of_the_server_may_answer() {
    let model = Model::traced(&[TASK, CHILD]);
    let second = crate::gnumach::Thread::fake(0x7110);
    model.add_thread(CHILD, second);
    assert_eq!(model.call(THREAD, &Call::of_service()), None);
    let right = serve(&model);
    assert_eq!(model.call(second, &Call::send(message(ANSWER, right, 0, 6100, 48))), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(model.resume(THREAD), mr::MACH_MSG_SUCCESS);
    assert_eq!(numbers(&model), [1; 4]);
}

/// The server passes the request on with the client's reply right, and its backend answers.
#[test]
fn a_request_passed_on_keeps_its_number_to_the_answer() {
    for third_is_traced in [false, true] {
        let traced = [TASK, CHILD, THIRD];
        let model = Model::traced(&traced[..if third_is_traced { 3 } else { 2 }]);
        model.fake.add_port(BACKEND, THIRD);
        model.fake.task(CHILD).names.insert(TO_BACKEND, BACKEND.address());
        model.fake.task(THIRD).names.insert(BACKEND_NAME, BACKEND.address());
        assert_eq!(model.call(THREAD, &Call::of_service()), None);
        let right = serve(&model);
        let passed_on = Call::send(message(19 | 18 << 8, TO_BACKEND, right, 6000, 40));
        assert_eq!(model.call(CHILDS_THREAD, &passed_on), Some(mr::MACH_MSG_SUCCESS));
        assert_eq!(model.call(THIRDS_THREAD, &Call::receive(BACKEND_NAME, 4096)), Some(mr::MACH_MSG_SUCCESS));
        let right = reply_right(&model, THIRDS_THREAD);
        let reply = Call::send(message(ANSWER, right, 0, 6100, 48));
        assert_eq!(model.call(THIRDS_THREAD, &reply), Some(mr::MACH_MSG_SUCCESS));
        assert_eq!(model.resume(THREAD), mr::MACH_MSG_SUCCESS);
        assert_eq!(numbers(&model), if third_is_traced { &[1; 6][..] } else { &[1; 4] });
        model.assert_ends_clean();
    }
}

/// Its own request to another server has a number of its own.
#[test]
fn a_server_that_asks_others_does_not_mix_them_up() {
    let model = Model::traced(&[TASK, CHILD]);
    model.fake.task(CHILD).names.extend([(0x23, crate::hooks::model::HOST.address()), (0x24, 0x9000)]);
    model.fake.add_port(Port::fake(0x9000), CHILD);
    assert_eq!(model.call(THREAD, &Call::of_service()), None);
    let right = serve(&model);
    let own = Call::rpc(message(REQUEST, 0x23, 0x24, 2021, 40), 0x24);
    assert_eq!(model.call(CHILDS_THREAD, &own), Some(mr::MACH_MSG_SUCCESS));
    answer(&model, right);
    assert_eq!(model.resume(THREAD), mr::MACH_MSG_SUCCESS);
    assert_eq!(numbers(&model), [1, 1, 2, 2, 1, 1]);
    model.assert_ends_clean();
}

#[test]
fn a_request_that_fails_is_not_answered() {
    let steps = [
        Steps { copyin: 0x1000_0003, ..Steps::default() },
        Steps { send: mr::MACH_SEND_TIMED_OUT, ..Steps::default() },
    ];
    for steps in steps {
        for call in [asynchronous(), Call::of_service()] {
            let model = Model::traced(&[TASK]);
            *model.steps.borrow_mut() = steps.clone();
            assert_ne!(model.call(THREAD, &call), Some(mr::MACH_MSG_SUCCESS));
            let awaited = model.fake.port(REPLY).awaited;
            assert_eq!((awaited.get(), model.fake.thread_awaited(THREAD).get()), (0, 0));
        }
    }
    // Unless it is that of a later request.
    let model = Model::traced(&[TASK]);
    model.at(Moment::Send, |model| model.fake.port(REPLY).awaited = HalfCorrelation::new(7));
    model.script(|steps| steps.send = mr::MACH_SEND_TIMED_OUT);
    model.call(THREAD, &asynchronous());
    assert_eq!(model.fake.port(REPLY).awaited.get(), 7);
}

/// The call ends, in whatever way, before the reply is there; the next one receives it.
#[test]
fn a_reply_that_the_call_does_not_receive_is_put_off() {
    type End = fn(&Model);
    let ends: [(&str, End); 3] = [
        ("interrupted", |model| model.interrupt(THREAD)),
        ("interrupted and running", |model| model.give_up(THREAD, mr::MACH_RCV_INTERRUPTED)),
        ("another message came first", |model| {
            model.notify(REPLY, 72, 40);
            assert_eq!(model.resume(THREAD), mr::MACH_MSG_SUCCESS);
        }),
    ];
    for (name, end) in ends {
        let model = Model::traced(&[TASK]);
        assert_eq!(model.call(THREAD, &Call::of_service()), None);
        end(&model);
        assert_eq!(model.fake.port(REPLY).awaited.get(), 1, "{name}");
        let right = serve(&model);
        answer(&model, right);
        assert_eq!(model.call(THREAD, &Call::receive(REPLY_NAME, 4096)), Some(mr::MACH_MSG_SUCCESS));
        let last = model.seen().pop().unwrap();
        assert_eq!((last.direction, last.correlation()), (Receive, 1), "{name}");
        model.assert_ends_clean();
    }
}

#[test]
fn a_reply_too_large_for_its_call_is_put_off() {
    let model = Model::traced(&[TASK]);
    let mut call = Call::of_host().with(option::MACH_RCV_LARGE);
    call.rcv_size = 40;
    assert_eq!(model.call(THREAD, &call), Some(mr::MACH_RCV_TOO_LARGE));
    assert_eq!(model.call(THREAD, &Call::receive(REPLY_NAME, 100)), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(numbers(&model), [1, 0, 1]);
    model.assert_ends_clean();
}

#[test]
fn a_reply_to_a_request_that_is_sent_later_is_put_off() {
    let model = Model::traced(&[TASK]);
    model.script(|steps| steps.send = mr::MACH_SEND_TIMED_OUT);
    let call = Call::of_service().with(option::MACH_SEND_NOTIFY).notifying(9);
    assert_eq!(model.call(THREAD, &call), Some(mr::MACH_SEND_WILL_NOTIFY));
    assert_eq!(model.fake.port(REPLY).awaited.get(), 1);
    model.script(|steps| steps.send = mr::MACH_MSG_SUCCESS);
    let right = serve(&model);
    answer(&model, right);
    assert_eq!(model.call(THREAD, &Call::receive(REPLY_NAME, 4096)), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(numbers(&model), [1, 1]);
    model.assert_ends_clean();
}

#[test]
fn a_reply_without_a_message_of_its_own_record_is_received_all_the_same() {
    let model = Model::traced(&[TASK]);
    // The request's record is lost; its reply comes in the buffer that the request was in.
    model.fake.script.borrow_mut().no_memory = true;
    assert_eq!(model.call(THREAD, &Call::of_service()), None);
    model.fake.script.borrow_mut().no_memory = false;
    let request = model.fake.port(SERVICE).queue[0];
    let right = serve(&model);
    answer(&model, right);
    assert_eq!(model.fake.port(REPLY).queue[0], request, "the same buffer");
    assert_eq!(model.resume(THREAD), mr::MACH_MSG_SUCCESS);
    let record = model.only();
    assert_eq!((record.direction, record.header.dropped.get(), record.correlation()), (Receive, 1, 1));
    assert_eq!(record.message.len(), 48);
    model.assert_ends_clean();
}

/// While somebody changes the task's names, what its ports keep is left alone.
#[test]
fn names_that_are_just_changing_cost_a_number_and_no_more() {
    let model = Model::traced(&[TASK]);
    model.fake.task(TASK).changing = true;
    assert_eq!(model.call(THREAD, &asynchronous()), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(model.fake.port(REPLY).awaited.get(), 0);
    model.assert_ends_clean();
}

#[test]
fn what_is_not_sent_with_a_reply_right_expects_none() {
    let model = Model::traced(&[TASK]);
    for bits in [19, 19 | 20 << 8] {
        model.call(THREAD, &Call::send(message(bits, TO_SERVICE, REPLY_NAME, 6000, 40)));
        assert_eq!(model.fake.port(REPLY).awaited.get(), 0, "{bits:#x}");
    }
    let call = Call {
        arguments: crate::gnumach::Arguments { option: option::MACH_SEND_MSG, ..Call::of_service().arguments },
        ..Call::of_service()
    };
    model.call(THREAD, &call);
    assert_eq!(model.fake.port(REPLY).awaited.get(), 3, "a call without a receive leaves the number at the port");
    assert_eq!(model.fake.msgh_id(model.fake.port(SERVICE).queue[0]), 6000);
    assert_ne!(call.arguments.option, RPC);
}
