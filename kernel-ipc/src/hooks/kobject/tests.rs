// SPDX-License-Identifier: GPL-2.0-or-later
//! What others ask of a traced task by its control ports.

use std::vec::Vec;

use trace_port::record::{BODY_OFFSET, MAX_BATCH, PORT_NUMBER, SENDER_IS_TRACER};

use super::*;
use crate::gnumach::fake::{
    CHILD, CHILDS_THREAD, Kobject, TASK, THREAD, TIME, TRACE, TRACER, TRACERS_THREAD, control_port,
};
use crate::gnumach::{Messages, Threads, mr, option};
use crate::hooks::lifecycle;
use crate::hooks::model::seen::Seen;
use crate::hooks::model::{Call, HOST, Model, REPLY, REPLY_NAME, REQUEST, SERVICE, message};

/// The child's name for its own control port, and others' for it.
const SELF: u32 = 0x2f;
const CHILDS_PORT: u32 = 0x1f;
/// Where the array of a request is.
const ARRAY: u64 = 0xffff_ffff_dead_beef;

/// A traced child; the current task is not traced.
fn traced_child() -> Model {
    let model = Model::traced(&[CHILD]);
    for (task, name) in [(CHILD, SELF), (TASK, CHILDS_PORT), (TRACER, CHILDS_PORT)] {
        model.fake.task(task).names.insert(name, control_port(CHILD).address());
    }
    model.fake.run(THREAD);
    model
}

fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A request in transit with two rights, memory, an array of rights out of line and an integer.
fn request(model: &Model) -> InTransit {
    let rights = [REPLY.address(), 0, usize::MAX, control_port(CHILD).address()];
    model.fake.arrays.borrow_mut().insert(ARRAY, rights.to_vec());
    InTransit::fake(model.fake.kmsg(&words(&[
        0x8000_0000 | 17 | 18 << 8,
        control_port(CHILD).address() as u64,
        REPLY.address() as u64,
        2021 << 32,
        0x0000_0003_2000_4011,
        SERVICE.address() as u64 + 8,
        0,
        u64::MAX,
        0x0000_1000_0000_0809,
        0xffff_ffff_dead_beef,
        0x0000_0004_0000_4011,
        ARRAY,
        0x0000_0001_2000_2002,
        77 | 0xdead_beef << 32,
    ])))
}

/// The kernel serves a request; with a reply if there are words for it.
fn serve_with(model: &Model, request: InTransit, reply: Option<&[u64]>) {
    let server = |request: InTransit| {
        model.fake.free(request.kmsg());
        reply.map(|reply| InTransit::fake(model.fake.kmsg(&words(reply))))
    };
    if let Some(reply) = serve(&model.fake, &model.state, request, server) {
        model.fake.free(reply.kmsg());
    }
}

#[test]
fn anothers_request_and_the_kernels_reply_are_recorded_without_kernel_pointers() {
    let model = traced_child();
    let reply = [18, REPLY.address() as u64, 0, 2121 << 32, 0x0000_0001_2000_2002, 5 | 0x8123_4560 << 32];
    serve_with(&model, request(&model), Some(&reply));
    let [asked, answered] = model.seen_exactly();
    assert_eq!((asked.kind, asked.direction), (EventKind::Task, Direction::Receive));
    assert_eq!((answered.kind, answered.direction), (EventKind::Task, Direction::Send));
    assert_eq!((asked.who(), asked.header.sender.get(), asked.header.time.get()), ((1, 0), 0, TIME));
    assert_eq!((asked.header.sequence.get(), answered.header.sequence.get()), (1, 2));
    assert_ne!(asked.correlation(), 0);
    assert_eq!(asked.correlation(), answered.correlation());
    let reply_number = u64::from(PORT_NUMBER | 2);
    assert_eq!(asked.word(8), SELF.into(), "the task's own name");
    assert_eq!(asked.word(16), reply_number);
    assert_eq!(asked.word(40), u64::from(PORT_NUMBER | 3));
    assert_eq!((asked.word(48), asked.word(56)), (0, 0xffff_ffff), "null and dead rights");
    assert_eq!(asked.word(64), 0x0000_1000_0000_0809, "the size of the memory is kept");
    assert_eq!((asked.word(72), asked.word(88)), (0, 0), "memory and arrays");
    assert_eq!(asked.word(104), 77 | 0xdead_beef << 32, "a user's data is left alone");
    assert_eq!(answered.word(40), 5, "what pads the kernel's is whatever its heap held, and is not shown");
    assert_eq!(answered.word(8), reply_number, "the same port, the same number");
    // By what stands in the message: the task's name or a number.
    let said = |seen: &Seen| -> Vec<_> {
        seen.ports.iter().map(|port| (port.name.get(), port.number.get(), port.kind, port.object.get())).collect()
    };
    let (reply, right) = ((PORT_NUMBER | 2, 2, 0, 0), (PORT_NUMBER | 3, 3, 0, 0));
    let nothing = |name: u32| (name, 0, trace_port::port::NOTHING, 0);
    let own = (SELF, 1, trace_port::port::TASK, 1);
    assert_eq!(said(&asked), [own, reply, right, reply, nothing(0), nothing(0xffff_ffff), own]);
    let is_in_array: Vec<bool> = asked.ports.iter().map(trace_port::Port::is_out_of_line).collect();
    assert_eq!(is_in_array, [false, false, false, true, true, true, true]);
    assert_eq!(said(&answered), [reply]);
    for record in model.fake.records() {
        let pointer = |bytes: &[u8]| bytes[1..] == [0xff; 4] && bytes[0] >= 0x80 && bytes[0] != 0xff;
        assert!(!record[BODY_OFFSET..].windows(5).any(pointer));
    }
    assert_eq!(model.fake.task(TASK).messages_sent, 0, "the sender's count is as without tracing");
    model.assert_ends_clean();
}

