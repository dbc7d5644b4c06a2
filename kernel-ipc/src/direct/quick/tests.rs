// SPDX-License-Identifier: GPL-2.0-or-later
//! What goes quickly is as if it had not.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::vec::Vec;

use mach_abi::code::mr;
use mach_abi::header::bits;
use mach_abi::type_name::{MAKE_SEND, MOVE_SEND_ONCE};
use trace_port::ring::{HEADER_SIZE, MIN_CAPACITY, Policy, Producer, RECORD, Ring};

use crate::direct::tests::{CALLS, NAME, NUMBER, alike, asked, asked_by, bytes, frames, make, model, serve};
use crate::gnumach::fake::{CHILDS_THREAD, TASK, THREAD};
use crate::gnumach::{ForOne, Kmsg, Port, Threads, option};
use crate::hooks::model::random::Random;
use crate::hooks::model::{
    ANSWER, Call, Model, Moment, REPLY, REPLY_NAME, REQUEST, RPC, SERVICE, SERVICE_NAME, TO_HOST, TO_SERVICE, message,
};
use crate::numbers::{HalfCorrelation, ThreadNumber};
use crate::recorder::tests::recorded;
use crate::writer::{Pen, Terms, Writer};

/// What words of a ring hold that were not written yet.
fn fill(model: &Model) {
    let ring = model.fake.ring.get().unwrap();
    let written = ring.head() as usize / 8;
    ring.frames[written..].iter().for_each(|word| word.store(u64::MAX, Relaxed));
}

#[test]
fn a_call_of_the_kernel_and_one_of_a_task_go_quickly() {
    let model = model(true, b"rpctrace2=all");
    fill(&model);
    // The first request gives the thread its number.
    for quick in [1, 3, 5] {
        assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
        assert_eq!(model.fake.quick_times.get(), quick);
    }
    for (size, quick) in [(40, 8), (40, 12), (32, 16)] {
        serve(&model, size);
        // The server's first request gives its thread a number.
        assert_eq!(model.fake.quick_times.get(), quick, "client and server, {size} bytes");
    }
}

#[test]
fn it_has_the_same_whether_it_goes_quickly_or_not() {
    let mut random = Random(0x15_0009);
    let mut quick = [0; 3];
    for turn in 0..300 {
        let calls: Vec<u64> = (0..12).map(|_| random.below(CALLS)).collect();
        let line: &[u8] = if turn % 2 == 0 { b"rpctrace2=all" } else { b"rpctrace2=record" };
        let [first, others @ ..] = [0, 1, 2].map(|hurdle| {
            let model = model(true, line);
            fill(&model);
            model.fake.names_are_slow.set(hurdle == 1);
            model.fake.clock_is_slow.set(hurdle == 2);
            calls.iter().for_each(|&call| make(&model, call));
            quick[hurdle] += model.fake.quick_times.get();
            (frames(&model), alike(recorded(&model)))
        });
        for other in others {
            assert_eq!(first, other, "{calls:?}");
        }
    }
    assert!(quick[0] > 1000 && quick[1] > 0 && quick[2] == 0, "{quick:?}");
}

