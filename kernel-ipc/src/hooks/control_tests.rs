//! Control ports, exceptions, replies of users and dying trace ports against the fake kernel.

use std::vec::Vec;

use trace_port::record::{PORT_NUMBER, SENDER_IS_TRACER};
use trace_port::{Direction, EventKind, Record};

use super::message::mach_msg;
use super::tests::{MSG, args, assert_clean, one_record, traced, user_message};
use super::{exception, kobject, special_port};
use crate::gnumach::fake::{CHILD, Fake, TASK, TASK_PORT, THREAD, TRACE};
use crate::gnumach::{Kernel, Kmsg, Objects, Port, mr, option};
use crate::state::State;

/// Ports that no task of the fake kernel is.
const REPLY: Port = Port(0xffff_ffff_8123_0000);
const OTHER: Port = Port(0xffff_ffff_8123_4560);

/// A traced child; the current task is not traced.
fn traced_child() -> (Fake, State) {
    let (fake, state) = (Fake::new(), State::new());
    let right = fake.ipc_port_copy_send(TRACE);
    assert_eq!(special_port::set(&fake, &state, CHILD, right), mr::SUCCESS);
    fake.control_target.set(Some((CHILD, None)));
    fake.own_names.borrow_mut().insert(TASK_PORT.0, 0x21);
    (fake, state)
}

fn requested(fake: &Fake, state: &State, request: Kmsg) -> kobject::Pending {
    let (task, thread) = fake.control_target(request).expect("a control port of a traced task");
    let pending = kobject::pending(fake, state, 0, task, thread).expect("a trace port");
    kobject::requested(fake, state, &pending, request);
    pending
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn word(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().unwrap())
}

/// A request in transit with two rights, memory, an array of rights out of line and an integer.
fn request(fake: &Fake) -> Kmsg {
    fake.kmsg(&words(&[
        0x8000_0000 | 17 | 18 << 8,
        TASK_PORT.0 as u64,
        REPLY.0 as u64,
        2021 << 32,
        0x0000_0003_2000_4011,
        OTHER.0 as u64,
        0,
        u64::MAX,
        0x0000_1000_0000_0809,
        0xffff_ffff_dead_beef,
        0x0000_0004_0000_4011,
        0xffff_ffff_dead_beef,
        0x0000_0001_2000_2002,
        77,
    ]))
}

#[test]
fn anothers_request_and_the_kernels_reply_are_recorded_without_kernel_pointers() {
    let (fake, state) = traced_child();
    let request = request(&fake);
    let pending = requested(&fake, &state, request);
    assert_eq!(fake.task_references.get(), 1);
    fake.ipc_kmsg_free(request);
    let reply = fake.kmsg(&words(&[18, REPLY.0 as u64, 0, 2121 << 32, 0x0000_0001_2000_2002, 0]));
    kobject::replied(&fake, &state, &pending, Some(reply));
    fake.ipc_kmsg_free(reply);

    let records = fake.records.borrow();
    assert_eq!(records.len(), 2);
    let (asked, answered) = (Record::parse(&records[0]).unwrap(), Record::parse(&records[1]).unwrap());
    assert_eq!((asked.kind, asked.direction), (EventKind::Task, Direction::Receive));
    assert_eq!((answered.kind, answered.direction), (EventKind::Task, Direction::Send));
    assert_eq!((asked.header.task.get(), asked.header.thread.get(), asked.header.sender.get()), (1, 0, 0));
    assert_ne!(asked.header.correlation.get(), 0);
    assert_eq!(asked.header.correlation, answered.header.correlation);
    let reply_number = u64::from(PORT_NUMBER | 1);
    assert_eq!(word(asked.message, 8), 0x21, "the task's own name");
    assert_eq!(word(asked.message, 16), reply_number);
    assert_eq!(word(asked.message, 40), u64::from(PORT_NUMBER | 2));
    assert_eq!((word(asked.message, 48), word(asked.message, 56)), (0, 0xffff_ffff), "null and dead rights");
    assert_eq!(word(asked.message, 64), 0x0000_1000_0000_0809, "the size of the memory is kept");
    assert_eq!((word(asked.message, 72), word(asked.message, 88)), (0, 0), "memory and arrays");
    assert_eq!(word(asked.message, 104), 77, "data is left alone");
    assert_eq!(word(answered.message, 8), reply_number, "the same port, the same number");
    assert!(!records.iter().any(|record| record[136..].windows(4).any(|bytes| bytes == [0xff, 0xff, 0xff, 0x81])));
    drop(records);
    assert_eq!(fake.task_references.get(), 0);
    assert_clean(&fake, 0);
    assert_eq!(fake.messages_sent.get(), 0, "the sender's count is as without tracing");
}