#[test]
fn a_message_that_ends_inside_a_descriptor_shows_nothing_of_the_rest() {
    let model = traced_child();
    let port = control_port(CHILD).address() as u64;
    let pointer = 0xffff_ffff_8123_4560;
    let cut = model.fake.kmsg(&words(&[0x8000_0011, port, 0, 0, 0x0000_0009_2000_4011, pointer, 0x1234]));
    serve_with(&model, InTransit::fake(cut), None);
    assert_eq!(model.only().message[40..], [0; 16]);
    model.assert_ends_clean();
}

#[test]
fn the_names_are_those_of_the_task_and_not_of_who_asks() {
    let model = traced_child();
    model.fake.task(CHILD).changing = true;
    serve_with(&model, request(&model), None);
    assert_eq!(model.only().word(8), u64::from(PORT_NUMBER | 1), "nobody waits for the task's names");
    model.assert_ends_clean();
}

#[test]
fn a_request_in_a_call_is_recorded_for_who_asks_and_who_is_asked() {
    let model = traced_child();
    model.trace(TASK);
    let call = Call::rpc(message(REQUEST, CHILDS_PORT, REPLY_NAME, 2021, 40), REPLY_NAME);
    assert_eq!(model.call(THREAD, &call), Some(mr::MACH_MSG_SUCCESS));
    let seen = model.seen();
    let of = |task: u32| seen.iter().filter(|seen| seen.header.task.get() == task).collect::<Vec<_>>();
    let (client, child) = (of(2), of(1));
    assert_eq!((client.len(), child.len()), (2, 2));
    assert!(seen.iter().all(|seen| seen.correlation() == 1), "one number");
    assert_eq!((child[0].header.sender.get(), child[1].header.sender.get()), (2, 2));
    assert_eq!((client[0].kind, child[0].kind), (EventKind::Normal, EventKind::Task));
    assert_eq!(client[0].message[24..], child[0].message[24..]);
    model.assert_ends_clean();
}

#[test]
fn a_task_that_calls_on_itself_is_not_recorded_twice() {
    let model = traced_child();
    model.fake.run(CHILDS_THREAD);
    serve_with(&model, request(&model), None);
    assert_eq!(model.seen().len(), 0);
    model.assert_ends_clean();
}

#[test]
fn other_ports_of_the_kernels_and_untraced_tasks_are_left_alone() {
    let model = traced_child();
    for port in [HOST, control_port(TASK)] {
        let request = model.fake.kmsg(&words(&[17, port.address() as u64, 0, 2021 << 32]));
        serve_with(&model, InTransit::fake(request), Some(&[18, REPLY.address() as u64, 0, 0]));
    }
    model.fake.port(control_port(CHILD)).dead = true;
    serve_with(&model, request(&model), None);
    assert_eq!(model.seen().len(), 0);
    model.assert_ends_clean();
}