/// A request and its answer, otherwise than usual where there is something for the server to be careful of.
fn serve_otherwise(model: &Model, kind: u64) {
    // What is there from an earlier call means nothing.
    model.fake.thread(CHILDS_THREAD).notify = 77;
    let sized = |size: usize| message(REQUEST, TO_SERVICE, REPLY_NAME, 6000, size);
    let named = bytes(&[NUMBER, 7, NAME, SERVICE_NAME.into()]);
    let mut request = Call::rpc(sized(40), REPLY_NAME);
    let mut receive = Call::receive(SERVICE_NAME, 4096);
    match kind {
        3 => request = Call::rpc(sized(32), REPLY_NAME),
        4 => request.message.splice(32.., named.iter().copied()).for_each(drop),
        5 => request = Call::rpc(sized(44), REPLY_NAME),
        6 => receive = receive.with(option::MACH_RCV_NOTIFY).notifying(0x99),
        7 => receive.rcv_size = 36,
        8 => model.script(|steps| steps.cache_is_full = true),
        _ => {}
    }
    request.arguments.send_size = request.message.len() as u32;
    let reply = asked_by(model, &request, &receive);
    model.script(|steps| steps.cache_is_full = false);
    let Some(reply) = reply else {
        return model.interrupt(THREAD);
    };
    let answer = |local: u32, size: usize| {
        let mut answer = Call::send(message(ANSWER, reply, local, 6100, size));
        answer.arguments.option = option::MACH_SEND_MSG;
        answer
    };
    let mut answer = match kind {
        3 => answer(0, 32),
        5 => answer(0, 44),
        9 => answer(SERVICE_NAME, 40),
        10 => answer(0, 40).with(option::MACH_SEND_TIMEOUT),
        11 => answer(0, 40).with(option::MACH_SEND_NOTIFY).notifying(9),
        // It comes back as a request does.
        12 => Call::send(message(bits(MOVE_SEND_ONCE, MAKE_SEND), reply, SERVICE_NAME, 6100, 40)),
        13 | 14 => Call::rpc(message(ANSWER, reply, 0, 6100, 40), SERVICE_NAME),
        _ => answer(0, 40),
    };
    if kind == 4 {
        answer.message.splice(32.., named).for_each(drop);
        answer.arguments.send_size = answer.message.len() as u32;
    }
    let fails = matches!(kind, 9 | 12 | 15);
    model.script(|steps| {
        steps.send = if kind == 12 { mr::MACH_SEND_TIMED_OUT } else { 0 };
        steps.copyin = match kind {
            // A local name whose bits say that there is none.
            9 => mr::MACH_SEND_INVALID_HEADER,
            15 => mr::MACH_SEND_INVALID_DEST,
            _ => 0,
        };
    });
    model.call(CHILDS_THREAD, &answer);
    model.script(|steps| (steps.send, steps.copyin) = (0, 0));
    if fails {
        return model.interrupt(THREAD);
    }
    if model.results.borrow().get(&THREAD.address()).is_none() {
        model.resume(THREAD);
    }
    match kind {
        // The next request, or message, comes in the call of the answer.
        13 => drop(model.call(THREAD, &Call::rpc(sized(40), REPLY_NAME))),
        14 => drop(model.call(THREAD, &Call::simple())),
        _ => return,
    }
    if model.results.borrow().get(&CHILDS_THREAD.address()).is_none() {
        model.resume(CHILDS_THREAD);
    }
    if kind == 13 {
        model.interrupt(THREAD);
    }
}

#[test]
fn a_server_has_the_same_whether_it_goes_quickly_or_not() {
    let mut random = Random(0x15_000a);
    let mut quick = [0; 2];
    for turn in 0..300 {
        let kinds: Vec<u64> = (0..8).map(|_| random.below(16)).collect();
        let line: &[u8] = if turn % 2 == 0 { b"rpctrace2=all" } else { b"rpctrace2=record" };
        let [first, other] = [0, 1].map(|hurdle| {
            let model = model(true, line);
            // Threads have their numbers, and what is named in bodies both know.
            serve(&model, 40);
            model.fake.task(TASK).names.insert(SERVICE_NAME, SERVICE.address());
            fill(&model);
            model.fake.clock_is_slow.set(hurdle == 1);
            kinds.iter().for_each(|&kind| serve_otherwise(&model, kind));
            quick[hurdle] += model.fake.quick_times.get();
            assert_eq!(model.fake.thread_message(CHILDS_THREAD), 0, "{kinds:?}");
            (frames(&model), alike(recorded(&model)))
        });
        assert!(first == other, "{kinds:?}");
    }
    assert!(quick[0] > 4000 && quick[1] < 1000, "{quick:?}");
}

#[test]
fn nothing_is_left_of_it_in_the_thread() {
    let model = model(true, b"rpctrace2=all");
    for _ in 0..2 {
        assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
        assert!(model.fake.thread_awaited(THREAD).is_none());
        assert_eq!(model.fake.thread_message(THREAD), 0);
        assert_eq!(model.fake.port(REPLY).awaited, HalfCorrelation::NONE, "not put off");
    }
}

#[test]
fn a_thread_without_a_number_gets_one() {
    let model = model(true, b"rpctrace2=all");
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    model.fake.thread(THREAD).number = ThreadNumber::NONE;
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    let threads: Vec<u32> = recorded(&model).iter().map(|(header, ..)| header.thread.get()).collect();
    let [.., first, second, third, fourth] = threads[..] else { panic!("{threads:?}") };
    assert!(first == second && third == fourth && third != first && third != 0, "{threads:?}");
}

