// SPDX-License-Identifier: GPL-2.0-or-later
//! `--ask=leaks`: which rights come and never go.

use mach_abi::type_name;
use trace_port::Direction;

use crate::common::*;

fn answer(samples: &[Sample]) -> Vec<String> {
    lines_of(usual_trace(&["--ask=leaks"]), samples)
}

/// What leaks, without what came and went.
fn leaks(samples: &[Sample]) -> Vec<String> {
    answer(samples).into_iter().take_while(|line| !line.contains(", rights ")).collect()
}

/// A `task_get_special_port` whose answer brings this port by the name 20.
fn special_port(number: u32) -> [Sample; 2] {
    let reply = Message::reply(7112, REPLY).int(0).port(MOVE_SEND, 20);
    [Sample::sent(Message::request(7012, SELF).int(4)), Sample::received(reply).knows(port(20, number))]
}

/// A request about a name, and its answer with this code.
fn about(id: u32, name: u32, more: impl Fn(Message) -> Message, code: i32) -> [Sample; 2] {
    [
        Sample::sent(more(Message::request(id, SELF).name(name))),
        Sample::received(Message::reply(id + 100, REPLY).int(code)),
    ]
}

fn deallocate(name: u32, code: i32) -> [Sample; 2] {
    about(7005, name, |message| message, code)
}

fn mod_refs(name: u32, right: i32, delta: i32) -> [Sample; 2] {
    about(7026, name, |message| message.int(right).int(delta), 0)
}

fn many(times: usize, calls: impl Fn() -> Vec<Sample>) -> Vec<Sample> {
    (0..times).flat_map(|_| calls()).collect()
}

const CLEAN: &str = "no right leaks by these records";

#[test]
fn references_that_only_grow_leak() {
    let grow = many(8, || special_port(20).to_vec());
    assert_eq!(
        leaks(&grow),
        [
            "leak: hello[1] has 8 references of send rights by answers to task_get_special_port and has given none back",
            "  since 00:00:00.000000: name 20, bootstrap, 8 references",
        ]
    );
    assert_eq!(leaks(&grow[..14]), [CLEAN]);
    assert_eq!(leaks(&[&grow[..], &deallocate(20, 0)].concat()), [CLEAN]);
    assert_eq!(leaks(&[&grow[..], &mod_refs(20, 0, -1)].concat()), [CLEAN]);
    // A call that fails gives nothing back.
    assert_eq!(leaks(&[&grow[..], &deallocate(20, 17)].concat()).len(), 2);
    let each = |calls: fn(u32) -> Vec<Sample>| many(20, || [&special_port(20)[..], &calls(20)].concat());
    assert_eq!(leaks(&each(|name| deallocate(name, 0).to_vec())), [CLEAN]);
    let moved = |name: u32| vec![Sample::sent(Message::request_from(7020, 9, 0).port(MOVE_SEND, name.into()))];
    assert_eq!(leaks(&each(moved)), [CLEAN]);
    let copied = |name: u32| vec![Sample::sent(Message::request_from(7020, 9, 0).port(COPY_SEND, name.into()))];
    assert_eq!(leaks(&each(copied)).len(), 2);
}

#[test]
fn traps_that_give_references_leak_by_thread() {
    let traps =
        |thread: u32| many(8, || vec![Sample::trap(27, 30).thread(thread).says(kernel_port(30, 930, 1, thread))]);
    assert_eq!(
        leaks(&traps(70)),
        [
            "leak: hello[1] has 8 references of send rights by mach_thread_self and has given none back",
            "  since 00:00:00.000000: name 30, thread [1/1], 8 references",
        ]
    );
    // A reply port each is no leak.
    let each =
        (0..20).map(|thread| Sample::trap(26, 100 + thread).thread(70 + thread).says(port(100 + thread, 100 + thread)));
    assert_eq!(leaks(&each.collect::<Vec<_>>()), [CLEAN]);
}

#[test]
fn rights_out_of_line_are_counted_one_by_one() {
    let threads = |id: u32| {
        let elements: Vec<_> = (40..44).map(|name| port(name, name)).collect();
        let message = Message::reply(id, REPLY).int(0).out_of_line(type_name::MOVE_SEND, 64, 4, 0x1000);
        [Sample::sent(Message::request(id - 100, SELF)), Sample::received(message).elements(&elements)]
    };
    let twice = [threads(7124), threads(7124)].concat();
    assert_eq!(
        leaks(&twice),
        [
            "leak: hello[1] has 8 references of send rights by answers to task_threads and has given none back",
            "  since 00:00:00.000000: name 40, port 40, 2 references",
            "  since 00:00:00.000000: name 41, port 41, 2 references",
            "  since 00:00:00.000000: name 42, port 42, 2 references",
            "  and 2 more",
        ]
    );
}

