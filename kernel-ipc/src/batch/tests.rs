// SPDX-License-Identifier: GPL-2.0-or-later
//! A tracer that is behind: records that go into the messages that wait for it.

use std::vec::Vec;

use trace_port::record::{part_size, wire_size};
use trace_port::{Record, Records, TRACE_RECORD_MSGH_ID};

use super::*;
use crate::gnumach::fake::{CHILD, CHILDS_THREAD, TASK, THREAD, TRACE, TRACER};
use crate::gnumach::{Messages, Port, Tasks, Thread, mr};
use crate::hooks::lifecycle;
use crate::hooks::model::{Call, Model, Moment, REPLY_NAME, SERVICE_NAME, TO_SERVICE, message};

/// Another trace port.
const OTHER: Port = Port::fake(0x5100);

/// A traced task whose tracer does not receive.
fn behind() -> Model {
    let model = Model::traced(&[TASK]);
    model.fake.behind.set(true);
    model
}

fn send_by(model: &Model, thread: Thread, name: u32, size: usize) {
    let call = Call::send(message(19, name, 0, 2021, size));
    assert_eq!(model.call(thread, &call), Some(mr::MACH_MSG_SUCCESS));
}

fn send(model: &Model, size: usize) {
    send_by(model, THREAD, TO_SERVICE, size);
}

/// All sequence numbers of all messages.
fn sequences(model: &Model) -> Vec<Vec<u64>> {
    let mut found = Vec::new();
    for seen in model.seen() {
        found.resize(seen.came_in + 1, Vec::new());
        found[seen.came_in].push(seen.header.sequence.get());
    }
    found
}

#[test]
fn a_tracer_that_is_behind_finds_several_records_in_a_message() {
    let model = behind();
    for size in [40, 44, 32] {
        send(&model, size);
    }
    assert_eq!(sequences(&model), [[1, 2, 3]]);
    assert_eq!(model.fake.records()[0].len(), wire_size(40, 1) + part_size(44, 1) + part_size(32, 1));
    let found = model.seen();
    assert_eq!(found.iter().map(|seen| seen.message.len()).collect::<Vec<_>>(), [40, 44, 32]);
    assert!(found.iter().all(|seen| seen.message[28..32] == 2021u32.to_le_bytes()));
    assert_eq!(model.fake.task(TASK).messages_sent, 3, "the task's own, of which no record counts");
    assert_eq!(model.fake.options.borrow().len(), 1);
    model.assert_ends_clean();
}

#[test]
fn a_tracer_that_keeps_up_gets_a_message_for_each() {
    let model = Model::traced(&[TASK]);
    send(&model, 40);
    send(&model, 40);
    assert_eq!(sequences(&model), [[1], [2]]);
    model.assert_ends_clean();
}

#[test]
fn two_records_that_share_a_message_go_behind_others_together() {
    let model = behind();
    for _ in 0..3 {
        assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_MSG_SUCCESS));
    }
    assert_eq!(sequences(&model), [[1, 2, 3, 4, 5, 6]]);
    assert_eq!(model.seen().iter().map(|seen| seen.correlation()).collect::<Vec<_>>(), [1, 1, 2, 2, 3, 3]);
    model.assert_ends_clean();
}

#[test]
fn a_message_is_filled_to_its_end_and_not_beyond() {
    let model = behind();
    let fit = (MAX_BATCH - FIRST) / part_size(40, 1);
    for _ in 0..=fit {
        send(&model, 40);
    }
    let found = sequences(&model);
    assert_eq!((found.len(), found[0].len(), found[1].len()), (2, fit, 1));
    // What is larger than any such message goes alone; nothing is put behind it, nor before it.
    send(&model, MAX_BATCH);
    send(&model, 40);
    assert_eq!(sequences(&model)[1..], [[fit as u64 + 1], [fit as u64 + 2], [fit as u64 + 3]]);
    model.assert_ends_clean();
}

#[test]
fn memory_and_rights_of_a_record_that_was_put_behind_another_serve_the_next() {
    let model = behind();
    send(&model, 40);
    send(&model, 40);
    // No memory is needed any more.
    model.fake.script.borrow_mut().no_memory = true;
    for _ in 0..3 {
        send(&model, 40);
    }
    assert_eq!((sequences(&model), model.state.lost()), (Vec::from([(1..=5).collect::<Vec<u64>>()]), 0));
    model.fake.kill(TRACE);
    send(&model, 40);
    assert_eq!(model.fake.task_entry(TASK), 0, "a dead port ends the trace, spare kmsg or not");
    model.assert_ends_clean();
}

#[test]
fn a_spare_kmsg_ends_with_its_trace_port() {
    let model = behind();
    send(&model, 40);
    send(&model, 40);
    model.trace(TASK);
    model.fake.receive_records();
    assert_eq!(model.fake.rights(TRACE), 2);
    send(&model, 40);
    send(&model, 40);
    lifecycle::terminated(&model.fake, &model.state, TASK);
    model.fake.receive_records();
    assert_eq!(model.fake.rights(TRACE), 1);
    model.assert_ends_clean();
}

