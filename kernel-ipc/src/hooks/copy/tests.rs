// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages that are copied out, whole, in part or twice, and the records of their two halves.

use std::vec::Vec;

use trace_port::Direction::{Receive, Send};
use trace_port::record::{MAX_BATCH, MAX_BODY, part_size, wire_size};

use crate::gnumach::fake::{CHILD, CHILDS_THREAD, TASK, THREAD, TRACE};
use crate::gnumach::{Port, mr, option};
use crate::hooks::model::{
    Call, HOST, Model, Moment, REPLY, REPLY_NAME, REQUEST, RPC, SERVICE_NAME, Steps, TO_HOST, TO_SERVICE, message,
};
use crate::open_call::OpenCall;

/// A traced server for which a message of 48 bytes waits.
fn server() -> Model {
    let model = Model::new();
    let request = Call::send(message(REQUEST, TO_SERVICE, REPLY_NAME, 2121, 48));
    assert_eq!(model.call(THREAD, &request), Some(mr::MACH_MSG_SUCCESS));
    model.trace(CHILD);
    model
}

#[test]
fn a_received_message_is_recorded_after_copyout() {
    let model = server();
    assert_eq!(model.call(CHILDS_THREAD, &Call::receive(SERVICE_NAME, 100)), Some(mr::MACH_MSG_SUCCESS));
    let record = model.only();
    assert_eq!((record.direction, record.retval(), record.correlation()), (Receive, mr::MACH_MSG_SUCCESS, 0));
    assert_eq!((record.header.rcv_name.get(), record.header.message_size.get()), (SERVICE_NAME, 48));
    assert_eq!(record.header.options.get(), option::MACH_RCV_MSG);
    assert_eq!(record.message, model.received.borrow()[&CHILDS_THREAD.address()], "the record is what the task got");
    assert_eq!(record.word(16), u64::from(SERVICE_NAME), "its own names");
    model.assert_ends_clean();
}

/// What goes wrong, with which options and room, what `mach_msg` returns, and how much of the message was copied out.
type FailingReceive = (&'static str, Steps, u32, u32, u32, usize);

#[test]
fn every_failing_receive_is_recorded_and_returned() {
    let body_error = mr::MACH_RCV_BODY_ERROR | 0x2000;
    let header_error = mr::MACH_RCV_HEADER_ERROR | 0x800;
    let steps = Steps::default;
    let cases: [FailingReceive; 6] = [
        ("too large, kept", steps(), option::MACH_RCV_LARGE, 40, mr::MACH_RCV_TOO_LARGE, 0),
        ("too large, destroyed", steps(), 0, 40, mr::MACH_RCV_TOO_LARGE, 32),
        ("body error", Steps { copyout: body_error, ..steps() }, 0, 100, body_error, 48),
        ("header error", Steps { copyout: header_error, ..steps() }, 0, 100, header_error, 32),
        ("bad buffer", Steps { bad_copyouts: 2, ..steps() }, 0, 100, mr::MACH_RCV_INVALID_DATA, 48),
        ("notify", Steps { copyout: 0x1000_4007, ..steps() }, 0x200, 100, 0x1000_4007, 32),
    ];
    for (name, steps, extra, room, expected, captured) in cases {
        let model = server();
        *model.steps.borrow_mut() = steps;
        let call = Call::receive(SERVICE_NAME, room).with(extra).notifying(5);
        assert_eq!(model.call(CHILDS_THREAD, &call), Some(expected), "{name}");
        let record = model.only();
        assert_eq!((record.direction, record.retval()), (Receive, expected), "{name}");
        assert_eq!((record.message.len(), record.header.message_size.get()), (captured, 48), "{name}: true size");
        assert_eq!(record.header.notify.get(), if extra == 0x200 { 5 } else { 0 }, "{name}");
        assert_eq!(model.last_option(), Some(0), "{name}: the call is over, so that it may wait");
        model.assert_ends_clean();
    }
}

#[test]
fn request_and_reply_share_a_message() {
    let model = Model::traced(&[TASK]);
    model.script(|steps| steps.reply = Some((2121, 44)));
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_MSG_SUCCESS));
    let messages = model.fake.records();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].len(), wire_size(40, 2) + part_size(44, 1), "and nothing of the room that was not needed");
    assert_eq!(messages[0][messages[0].len() - 4..], [0; 4], "padding");
    let [request, reply] = model.seen_exactly();
    assert_eq!((request.direction, reply.direction), (Send, Receive));
    assert_eq!((request.message.len(), reply.message.len()), (40, 44));
    assert_eq!(reply.message, model.received.borrow()[&THREAD.address()]);
    assert_eq!((request.header.sequence.get(), reply.header.sequence.get()), (1, 2));
    assert_eq!((request.correlation(), reply.correlation()), (1, 1));
    assert_eq!((request.who(), reply.who()), ((1, 1), (1, 1)));
    assert_eq!((request.header.rcv_name.get(), reply.header.rcv_name.get()), (0, REPLY_NAME));
    assert_eq!((request.header.options.get(), reply.header.message_size.get()), (RPC, 44));
    assert_eq!(*model.fake.options.borrow(), [0], "one message, where the call is over");
    assert_eq!(model.fake.task(TASK).messages_sent, 0);
    model.assert_ends_clean();
}

