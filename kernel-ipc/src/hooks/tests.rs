//! Every path of the hooks against the fake kernel: what the task sees, what the record says, and that nothing leaks.

use std::vec;
use std::vec::Vec;

use trace_port::{Direction, Record};

use super::message::{MachMsg, mach_msg};
use super::{lifecycle, receive, special_port};
use crate::gnumach::fake::{CHILD, Fake, KERNEL_TASK, Script, TASK, TASK_PORT, TRACE};
use crate::gnumach::{Continuation, Kernel, Port, Task, UserAddress, mr, option};
use crate::state::{CAPACITY, State};

pub(super) const MSG: u64 = 0x4000;

pub(super) fn user_message(size: usize, id: u32) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..size).map(|index| index as u8).collect();
    bytes[24..28].copy_from_slice(&77u32.to_le_bytes());
    bytes[28..32].copy_from_slice(&id.to_le_bytes());
    bytes
}

pub(super) fn args(option: u32, send_size: u32, rcv_size: u32) -> MachMsg {
    MachMsg { msg: UserAddress(MSG), option, send_size, rcv_size, rcv_name: 7, time_out: 30, notify: 0 }
}

/// A traced current task; rights held: the tracer's and the entry's.
pub(super) fn traced() -> (Fake, State) {
    let (fake, state) = (Fake::new(), State::new());
    let right = fake.ipc_port_copy_send(TRACE);
    assert_eq!(special_port::set(&fake, &state, TASK, right), mr::SUCCESS);
    assert!(fake.watching.get());
    (fake, state)
}

/// Nothing of a finished call is left: no kmsg but the user's own, no right but the entry's, no reference.
pub(super) fn assert_clean(fake: &Fake, kmsgs: usize) {
    assert_eq!(fake.kmsgs.borrow().len(), kmsgs, "live kmsgs");
    assert_eq!(fake.rights.borrow()[&TRACE.0], 2, "rights to the trace port");
    assert_eq!(fake.rights.borrow()[&TASK_PORT.0], 0, "rights to the task");
    assert_eq!(fake.references.get(), 0, "object references");
}

pub(super) fn one_record(fake: &Fake) -> Vec<u8> {
    let records = fake.records.borrow();
    assert_eq!(records.len(), 1, "records");
    records[0].clone()
}

#[test]
fn a_sent_message_is_recorded_with_the_names_the_task_used() {
    let (fake, state) = traced();
    let sent = user_message(44, 2021);
    fake.user_message(MSG, &sent);
    assert_eq!(mach_msg(&fake, &state, &args(option::SEND_MSG, 44, 0)), mr::SUCCESS);
    let bytes = one_record(&fake);
    let record = Record::parse(&bytes).unwrap();
    assert_eq!(record.direction, Direction::Send);
    assert_eq!(record.header.retval.get(), 0);
    assert_eq!(record.header.thread.get(), 1);
    assert_eq!(record.header.task.get(), 1);
    assert_eq!(record.header.sequence.get(), 1);
    assert_eq!(record.header.correlation.get(), 1);
    assert_eq!(record.header.time.get(), 1_000_000_007);
    assert_eq!(record.message[8..], sent[8..], "as seen by the task: before copyin, with its own msgh_seqno");
    assert_eq!(bytes.len(), 136 + 48);
    assert_eq!(bytes[136 + 44..], [0; 4], "padding is zero, not what kalloc returned");
    assert_clean(&fake, 1);
    assert_eq!(fake.messages_sent.get(), 1, "the record does not count as the task's");
}

#[test]
fn an_untraced_task_is_left_alone() {
    let (fake, state) = (Fake::new(), State::new());
    fake.user_message(MSG, &user_message(40, 1));
    assert_eq!(mach_msg(&fake, &state, &args(option::SEND_MSG, 40, 0)), mr::SUCCESS);
    assert!(fake.records.borrow().is_empty());
}

