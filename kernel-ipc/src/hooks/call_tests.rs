//! Calls of the kernel, whose request and reply share a message to the tracer, against the fake kernel.

use std::vec::Vec;

use trace_port::record::{MAX_BATCH, part_size, wire_size};
use trace_port::{Direction, Record, RecordHeader, Records};

use super::message::mach_msg;
use super::special_port;
use super::tests::{MSG, args, assert_clean, one_record, traced, user_message};
use crate::gnumach::fake::{Fake, TASK};
use crate::gnumach::{Port, mr, option};
use crate::state::State;

const CALL: u32 = option::SEND_MSG | option::RCV_MSG;

/// A traced task whose next message is a call of the kernel, which answers with so many bytes.
fn calling(reply: usize) -> (Fake, State) {
    let (fake, state) = traced();
    fake.user_message(MSG, &user_message(40, 2021));
    fake.for_the_kernel.set(true);
    *fake.kernel_reply.borrow_mut() = Some(user_message(reply, 2121));
    fake.at_once.set(Some(5));
    (fake, state)
}

/// Both records of the only message.
fn both(message: &[u8]) -> (Record<'_>, Record<'_>) {
    let records: Vec<Record<'_>> = Records::parse(message).unwrap().map(Result::unwrap).collect();
    let [first, second] = records[..] else { panic!("two records, found {}", records.len()) };
    (first, second)
}

#[test]
fn request_and_reply_share_a_message() {
    let (fake, state) = calling(44);
    assert_eq!(mach_msg(&fake, &state, &args(CALL, 40, 100)), mr::SUCCESS);
    let message = one_record(&fake);
    assert_eq!(message.len(), wire_size(40) + part_size(44), "and nothing of the room that was not needed");
    let (request, reply) = both(&message);
    assert_eq!((request.direction, reply.direction), (Direction::Send, Direction::Receive));
    assert_eq!((request.message.len(), reply.message.len()), (40, 44));
    assert_eq!(reply.message[16], 0x42, "as the task sees it: after copyout");
    assert_eq!(reply.message[24..28], 5u32.to_le_bytes(), "with its place in the queue that it never was in");
    assert_eq!(fake.user.borrow()[&MSG][..], *reply.message);
    assert_eq!(message[message.len() - 4..], [0; 4], "padding");
    let number = |header: &RecordHeader| (header.sequence.get(), header.correlation.get(), header.task.get());
    assert_eq!((number(&request.header), number(&reply.header)), ((1, 1, 1), (2, 1, 1)));
    assert_eq!((request.header.rcv_name.get(), reply.header.rcv_name.get()), (0, 7));
    assert_eq!((request.header.options.get(), reply.header.message_size.get()), (CALL, 44));
    assert!(fake.sent.borrow().is_empty(), "the reply goes past the queue");
    assert_eq!(fake.messages_sent.get(), 0);
    assert_clean(&fake, 0);
}

#[test]
fn what_mach_msg_trap_would_queue_is_queued() {
    let queued: [(&str, u32, usize, Option<u32>); 3] = [
        ("something else goes on at the port", CALL, 48, None),
        ("more than the task has room for", CALL, 104, Some(5)),
        ("a timeout", CALL | option::RCV_TIMEOUT, 48, Some(5)),
    ];
    for (name, option, reply, at_once) in queued {
        let (fake, state) = calling(reply);
        fake.at_once.set(at_once);
        let room = if reply == 104 { 100 } else { 4096 };
        // Nothing comes back from the fake's queue.
        assert_ne!(mach_msg(&fake, &state, &args(option, 40, room)), mr::SUCCESS, "{name}");
        assert_eq!(fake.sent.borrow().len(), 1, "{name}");
        let records = fake.records.borrow();
        assert_eq!(Record::parse(&records[0]).map(|record| record.direction), Ok(Direction::Send), "{name}");
        assert_eq!(records.len(), 2, "{name}: the failed receive has a record of its own");
    }
}

