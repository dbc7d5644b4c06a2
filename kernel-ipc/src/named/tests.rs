// SPDX-License-Identifier: GPL-2.0-or-later
//! Names in messages, and what is said of them.

use std::vec::Vec;

use mach_abi::descriptor::INLINE;
use trace_port::port;
use trace_port::record::MAX_BODY;

use super::*;
use crate::gnumach::fake::{CHILD, CHILDS_THREAD, Kobject, TASK, THREAD, TRACE, control_port};
use crate::gnumach::{Messages, Records, mr};
use crate::hooks::model::seen::Seen;
use crate::hooks::model::{
    Call, Model, REPLY, REPLY_NAME, SERVICE, SERVICE_NAME, SIMPLE, TO_HOST, TO_SERVICE, message,
};

/// Name, number, kind and object of each.
fn said(seen: &Seen) -> Vec<(u32, u32, u8, u32)> {
    seen.ports.iter().map(|port| (port.name.get(), port.number.get(), port.kind, port.object.get())).collect()
}

/// A message to the service with these words behind its header.
fn with_body(words: &[u64]) -> Vec<u8> {
    let mut bytes = message(SIMPLE, TO_SERVICE, 0, 2021, 32 + 8 * words.len());
    bytes.truncate(32);
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    bytes
}

#[test]
fn the_header_says_which_ports_a_message_goes_to_and_is_to_be_answered_at() {
    let model = Model::traced(&[TASK]);
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_MSG_SUCCESS));
    let [request, reply] = model.seen_exactly();
    assert_eq!(said(&request), [(TO_HOST, 1, port::HOST, 0), (REPLY_NAME, 2, port::NONE, 0)]);
    assert!(request.ports.iter().all(|port| !port.is_received_on()));
    assert_eq!(said(&reply), [(REPLY_NAME, 2, port::NONE, 0)], "the same port, the same number");
    assert!(reply.ports[0].is_received_on());
    model.assert_ends_clean();
}

#[test]
fn a_port_has_one_number_in_all_tasks() {
    let model = Model::traced(&[TASK, CHILD]);
    assert_eq!(model.call(CHILDS_THREAD, &Call::receive(SERVICE_NAME, 4096)), None);
    assert_eq!(model.call(THREAD, &Call::simple()), Some(mr::MACH_MSG_SUCCESS));
    model.resume(CHILDS_THREAD);
    let [sent, received] = model.seen_exactly();
    assert_eq!((said(&sent)[0].1, said(&received)[0].1), (1, 1));
    assert_eq!((said(&sent)[0].0, said(&received)[0].0), (TO_SERVICE, SERVICE_NAME));
    model.assert_ends_clean();
}

#[test]
fn rights_and_names_in_the_body_are_said_and_nothing_else() {
    let model = Model::traced(&[TASK]);
    let names = [(0x40, control_port(TASK)), (0x41, control_port(CHILD)), (0x42, REPLY)];
    for (name, port) in names {
        model.fake.task(TASK).names.insert(name, port.address());
    }
    model.fake.task(TASK).sets.push(0x43);
    let body = [
        // Two rights; one that is null, one that is dead.
        20 | 64 << 8 | INLINE as u64 | 4 << 32,
        0x40,
        0,
        0xffff_ffff,
        0x41,
        // Names of 32 bits: a port, a set, and one that stands for nothing.
        15 | 32 << 8 | INLINE as u64 | 3 << 32,
        0x42 | 0x43 << 32,
        0x44,
        // An integer that looks like a name, and rights out of line.
        2 | 32 << 8 | INLINE as u64 | 1 << 32,
        0x42,
        17 | 64 << 8 | 1 << 32,
        0x42,
    ];
    assert_eq!(model.call(THREAD, &Call::send(with_body(&body))), Some(mr::MACH_MSG_SUCCESS));
    let expected = [
        (TO_SERVICE, 1, port::NONE, 0),
        (0x40, 2, port::TASK, 1),
        (0x41, 3, port::TASK, 0),
        (0x42, 4, port::NONE, 0),
        (0x43, 0, port::PORT_SET, 0),
    ];
    assert_eq!(said(&model.only()), expected);
    model.assert_ends_clean();
}

#[test]
fn a_thread_of_a_traced_task_is_said_by_its_number_and_others_are_not() {
    let model = Model::traced(&[TASK]);
    let ports = [0x9000, 0x9100].map(crate::gnumach::Port::fake);
    for (name, port, thread) in [(0x40, ports[0], THREAD), (0x41, ports[1], CHILDS_THREAD)] {
        model.fake.add_port(port, CHILD);
        model.fake.port(port).kobject = Some(Kobject::Thread(thread));
        model.fake.task(TASK).names.insert(name, port.address());
    }
    let body = [20 | 64 << 8 | INLINE as u64 | 2 << 32, 0x40, 0x41];
    assert_eq!(model.call(THREAD, &Call::send(with_body(&body))), Some(mr::MACH_MSG_SUCCESS));
    let seen = model.only();
    let threads = (0x40, 2, port::THREAD, seen.header.thread.get());
    assert_eq!(said(&seen)[1..], [threads, (0x41, 3, port::THREAD, 0)]);
    model.assert_ends_clean();
}

