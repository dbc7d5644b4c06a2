// SPDX-License-Identifier: GPL-2.0-or-later
//! `--ask=tree`: which calls a call has led to; `--ask=ports`: where each port comes from.

use crate::common::*;

/// `echo`, and the port that the server, task 41, receives from, by the kernel's number.
const ECHO: u32 = 7008;
const SERVICE: u32 = 500;

fn at(sample: Sample, microseconds: u64) -> Sample {
    sample.time(1000 * microseconds)
}

/// Task 40 asks the server.
fn request(correlation: u64) -> Sample {
    Sample::sent(Message::request(ECHO, 9).int(5)).knows(port(9, SERVICE)).correlation(correlation)
}

fn taken(correlation: u64, right: u64) -> Sample {
    let message = Message::incoming(ECHO, 3, right).int(5);
    Sample::received(message).task(41).knows(port(3, SERVICE)).correlation(correlation)
}

fn answered(correlation: u64, right: u64) -> Sample {
    let message = Message::answer(ECHO + 100, right).int(0).int(10);
    Sample::sent(message).task(41).knows(port(right as u32, REPLY as u32)).correlation(correlation)
}

fn came(correlation: u64) -> Sample {
    Sample::received(Message::reply(ECHO + 100, REPLY).int(0).int(10)).correlation(correlation)
}

/// A request of the server's to the kernel about itself, and its answer.
fn to_kernel(correlation: u64) -> [Sample; 2] {
    let reply = Message::reply(7101, REPLY).int(0);
    [
        Sample::sent(Message::request(7001, SELF).int(1)).task(41).correlation(correlation),
        Sample::received(reply).task(41).correlation(correlation),
    ]
}

/// Two clients ask at once; of the first the server makes a call meanwhile, and one when it has answered both.
fn calls() -> Vec<Sample> {
    let other = |sample: Sample, name| sample.task(42).knows(name);
    let [ask, answer] = to_kernel(10);
    let [later, answer_later] = to_kernel(11);
    vec![
        at(request(1), 100),
        at(other(request(2), port(9, SERVICE)), 110),
        at(taken(1, 8), 120),
        at(ask, 150),
        at(answer, 190),
        at(answered(1, 8), 200),
        at(came(1), 230),
        at(taken(2, 8), 240),
        at(answered(2, 8).knows(port(8, 42_004)), 250),
        at(later, 300),
        at(answer_later, 310),
        at(other(came(2), port(REPLY as u32, 42_004)), 320),
    ]
}

#[test]
fn calls_are_told_with_what_they_led_to() {
    let tree = |arguments: &[&str]| lines_of(usual_trace(&[&["--ask=tree"], arguments].concat()), &calls());
    let first = [
        "hello[1] echo to port 500: 0.000130 = queue 0.000020 + server 0.000080 (its own 0.000040) + reply 0.000030, by [3]",
        "  [3] vm_protect to task [3]: 0.000040, by the kernel",
    ];
    let second = "[2] echo to port 500: 0.000210 = queue 0.000130 + server 0.000010 + reply 0.000070, by [3]";
    let last = [
        "most time of its own: [3] by port 500: 2 requests, queue 0.000150, server 0.000090, its own 0.000050, at most 2 in the queue",
        "longest in queues: requests to port 500, 0.000150 in all, at most 2 at once",
    ];
    assert_eq!(tree(&[]), [first[0], first[1], second, last[0], last[1]]);
    assert_eq!(tree(&["--min", "41us"]), [first[0], second, last[0], last[1]]);
    assert_eq!(tree(&["--min=200us"]), [second, last[0], last[1]]);
    assert_eq!(tree(&["--min", "1s"])[0], "no call that a task of the trace served took 1.000000");
}

#[test]
fn what_is_not_answered_is_told_with_its_children() {
    let [ask, _] = to_kernel(10);
    let found = lines_of(usual_trace(&["--ask=tree"]), &[at(request(1), 100), at(taken(1, 8), 120), at(ask, 150)]);
    assert_eq!(
        found[..2],
        [
            "hello[1] echo to port 500: not answered, by [2]",
            "  [2] vm_protect to task [2]: not answered, by the kernel"
        ]
    );
}

/// What a server does when it has received something else is no child of what it has not answered.
#[test]
fn another_message_ends_what_a_thread_serves() {
    let notification = Sample::received(Message::incoming(72, 5, 0)).task(41);
    let [ask, answer] = to_kernel(10);
    let samples =
        [at(request(1), 1), at(taken(1, 8), 2), at(notification, 3), at(ask, 4), at(answer, 5), at(answered(1, 8), 6)];
    let found = lines_of(usual_trace(&["--ask=tree"]), &samples);
    assert_eq!(found[0], "hello[1] echo to port 500: not answered, by [2]");
    assert!(!found.iter().any(|line| line.contains("vm_protect")), "{found:?}");
}

#[test]
fn where_a_port_comes_from_is_told() {
    let allocated = Sample::received(Message::reply(7104, REPLY).int(0).name(30));
    let gives = Message::request_from(7020, 9, 0).port(MAKE_SEND, 30);
    let gets = Message::incoming(7020, 3, 0).port(MOVE_SEND, 77);
    let samples = [
        at(Sample::sent(Message::request(7004, SELF).int(1)), 1),
        at(allocated, 2),
        at(Sample::sent(gives).knows(port(9, SERVICE)).correlation(5), 3),
        at(Sample::received(gets).task(41).knows(port(3, SERVICE)).knows(port(77, 30)).correlation(5), 4),
    ];
    assert_eq!(
        lines_of(usual_trace(&["--ask=ports"]), &samples),
        [
            "port made by hello[1], number 30:",
            "  00:00:00.000002 hello[1]: receive right, name 30, made by mach_port_allocate",
            "  00:00:00.000004 [2]: send right, name 77, by boot_exit that hello[1] sent at 00:00:00.000003",
        ]
    );
    assert_eq!(lines_of(usual_trace(&["--ask=ports"]), &[]), ["no port is made, and no right comes in a message"]);
}