#[test]
fn every_failing_send_is_recorded_and_returned_and_leaks_nothing() {
    let invalid_dest = 0x1000_0003;
    let cases: &[(&str, Script, u32, u32, usize)] = &[
        ("bad pointer", Script { get: 0x1000_0002, ..Script::default() }, 0, 0x1000_0002, 0),
        ("bad name", Script { copyin: invalid_dest, ..Script::default() }, 0, invalid_dest, 40),
        (
            "timed out",
            Script { send: [mr::SEND_TIMED_OUT].into(), ..Script::default() },
            option::SEND_TIMEOUT,
            mr::SEND_TIMED_OUT,
            40,
        ),
        (
            "interrupted",
            Script { send: [0x1000_0007].into(), copyout_pseudo: 0x2000, ..Script::default() },
            0,
            0x1000_2007,
            40,
        ),
        ("cancel without notify", Script::default(), option::SEND_CANCEL, mr::SEND_INVALID_NOTIFY, 40),
        (
            "notify without notify",
            Script { send: [mr::SEND_TIMED_OUT].into(), ..Script::default() },
            option::SEND_NOTIFY,
            mr::SEND_INVALID_NOTIFY,
            40,
        ),
    ];
    for (name, script, extra, expected, captured) in cases {
        let (fake, state) = traced();
        *fake.script.borrow_mut() = script.clone();
        let sent = user_message(40, 2021);
        fake.user_message(MSG, &sent);
        let option = option::SEND_MSG | option::RCV_MSG | extra;
        assert_eq!(mach_msg(&fake, &state, &args(option, 40, 100)), *expected, "{name}");
        let bytes = one_record(&fake);
        let record = Record::parse(&bytes).unwrap();
        assert_eq!(record.header.retval.get(), *expected, "{name}");
        assert_eq!(record.message.len(), *captured, "{name}");
        assert_clean(&fake, 0);
    }
}

#[test]
fn a_message_given_back_has_the_users_own_seqno() {
    let (fake, state) = traced();
    fake.script.borrow_mut().send = [mr::SEND_TIMED_OUT].into();
    fake.user_message(MSG, &user_message(40, 2021));
    mach_msg(&fake, &state, &args(option::SEND_MSG | option::SEND_TIMEOUT, 40, 0));
    assert_eq!(fake.user.borrow()[&MSG][24..28], 77u32.to_le_bytes());
}

#[test]
fn a_full_queue_with_a_notify_port_forces_the_message_and_says_will_notify() {
    let (fake, state) = traced();
    fake.script.borrow_mut().send = [mr::SEND_TIMED_OUT].into();
    fake.user_message(MSG, &user_message(40, 2021));
    let call = MachMsg { notify: 9, ..args(option::SEND_MSG | option::SEND_NOTIFY, 40, 0) };
    assert_eq!(mach_msg(&fake, &state, &call), mr::SEND_WILL_NOTIFY);
    assert_eq!(fake.sent.borrow().len(), 1);
    assert_clean(&fake, 1);
}

#[test]
fn a_size_the_kernel_would_overflow_on_never_reaches_it() {
    let (fake, state) = traced();
    assert_eq!(mach_msg(&fake, &state, &args(option::SEND_MSG, 0x8000_0000, 0)), mr::SEND_NO_BUFFER);
    assert_eq!(Record::parse(&one_record(&fake)).unwrap().header.retval.get(), mr::SEND_NO_BUFFER);
}

#[test]
fn a_received_message_is_recorded_after_copyout() {
    let (fake, state) = traced();
    let kmsg = fake.kmsg(&user_message(48, 2121));
    fake.queue.borrow_mut().push_back((kmsg, 5));
    assert_eq!(mach_msg(&fake, &state, &args(option::RCV_MSG, 0, 100)), mr::SUCCESS);
    let bytes = one_record(&fake);
    let record = Record::parse(&bytes).unwrap();
    assert_eq!(record.direction, Direction::Receive);
    assert_eq!(record.header.rcv_name.get(), 7);
    assert_eq!(record.message, fake.user.borrow()[&MSG].as_slice(), "the record is what the task got");
    assert_eq!(record.message[24..28], 5u32.to_le_bytes());
    assert_clean(&fake, 0);
}