#[test]
fn a_reply_without_room_beside_its_request_is_a_message_of_its_own() {
    for (request, reply) in [(40, MAX_BATCH), (MAX_BATCH, 48)] {
        let model = Model::traced(&[TASK]);
        model.script(|steps| steps.reply = Some((2121, reply)));
        let call = Call::rpc(message(REQUEST, TO_HOST, REPLY_NAME, 2021, request), REPLY_NAME);
        assert_eq!(model.call(THREAD, &call), Some(mr::MACH_MSG_SUCCESS));
        let found = model.seen();
        let told = |seen: &crate::hooks::model::Seen| (seen.came_in, seen.header.sequence.get(), seen.correlation());
        assert_eq!(found.iter().map(told).collect::<Vec<_>>(), [(0, 1, 1), (1, 2, 1)]);
        assert_eq!((found[0].message.len(), found[1].message.len()), (request, reply));
        assert_eq!(*model.fake.options.borrow(), [option::MACH_SEND_ALWAYS, 0], "the first goes on in the call");
        model.assert_ends_clean();
    }
}

#[test]
fn a_reply_that_is_queued_has_a_record_apart_from_its_request() {
    let model = Model::traced(&[TASK]);
    model.script(|steps| steps.reply_is_queued = true);
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(model.outcomes(), [(Send, 0), (Receive, 0)]);
    assert_eq!(*model.fake.options.borrow(), [option::MACH_SEND_ALWAYS, 0]);
    assert_eq!(model.seen()[1].correlation(), 1);
    model.assert_ends_clean();
}

#[test]
fn a_request_without_a_reply_is_there_while_the_call_goes_on() {
    let model = Model::traced(&[TASK]);
    model.script(|steps| steps.reply = None);
    assert_eq!(model.call(THREAD, &Call::of_host()), None);
    assert_eq!(model.outcomes(), [(Send, 0)]);
    model.give_up(THREAD, 0x1000_4009);
    assert_eq!(model.outcomes(), [(Send, 0), (Receive, 0x1000_4009)]);
    model.assert_ends_clean();
}

/// `fast_put` has copied the message out, but cannot keep its buffer: `slow_put` copies it out again.
#[test]
fn a_message_that_is_copied_out_twice_is_received_once() {
    let steps = [Steps { cache_is_full: true, ..Steps::default() }, Steps { bad_copyouts: 1, ..Steps::default() }];
    for steps in steps {
        let model = Model::traced(&[TASK]);
        assert_eq!(model.call(THREAD, &Call::of_service()), None);
        model.notify(REPLY, 72, 40);
        *model.steps.borrow_mut() = steps;
        assert_eq!(model.resume(THREAD), mr::MACH_MSG_SUCCESS);
        assert_eq!(model.outcomes(), [(Send, 0), (Receive, 0)]);
        model.assert_ends_clean();
    }
}

#[test]
fn a_message_given_back_is_no_receive() {
    for call in [Call::of_service(), Call::simple()] {
        let model = Model::traced(&[TASK]);
        model.script(|steps| steps.send = mr::MACH_SEND_TIMED_OUT);
        assert_eq!(model.call(THREAD, &call), Some(mr::MACH_SEND_TIMED_OUT));
        assert_eq!(model.received.borrow()[&THREAD.address()].len(), 40, "it was copied out");
        assert_eq!(model.outcomes(), [(Send, mr::MACH_SEND_TIMED_OUT)]);
        // The next message in the same buffer is one.
        model.script(|steps| steps.send = mr::MACH_MSG_SUCCESS);
        model.notify(REPLY, 72, 40);
        assert_eq!(model.call(THREAD, &Call::receive(REPLY_NAME, 100)), Some(mr::MACH_MSG_SUCCESS));
        assert_eq!(model.outcomes(), [(Send, mr::MACH_SEND_TIMED_OUT), (Receive, 0)]);
        model.assert_ends_clean();
    }
}

