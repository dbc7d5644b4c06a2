// SPDX-License-Identifier: GPL-2.0-or-later
//! A sender that hands the processor to its receiver, of which one or both are traced.

use std::vec::Vec;

use trace_port::Direction::{Receive, Send};

use crate::gnumach::fake::{CHILD, CHILDS_THREAD, TASK, THIRD, THIRDS_THREAD, THREAD};
use crate::gnumach::{Port, Task, Threads, mr, option};
use crate::hooks::model::{ANSWER, Call, Model, Moment, REPLY, REPLY_NAME, RPC, SERVICE, SERVICE_NAME, message};
use crate::open_call::OpenCall;

/// A server that waits, with these options, while these tasks are traced.
fn waiting(traced: &[Task], receive: &Call) -> Model {
    let model = Model::traced(traced);
    assert_eq!(model.call(CHILDS_THREAD, receive), None);
    model
}

fn plain() -> Call {
    Call::receive(SERVICE_NAME, 4096)
}

/// What the server answers with, in a call that receives its next request.
fn answer(model: &Model) -> Call {
    let right = u32::from_le_bytes(model.received.borrow()[&CHILDS_THREAD.address()][8..12].try_into().unwrap());
    Call::rpc(message(ANSWER, right, 0, 6100, 48), SERVICE_NAME)
}

/// Which task each record is of, its direction, and its correlation number.
fn told(model: &Model) -> Vec<(u32, trace_port::Direction, u64)> {
    model.seen().iter().map(|seen| (seen.header.task.get(), seen.direction, seen.correlation())).collect()
}

#[test]
fn client_and_server_are_both_recorded_in_one_call_of_each() {
    let model = waiting(&[TASK, CHILD], &plain());
    assert_eq!(model.call(THREAD, &Call::of_service()), None);
    assert_eq!(
        model.results.borrow()[&CHILDS_THREAD.address()],
        mr::MACH_MSG_SUCCESS,
        "the server has run on in the client's place"
    );
    assert_eq!(told(&model), [(1, Send, 1), (2, Receive, 1)]);
    assert_eq!(*model.fake.options.borrow(), [option::MACH_SEND_ALWAYS, 0], "the server waits for its own record only");
    assert_eq!(model.call(CHILDS_THREAD, &answer(&model)), None);
    assert_eq!(model.results.borrow()[&THREAD.address()], mr::MACH_MSG_SUCCESS);
    assert_eq!(told(&model)[2..], [(2, Send, 1), (1, Receive, 1)]);
    assert_eq!(*model.fake.options.borrow(), [option::MACH_SEND_ALWAYS, 0].repeat(2));
    let orders: Vec<u64> = model.seen().iter().map(|seen| seen.header.sequence.get()).collect();
    assert_eq!(orders, [1, 2, 3, 4]);
    let threads: Vec<u32> = model.seen().iter().map(|seen| seen.header.thread.get()).collect();
    assert_eq!(threads, [1, 2, 2, 1]);
    assert!(model.outcomes().iter().all(|&(_, result)| result == mr::MACH_MSG_SUCCESS));
    model.interrupt(CHILDS_THREAD);
    model.assert_ends_clean();
}

#[test]
fn a_client_alone_is_recorded_by_the_server_that_runs_on() {
    let model = waiting(&[TASK], &plain());
    assert_eq!(model.call(THREAD, &Call::of_service()), None);
    assert_eq!(told(&model), [(1, Send, 1)]);
    assert_eq!(*model.fake.options.borrow(), [option::MACH_SEND_ALWAYS], "who is not traced does not wait");
    assert_eq!(model.fake.thread(CHILDS_THREAD).call, 0, "it has nothing to queue any more");
    assert_eq!(model.fake.task(CHILD).messages_sent, 0, "the record counts as nobody's");
    assert_eq!(model.call(CHILDS_THREAD, &answer(&model)), None);
    assert_eq!(told(&model), [(1, Send, 1), (1, Receive, 1)]);
    assert_eq!(model.last_option(), Some(0));
    model.assert_ends_clean();
}

#[test]
fn a_server_alone_is_recorded_though_its_client_does_not_know() {
    let model = waiting(&[CHILD], &plain());
    assert_eq!(model.call(THREAD, &Call::of_service()), None);
    assert_eq!(model.call(CHILDS_THREAD, &answer(&model)), None);
    assert_eq!(told(&model), [(1, Receive, 0), (1, Send, 1)]);
    assert_eq!(model.fake.options.borrow().len(), 2);
    model.interrupt(CHILDS_THREAD);
    model.assert_ends_clean();
}

/// The receiver is in `mach_msg_receive_continue`, or has no room for the message.
#[test]
fn whatever_the_receiver_does_with_the_message_the_senders_record_is_queued() {
    let generic = Call::receive(SERVICE_NAME, 4096).with(0x100);
    for (receive, expected) in
        [(generic, mr::MACH_MSG_SUCCESS), (Call::receive(SERVICE_NAME, 36), mr::MACH_RCV_TOO_LARGE)]
    {
        for traced in [&[TASK][..], &[TASK, CHILD]] {
            let model = waiting(traced, &receive);
            assert_eq!(model.call(THREAD, &Call::of_service()), None);
            assert_eq!(model.results.borrow()[&CHILDS_THREAD.address()], expected);
            assert_eq!(model.outcomes()[0], (Send, mr::MACH_MSG_SUCCESS));
            assert_eq!(model.outcomes()[1..], [(Receive, expected)][..traced.len() - 1]);
            model.interrupt(THREAD);
            model.assert_ends_clean();
        }
    }
}