#[test]
fn a_message_that_ends_inside_a_descriptor_shows_nothing_of_the_rest() {
    let (fake, state) = traced_child();
    let request = fake.kmsg(&words(&[0x8000_0011, 1 << 40, 0, 0, 0x0000_0009_2000_4011, OTHER.0 as u64, 0x1234]));
    let pending = requested(&fake, &state, request);
    fake.ipc_kmsg_free(request);
    kobject::replied(&fake, &state, &pending, None);
    assert_eq!(Record::parse(&one_record(&fake)).unwrap().message[40..], [0; 16]);
    assert_clean(&fake, 0);
}

#[test]
fn a_task_that_calls_on_itself_is_not_recorded_twice() {
    let (fake, state) = traced();
    fake.control_target.set(Some((TASK, None)));
    let request = fake.kmsg(&user_message(40, 2021));
    assert_eq!(kobject::serve(&fake, &state, request, 0), None);
    assert!(fake.records.borrow().is_empty());
    assert_eq!(fake.task_references.get(), 0);
    assert_clean(&fake, 0);
}

#[test]
fn a_thread_is_named_and_the_sender_is_told_from_others() {
    let (fake, state) = traced_child();
    fake.control_target.set(Some((CHILD, Some(THREAD))));
    fake.own_port.set(TRACE.0);
    let request = fake.kmsg(&user_message(40, 2021));
    // The fake's own port is the current task's: the tracer's. It is the child's too, whose trace would then be its own.
    let (task, thread) = fake.control_target(request).unwrap();
    assert!(kobject::pending(&fake, &state, 0, task, thread).is_none());
    assert!(fake.records.borrow().is_empty());
    fake.own_port.set(0);
    let pending = requested(&fake, &state, request);
    kobject::replied(&fake, &state, &pending, None);
    let bytes = one_record(&fake);
    let record = Record::parse(&bytes).unwrap();
    assert_eq!((record.kind, record.header.thread.get()), (EventKind::Thread, 1));
    assert_ne!(record.header.sender.get(), SENDER_IS_TRACER);
    fake.ipc_kmsg_free(request);
    assert_clean(&fake, 0);
}

#[test]
fn whoever_is_not_the_traced_task_never_waits_for_the_tracer() {
    let (fake, state) = traced_child();
    fake.full.set(true);
    let mut options = Vec::new();
    for _ in 0..40 {
        let request = fake.kmsg(&user_message(40, 2021));
        let pending = requested(&fake, &state, request);
        options.push(fake.last_record_option.get());
        kobject::replied(&fake, &state, &pending, Some(request));
        options.push(fake.last_record_option.get());
        fake.ipc_kmsg_free(request);
    }
    assert_eq!(options[..64], [option::SEND_ALWAYS; 64]);
    assert_eq!(options[64..], [option::SEND_TIMEOUT; 16], "beyond the cap they are dropped");
}

#[test]
fn a_request_that_ends_the_task_is_answered_on_the_port_it_had() {
    let (fake, state) = traced_child();
    let request = request(&fake);
    let pending = requested(&fake, &state, request);
    super::lifecycle::terminated(&fake, &state, CHILD);
    kobject::replied(&fake, &state, &pending, Some(request));
    fake.ipc_kmsg_free(request);
    assert_eq!(fake.records.borrow().len(), 2);
    assert_eq!(fake.rights.borrow()[&TRACE.0], 1, "the tracer's own");
    assert_eq!((fake.task_references.get(), fake.kmsgs.borrow().len()), (0, 0));
}

#[test]
fn an_exception_and_its_reply_are_recorded_and_share_a_number() {
    let (fake, state) = traced();
    fake.exception_is_threads.set(true);
    let raised = exception::Raised { port: OTHER, thread: REPLY, task: TASK_PORT, exception: 1, code: 2, subcode: -3 };
    exception::raised(&fake, &state, &raised);
    let reply = fake.kmsg(&words(&[18, REPLY.0 as u64, 0, 2500 << 32, 0x0000_0001_2000_2002, 5]));
    fake.exception_is_threads.set(false);
    let parsed = exception::replied(&fake, &state, reply, || {
        fake.ipc_kmsg_free(reply);
        5
    });
    assert_eq!(parsed, 5);
    let records = fake.records.borrow();
    let (asked, answered) = (Record::parse(&records[0]).unwrap(), Record::parse(&records[1]).unwrap());
    assert_eq!((asked.kind, asked.direction), (EventKind::ThreadException, Direction::Send));
    assert_eq!((answered.kind, answered.direction), (EventKind::TaskException, Direction::Receive));
    assert_eq!((asked.message.len(), asked.header.message_size.get()), (112, 112));
    assert_eq!(word(asked.message, 24) >> 32, 2400);
    assert_eq!(word(asked.message, 40), u64::from(PORT_NUMBER | 2), "numbers are given in the order of the message");
    assert_eq!((word(asked.message, 72), word(asked.message, 88), word(asked.message, 104)), (1, 2, (-3i64) as u64));
    assert_eq!(asked.header.correlation, answered.header.correlation);
    assert_eq!((asked.header.retval.get(), answered.header.retval.get()), (0, 5));
    assert_eq!(asked.header.thread, answered.header.thread);
    drop(records);
    assert_clean(&fake, 0);
}