/// The one way out of `mach_msg_trap` that no exit sees.
#[test]
fn a_body_that_fails_in_the_fast_path_ends_the_call() {
    let model = Model::traced(&[TASK]);
    model.script(|steps| steps.fast_body = 0x2000);
    let expected = mr::MACH_RCV_BODY_ERROR | 0x2000;
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(expected));
    assert_eq!(model.outcomes(), [(Send, 0), (Receive, expected)]);
    assert_eq!(model.seen()[1].message.len(), 48, "once, though it is put after that");
    assert_eq!(*model.fake.options.borrow(), [option::MACH_SEND_ALWAYS], "nobody waits");
    model.assert_ends_clean();
}

#[test]
fn a_reply_that_cannot_be_translated_loses_its_body_and_says_so() {
    let model = Model::traced(&[TASK]);
    model.script(|steps| steps.copyout = mr::MACH_RCV_HEADER_ERROR);
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_RCV_HEADER_ERROR));
    let [request, reply] = model.seen_exactly();
    assert_eq!((request.retval(), reply.retval()), (mr::MACH_MSG_SUCCESS, mr::MACH_RCV_HEADER_ERROR));
    assert_eq!((reply.message.len(), reply.header.message_size.get()), (32, 48));
    model.assert_ends_clean();
}

#[test]
fn a_record_shows_no_more_than_it_has_room_for() {
    let model = Model::traced(&[TASK]);
    let size = MAX_BODY + 8;
    let call = Call::send(message(19, TO_SERVICE, 0, 7000, size));
    assert_eq!(model.call(THREAD, &call), Some(mr::MACH_MSG_SUCCESS));
    let record = model.only();
    assert_eq!((record.message.len(), record.header.message_size.get()), (MAX_BODY, size as u32));
    model.assert_ends_clean();
}

#[test]
fn a_tracers_receipt_of_a_record_is_no_event() {
    let model = Model::traced(&[CHILD]);
    model.fake.behind.set(true);
    model.call(CHILDS_THREAD, &Call::send(message(19, SERVICE_NAME, 0, 1, 40)));
    // The record goes to who is traced itself.
    let record = model.fake.port(TRACE).queue[0];
    let task = model.fake.kmsg(&message(17, 0, 0, trace_port::TRACE_RECORD_MSGH_ID, 40));
    for (kmsg, recorded) in [(record, 1), (task, 2)] {
        let port = Port::fake(0xa000);
        model.fake.add_port(port, TASK);
        model.fake.task(TASK).names.insert(0x50, port.address());
        if recorded == 1 {
            model.trace(TASK);
        }
        if kmsg == task {
            model.fake.write(kmsg, 8, &port.address().to_le_bytes());
        }
        model.fake.port(port).queue.push_back(kmsg);
        let copy = model.fake.memory(kmsg).clone();
        assert_eq!(model.call(THREAD, &Call::receive(0x50, 4096)), Some(mr::MACH_MSG_SUCCESS));
        model.fake.revive(kmsg, copy);
        assert_eq!(model.seen().len(), recorded, "the second only looks like one");
    }
    model.fake.free(task);
    assert!(model.fake.port(HOST).queue.is_empty());
    model.assert_ends_clean();
}

/// On another processor a thread may be anywhere when a trace begins, so that nobody can forget its last call for it.
#[test]
fn what_a_call_of_an_earlier_trace_has_left_is_no_call_of_the_next_one() {
    let model = Model::traced(&[TASK]);
    assert_eq!(model.call(THREAD, &Call::receive(REPLY_NAME, 100)), None);
    model.untrace(TASK);
    model.notify(REPLY, 72, 40);
    assert_eq!(model.resume(THREAD), mr::MACH_MSG_SUCCESS, "nobody sees its end");
    model.script(|steps| steps.send = mr::MACH_SEND_TIMED_OUT);
    model.at(Moment::Send, |model| {
        model.fake.thread(THREAD).runs_elsewhere = true;
        model.trace(TASK);
    });
    assert_eq!(model.call(THREAD, &Call::simple()), Some(mr::MACH_SEND_TIMED_OUT));
    assert_eq!(model.outcomes(), [], "the message that comes back is none that it receives");
    assert!(!OpenCall::of(&model.fake, THREAD).has_draft(), "and nothing is kept of it");
    model.script(|steps| steps.send = mr::MACH_MSG_SUCCESS);
    assert_eq!(model.call(THREAD, &Call::simple()), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!((model.outcomes(), model.state.lost()), (std::vec![(Send, 0)], 0));
    model.assert_ends_clean();
}