#[test]
fn a_record_of_a_trace_that_was_replaced_leaves_no_spare_to_the_new_port() {
    let model = behind();
    model.fake.add_port(OTHER, TRACER);
    send(&model, 40);
    model.at(Moment::Send, |model| {
        model.fake.port(OTHER).rights += 1;
        model.trace_to(TASK, OTHER);
    });
    send(&model, 40);
    assert_eq!(sequences(&model), [[1, 2]], "where the trace was when the record was made");
    send(&model, 40);
    assert_eq!(model.fake.queued.borrow().iter().map(|queued| queued.port).collect::<Vec<_>>(), [TRACE, OTHER]);
    model.assert_ends_clean();
}

#[test]
fn what_was_lost_before_a_record_is_told_behind_others_too() {
    let model = behind();
    send(&model, 40);
    model.fake.script.borrow_mut().no_memory = true;
    send(&model, 40);
    model.fake.script.borrow_mut().no_memory = false;
    send(&model, 40);
    send(&model, 40);
    let dropped: Vec<u32> = model.seen().iter().map(|seen| seen.header.dropped.get()).collect();
    assert_eq!(dropped, [0, 1, 0]);
    assert_eq!(model.fake.records().len(), 1);
    model.assert_ends_clean();
}

#[test]
fn records_of_tasks_that_take_turns_go_to_a_message_each() {
    let model = behind();
    lifecycle::created(&model.fake, &model.state, CHILD, Some(TASK));
    for turn in 0..6 {
        let (thread, name) = if turn % 2 == 0 { (THREAD, TO_SERVICE) } else { (CHILDS_THREAD, SERVICE_NAME) };
        send_by(&model, thread, name, 40);
    }
    assert_eq!(sequences(&model), [[1, 3, 5], [2, 4, 6]]);
    assert!(model.seen().iter().all(|seen| seen.header.task.get() as usize == seen.came_in + 1));
    model.assert_ends_clean();
}

/// Who holds a right to the trace port can put there what he likes: nothing is appended to that, however much it looks like ours.
#[test]
fn a_forged_message_is_left_alone() {
    let model = behind();
    send(&model, 40);
    let forged = model.fake.port(TRACE).queue[0];
    model.fake.memory(forged).is_record = false;
    let before = model.fake.message(forged);
    send(&model, 40);
    assert_eq!(model.fake.message(forged), before);
    assert_eq!(sequences(&model), [[1], [2]]);
    model.fake.memory(forged).is_record = true;
    model.assert_ends_clean();
}

/// Were one taken for ours all the same, no field of it would lead beyond its memory: the fake panics on that.
#[test]
fn no_field_of_a_queued_message_leads_beyond_its_memory() {
    for offset in (0..wire_size(40, 1)).step_by(4) {
        for value in [0, 1, 7, 0x7fff_ffff, 0x8000_0000, u32::MAX, MAX_BATCH as u32, MAX_BATCH as u32 - 8] {
            one_field_differs(offset, value);
        }
    }
}

fn one_field_differs(offset: usize, value: u32) {
    let model = behind();
    send(&model, 40);
    let queued = model.fake.port(TRACE).queue[0];
    let genuine = model.fake.message(queued);
    model.fake.memory(queued).bytes[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    let forged = model.fake.memory(queued).bytes.clone();
    send(&model, 40);
    let now = model.fake.memory(queued).bytes.clone();
    if model.fake.port(TRACE).queue.len() == 1 {
        assert_eq!(now.len(), MAX_BATCH, "offset {offset}, value {value:#x}");
        assert_eq!(now[8..16], genuine[8..16], "the port");
        assert_eq!(now[32..48], genuine[32..48], "the task's right");
    } else {
        assert_eq!(now, forged, "offset {offset}, value {value:#x}");
        let next = model.fake.port(TRACE).queue[1];
        assert_eq!(model.fake.msgh_id(next), TRACE_RECORD_MSGH_ID);
    }
}

#[test]
fn what_a_tracer_gets_is_well_formed_whatever_the_sizes() {
    let model = behind();
    for size in (32..200).step_by(4) {
        send(&model, size);
        if size % 3 == 0 {
            model.script(|steps| steps.reply = Some((2121, size)));
            assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_MSG_SUCCESS));
        }
    }
    model.script(|steps| steps.receive = 0x1000_4003);
    model.call(THREAD, &Call::receive(REPLY_NAME, 100));
    let sequence: Vec<u64> = sequences(&model).concat();
    assert!(sequence.iter().copied().eq(1..=sequence.len() as u64), "{sequence:?}");
    for message in model.fake.records() {
        assert!(message.len() <= MAX_BATCH && message.len() % 8 == 0);
        let records: Vec<Record<'_>> = Records::parse(&message).unwrap().map(Result::unwrap).collect();
        assert!(!records.is_empty());
    }
    model.assert_ends_clean();
}