#[test]
fn an_answer_to_a_port_that_has_another_name_by_now() {
    for names_are_slow in [false, true] {
        let model = model(true, b"rpctrace2=all");
        model.fake.names_are_slow.set(names_are_slow);
        let answer = asked(&model, 40).unwrap();
        const RENAMED: u32 = 0x99;
        let port = model.fake.task(TASK).names.remove(&REPLY_NAME).unwrap();
        model.fake.task(TASK).names.insert(RENAMED, port);
        model.call(CHILDS_THREAD, &answer);
        assert_eq!(model.resume(THREAD), mr::MACH_MSG_SUCCESS);
        let (header, _, ports) = recorded(&model).pop().unwrap();
        assert_eq!(
            (header.rcv_name.get(), ports[0].name.get()),
            (REPLY_NAME, RENAMED),
            "what was asked for, and what it is"
        );
    }
}

#[test]
fn what_is_in_a_draft_stays_there() {
    let model = model(true, b"rpctrace2=all");
    for _ in 0..2 {
        assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    }
    let before = recorded(&model).len();
    // A large one, answered as the others.
    make(&model, 19);
    let kinds: Vec<u8> = recorded(&model)[before..].iter().map(|(header, ..)| header.direction).collect();
    assert_eq!(kinds, [0, 1]);
}

#[test]
fn a_request_whose_answer_comes_elsewhere_is_known_by_it() {
    for names_are_slow in [false, true] {
        let model = model(true, b"rpctrace2=all");
        model.fake.names_are_slow.set(names_are_slow);
        const OTHER: u32 = 0x98;
        let port = Port::fake(0x5400);
        model.fake.add_port(port, TASK);
        model.fake.task(TASK).names.insert(OTHER, port.address());
        assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
        let request = message(REQUEST, TO_HOST, REPLY_NAME, 2021, 40);
        assert_eq!(model.call(THREAD, &Call::rpc(request, OTHER)), None);
        model.interrupt(THREAD);
        assert_eq!(model.call(THREAD, &Call::receive(REPLY_NAME, 400)), Some(0));
        let told = recorded(&model);
        let [.., (request, ..), (failed, ..), (answer, ..)] = &told[..] else { panic!("{told:?}") };
        assert_eq!(failed.retval.get(), mr::MACH_RCV_INTERRUPTED);
        assert_eq!(request.correlation, answer.correlation);
    }
}

#[test]
fn what_is_noted_of_a_notify_port_is_not_which_port_the_answer_comes_to() {
    for name in [7, REPLY_NAME] {
        let model = model(true, b"rpctrace2=all");
        for _ in 0..2 {
            assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
        }
        let number = recorded(&model).last().unwrap().2[0].number;
        // What it was called with another thread changes while the kernel serves it.
        model.at(Moment::Serve, |model| model.fake.thread(THREAD).arguments.option = RPC);
        let call = Call::of_host().with(option::MACH_RCV_NOTIFY).notifying(name);
        assert_eq!(model.call(THREAD, &call), Some(0));
        assert_eq!(recorded(&model).last().unwrap().2[0].number, number);
    }
}

#[test]
fn a_ring_that_is_anothers_or_is_owed_too_much_is_not_written() {
    let model = model(true, b"rpctrace2=all");
    let words: Vec<AtomicU64> = (0..(HEADER_SIZE + MIN_CAPACITY) / 8).map(|_| AtomicU64::new(0)).collect();
    let ring = Ring::over(std::boxed::Box::leak(words.into_boxed_slice())).unwrap();
    let writer = Writer::new();
    let terms = Terms { bits: 0x21, policy: Policy::Full };
    let kmsg: Kmsg = model.fake.new_kmsg(std::vec![0; 64], false);
    let is_written = || {
        let frame = writer.record(&model.fake, terms, RECORD, (kmsg, 40)).is_some();
        let at_once = (ForOne::fake(), terms.bits);
        assert!(!frame || writer.record_at_once(&model.fake, at_once, RECORD, (kmsg, 5)).is_some());
        frame
    };
    assert!(!is_written(), "there is none");
    writer.keep_ring(ring);
    *writer.pen() = Pen::of(Producer::new(), 3, u32::MAX);
    writer.pen().producer.begin(&ring);
    assert!(!is_written(), "another's");
    writer.set_bits(0x21);
    assert!(is_written());
    writer.pen().owed = 3;
    assert!(!is_written(), "owed");
    writer.pen().owes_one_less();
    assert!(is_written());
}
