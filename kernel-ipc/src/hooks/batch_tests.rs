//! A tracer that is behind: records that go into the messages that wait for it, against the fake kernel.

use std::vec::Vec;

use trace_port::record::{self, MAX_BATCH, part_size, wire_size};
use trace_port::{Record, RecordError, Records, TRACE_RECORD_MSGH_ID};

use super::message::mach_msg;
use super::tests::{MSG, args, assert_clean, traced, user_message};
use super::{lifecycle, special_port};
use crate::gnumach::fake::{CHILD, Fake, TASK, TASK_PORT, TRACE};
use crate::gnumach::{Kernel, Port, mr, option};
use crate::state::State;

/// A traced task whose tracer does not receive.
fn behind() -> (Fake, State) {
    let (fake, state) = traced();
    fake.behind.set(true);
    (fake, state)
}

fn send(fake: &Fake, state: &State, size: usize) {
    fake.user_message(MSG, &user_message(size, 2021));
    assert_eq!(mach_msg(fake, state, &args(option::SEND_MSG, size as u32, 0)), mr::SUCCESS);
}

fn records(message: &[u8]) -> Result<Vec<Record<'_>>, RecordError> {
    Records::parse(message)?.collect()
}

/// All sequence numbers of all messages.
fn sequences(fake: &Fake) -> Vec<Vec<u64>> {
    let messages = fake.records.borrow();
    let numbers = |message: &Vec<u8>| records(message).unwrap().iter().map(|one| one.header.sequence.get()).collect();
    messages.iter().map(numbers).collect()
}

/// The trace ends, and nothing is left of it.
fn assert_ends_clean(fake: &Fake, state: &State) {
    for kmsg in fake.sent.borrow_mut().drain(..) {
        fake.ipc_kmsg_free(kmsg);
    }
    assert_eq!(special_port::set(fake, state, TASK, Port::NULL), mr::SUCCESS);
    assert_eq!(fake.kmsgs.borrow().len(), 0, "live kmsgs");
    assert_eq!(fake.rights.borrow()[&TRACE.0], 1, "only the tracer's own right is left");
    assert_eq!(fake.rights.borrow()[&TASK_PORT.0], 0, "rights to the task");
}

#[test]
fn a_tracer_that_is_behind_finds_several_records_in_a_message() {
    let (fake, state) = behind();
    for size in [40, 44, 32] {
        send(&fake, &state, size);
    }
    assert_eq!(sequences(&fake), [[1, 2, 3]]);
    let messages = fake.records.borrow().clone();
    assert_eq!(messages[0].len(), wire_size(40) + part_size(44) + part_size(32));
    let found = records(&messages[0]).unwrap();
    assert_eq!(found.iter().map(|record| record.message.len()).collect::<Vec<_>>(), [40, 44, 32]);
    assert!(found.iter().all(|record| record.message[28..32] == 2021u32.to_le_bytes()));
    assert_eq!(fake.messages_sent.get(), 3, "the task's own, of which no record counts");
    assert_ends_clean(&fake, &state);
}

#[test]
fn a_tracer_that_keeps_up_gets_a_message_for_each() {
    let (fake, state) = traced();
    send(&fake, &state, 40);
    send(&fake, &state, 40);
    assert_eq!(sequences(&fake), [[1], [2]]);
    assert_clean(&fake, 2);
}

#[test]
fn a_message_is_filled_to_its_end_and_not_beyond() {
    let (fake, state) = behind();
    let fit = (MAX_BATCH - size_of::<record::Prefix>()) / part_size(40);
    for _ in 0..=fit {
        send(&fake, &state, 40);
    }
    let found = sequences(&fake);
    assert_eq!((found.len(), found[0].len(), found[1].len()), (2, fit, 1));
    // What is larger than any such message goes alone; nothing is put behind it, nor before it.
    send(&fake, &state, MAX_BATCH);
    send(&fake, &state, 40);
    assert_eq!(sequences(&fake)[1..], [[fit as u64 + 1], [fit as u64 + 2], [fit as u64 + 3]]);
    assert_ends_clean(&fake, &state);
}