/// A name that stands in a later message is used.
#[test]
fn ports_with_which_nothing_is_done_leak_though_others_go() {
    let allocate = |name: u32| {
        let reply = Message::reply(7104, REPLY).int(0).name(name);
        vec![Sample::sent(Message::request(7004, SELF).int(1)), Sample::received(reply)]
    };
    let made: Vec<_> = (30..39).flat_map(allocate).collect();
    let calls = [&made[..], &mod_refs(38, 1, -1)].concat();
    assert_eq!(
        leaks(&calls)[0],
        "leak: hello[1] has 8 references of receive rights by mach_port_allocate and has done nothing with them"
    );
    let used = Sample::failed(Direction::Receive, 0x1000_4003).on(31);
    assert_eq!(leaks(&[&calls[..], &[used]].concat()), [CLEAN]);
    let makes = Sample::sent(Message::request_from(7020, 9, 0).port(MAKE_SEND, 32));
    assert_eq!(leaks(&[&calls[..], &[makes]].concat()), [CLEAN]);
}

#[test]
fn what_is_lost_or_cut_makes_nothing_certain() {
    let grow = many(8, || special_port(20).to_vec());
    let lost = [&grow[..], &[special_port(20)[0].clone().dropped(3)], &special_port(20)[1..]].concat();
    let found = answer(&lost);
    assert_eq!(found[0], CLEAN);
    assert_eq!(found.last().unwrap(), "3 records are lost: nothing that came before is called a leak");
    let cut = Sample::sent(Message::request_from(7020, 9, 0).port(MOVE_SEND, 21).int(1)).cut_to(40);
    let found = answer(&[&grow[..], &[cut]].concat());
    assert_eq!(found[0], CLEAN);
    assert!(found.last().unwrap().starts_with("1 message is not recorded with all rights: "), "{found:?}");
    // A message that could not be sent may have come back.
    let failed = Sample::sent(Message::request_from(7020, 9, 0).port(MOVE_SEND, 20)).retval(0x1000_0004);
    assert_eq!(leaks(&[&grow[..], &[failed]].concat()), [CLEAN]);
}

#[test]
fn what_is_given_back_twice_is_told_and_what_never_was_there_is_not() {
    let calls = [&special_port(20)[..], &deallocate(20, 0), &deallocate(20, 15), &deallocate(99, 15)].concat();
    let timed: Vec<_> = calls.into_iter().zip(1..).map(|(sample, time)| sample.time(1000 * time)).collect();
    assert_eq!(
        leaks(&timed),
        [
            "given back twice: hello[1] mach_port_deallocate of name 20, bootstrap at 00:00:00.000005 = KERN_INVALID_NAME; given back at \
             00:00:00.000004 by mach_port_deallocate",
        ]
    );
}

#[test]
fn who_sends_to_a_name_that_stands_for_nothing_is_told() {
    let to = |name: u64| Sample::sent(Message::request_from(7020, name, 0).int(1)).without_ports().retval(0x1000_0003);
    let given_back = [&special_port(20)[..], &deallocate(20, 0), &[to(20), to(99)]].concat();
    assert_eq!(
        leaks(&given_back)[..2],
        [
            "sent to a name given back: hello[1] boot_exit to name 20, bootstrap at 00:00:00.000000; given back at 00:00:00.000000 by \
             mach_port_deallocate",
            CLEAN,
        ]
    );
    let dead = [&special_port(20)[..], &[to(20)]].concat();
    assert_eq!(
        leaks(&dead)[..2],
        ["sent to a dead name: hello[1] boot_exit to name 20, bootstrap at 00:00:00.000000", CLEAN]
    );
}

#[test]
fn what_came_and_went_is_counted_by_what_did_it() {
    let receive = |name: u32| {
        let reply = Message::reply(7104, REPLY).int(0).name(name);
        [Sample::sent(Message::request(7004, SELF).int(1)), Sample::received(reply)]
    };
    let served = [
        Sample::received(Message::incoming(7008, 3, 50).int(5)),
        Sample::sent(Message::answer(7108, 50).int(0).int(5)),
        Sample::received(Message::incoming(7008, 3, 51).int(5)),
    ];
    let calls = [&receive(30)[..], &receive(31), &mod_refs(30, 1, -1), &special_port(20), &served].concat();
    assert_eq!(
        answer(&calls),
        [
            CLEAN,
            "hello[1], rights in:",
            "       1 send      answers to task_get_special_port",
            "       2 send-once the right to answer echo",
            "       2 receive   mach_port_allocate",
            "hello[1], rights out:",
            "       1 send-once answers to echo",
            "       1 receive   mach_port_mod_refs",
            "hello[1] has at the end: 1 send, 1 send-once, 1 receive",
        ]
    );
    assert_eq!(answer(&[Sample::failed(Direction::Receive, 0x1000_4003).on(9)]), [CLEAN]);
}