#[test]
fn every_failing_receive_is_recorded_and_returned() {
    let invalid_name = 0x1000_4002;
    let body_error = mr::RCV_BODY_ERROR | 0x2000;
    let header_error = 0x1000_400b | 0x800;
    let cases: &[(&str, Script, bool, u32, u32, u32, usize)] = &[
        ("bad name", Script { mqueue_copyin: invalid_name, ..Script::default() }, true, 0, 100, invalid_name, 0),
        ("timed out", Script::default(), false, option::RCV_TIMEOUT, 100, 0x1000_4003, 0),
        ("too large, kept", Script::default(), true, option::RCV_LARGE, 40, mr::RCV_TOO_LARGE, 0),
        ("too large, destroyed", Script::default(), true, 0, 40, mr::RCV_TOO_LARGE, 32),
        ("no notify", Script::default(), true, option::RCV_NOTIFY, 100, mr::RCV_INVALID_NOTIFY, 32),
        ("body error", Script { copyout: body_error, ..Script::default() }, true, 0, 100, body_error, 48),
        ("header error", Script { copyout: header_error, ..Script::default() }, true, 0, 100, header_error, 32),
        ("bad buffer", Script { put: 0x1000_4008, ..Script::default() }, true, 0, 100, 0x1000_4008, 48),
    ];
    for (name, script, queued, extra, room, expected, captured) in cases {
        let (fake, state) = traced();
        *fake.script.borrow_mut() = script.clone();
        if *queued {
            let kmsg = fake.kmsg(&user_message(48, 2121));
            fake.queue.borrow_mut().push_back((kmsg, 5));
        }
        assert_eq!(mach_msg(&fake, &state, &args(option::RCV_MSG | extra, 0, *room)), *expected, "{name}");
        let bytes = one_record(&fake);
        let record = Record::parse(&bytes).unwrap();
        assert_eq!(record.header.retval.get(), *expected, "{name}");
        assert_eq!(record.message.len(), *captured, "{name}");
        let found = *queued && *expected != invalid_name;
        assert_eq!(record.header.message_size.get(), if found { 48 } else { 0 }, "{name}: true size");
        assert_clean(&fake, fake.queue.borrow().len());
    }
}

#[test]
fn too_large_with_rcv_large_tells_the_size() {
    let (fake, state) = traced();
    let kmsg = fake.kmsg(&user_message(48, 2121));
    fake.queue.borrow_mut().push_back((kmsg, 5));
    mach_msg(&fake, &state, &args(option::RCV_MSG | option::RCV_LARGE, 0, 40));
    assert_eq!(fake.user.borrow()[&(MSG + 4)], 48u32.to_le_bytes());
}

#[test]
fn a_converted_sleeper_ignores_what_mach_msg_continue_does_not_save() {
    let (fake, state) = traced();
    let kmsg = fake.kmsg(&user_message(48, 2121));
    fake.queue.borrow_mut().push_back((kmsg, 5));
    let (mqueue, object) = fake.ipc_mqueue_copyin(7).unwrap();
    let stale = option::RCV_NOTIFY | option::RCV_LARGE;
    let saved = crate::gnumach::Receive {
        msg: UserAddress(MSG),
        option: stale,
        rcv_size: 100,
        time_out: 9,
        notify: 0,
        object,
        mqueue,
    };
    fake.saved.set(Some(crate::gnumach::Receive { option: option::RCV_MSG, time_out: 0, ..saved }));
    assert_eq!(receive::resume_plain(&fake, &state), mr::SUCCESS);
    assert_eq!(Record::parse(&one_record(&fake)).unwrap().message.len(), 48);
    assert_clean(&fake, 0);
}

#[test]
fn sleeping_receivers_are_converted_when_tracing_starts() {
    let (fake, state) = (Fake::new(), State::new());
    *fake.sleeping.borrow_mut() = vec![Continuation::Plain, Continuation::Other, Continuation::Options];
    let right = fake.ipc_port_copy_send(TRACE);
    special_port::set(&fake, &state, TASK, right);
    let expected = [Continuation::TracedPlain, Continuation::Other, Continuation::TracedOptions];
    assert_eq!(*fake.sleeping.borrow(), expected);
}