#[test]
fn memory_and_rights_of_a_record_that_was_put_behind_another_serve_the_next() {
    let (fake, state) = behind();
    send(&fake, &state, 40);
    send(&fake, &state, 40);
    // No memory is needed any more.
    fake.script.borrow_mut().no_memory = true;
    for _ in 0..3 {
        send(&fake, &state, 40);
    }
    assert_eq!((sequences(&fake), state.lost()), (Vec::from([(1..=5).collect::<Vec<u64>>()]), 0));
    fake.kill(TRACE);
    send(&fake, &state, 40);
    assert_eq!(fake.task_entry(TASK), 0, "a dead port ends the trace, spare kmsg or not");
    assert_eq!(fake.kmsgs.borrow().len(), fake.sent.borrow().len());
    assert_eq!(fake.rights.borrow()[&TASK_PORT.0], 0);
}

#[test]
fn a_spare_kmsg_ends_with_its_trace_port() {
    let (fake, state) = behind();
    send(&fake, &state, 40);
    send(&fake, &state, 40);
    let right = fake.ipc_port_copy_send(TRACE);
    assert_eq!(special_port::set(&fake, &state, TASK, right), mr::SUCCESS);
    assert_clean(&fake, 2);
    send(&fake, &state, 40);
    lifecycle::terminated(&fake, &state, TASK);
    assert_eq!(fake.rights.borrow()[&TRACE.0], 1);
    assert_eq!(fake.kmsgs.borrow().len(), 3);
}

#[test]
fn losses_are_told_by_the_record_that_follows_them() {
    let (fake, state) = behind();
    fake.script.borrow_mut().no_memory = true;
    send(&fake, &state, 40);
    fake.script.borrow_mut().no_memory = false;
    send(&fake, &state, 40);
    fake.behind.set(false);
    fake.script.borrow_mut().record_send = 0x1000_0007;
    send(&fake, &state, 40);
    fake.behind.set(true);
    send(&fake, &state, 40);
    let messages = fake.records.borrow().clone();
    let dropped: Vec<u32> = records(&messages[0]).unwrap().iter().map(|one| one.header.dropped.get()).collect();
    assert_eq!(dropped, [1, 1]);
}

#[test]
fn records_of_tasks_that_take_turns_go_to_a_message_each() {
    let (fake, state) = behind();
    lifecycle::created(&fake, &state, CHILD, Some(TASK));
    for turn in 0..6 {
        fake.current.set((turn % 2 == 1).then_some(CHILD));
        fake.task_port.set((turn % 2 == 1).then_some(Port(0x6100)));
        send(&fake, &state, 40);
    }
    assert_eq!(sequences(&fake), [[1, 3, 5], [2, 4, 6]]);
    for (message, task) in fake.records.borrow().iter().zip([1, 2]) {
        assert!(records(message).unwrap().iter().all(|record| record.header.task.get() == task));
    }
}

/// Who holds a right to the trace port can put there what he likes: nothing is appended to that, however much it looks like ours.
#[test]
fn a_forged_message_is_left_alone() {
    let (fake, state) = behind();
    send(&fake, &state, 40);
    let ours = fake.records.borrow()[0].clone();
    fake.queued_batches.borrow_mut()[0] = false;
    send(&fake, &state, 40);
    assert_eq!(fake.records.borrow()[0], ours);
    assert_eq!(sequences(&fake), [[1], [2]]);
}

/// Were one taken for ours all the same, no field of it would lead beyond its memory: the fake panics on that.
#[test]
fn no_field_of_a_queued_message_leads_beyond_its_memory() {
    for offset in (0..wire_size(40)).step_by(4) {
        for value in [0, 1, 7, 0x7fff_ffff, 0x8000_0000, u32::MAX, MAX_BATCH as u32, MAX_BATCH as u32 - 8] {
            let (fake, state) = behind();
            send(&fake, &state, 40);
            let genuine = fake.records.borrow()[0].clone();
            fake.records.borrow_mut()[0][offset..offset + 4].copy_from_slice(&value.to_le_bytes());
            let forged = fake.records.borrow()[0].clone();
            send(&fake, &state, 40);
            let messages = fake.records.borrow();
            if messages.len() == 1 {
                assert!(messages[0].len() <= MAX_BATCH, "offset {offset}, value {value:#x}");
                assert_eq!(messages[0][8..16], genuine[8..16], "the port");
                assert_eq!(messages[0][32..48], genuine[32..48], "the task's right");
            } else {
                assert_eq!(messages[0], forged, "offset {offset}, value {value:#x}");
                let id = u32::from_le_bytes(messages[1][28..32].try_into().unwrap());
                assert_eq!(id, TRACE_RECORD_MSGH_ID);
            }
        }
    }
}
