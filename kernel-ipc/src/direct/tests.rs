// SPDX-License-Identifier: GPL-2.0-or-later
//! What the recorder has of a task is the same, whether it is the only one that is told or not: a second engine, which is told of nothing, makes
//! every record a draft.

use std::vec::Vec;

use mach_abi::code::MACH_MSG_IPC_SPACE;
use mach_abi::header::bits;
use mach_abi::type_name::{CHAR, COPY_SEND, INTEGER_32, MAKE_SEND, PORT_NAME};
use trace_port::control::{event, policy};
use trace_port::ring::{Item, LARGEST_FRAME, Reader};

use super::*;
use crate::gnumach::fake::{CHILD, CHILDS_THREAD, TASK, THREAD};
use crate::gnumach::{Port as KernelPort, Tasks, Threads};
use crate::hooks::lifecycle;
use crate::hooks::model::random::Random;
use crate::hooks::model::{
    ANSWER, Call, Model, Moment, REPLY, REPLY_NAME, REQUEST, SERVICE_NAME, SIMPLE, TO_HOST, TO_SERVICE, message,
};
use crate::recorder::tests::{Told, booted, recorded};

/// Of the engine that makes the difference.
const ONE: KernelPort = KernelPort::fake(0x5200);

/// The machine's recorder with [`TASK`] and [`CHILD`], and, unless it is alone, a second engine of both.
pub(crate) fn model(is_alone: bool, line: &'static [u8]) -> Model {
    let model = booted(line);
    lifecycle::created(&model.fake, &model.state, CHILD, Some(TASK));
    if !is_alone {
        for task in [TASK, CHILD] {
            model.attach(task, ONE, 0, event::END, policy::DROP).unwrap();
        }
    }
    for task in [TASK, CHILD] {
        assert_eq!(is_direct(&model, task), is_alone);
    }
    model
}

fn is_direct(model: &Model, task: Task) -> bool {
    State::is_direct(model.fake.task_entry(task))
}

/// How many frames of the ring are open, or outcomes.
pub(crate) fn frames(model: &Model) -> (usize, usize) {
    let ring = *model.fake.ring.get().unwrap();
    let mut buffer = std::vec![0; LARGEST_FRAME / 8 + 1];
    let mut reader = Reader::open(&ring).unwrap();
    let (mut open, mut outcomes) = (0, 0);
    for item in reader.read(&ring, &mut buffer).unwrap() {
        open += usize::from(matches!(item, Item::Open(..)));
        outcomes += usize::from(matches!(item, Item::Outcome(_)));
    }
    (open, outcomes)
}

/// The place of a number in the order of their first use; 0 is 0.
fn place(numbers: &mut Vec<u64>, number: u64) -> u64 {
    let place = numbers.iter().position(|&known| known == number).unwrap_or(numbers.len());
    if place == numbers.len() {
        numbers.push(number);
    }
    place as u64
}

fn told(model: &Model) -> Vec<Told> {
    alike(recorded(model))
}

/// All that records of calls say but for their numbers of events; other numbers by the place of their first use.
pub(crate) fn alike(mut told: Vec<Told>) -> Vec<Told> {
    let (mut messages, mut known) = (std::vec![0], std::vec![0]);
    told.retain(|(header, ..)| header.kind == trace_port::EventKind::Normal as u8);
    for (header, _, ports) in &mut told {
        (header.sequence, header.correlation) = (0.into(), place(&mut messages, header.correlation.get()).into());
        for port in ports {
            port.number = (place(&mut known, port.number.get().into()) as u32).into();
        }
    }
    told
}

#[test]
fn a_call_of_the_kernel_is_two_frames_and_no_draft() {
    let model = model(true, b"rpctrace2=all");
    let before = recorded(&model).len();
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    assert_eq!((recorded(&model).len() - before, frames(&model)), (2, (1, 0)));
    assert!(!State::has_spare(model.fake.task_entry(TASK)), "nothing was taken from the kernel");
}

#[test]
fn what_is_not_sent_says_so_afterwards() {
    let model = model(true, b"rpctrace2=all");
    model.script(|steps| steps.copyin = mr::MACH_SEND_INVALID_DEST);
    assert_eq!(model.call(THREAD, &Call::of_service()), Some(mr::MACH_SEND_INVALID_DEST));
    assert_eq!(frames(&model), (1, 1));
    let (header, ..) = recorded(&model).pop().unwrap();
    assert_eq!(header.retval.get(), mr::MACH_SEND_INVALID_DEST);
    assert!(model.fake.thread_awaited(THREAD).is_none(), "no answer is expected");
}