#[test]
fn an_exception_of_an_untraced_task_leaves_nothing() {
    let (fake, state) = traced_child();
    let raised = exception::Raised { port: OTHER, thread: REPLY, task: TASK_PORT, exception: 1, code: 2, subcode: 3 };
    exception::raised(&fake, &state, &raised);
    let reply = fake.kmsg(&user_message(48, 2500));
    assert_eq!(exception::replied(&fake, &state, reply, || 0), 0);
    assert!(fake.records.borrow().is_empty());
    assert_clean(&fake, 1);
}

/// Sends what is in transit as a request with this reply right, or as a reply to it.
fn send(fake: &Fake, state: &State, bits: u32, remote: Port, local: Port) -> u64 {
    let mut message = words(&[bits.into(), remote.0 as u64, local.0 as u64, 6000 << 32, 0]);
    message[4..8].copy_from_slice(&40u32.to_le_bytes());
    fake.keep_destination.set(true);
    fake.user_message(MSG, &message);
    assert_eq!(mach_msg(fake, state, &args(option::SEND_MSG, 40, 0)), mr::SUCCESS);
    let records = fake.records.borrow();
    Record::parse(records.last().unwrap()).unwrap().header.correlation.get()
}

#[test]
fn a_users_reply_and_a_request_passed_on_have_the_number_of_the_request() {
    let (fake, state) = traced();
    fake.own_port.set(REPLY.0);
    let request = send(&fake, &state, 17 | 18 << 8, OTHER, REPLY);
    fake.own_port.set(0);
    assert_eq!(send(&fake, &state, 17 | 18 << 8, OTHER, REPLY), request, "passed on");
    assert_eq!(send(&fake, &state, 18, REPLY, Port::NULL), request, "the reply, by whichever thread");
    assert_ne!(send(&fake, &state, 17, OTHER, Port::NULL), request);

    // Also where an untraced server sends it.
    let reply = fake.kmsg(&words(&[18, REPLY.0 as u64, 0, 6100 << 32]));
    for expected in [request, 0] {
        fake.set_msgh_seqno(reply, 0);
        fake.queue.borrow_mut().push_back((reply, 5));
        let copy = fake.kmsgs.borrow()[&reply.0].clone();
        mach_msg(&fake, &state, &args(option::RCV_MSG, 0, 100));
        fake.kmsgs.borrow_mut().insert(reply.0, copy);
        let found = Record::parse(fake.records.borrow().last().unwrap()).unwrap().header.correlation.get();
        assert_eq!(found, expected, "once");
    }
}

#[test]
fn a_tracers_receipt_of_a_record_is_no_event() {
    let (fake, state) = traced();
    for (remote, recorded) in [(TRACE, 0), (OTHER, 1)] {
        let id = u64::from(trace_port::TRACE_RECORD_MSGH_ID) << 32;
        let kmsg = fake.kmsg(&words(&[17, remote.0 as u64, 0, id, 0]));
        fake.queue.borrow_mut().push_back((kmsg, 5));
        assert_eq!(mach_msg(&fake, &state, &args(option::RCV_MSG, 0, 100)), mr::SUCCESS);
        assert_eq!(fake.records.borrow().len(), recorded, "{remote:?}");
    }
}

#[test]
fn a_record_that_dies_with_its_port_is_not_taken_out_of_the_count() {
    let (fake, state) = traced();
    fake.full.set(true);
    fake.dies_while_waiting.set(true);
    fake.user_message(MSG, &user_message(40, 2021));
    assert_eq!(mach_msg(&fake, &state, &args(option::SEND_MSG, 40, 0)), mr::SUCCESS);
    assert_eq!(fake.messages_sent.get(), 1, "the user's own message");
    assert!(fake.records.borrow().is_empty());
    let (fake, state) = traced();
    fake.full.set(true);
    fake.user_message(MSG, &user_message(40, 2021));
    mach_msg(&fake, &state, &args(option::SEND_MSG, 40, 0));
    assert_eq!(fake.messages_sent.get(), 1);
    assert_clean(&fake, 1);
}