#[test]
fn nothing_is_said_while_somebody_changes_the_names() {
    let model = Model::traced(&[TASK]);
    model.fake.task(TASK).changing = true;
    assert_eq!(model.call(THREAD, &Call::simple()), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(said(&model.only()), []);
    model.fake.task(TASK).changing = false;
    model.assert_ends_clean();
}

#[test]
fn a_port_that_ends_takes_its_number_along() {
    let model = Model::traced(&[TASK]);
    assert_eq!(model.call(THREAD, &Call::simple()), Some(mr::MACH_MSG_SUCCESS));
    model.fake.port(SERVICE).code = 0;
    assert_eq!(model.call(THREAD, &Call::simple()), Some(mr::MACH_MSG_SUCCESS));
    let [first, second] = model.seen_exactly();
    assert_eq!((said(&first)[0].1, said(&second)[0].1), (1, 2), "another port in its memory");
    model.assert_ends_clean();
}

#[test]
fn a_receive_that_fails_says_where_it_was_to_receive() {
    let model = Model::traced(&[CHILD]);
    model.fake.task(CHILD).sets.push(0x55);
    model.fake.task(CHILD).names.insert(0x55, TRACE.address());
    assert_eq!(model.call(CHILDS_THREAD, &Call::receive(SERVICE_NAME, 4096)), None);
    model.give_up(CHILDS_THREAD, 0x1000_4003);
    let seen = model.only();
    assert_eq!((seen.message.len(), said(&seen)), (0, [(SERVICE_NAME, 1, port::NONE, 0)].to_vec()));
    model.assert_ends_clean();
}

#[test]
fn any_bytes_are_walked_to_their_end_and_no_further() {
    let kernel = crate::gnumach::fake::Fake::new();
    let mut random = 0x1234_5678_9abc_def1_u64;
    for size in (32..600).chain([MAX_BODY]) {
        let mut bytes: Vec<u8> = Vec::new();
        for _ in 0..size {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Mostly descriptors that go on.
            bytes.push([0, 15, 17, 32, 64, 1, 0x20, (random >> 56) as u8][(random >> 40) as usize % 8]);
        }
        let kmsg = kernel.kmsg(&bytes);
        let room = room(&kernel, kmsg, size);
        assert!(room <= MAX_PORTS && (2..=most(size)).contains(&room), "{size} bytes, room for {room}");
        kernel.free(kmsg);
    }
}

#[test]
fn more_names_than_are_said_are_left_out() {
    let model = Model::traced(&[TASK]);
    let many = 2 * MAX_PORTS;
    let mut body = Vec::from([19 | 64 << 8 | INLINE as u64 | (many as u64) << 32]);
    body.extend(core::iter::repeat_n(u64::from(TO_SERVICE), many));
    assert_eq!(model.call(THREAD, &Call::send(with_body(&body))), Some(mr::MACH_MSG_SUCCESS));
    let seen = model.only();
    assert_eq!(seen.ports.len(), MAX_PORTS);
    assert_eq!(seen.message.len(), 32 + 8 * body.len());
    model.assert_ends_clean();
}

#[test]
fn a_protected_payload_hides_no_port_that_was_received_from_alone() {
    for (set, expected) in [(false, Vec::from([(SERVICE_NAME, 1, port::NONE, 0)])), (true, Vec::new())] {
        let model = Model::traced(&[CHILD]);
        let (record, kmsg) = {
            let mut bytes = message(PROTECTED_PAYLOAD << 8, 0, 0x5678, 2021, 32);
            bytes.resize(4096, 0);
            (model.fake.new_kmsg(bytes.clone(), true), model.fake.kmsg(&bytes[..32]))
        };
        if set {
            model.fake.task(CHILD).names.remove(&SERVICE_NAME);
            model.fake.task(CHILD).sets.push(SERVICE_NAME);
        }
        let record = Record::fake(record);
        kernel_copy(&model, record, kmsg);
        model.fake.set_link_words(kmsg, [0; 2]);
        let view = View { task: CHILD, direction: Direction::Receive, rcv_name: SERVICE_NAME, message: Some(kmsg) };
        let mut found = Vec::new();
        let count = write(&model.fake, &model.state, view, (record, 0, 32), 8);
        for index in 0..count {
            let place = size_of::<Part>() + 32 + index * size_of::<Port>();
            model.fake.record_part(record, place, |port: &mut Port| found.push(*port));
        }
        let said: Vec<_> =
            found.iter().map(|port| (port.name.get(), port.number.get(), port.kind, port.object.get())).collect();
        assert_eq!(said, expected, "through a set: {set}");
        assert!(found.iter().all(Port::is_received_on));
        model.fake.free(record.kmsg());
        model.fake.free(kmsg);
        model.assert_ends_clean();
    }
}

/// The message as a record has it.
fn kernel_copy(model: &Model, record: Record, kmsg: Kmsg) {
    model.fake.record_copy(record, size_of::<Part>(), kmsg, 0, 32);
}