#[test]
fn a_thread_is_named_and_the_tracer_is_told_from_others() {
    let model = traced_child();
    model.fake.port(control_port(CHILD)).kobject = Some(Kobject::Thread(CHILDS_THREAD));
    serve_with(&model, request(&model), None);
    model.fake.run(TRACERS_THREAD);
    serve_with(&model, request(&model), None);
    let [first, second] = model.seen_exactly();
    assert_eq!((first.kind, first.who(), first.header.sender.get()), (EventKind::Thread, (1, 1), 0));
    assert_eq!((second.kind, second.who(), second.header.sender.get()), (EventKind::Thread, (1, 1), SENDER_IS_TRACER));
    model.assert_ends_clean();
}

#[test]
fn who_receives_its_own_trace_is_not_asked_for_it() {
    let model = traced_child();
    model.fake.port(TRACE).receiver = CHILD.address();
    serve_with(&model, request(&model), None);
    assert_eq!(model.seen().len(), 0);
    model.fake.port(TRACE).receiver = TRACER.address();
    model.assert_ends_clean();
}

/// A port dies with its last record: the notification is a request of the kernel's own.
#[test]
fn what_the_kernel_does_to_deliver_a_record_is_no_event() {
    let model = traced_child();
    model.fake.set_thread_message(THREAD, 1);
    serve_with(&model, request(&model), Some(&[18, REPLY.address() as u64, 0, 0]));
    assert_eq!(model.seen().len(), 0);
    model.fake.set_thread_message(THREAD, 0);
    serve_with(&model, request(&model), None);
    assert_eq!(model.seen().len(), 1);
    model.assert_ends_clean();
}

#[test]
fn whoever_is_not_the_traced_task_never_waits_for_the_tracer() {
    let model = traced_child();
    model.fake.behind.set(true);
    let large = || {
        let mut large = words(&[17, control_port(CHILD).address() as u64, 0, 2021 << 32]);
        large.resize(MAX_BATCH - 200, 0);
        InTransit::fake(model.fake.kmsg(&large))
    };
    for _ in 0..70 {
        serve_with(&model, large(), None);
    }
    let options = model.fake.options.borrow().clone();
    assert_eq!(options[..64], [option::MACH_SEND_ALWAYS; 64]);
    assert_eq!(options[64..], [option::MACH_SEND_TIMEOUT; 6], "beyond the cap they are dropped");
    assert_eq!(model.state.lost(), 6);
    model.assert_ends_clean();
}

#[test]
fn a_request_that_ends_the_task_is_answered_on_the_port_it_had() {
    let model = traced_child();
    let server = |request: InTransit| {
        lifecycle::terminated(&model.fake, &model.state, CHILD);
        Some(request)
    };
    let reply = serve(&model.fake, &model.state, request(&model), server).expect("a reply");
    assert_eq!(model.fake.msgh_id(reply.kmsg()), 2021);
    model.fake.free(reply.kmsg());
    assert_eq!(model.seen().len(), 2);
    assert_eq!(model.fake.rights(TRACE), 1, "the tracer's own");
    model.assert_ends_clean();
}

#[test]
fn a_port_that_dies_while_the_kernel_serves_leaves_nothing() {
    let model = traced_child();
    let server = |request: InTransit| {
        model.fake.kill(TRACE);
        Some(request)
    };
    let reply = serve(&model.fake, &model.state, request(&model), server).expect("a reply");
    model.fake.free(reply.kmsg());
    assert_eq!(model.state.lost(), 0);
    assert_eq!(model.fake.task(TASK).messages_sent, 0);
    model.assert_ends_clean();
}

#[test]
fn what_was_lost_before_a_request_is_told_with_it_or_later() {
    for no_memory in [false, true] {
        let model = traced_child();
        let key = model.state.key(&model.fake, CHILD).unwrap();
        model.state.add_dropped(&model.fake, key, 0, 3);
        model.fake.script.borrow_mut().no_memory = no_memory;
        let server = |request: InTransit| {
            model.fake.script.borrow_mut().no_memory = false;
            Some(request)
        };
        let reply = serve(&model.fake, &model.state, request(&model), server).expect("a reply");
        model.fake.free(reply.kmsg());
        let dropped: Vec<u32> = model.seen().iter().map(|seen| seen.header.dropped.get()).collect();
        let told: &[u32] = if no_memory { &[0] } else { &[3, 0] };
        assert_eq!(dropped, told);
        // The next record tells of the rest.
        assert_eq!(model.state.take_dropped(key), if no_memory { 4 } else { 0 });
        model.assert_ends_clean();
    }
}
