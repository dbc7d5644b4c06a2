// SPDX-License-Identifier: GPL-2.0-or-later
//! Names that the kernel reads from arrays out of line and writes there, and what records say of them.

use std::vec;
use std::vec::Vec;

use trace_port::port;
use trace_port::record::MAX_BATCH;

use super::*;
use crate::gnumach::fake::{CHILD, CHILDS_THREAD, TASK, THREAD, TRACE, control_port};
use crate::gnumach::{Task, mr};
use crate::hooks::model::seen::Seen;
use crate::hooks::model::{
    Call, Model, Moment, REPLY, REPLY_NAME, REQUEST, SERVICE, SERVICE_NAME, SIMPLE, TO_SERVICE, message,
};

/// A user's names of a task, of another, and of nothing.
const OWN: u32 = 0x40;
const OTHERS: u32 = 0x41;
const DEAD: u32 = 0x42;

/// An array out of line: so many rights at this address.
const fn array(number: u64, address: u64) -> [u64; 2] {
    [19 | 32 << 8 | number << 32, address]
}

/// A message to the service with these words behind its header.
fn with_body(bits: u32, remote: u32, words: &[u64]) -> Vec<u8> {
    let mut bytes = message(bits, remote, 0, 2021, 32 + 8 * words.len());
    bytes.truncate(32);
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    bytes
}

/// [`TASK`] and [`CHILD`] are traced, and have names for what is in the arrays.
fn traced(tasks: &[Task]) -> Model {
    let model = Model::traced(tasks);
    for task in [TASK, CHILD] {
        model.fake.task(task).names.insert(OWN, control_port(TASK).address());
        model.fake.task(task).names.insert(OTHERS, control_port(CHILD).address());
    }
    model
}

/// The kernel reads these names from this address on.
fn reads(address: u64, names: Vec<u32>) -> impl FnOnce(&Model) {
    move |model: &Model| {
        for (name, address) in names.into_iter().zip((address..).step_by(4)) {
            sent(&model.fake, &model.state, address, name);
        }
    }
}

/// The kernel writes these names from these addresses on.
fn writes(arrays: Vec<(u64, Vec<u32>)>) -> impl FnOnce(&Model) {
    move |model: &Model| {
        for (start, names) in arrays {
            for (name, address) in names.into_iter().zip((start..).step_by(4)) {
                received(&model.fake, &model.state, address, name);
            }
        }
    }
}

/// Name, number and kind of each element.
fn elements(seen: &Seen) -> Vec<(u32, u32, u8)> {
    let elements = seen.ports.iter().filter(|port| port.is_out_of_line());
    elements.map(|port| (port.name.get(), port.number.get(), port.kind)).collect()
}

fn names(seen: &Seen) -> Vec<u32> {
    elements(seen).iter().map(|element| element.0).collect()
}

#[test]
fn what_is_read_of_a_senders_array_is_said_in_its_record() {
    let model = traced(&[TASK]);
    let body = [&[17 | 64 << 8 | 1 << 29 | 1 << 32, u64::from(OTHERS)], &array(4, 0x5000)[..]].concat();
    model.at(Moment::Send, reads(0x5000, vec![OWN, 0, DEAD, OTHERS]));
    let call = Call::send(with_body(SIMPLE, TO_SERVICE, &body));
    assert_eq!(model.call(THREAD, &call), Some(mr::MACH_MSG_SUCCESS));
    let record = model.only();
    let nothing = |name| (name, 0, port::NOTHING);
    assert_eq!(elements(&record), [(OWN, 3, port::TASK), nothing(0), nothing(DEAD), (OTHERS, 2, port::TASK)]);
    assert_eq!(record.ports.len(), 2 + 4, "behind what stands in the message");
    assert_eq!((record.ports[1].name.get(), record.ports[1].number.get()), (OTHERS, 2));
    model.assert_ends_clean();
}