/// What waits to be sent holds up nobody, and is sent when it goes on to receive.
#[test]
fn what_waits_to_be_sent_is_open_until_it_is() {
    let model = model(true, b"rpctrace2=all");
    model.at(Moment::Send, |model| {
        assert_eq!(frames(model), (1, 0));
        model.call(CHILDS_THREAD, &Call::send(message(SIMPLE, SERVICE_NAME, 0, 5, 40)));
        assert_eq!(frames(model), (2, 1), "another thread's");
    });
    assert_eq!(model.call(THREAD, &Call::of_service()), None);
    assert_eq!(frames(&model), (2, 2), "it sleeps, and its request is known to be sent");
}

#[test]
fn who_else_is_attached_is_told_of_the_next_message() {
    let model = model(true, b"rpctrace2=all");
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    let engine = model.attach(TASK, ONE, 0, event::ALL, policy::BLOCK).unwrap();
    assert!(!is_direct(&model, TASK) && is_direct(&model, CHILD));
    assert_eq!(model.call(THREAD, &Call::of_host()), Some(0));
    assert_eq!(model.seen_at(ONE).len(), 2);
    model.give_back_engine(engine);
    assert!(is_direct(&model, TASK));
    assert_ne!(model.fake.task_entry(TASK), 0);
}

#[test]
fn a_header_alone_is_received_for_certain_or_goes_the_way_of_drafts() {
    let (too_large, ended) = (mr::MACH_RCV_TOO_LARGE, mr::MACH_RCV_HEADER_ERROR | MACH_MSG_IPC_SPACE);
    for (rcv_size, has_ended, result) in [(32, false, 0), (31, false, too_large), (32, true, ended)] {
        let model = model(true, b"rpctrace2=all");
        model.script(|steps| steps.reply = Some((2121, 32)));
        if has_ended {
            model.fake.task(TASK).space_has_ended = true;
            model.script(|steps| steps.copyout = ended);
        }
        assert_eq!(model.call(THREAD, &Call { rcv_size, ..Call::of_host() }), Some(result));
        has_received(&model, TASK, result);
    }
}

#[test]
fn a_request_that_is_a_header_alone_has_a_name_for_its_reply_port() {
    for result in [0, mr::MACH_RCV_HEADER_ERROR | MACH_MSG_IPC_SPACE] {
        let model = model(true, b"rpctrace2=all");
        model.script(|steps| steps.copyout = result);
        assert_eq!(model.call(CHILDS_THREAD, &Call::receive(SERVICE_NAME, 4096)), None);
        let request = message(REQUEST, TO_SERVICE, REPLY_NAME, 6000, 32);
        assert_eq!(model.call(THREAD, &Call::rpc(request, REPLY_NAME)), None, "it waits for the answer");
        has_received(&model, CHILD, result);
    }
}

#[test]
fn a_header_alone_may_fail_to_notify() {
    for result in [0, mr::MACH_RCV_INVALID_NOTIFY] {
        let model = model(true, b"rpctrace2=all");
        model.notify(REPLY, 72, 32);
        model.script(|steps| steps.copyout = result);
        let call = Call::receive(REPLY_NAME, 400).with(option::MACH_RCV_NOTIFY).notifying(0x99);
        assert_eq!(model.call(THREAD, &call), Some(result));
        assert_eq!(recorded(&model).pop().unwrap().0.retval.get(), result);
    }
}

#[test]
fn what_was_received_in_a_call_that_fails_all_the_same_is_told_of_twice() {
    let model = model(true, b"rpctrace2=all");
    let answer = asked(&model, 40).unwrap();
    model.script(|steps| steps.cache_is_full = true);
    // The second time its memory is gone.
    model.at(Moment::CopyOut, |model| {
        model.at(Moment::CopyOut, |model| model.script(|steps| steps.bad_copyouts = 1));
    });
    model.call(CHILDS_THREAD, &answer);
    assert_eq!(model.resume(THREAD), mr::MACH_RCV_INVALID_DATA);
    let told = recorded(&model).into_iter().rev().take(2);
    let told: Vec<_> = told.map(|(header, message, _)| (header.retval.get(), message.len())).collect();
    assert_eq!(told, [(mr::MACH_RCV_INVALID_DATA, 0), (mr::MACH_MSG_SUCCESS, 40)]);
}

