// SPDX-License-Identifier: GPL-2.0-or-later
//! `--ask=stuck`: who waits for whom, and what is in queues.

use mach_abi::notify::MACH_NOTIFY_SEND_ONCE;
use mach_abi::option::{MACH_RCV_MSG, MACH_SEND_MSG};

use crate::common::*;

/// One `mach_msg` that sends and receives.
const RPC: u32 = MACH_SEND_MSG | MACH_RCV_MSG;
/// `echo`.
const ECHO: u32 = 7008;
/// The port that the server receives from, by the kernel's number.
const SERVICE: u32 = 500;
/// Nanoseconds.
const MICROSECOND: u64 = 1000;

fn answer(samples: &[Sample]) -> Vec<String> {
    lines_of(usual_trace(&["--ask=stuck"]), samples)
}

/// Task 40 asks the server that receives from [`SERVICE`].
fn request(correlation: u64) -> Sample {
    let message = Message::request(ECHO, 9).int(5);
    Sample::sent(message).knows(port(9, SERVICE)).options(RPC, 0).correlation(correlation)
}

/// Task 41 receives it, by its name 3 for the port.
fn taken(correlation: u64, right: u64) -> Sample {
    let message = Message::incoming(ECHO, 3, right).int(5);
    Sample::received(message).task(41).knows(port(3, SERVICE)).correlation(correlation)
}

/// Task 41 answers it; the right that it does by is one to the client's reply port.
fn answered(correlation: u64, right: u64) -> Sample {
    let message = Message::answer(ECHO + 100, right).int(0).int(10);
    Sample::sent(message).task(41).knows(port(right as u32, REPLY as u32)).correlation(correlation)
}

fn at(sample: Sample, microseconds: u64) -> Sample {
    sample.time(microseconds * MICROSECOND)
}

#[test]
fn a_call_is_followed_through_queue_server_and_answer() {
    let first = at(request(1), 1);
    let of = |samples: &[Sample]| answer(samples).remove(0);
    assert_eq!(
        of(std::slice::from_ref(&first)),
        "hello[1] waits since 00:00:00.000001 for the answer to echo to port 500: received by nobody, as nothing was from that port"
    );
    let received = at(taken(1, 8), 2);
    assert_eq!(
        of(&[first.clone(), received.clone()]),
        "hello[1] waits since 00:00:00.000001 for the answer to echo to port 500: received by [2] at 00:00:00.000002, not answered"
    );
    let other = at(Sample::sent(Message::request_from(ECHO, 1, 0).int(1)).task(41), 3);
    assert_eq!(
        of(&[first.clone(), received.clone(), other]),
        "hello[1] waits since 00:00:00.000001 for the answer to echo to port 500: received by [2] at 00:00:00.000002, not answered; \
         it has sent or received since, last at 00:00:00.000003"
    );
    let reply = at(answered(1, 8), 4);
    assert_eq!(
        of(&[first.clone(), received.clone(), reply.clone()]),
        "hello[1] waits since 00:00:00.000001 for the answer to echo to port 500: answered by [2] at 00:00:00.000004, which is not \
         received"
    );
    let came = at(Sample::received(Message::reply(ECHO + 100, REPLY).int(0).int(10)).options(RPC, 0).correlation(1), 5);
    assert_eq!(
        answer(&[first, received, reply, came]),
        [
            "no thread of the records waits for an answer to a request of its own",
            "the last record is of 00:00:00.000005"
        ]
    );
}

#[test]
fn what_is_in_a_queue_has_its_place() {
    let one_way = |id, task| {
        let message = Message::request_from(id, 9, 0).int(5);
        Sample::sent(message).task(task).knows(port(9, SERVICE))
    };
    let lines = answer(&[
        at(request(1), 1),
        at(taken(1, 8), 2),
        at(answered(1, 8), 3),
        at(Sample::received(Message::reply(ECHO + 100, REPLY).int(0).int(10)).options(RPC, 0).correlation(1), 4),
        at(one_way(ECHO, 42).correlation(2), 5),
        at(request(3), 6),
        at(one_way(4321, 42).correlation(4), 7),
    ]);
    assert_eq!(
        lines,
        [
            "hello[1] waits since 00:00:00.000006 for the answer to echo to port 500: received by nobody; [2] last received from that \
             port, at 00:00:00.000002",
            "in the queue of port 500:",
            "  1: echo of [3] since 00:00:00.000005",
            "  2: echo of hello[1] since 00:00:00.000006, which waits for the answer",
            "  3: msgh_id 4321 of [3] since 00:00:00.000007",
            "the last record is of 00:00:00.000007",
        ]
    );
}