#[test]
fn sender_receiver_and_the_kernels_reply_share_a_correlation_number() {
    let (fake, state) = traced();
    fake.user_message(MSG, &user_message(40, 2021));
    fake.for_the_kernel.set(true);
    *fake.kernel_reply.borrow_mut() = Some(user_message(48, 2121));
    mach_msg(&fake, &state, &args(option::SEND_MSG, 40, 0));
    let reply = fake.sent.borrow()[0];
    fake.queue.borrow_mut().push_back((reply, 5));
    mach_msg(&fake, &state, &args(option::RCV_MSG, 0, 100));
    let records = fake.records.borrow();
    assert_eq!(Record::parse(&records[1]).unwrap().header.correlation.get(), 1);
}

#[test]
fn an_untraced_senders_seqno_is_no_correlation_number() {
    let (fake, state) = traced();
    fake.user_message(MSG, &user_message(40, 2021));
    mach_msg(&fake, &state, &args(option::SEND_MSG, 40, 0));
    let other = fake.kmsg(&user_message(48, 1));
    fake.set_msgh_seqno(other, 1);
    fake.queue.borrow_mut().push_back((other, 5));
    mach_msg(&fake, &state, &args(option::RCV_MSG, 0, 100));
    assert_eq!(Record::parse(&fake.records.borrow()[1]).unwrap().header.correlation.get(), 0);
}

#[test]
fn lost_records_are_counted_and_the_count_rides_in_the_next() {
    let (fake, state) = traced();
    fake.user_message(MSG, &user_message(40, 2021));
    fake.script.borrow_mut().no_memory = true;
    mach_msg(&fake, &state, &args(option::SEND_MSG, 40, 0));
    fake.script.borrow_mut().no_memory = false;
    fake.script.borrow_mut().record_send = 0x1000_0007;
    assert_eq!(mach_msg(&fake, &state, &args(option::SEND_MSG, 40, 0)), mr::SUCCESS, "the message itself was sent");
    fake.script.borrow_mut().record_send = 0;
    mach_msg(&fake, &state, &args(option::SEND_MSG, 40, 0));
    assert_eq!(Record::parse(&one_record(&fake)).unwrap().header.dropped.get(), 2);
    assert_eq!(*fake.reports.borrow(), [1, 2]);
    assert_clean(&fake, 3);
}

#[test]
fn a_halting_thread_does_not_wait_for_the_tracer() {
    let (fake, state) = traced();
    fake.user_message(MSG, &user_message(40, 2021));
    mach_msg(&fake, &state, &args(option::SEND_MSG, 40, 0));
    assert_eq!(fake.last_record_option.get(), 0, "a live thread waits");
    fake.script.borrow_mut().halting = true;
    mach_msg(&fake, &state, &args(option::SEND_MSG, 40, 0));
    assert_eq!(fake.last_record_option.get(), option::SEND_ALWAYS);
    for _ in 0..64 {
        mach_msg(&fake, &state, &args(option::SEND_MSG, 40, 0));
    }
    assert_eq!(fake.last_record_option.get(), option::SEND_TIMEOUT, "beyond the cap it gives up at once");
}

#[test]
fn tracing_ends_when_the_trace_port_dies() {
    let (fake, state) = traced();
    fake.kill(TRACE);
    fake.user_message(MSG, &user_message(40, 2021));
    assert_eq!(mach_msg(&fake, &state, &args(option::SEND_MSG, 40, 0)), mr::SUCCESS);
    assert!(fake.records.borrow().is_empty());
    assert_eq!(fake.task_entry(TASK), 0);
    assert!(!state.any_traced());
    assert!(!fake.watching.get(), "the path of messages is as before once nobody is traced");
    assert_eq!(fake.kmsgs.borrow().len(), 1);
}

#[test]
fn a_task_that_receives_its_own_trace_is_not_traced() {
    let (fake, state) = traced();
    fake.own_port.set(TRACE.0);
    fake.user_message(MSG, &user_message(40, 2021));
    assert_eq!(mach_msg(&fake, &state, &args(option::SEND_MSG, 40, 0)), mr::SUCCESS);
    assert!(fake.records.borrow().is_empty());
    assert_clean(&fake, 1);
    let right = fake.ipc_port_copy_send(TRACE);
    assert_eq!(special_port::set(&fake, &state, TASK, right), mr::KERN_FAILURE);
}