/// What a task received last had this result. What fails needs a draft, for which there is memory; nothing else does.
fn has_received(model: &Model, task: Task, result: u32) {
    let (header, ..) = recorded(model).pop().unwrap();
    assert_eq!((header.direction, header.retval.get()), (trace_port::Direction::Receive as u8, result));
    assert_eq!(State::has_spare(model.fake.task_entry(task)), result != 0, "{result:#x}");
}

/// One of many calls, some of which fail at different points.
pub(crate) fn make(model: &Model, call: u64) {
    model.script(|steps| {
        steps.send = if matches!(call, 5 | 15) { mr::MACH_SEND_TIMED_OUT } else { 0 };
        steps.copyin = if matches!(call, 6 | 16) { mr::MACH_SEND_INVALID_DEST } else { 0 };
        steps.receive = if call == 8 { mr::MACH_RCV_TIMED_OUT } else { 0 };
        steps.bad_copyins = if call == 9 { 2 } else { 0 };
        steps.bad_copyouts = if call == 10 { 2 } else { 0 };
        steps.fast_body = if call == 11 { 0x2000 } else { 0 };
        steps.copyout = match call {
            12 => mr::MACH_RCV_INVALID_DATA,
            27 => mr::MACH_RCV_HEADER_ERROR | MACH_MSG_IPC_SPACE,
            UNRECEIVED => mr::MACH_RCV_BODY_ERROR | MACH_MSG_IPC_SPACE,
            _ => 0,
        };
        steps.reply_is_queued = call == 13;
        steps.reply = Some(match call {
            14 | 25 | 26 => (2121, 32),
            ANSWERED..ODD => (2121, 32 + BODIES[(call - ANSWERED) as usize].len() * 8),
            ODD => (2121, 52),
            BROUGHT..CALLS => (2121, 32 + carried(call - BROUGHT).len()),
            _ => (2121, 48),
        });
        steps.reply_body = match call {
            ANSWERED..ODD => bytes(BODIES[(call - ANSWERED) as usize]),
            BROUGHT..CALLS => carried(call - BROUGHT),
            _ => Vec::new(),
        };
        steps.reply_bits = if call >= BROUGHT { COMPLEX } else { 0 };
        steps.cache_is_full = call == 1;
        steps.no_handoff = call == 18;
    });
    let large = || message(REQUEST, TO_HOST, REPLY_NAME, 2021, 5000);
    let with_rights = || message(REQUEST | 0x8000_0000, TO_HOST, REPLY_NAME, 2021, 40);
    let calls = match call {
        0..=2 | 10..=14 => std::vec![Call::of_host()],
        3 | 5 | 6 | 9 => std::vec![Call::simple()],
        // The reply is received by another call.
        4 => std::vec![Call::send(message(REQUEST, TO_HOST, REPLY_NAME, 2021, 40)), Call::receive(REPLY_NAME, 400)],
        7 => {
            std::vec![Call::send(message(SIMPLE, TO_SERVICE, 0, 7100, 40)).with(option::MACH_SEND_NOTIFY).notifying(9)]
        }
        15 | 16 => std::vec![Call::of_service()],
        17 | 18 => return serve(model, 40),
        27 | 28 => return serve(model, 32),
        19 => std::vec![Call::rpc(large(), REPLY_NAME)],
        20 => std::vec![Call::rpc(with_rights(), REPLY_NAME)],
        21 => std::vec![Call::rpc(message(REQUEST, TO_HOST, REPLY_NAME, 2021, 40), REPLY_NAME)],
        22 => std::vec![Call::rpc(naming(&[TO_SERVICE, 0]), REPLY_NAME)],
        23 => std::vec![Call::rpc(naming(&[TO_SERVICE, UNKNOWN]), REPLY_NAME)],
        24 => std::vec![Call::rpc(naming(&[TO_SERVICE; 3]), REPLY_NAME)],
        25 => std::vec![Call { rcv_size: 24, ..Call::of_host() }],
        26 => std::vec![Call { rcv_size: 32, ..Call::of_host() }],
        ASKED..ANSWERED => {
            std::vec![asking(REQUEST, &bytes(BODIES[(call - ASKED) as usize]))]
        }
        GIVEN..BROUGHT => std::vec![asking(REQUEST | COMPLEX, &carried(call - GIVEN))],
        ANSWERED..ODD | BROUGHT..CALLS => std::vec![Call::of_host()],
        ODD => std::vec![Call::rpc(message(REQUEST, TO_HOST, REPLY_NAME, 2021, 44), REPLY_NAME)],
        TIMED => std::vec![Call::of_host().with(option::MACH_RCV_TIMEOUT)],
        OTHERWISE => {
            std::vec![Call::rpc(message(bits(COPY_SEND, MAKE_SEND), TO_HOST, REPLY_NAME, 2021, 40), REPLY_NAME)]
        }
        _ => std::vec![Call::receive(REPLY_NAME, 400)],
    };
    for call in calls {
        if model.call(THREAD, &call).is_none() {
            model.interrupt(THREAD);
        }
    }
}