#[test]
fn an_array_may_have_more_rights_than_the_record_has_room_for_at_first() {
    for (number, said) in [(200, 200), (MAX_PORTS - 1, MAX_PORTS - 1), (3000, MAX_PORTS - 1)] {
        let model = traced(&[TASK]);
        model.at(Moment::Send, reads(0x5000, (0..number as u32).map(|index| index % 3 + DEAD).collect()));
        let call = Call::send(with_body(SIMPLE, TO_SERVICE, &array(number as u64, 0x5000)));
        assert_eq!(model.call(THREAD, &call), Some(mr::MACH_MSG_SUCCESS));
        let record = model.only();
        let expected: Vec<u32> = (0..said as u32).map(|index| index % 3 + DEAD).collect();
        assert_eq!(names(&record), expected, "{number} rights: the first ones");
        model.assert_ends_clean();
    }
}

/// The memory for it may be left from something larger.
#[test]
fn a_record_never_has_more_ports_than_a_reader_takes() {
    let model = server(&array(2000, 0x5000));
    model.at(Moment::CopyOut, writes(vec![(0x5000, vec![OWN; 2000])]));
    assert_eq!(model.call(CHILDS_THREAD, &Call::receive(SERVICE_NAME, 4096)), Some(mr::MACH_MSG_SUCCESS));
    model.at(Moment::Send, reads(0x5000, vec![OWN; 2000]));
    model.fake.task(CHILD).names.insert(TO_SERVICE, SERVICE.address());
    let call = Call::send(with_body(SIMPLE, TO_SERVICE, &array(2000, 0x5000)));
    assert_eq!(model.call(CHILDS_THREAD, &call), Some(mr::MACH_MSG_SUCCESS));
    let [received, sent] = model.seen_exactly();
    assert_eq!((received.ports.len(), sent.ports.len()), (MAX_PORTS, MAX_PORTS));
    model.assert_ends_clean();
}