/// The receiver's fast path returns past the exits.
#[test]
fn a_body_that_fails_for_the_receiver_queues_the_senders_record_all_the_same() {
    let model = waiting(&[TASK, CHILD], &plain());
    assert_eq!(model.call(THREAD, &Call::of_service()), None);
    assert_eq!(model.call(CHILDS_THREAD, &answer(&model)), None);
    let before = model.outcomes().len();
    // Now the server sleeps in mach_msg_trap.
    model.script(|steps| steps.fast_body = 0x2000);
    assert_eq!(model.call(THREAD, &Call::of_service()), None);
    let expected = mr::MACH_RCV_BODY_ERROR | 0x2000;
    assert_eq!(model.results.borrow()[&CHILDS_THREAD.address()], expected);
    assert_eq!(model.outcomes()[before..], [(Send, 0), (Receive, expected)]);
    assert_eq!(model.fake.thread(CHILDS_THREAD).call, 0);
    model.interrupt(THREAD);
    model.assert_ends_clean();
}

#[test]
fn a_hand_off_that_is_refused_leaves_the_sender_in_its_call() {
    let model = waiting(&[TASK, CHILD], &plain());
    model.script(|steps| steps.no_handoff = true);
    assert_eq!(model.call(THREAD, &Call::of_service()), None);
    assert_eq!(told(&model), [(1, Send, 1)], "queued where the call goes on to receive");
    assert_eq!(model.fake.thread_message(THREAD), 0);
    assert_eq!(OpenCall::of(&model.fake, THREAD), OpenCall::open(&model.fake));
    assert_eq!(model.resume(CHILDS_THREAD), mr::MACH_MSG_SUCCESS);
    assert_eq!(told(&model), [(1, Send, 1), (2, Receive, 1)]);
    model.interrupt(THREAD);
    model.assert_ends_clean();
}

/// On several processors a second sender may leave its record before the first one's receiver has queued it.
#[test]
fn records_of_several_senders_are_queued_in_their_order() {
    let model = waiting(&[TASK, CHILD, THIRD], &plain());
    model.fake.add_port(Port::fake(0xb000), TASK);
    model.fake.task(THIRD).names.extend([(0x31, 0xb000), (0x32, 0xb008)]);
    model.fake.task(TASK).names.insert(0x51, 0xb000);
    model.fake.add_port(Port::fake(0xb008), THIRD);
    let second = crate::gnumach::Thread::fake(0x7020);
    model.add_thread(TASK, second);
    assert_eq!(model.call(second, &Call::receive(0x51, 4096)), None);
    model.at(Moment::CopyOut, |model| {
        let call = Call::rpc(message(19 | 21 << 8, 0x31, 0x32, 6001, 40), 0x32);
        assert_eq!(model.call(THIRDS_THREAD, &call), None);
    });
    assert_eq!(model.call(THREAD, &Call::of_service()), None);
    let sent = |seen: &crate::hooks::model::Seen| seen.direction == Send;
    let order: Vec<u32> = model.seen().iter().filter(|seen| sent(seen)).map(|seen| seen.header.task.get()).collect();
    assert_eq!(order, [1, 3]);
    assert_eq!(model.seen().len(), 4);
    for thread in [THREAD, THIRDS_THREAD] {
        model.interrupt(thread);
    }
    model.assert_ends_clean();
}

#[test]
fn a_trace_that_ends_at_the_hand_off_gets_the_senders_record() {
    let model = waiting(&[TASK, CHILD], &plain());
    model.at(Moment::CopyOut, |model| {
        model.untrace(TASK);
        model.untrace(CHILD);
        assert!(model.fake.is_redirected(), "a draft waits to be queued");
    });
    assert_eq!(model.call(THREAD, &Call::of_service()), None);
    assert_eq!(told(&model), [(1, Send, 1)]);
    assert!(!model.fake.is_redirected());
    model.assert_ends_clean();
}

#[test]
fn a_sender_whose_record_was_lost_leaves_nothing() {
    let model = waiting(&[TASK, CHILD], &plain());
    model.fake.script.borrow_mut().no_memory = true;
    assert_eq!(model.call(THREAD, &Call::of_service()), None);
    assert_eq!((model.outcomes(), model.state.lost()), (Vec::new(), 2));
    model.fake.script.borrow_mut().no_memory = false;
    assert_eq!(model.call(CHILDS_THREAD, &answer(&model)), None);
    assert_eq!(told(&model), [(2, Send, 1), (1, Receive, 1)]);
    assert!(model.seen().iter().all(|seen| seen.header.dropped.get() == 1));
    for port in [SERVICE, REPLY] {
        assert!(model.fake.port(port).queue.is_empty(), "{port:?}");
    }
    assert_eq!(model.seen()[0].header.options.get(), RPC);
    assert_eq!(model.seen()[1].header.rcv_name.get(), REPLY_NAME);
    model.interrupt(CHILDS_THREAD);
    model.assert_ends_clean();
}