/// A name that the task does not have.
/// The first call of [`make`] with one of [`BODIES`] in its request, the first one with it in its answer, and one with a half word at the end of both.
const ASKED: u64 = 30;
const ANSWERED: u64 = ASKED + BODIES.len() as u64;
const ODD: u64 = ANSWERED + BODIES.len() as u64;

/// A call with a time-out, and one whose local port is a right to send.
const TIMED: u64 = ODD + 1;
const OTHERWISE: u64 = ODD + 2;

/// The first ones whose requests, and whose answers, carry what is in [`CARRIED`], and one whose answer's right cannot be received.
const GIVEN: u64 = ODD + 3;
const BROUGHT: u64 = GIVEN + CARRIED.len() as u64;
const UNRECEIVED: u64 = BROUGHT + CARRIED.len() as u64;

/// So many calls [`make`] knows.
pub(crate) const CALLS: u64 = UNRECEIVED + 1;

/// Bodies of complex messages: first those whose rights are told by their names.
const CARRIED: [&[u64]; 8] = [
    &[RIGHT, NAMED],
    &[NUMBER, 7, RIGHT, NAMED],
    &[inline(COPY_SEND, 64, 2), NAMED, NAMED],
    &[NUMBER, 7],
    &[RIGHT, 0],
    &[RIGHT, NAMED, RIGHT, u32::MAX as u64],
    &[inline(CHAR, 8, 4096) & !(1 << 29), 0x1000, RIGHT, NAMED],
    &[RIGHT, NAMED, inline(COPY_SEND, 32, 2) & !(1 << 29), 0x2000],
];

/// How many of them are.
const DIRECT: usize = 4;

const RIGHT: u64 = inline(COPY_SEND, 64, 1);

/// One of [`CARRIED`]; behind them a right that could not be received.
fn carried(index: u64) -> Vec<u8> {
    bytes(CARRIED.get(index as usize).unwrap_or(&&[RIGHT, 0][..]))
}

/// A request with these bits and this body.
fn asking(bits: u32, body: &[u8]) -> Call {
    let mut request = message(bits, TO_HOST, REPLY_NAME, 2021, 32 + body.len());
    request[32..].copy_from_slice(body);
    Call::rpc(request, REPLY_NAME)
}

#[test]
fn rights_that_all_have_names_need_no_draft() {
    for index in 0..CARRIED.len() {
        let is_direct = index < DIRECT;
        for (call, direct) in [(GIVEN, is_direct || index == 4 || index == 5), (BROUGHT, is_direct)] {
            let model = model(true, b"rpctrace2=all");
            make(&model, call + index as u64);
            assert_eq!(recorded(&model).iter().filter(|told| told.0.kind == 0).count(), 2);
            assert_eq!(State::has_spare(model.fake.task_entry(TASK)), !direct, "{call} {index}");
        }
    }
    let model = model(true, b"rpctrace2=all");
    make(&model, UNRECEIVED);
    has_received(&model, TASK, mr::MACH_RCV_BODY_ERROR | MACH_MSG_IPC_SPACE);
}

/// A descriptor of so many elements in the message, of so many bits.
const fn inline(kind: u32, bits: u64, number: u64) -> u64 {
    kind as u64 | bits << 8 | 1 << 29 | number << 32
}

pub(crate) const NAME: u64 = inline(PORT_NAME, 32, 1);
pub(crate) const NUMBER: u64 = inline(INTEGER_32, 32, 1);
const NAMED: u64 = TO_SERVICE as u64;

/// Words of bodies with names behind all that others may be behind.
const BODIES: [&[u64]; 10] = [
    &[NUMBER, 7, NAME, NAMED],
    &[inline(PORT_NAME, 64, 1), NAMED],
    &[inline(PORT_NAME, 32, 2), NAMED | NAMED << 32, NAME, NAMED],
    &[inline(CHAR, 8, 5), 0, NAME, NAMED],
    &[NAME, u32::MAX as u64, NAME, 0, NUMBER, 1, NAME, NAMED],
    &[NAME, 0, NAME, NAMED],
    &[inline(INTEGER_32, 32, 4) & !(1 << 29), 0x1000, NAME, NAMED],
    &[inline(CHAR, 8, 1000), NAME, NAMED],
    &[inline(INTEGER_32, 32, 0), NAME, NAMED],
    &[NAME, NAMED, NAME],
];