#[test]
fn without_memory_the_first_is_missing_and_so_are_all() {
    let model = traced(&[TASK]);
    model.at(Moment::Send, |model| {
        model.fake.script.borrow_mut().no_memory = true;
        reads(0x5000, vec![OWN])(model);
        model.fake.script.borrow_mut().no_memory = false;
        reads(0x5004, vec![OWN; 199])(model);
    });
    let call = Call::send(with_body(SIMPLE, TO_SERVICE, &array(200, 0x5000)));
    assert_eq!(model.call(THREAD, &call), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(elements(&model.only()), []);
    assert_eq!(model.state.lost(), 0, "no record is");
    model.assert_ends_clean();
}

/// A traced server for which a message with this body waits.
fn server(body: &[u64]) -> Model {
    let model = traced(&[]);
    let request = with_body(REQUEST, TO_SERVICE, body);
    assert_eq!(model.call(THREAD, &Call::send(request)), Some(mr::MACH_MSG_SUCCESS));
    model.trace(CHILD);
    model
}

/// Two arrays, with another in between that could not be received.
fn three_arrays() -> Vec<u64> {
    [array(2, 0x5000), array(3, 0), array(1, 0x6000)].concat()
}

#[test]
fn what_is_written_to_a_receivers_arrays_is_said_in_its_record() {
    let model = server(&three_arrays());
    model.at(Moment::CopyOut, writes(vec![(0x5000, vec![OWN, 0]), (0x7000, vec![DEAD]), (0x6000, vec![OTHERS])]));
    assert_eq!(model.call(CHILDS_THREAD, &Call::receive(SERVICE_NAME, 4096)), Some(mr::MACH_MSG_SUCCESS));
    let record = model.only();
    assert_eq!(elements(&record), [(OWN, 1, port::TASK), (0, 0, port::NOTHING), (OTHERS, 2, port::TASK)]);
    assert!(record.ports[0].is_received_on() && !record.ports[0].is_out_of_line());
    model.assert_ends_clean();
}

#[test]
fn a_received_array_is_said_as_far_as_all_before_it_is() {
    let cut = [
        (vec![(0x5000, vec![OWN, DEAD])], 2),
        (vec![(0x5000, vec![OWN]), (0x6000, vec![OTHERS])], 1),
        (vec![(0x5004, vec![OWN]), (0x6000, vec![OTHERS])], 0),
        (vec![(0x6000, vec![OTHERS])], 0),
    ];
    for (written, said) in cut {
        let model = server(&three_arrays());
        model.at(Moment::CopyOut, writes(written));
        assert_eq!(model.call(CHILDS_THREAD, &Call::receive(SERVICE_NAME, 4096)), Some(mr::MACH_MSG_SUCCESS));
        assert_eq!(elements(&model.only()).len(), said);
        model.assert_ends_clean();
    }
}

#[test]
fn a_large_array_is_received_beside_its_request_or_apart_from_it() {
    for (number, messages) in [(20, 1), (150, 2), (2000, 2)] {
        let model = traced(&[TASK]);
        model.script(|steps| steps.reply = Some((2121, 48)));
        model.at(Moment::Serve, |model| model.script(|steps| steps.copyout = mr::MACH_MSG_SUCCESS));
        model.at(Moment::CopyOut, move |model| {
            // The kernel's reply has a body that this model leaves as it is.
            let kmsg = *model.fake.kmsgs.borrow().iter().find(|(_, memory)| memory.bytes.len() == 8192).unwrap().0;
            let words = array(number, 0x5000).map(u64::to_le_bytes).concat();
            model.fake.write(crate::gnumach::Kmsg::fake(kmsg), 32, &words);
            writes(vec![(0x5000, vec![OWN; number as usize])])(model);
        });
        assert_eq!(model.call(THREAD, &Call::of_host()), Some(mr::MACH_MSG_SUCCESS));
        let [request, reply] = model.seen_exactly();
        assert_eq!((request.came_in, reply.came_in), (0, messages - 1), "{number} rights");
        assert_eq!(reply.ports.len(), (number as usize + 1).min(MAX_PORTS));
        assert_eq!(elements(&reply)[0], (OWN, 3, port::TASK));
        assert!(model.fake.records().iter().all(|message| message.len() <= MAX_BATCH || number > 100));
        assert_eq!((request.header.sequence.get(), reply.header.sequence.get()), (1, 2));
        model.assert_ends_clean();
    }
}

#[test]
fn what_is_put_aside_for_nothing_is_gone_with_the_call() {
    // A message that comes back to its sender.
    let model = traced(&[TASK]);
    model.script(|steps| steps.send = mr::MACH_SEND_TIMED_OUT);
    model.at(Moment::CopyOut, writes(vec![(0x5000, vec![OWN])]));
    let call = Call::send(with_body(SIMPLE, TO_SERVICE, &array(1, 0x5000)));
    assert_eq!(model.call(THREAD, &call), Some(mr::MACH_SEND_TIMED_OUT));
    assert_eq!(elements(&model.only()), []);
    model.assert_ends_clean();

    // One whose record is lost.
    let model = server(&three_arrays());
    model.at(Moment::CopyOut, |model| {
        writes(vec![(0x5000, vec![OWN])])(model);
        model.fake.script.borrow_mut().no_memory = true;
    });
    assert_eq!(model.call(CHILDS_THREAD, &Call::receive(SERVICE_NAME, 4096)), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!((model.seen().len(), model.state.lost()), (0, 1));
    model.assert_ends_clean();
}

#[test]
fn two_threads_receive_at_once() {
    let model = server(&three_arrays());
    model.trace(TASK);
    let another = with_body(REQUEST, TO_SERVICE, &array(1, 0x5000));
    model.fake.task(TASK).names.insert(SERVICE_NAME, REPLY.address());
    model.notify(REPLY, 72, 48);
    let kmsg = model.fake.port(REPLY).queue[0];
    model.fake.write(kmsg, 32, &another[32..]);
    model.at(Moment::CopyOut, |model| {
        writes(vec![(0x5000, vec![OWN, DEAD])])(model);
        model.at(Moment::CopyOut, writes(vec![(0x5000, vec![OTHERS])]));
        assert_eq!(model.call(THREAD, &Call::receive(REPLY_NAME, 4096)), Some(mr::MACH_MSG_SUCCESS));
        model.fake.run(CHILDS_THREAD);
        writes(vec![(0x6000, vec![OTHERS])])(model);
    });
    assert_eq!(model.call(CHILDS_THREAD, &Call::receive(SERVICE_NAME, 4096)), Some(mr::MACH_MSG_SUCCESS));
    let [inner, outer] = model.seen_exactly();
    assert_eq!((names(&inner), names(&outer)), (vec![OTHERS], vec![OWN, DEAD, OTHERS]));
    assert_ne!(inner.who(), outer.who());
    assert!(model.fake.port(SERVICE).queue.is_empty() && model.fake.rights(TRACE) > 0);
    model.assert_ends_clean();
}