#[test]
fn a_reply_without_room_beside_its_request_is_a_message_of_its_own() {
    for (request, reply) in [(40, MAX_BATCH), (MAX_BATCH, 48)] {
        let (fake, state) = calling(reply);
        fake.user_message(MSG, &user_message(request, 2021));
        assert_eq!(mach_msg(&fake, &state, &args(CALL, request as u32, 4096)), mr::SUCCESS);
        assert!(fake.sent.borrow().is_empty(), "the reply goes past the queue");
        let records = fake.records.borrow();
        let found: Vec<Record<'_>> = records.iter().map(|message| Record::parse(message).unwrap()).collect();
        let number = |record: &Record<'_>| (record.header.sequence.get(), record.header.correlation.get());
        assert_eq!(found.iter().map(number).collect::<Vec<_>>(), [(1, 1), (2, 1)]);
        assert_eq!((found[0].message.len(), found[1].message.len()), (request, reply));
        assert_clean(&fake, 0);
    }
}

#[test]
fn lost_records_are_counted_one_by_one() {
    let (fake, state) = calling(48);
    // The message could not be queued.
    fake.script.borrow_mut().record_send = 0x1000_0007;
    assert_eq!(mach_msg(&fake, &state, &args(CALL, 40, 100)), mr::SUCCESS, "tracing changes no result");
    assert_eq!(state.lost(), 2);
    // There was no memory for either.
    fake.script.borrow_mut().record_send = 0;
    fake.script.borrow_mut().no_memory = true;
    fake.user_message(MSG, &user_message(40, 2021));
    assert_eq!(mach_msg(&fake, &state, &args(CALL, 40, 100)), mr::SUCCESS);
    assert_eq!(state.lost(), 4);
    assert_eq!(*fake.reports.borrow(), [2, 4]);
    fake.script.borrow_mut().no_memory = false;
    fake.user_message(MSG, &user_message(40, 2021));
    assert_eq!(mach_msg(&fake, &state, &args(CALL, 40, 100)), mr::SUCCESS);
    let message = one_record(&fake);
    let (request, reply) = both(&message);
    assert_eq!((request.header.dropped.get(), reply.header.dropped.get()), (4, 0));
    assert_clean(&fake, 0);
}

#[test]
fn a_reply_that_cannot_be_translated_loses_its_body_and_says_so() {
    let (fake, state) = calling(48);
    let invalid = 0x1000_400a;
    fake.script.borrow_mut().copyout = invalid;
    assert_eq!(mach_msg(&fake, &state, &args(CALL, 40, 100)), invalid);
    let message = one_record(&fake);
    let (request, reply) = both(&message);
    assert_eq!((request.header.retval.get(), reply.header.retval.get()), (0, invalid));
    assert_eq!((reply.message.len(), reply.header.message_size.get()), (32, 48));
    assert_clean(&fake, 0);
}

#[test]
fn a_request_without_a_reply_is_one_record() {
    let (fake, state) = calling(48);
    *fake.kernel_reply.borrow_mut() = None;
    assert_ne!(mach_msg(&fake, &state, &args(CALL, 40, 100)), mr::SUCCESS);
    let records: Vec<Vec<u8>> = fake.records.borrow().clone();
    assert_eq!(records.len(), 2, "the request, and the receive that found nothing");
    assert_eq!(Record::parse(&records[0]).unwrap().header.retval.get(), mr::SUCCESS);
}

#[test]
fn who_is_not_traced_any_more_gets_the_reply_all_the_same() {
    let (fake, state) = calling(48);
    assert_eq!(special_port::set(&fake, &state, TASK, Port::NULL), mr::SUCCESS);
    assert_eq!(mach_msg(&fake, &state, &args(CALL, 40, 100)), mr::SUCCESS);
    assert!(fake.records.borrow().is_empty());
    assert_eq!(fake.user.borrow()[&MSG].len(), 48);
}