#[test]
fn a_trace_port_is_set_read_back_replaced_and_cleared() {
    let (fake, state) = traced();
    assert_eq!(special_port::get(&fake, &state, TASK), Ok(TRACE));
    fake.ipc_port_release_send(TRACE);
    let right = fake.ipc_port_copy_send(TRACE);
    assert_eq!(special_port::set(&fake, &state, TASK, right), mr::SUCCESS);
    assert_clean(&fake, 0);
    assert_eq!(special_port::set(&fake, &state, TASK, Port::NULL), mr::SUCCESS);
    assert_eq!(fake.rights.borrow()[&TRACE.0], 1, "only the tracer's own right is left");
    assert_eq!(special_port::get(&fake, &state, TASK), Ok(Port::NULL));
    assert_eq!(special_port::set(&fake, &state, TASK, Port::DEAD), mr::SUCCESS);
}

#[test]
fn the_call_that_ends_the_task_is_recorded() {
    let (fake, state) = traced();
    let state: &'static State = std::boxed::Box::leak(std::boxed::Box::new(state));
    fake.user_message(MSG, &user_message(40, 2008));
    fake.dies_in_send.set(Some(state));
    assert_eq!(mach_msg(&fake, state, &args(option::SEND_MSG, 40, 0)), mr::SUCCESS);
    let bytes = one_record(&fake);
    assert_eq!(Record::parse(&bytes).unwrap().header.task.get(), 1);
    assert_eq!(fake.last_record_option.get(), option::SEND_ALWAYS);
    assert_eq!(fake.rights.borrow()[&TRACE.0], 1, "only the tracer's own right is left");
}

#[test]
fn the_record_of_the_call_that_ends_the_task_tells_of_earlier_losses() {
    let (fake, state) = traced();
    let state: &'static State = std::boxed::Box::leak(std::boxed::Box::new(state));
    fake.user_message(MSG, &user_message(40, 2008));
    fake.script.borrow_mut().no_memory = true;
    assert_eq!(mach_msg(&fake, state, &args(option::SEND_MSG, 40, 0)), mr::SUCCESS);
    fake.script.borrow_mut().no_memory = false;
    fake.dies_in_send.set(Some(state));
    assert_eq!(mach_msg(&fake, state, &args(option::SEND_MSG, 40, 0)), mr::SUCCESS);
    assert_eq!(Record::parse(&one_record(&fake)).unwrap().header.dropped.get(), 1);
}

#[test]
fn the_kernel_task_and_a_dying_task_are_refused() {
    let (fake, state) = traced();
    assert_eq!(special_port::set(&fake, &state, KERNEL_TASK, TRACE), mr::KERN_NO_ACCESS);
    assert_eq!(special_port::set(&fake, &state, Task(0xdead), TRACE), mr::KERN_FAILURE);
    assert_eq!(special_port::get(&fake, &state, Task(0xdead)), Err(mr::KERN_FAILURE));
}

#[test]
fn children_inherit_and_entries_end_with_their_task() {
    let (fake, state) = traced();
    fake.set_task_entry(CHILD, 0xaaaa);
    lifecycle::created(&fake, &state, CHILD, Some(TASK));
    assert_eq!(special_port::get(&fake, &state, CHILD), Ok(TRACE));
    fake.ipc_port_release_send(TRACE);
    assert_eq!(fake.rights.borrow()[&TRACE.0], 3);
    lifecycle::terminated(&fake, &state, CHILD);
    assert_clean(&fake, 0);
    lifecycle::created(&fake, &state, CHILD, None);
    assert_eq!(fake.task_entry(CHILD), 0);
}

#[test]
fn the_task_after_the_last_is_refused_and_a_place_that_becomes_free_is_used_again() {
    let (fake, state) = (Fake::new(), State::new());
    let trace = |task| special_port::set(&fake, &state, task, fake.ipc_port_copy_send(TRACE));
    for index in 0..CAPACITY {
        assert_eq!(trace(Task(0x10_0000 + index)), mr::SUCCESS, "task {index}");
    }
    assert_eq!(trace(TASK), mr::KERN_RESOURCE_SHORTAGE);
    lifecycle::terminated(&fake, &state, Task(0x10_0003));
    assert_eq!(trace(TASK), mr::SUCCESS);
    assert_eq!(fake.task_entry(TASK), 4);
}