#[test]
fn where_there_is_no_record_none_is_the_last() {
    let lines = answer(&[]);
    assert_eq!(lines, ["no thread of the records waits for an answer to a request of its own", "no record has a time"]);
}

#[test]
fn a_server_that_asks_itself_is_a_cycle() {
    let to_itself = Sample::sent(Message::request(ECHO, 3).int(5)).task(41).knows(port(3, SERVICE)).options(RPC, 0);
    let lines = answer(&[at(request(1), 1), at(taken(1, 8), 2), at(to_itself.correlation(2), 3)]);
    assert_eq!(
        lines,
        [
            "cycle: [2] -> [2], which asks itself",
            "  [2] waits since 00:00:00.000003 for the answer to echo to port 500: received by nobody; [2] last received from that port, at \
             00:00:00.000002",
            "  this holds if those that received last from these ports are still to receive from them, which no record says",
            "hello[1] waits since 00:00:00.000001 for the answer to echo to port 500: received by [2] at 00:00:00.000002, not answered; \
             it has sent or received since, last at 00:00:00.000003",
            "in the queue of port 500:",
            "  1: echo of [2] since 00:00:00.000003, which waits for the answer",
            "the last record is of 00:00:00.000003",
        ]
    );
}

#[test]
fn a_right_to_answer_that_died_is_told() {
    let died = Sample::received(Message::reply(MACH_NOTIFY_SEND_ONCE, REPLY)).options(RPC, 0).correlation(1);
    let lines = answer(&[at(request(1), 1), at(taken(1, 8), 2), at(died, 3)]);
    assert_eq!(
        lines,
        [
            "no thread of the records waits for an answer to a request of its own",
            "the right to answer echo to port 500 died unused, as hello[1] was told at 00:00:00.000003: received by [2] at 00:00:00.000002",
            "the last record is of 00:00:00.000003",
        ]
    );
}

/// A server passes the request on with its right to answer, and receives by the same `mach_msg`: it does not wait for that answer.
#[test]
fn who_passes_a_request_on_does_not_wait_for_its_answer() {
    let passed =
        Sample::sent(Message::passed_on(ECHO, 6, 8).int(5)).task(41).knows(port(6, 600)).knows(port(8, REPLY as u32));
    let lines = answer(&[at(request(1), 1), at(taken(1, 8), 2), at(passed.options(RPC, 0).correlation(1), 3)]);
    assert_eq!(
        lines,
        [
            "hello[1] waits since 00:00:00.000001 for the answer to echo to port 500: passed on by [2] at 00:00:00.000003 to port 600: \
             received by nobody, as nothing was from that port",
            "the last record is of 00:00:00.000003",
        ]
    );
}

/// What is known of a thread of which nothing is recorded: that it is there.
#[test]
fn threads_of_which_nothing_is_recorded_are_told() {
    let threads =
        Sample::received(Message::reply(7124, REPLY).int(0).out_of_line(mach_abi::type_name::MOVE_SEND, 64, 2, 0x1000))
            .elements(&[
                kernel_port(20, 920, trace_port::port::THREAD, 70),
                kernel_port(21, 921, trace_port::port::THREAD, 71),
            ]);
    let lines = answer(&[at(Sample::sent(Message::request(7024, SELF)), 1), at(threads, 2)]);
    assert_eq!(
        lines,
        [
            "no thread of the records waits for an answer to a request of its own",
            "thread [1/2] has neither sent nor received in the records: if it waits, it has since before them",
            "the last record is of 00:00:00.000002",
        ]
    );
}
