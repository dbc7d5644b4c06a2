// SPDX-License-Identifier: GPL-2.0-or-later
//! Ports with protected payloads, alone and in a set, and all the ways in which a message gets there.

use std::vec::Vec;

use trace_port::{Direction, port};

use crate::gnumach::fake::{CHILD, CHILDS_THREAD, TASK, THREAD};
use crate::gnumach::{Messages, Ports, Task, Threads, mr};
use crate::hooks::model::seen::Seen;
use crate::hooks::model::{Call, Model, SERVICE, SERVICE_NAME};
use crate::numbers::HalfCorrelation;

/// [`CHILD`]'s name for the set that [`SERVICE`] is in.
const SET_NAME: u32 = 0x29;

/// These tasks are traced, and [`CHILD`] has set a payload that has its name for something else in its lower half.
fn model(traced: &[Task]) -> Model {
    let model = Model::traced(traced);
    model.fake.port(SERVICE).payload = Some(0x7fff_0000_0000 | u64::from(SET_NAME));
    model.fake.task(CHILD).sets.push(SET_NAME);
    model
}

/// What [`CHILD`]'s only receive says that it was received on: name, number and kind.
fn received_on(model: &Model) -> Vec<(u32, u32, u8)> {
    let seen = model.seen();
    let receives: Vec<&Seen> =
        seen.iter().filter(|seen| seen.direction == Direction::Receive && !seen.message.is_empty()).collect();
    let [receive] = receives[..] else { panic!("{} receives", receives.len()) };
    assert_eq!(receive.word(0) >> 8 & 0xff, 23, "a payload instead of a name");
    let received_on = receive.ports.iter().filter(|port| port.is_received_on());
    received_on.map(|port| (port.name.get(), port.number.get(), port.kind)).collect()
}

fn number_of_service(model: &Model) -> u32 {
    model.fake.identity(SERVICE, &model.state.numbers).unwrap().number.get()
}

/// How a message comes to [`CHILDS_THREAD`]'s receive.
#[derive(Clone, Copy, Debug)]
enum Way {
    Queued,
    Wakes,
    HandedOver,
}

fn send(model: &Model, way: Way, receive: &Call) {
    if !matches!(way, Way::Queued) {
        assert_eq!(model.call(CHILDS_THREAD, receive), None);
    }
    match way {
        Way::HandedOver => {
            assert_eq!(model.call(THREAD, &Call::of_service()), None);
            assert_eq!(model.results.borrow()[&CHILDS_THREAD.address()], mr::MACH_MSG_SUCCESS);
            model.interrupt(THREAD);
        }
        Way::Queued => {
            assert_eq!(model.call(THREAD, &Call::simple()), Some(mr::MACH_MSG_SUCCESS));
            assert_eq!(model.call(CHILDS_THREAD, receive), Some(mr::MACH_MSG_SUCCESS));
        }
        Way::Wakes => {
            assert_eq!(model.call(THREAD, &Call::simple()), Some(mr::MACH_MSG_SUCCESS));
            assert_eq!(model.resume(CHILDS_THREAD), mr::MACH_MSG_SUCCESS);
        }
    }
}

#[test]
fn the_port_is_known_however_the_message_comes() {
    for way in [Way::Queued, Way::Wakes, Way::HandedOver] {
        for (traced, name) in [(1, SERVICE_NAME), (1, SET_NAME), (2, SERVICE_NAME), (2, SET_NAME)] {
            let model = model(&[CHILD, TASK][..traced]);
            send(&model, way, &Call::receive(name, 4096));
            let expected = [(SERVICE_NAME, number_of_service(&model), port::NONE)];
            assert_eq!(received_on(&model), expected, "{way:?}, {traced} traced, from {name:#x}");
            model.assert_ends_clean();
        }
    }
}

/// The sender entered its call before the first trace, so that nothing is known of its message.
#[test]
fn a_message_from_before_the_first_trace_is_handed_over_as_one_of_which_the_port_is_not_known() {
    let model = model(&[CHILD]);
    assert_eq!(model.call(CHILDS_THREAD, &Call::receive(SET_NAME, 4096)), None);
    model.at(crate::hooks::model::Moment::CopyIn, |model| {
        // As a sender is left whose message was copied in without a look, after an earlier trace.
        model.fake.set_thread_message(THREAD, 0x9000_7778);
        model.fake.set_thread_awaited(THREAD, HalfCorrelation::new(model.fake.period() - 1));
    });
    assert_eq!(model.call(THREAD, &Call::of_service()), None);
    assert_eq!(received_on(&model), []);
    model.interrupt(THREAD);
    model.assert_ends_clean();
}

#[test]
fn what_is_left_in_a_kmsg_is_not_believed_of_an_exceptions_message() {
    let model = model(&[CHILD]);
    let raised = crate::hooks::exception::Raised {
        port: SERVICE.into(),
        thread: SERVICE.into(),
        task: SERVICE.into(),
        exception: 1,
        code: 2,
        subcode: -3,
    };
    assert_eq!(model.call(CHILDS_THREAD, &Call::receive(SET_NAME, 4096)), None);
    let kmsg = model.fake.new_kmsg(std::vec![0; 232], false);
    model.fake.set_link_words(kmsg, [u64::from(SERVICE_NAME) | 99 << 32, 0]);
    model.free(kmsg);
    model.raise(THREAD, &raised, crate::gnumach::Port::fake(0x6008));
    assert_eq!(received_on(&model), []);
    model.assert_ends_clean();
}

#[test]
fn a_port_that_another_task_receives_from_by_then_is_not_called_by_its_name() {
    let model = model(&[CHILD]);
    assert_eq!(model.call(THREAD, &Call::simple()), Some(mr::MACH_MSG_SUCCESS));
    model.fake.port(SERVICE).receiver = TASK.address();
    assert_eq!(model.call(CHILDS_THREAD, &Call::receive(SET_NAME, 4096)), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(received_on(&model), []);
    model.assert_ends_clean();
}