pub(crate) fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

const UNKNOWN: u32 = 0x777;

/// A request for the host with these names in its body.
fn naming(names: &[u32]) -> Vec<u8> {
    let mut bytes = message(REQUEST, TO_HOST, REPLY_NAME, 2021, 40 + (names.len() * 4).next_multiple_of(8));
    let descriptor = u64::from(PORT_NAME) | 32 << 8 | 1 << 29 | (names.len() as u64) << 32;
    bytes[32..40].copy_from_slice(&descriptor.to_le_bytes());
    bytes[40..].fill(0);
    for (place, name) in bytes[40..].chunks_exact_mut(4).zip(names) {
        place.copy_from_slice(&name.to_le_bytes());
    }
    bytes
}

#[test]
fn names_of_the_body_are_said_at_once_if_all_stand_for_something() {
    let model = model(true, b"rpctrace2=all");
    for (names, ports, open) in [(&[TO_SERVICE, 0][..], 3, 1), (&[TO_SERVICE; 2], 4, 1), (&[TO_SERVICE; 3], 5, 0)] {
        let (records, (before, _)) = (recorded(&model).len(), frames(&model));
        assert_eq!(model.call(THREAD, &Call::rpc(naming(names), REPLY_NAME)), Some(0));
        let told = &recorded(&model)[records..];
        assert_eq!((told[0].2.len(), frames(&model).0 - before), (ports, open), "{names:x?}");
    }
    let before = frames(&model);
    assert_eq!(model.call(THREAD, &Call::rpc(naming(&[UNKNOWN]), REPLY_NAME)), Some(0));
    assert_eq!(frames(&model), before, "it went the way of drafts");
}

/// A request that is handed over to a server, which answers.
pub(crate) fn serve(model: &Model, size: usize) {
    match asked(model, size) {
        Some(answer) => {
            model.call(CHILDS_THREAD, &answer);
            model.resume(THREAD);
        }
        None => model.interrupt(THREAD),
    }
}

/// The server's answer to a request of so many bytes, if it has received that.
pub(crate) fn asked(model: &Model, size: usize) -> Option<Call> {
    let request = Call::rpc(message(REQUEST, TO_SERVICE, REPLY_NAME, 6000, size), REPLY_NAME);
    let reply = asked_by(model, &request, &Call::receive(SERVICE_NAME, 4096))?;
    let mut answer = Call::send(message(ANSWER, reply, 0, 6100, size));
    answer.arguments.option = option::MACH_SEND_MSG;
    Some(answer)
}

/// What the server calls the right to answer this request by, if it has received that by this call.
pub(crate) fn asked_by(model: &Model, request: &Call, receive: &Call) -> Option<u32> {
    while model.call(CHILDS_THREAD, receive).is_some() {}
    model.call(THREAD, request);
    if model.results.borrow().get(&CHILDS_THREAD.address()).is_none() {
        model.resume(CHILDS_THREAD);
    }
    if model.results.borrow()[&CHILDS_THREAD.address()] != 0 {
        return None;
    }
    Some(u64::from_le_bytes(model.received.borrow()[&CHILDS_THREAD.address()][8..16].try_into().unwrap()) as u32)
}

#[test]
fn it_has_the_same_whether_it_is_the_only_one_or_not() {
    let mut random = Random(0x15_0008);
    let mut open = 0;
    for turn in 0..300 {
        let calls: Vec<u64> = (0..12).map(|_| random.below(CALLS)).collect();
        let line: &[u8] = if turn % 2 == 0 { b"rpctrace2=all" } else { b"rpctrace2=record" };
        let [alone, beside] = [true, false].map(|is_alone| {
            let model = model(is_alone, line);
            calls.iter().for_each(|&call| make(&model, call));
            open += frames(&model).0;
            assert!(is_alone || frames(&model) == (0, 0));
            told(&model)
        });
        let other = alone.iter().zip(&beside).find(|(one, other)| one != other);
        assert_eq!(other, None, "{calls:?}");
        assert_eq!(alone.len(), beside.len(), "{calls:?}");
    }
    assert!(open > 1000, "{open}");
}
