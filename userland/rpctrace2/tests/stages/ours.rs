// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages with the ids of this project's own interfaces: only those of the right ports are of them.

use mach_abi::special_port::{TASK_BOOTSTRAP_PORT, TASK_TRACE_PORT};

use crate::common::*;

fn console(port: u64) -> [Sample; 2] {
    let answer = Message::reply(5405, REPLY).int(0).port(MOVE_SEND, 9);
    [Sample::sent(Message::request(5305, port)), Sample::received(answer)]
}

/// The command asks for its bootstrap port and is given this.
fn bootstrap(port: u64) -> [Sample; 2] {
    let answer = Message::reply(7112, REPLY).int(0).port(MOVE_SEND, port);
    [Sample::sent(Message::request(7012, SELF).int(TASK_BOOTSTRAP_PORT)), Sample::received(answer)]
}

#[test]
fn the_boot_server_is_at_the_bootstrap_port() {
    let found = lines(&[], &[bootstrap(5), console(5), console(6)].concat());
    assert_eq!(
        found[1..],
        [
            "hello[1] boot_console(bootstrap: bootstrap) = KERN_SUCCESS {console: device \"console\"}",
            "hello[1] msgh_id 5305(to port 6, 32 bytes) = KERN_SUCCESS {device \"console\"}",
        ]
    );
    // Nothing is learnt from what only looks like it.
    let found = lines(&[], &console(6));
    assert_eq!(found, ["hello[1] msgh_id 5305(to port 6, 32 bytes) = KERN_SUCCESS {port 9}"]);
    let found = lines(&["-c"], &console(6)).concat();
    assert!(found.contains(" msgh_id 5305") && !found.contains("boot_console"), "{found}");
}

#[test]
fn a_reply_is_of_the_interface_that_its_request_is_of() {
    let [_, answer] = console(6);
    let found = lines(&[], &[answer]);
    assert_eq!(found, ["hello[1] <- msgh_id 5405(on port 4, 64 bytes: 0, port 9)"]);
}

#[test]
fn the_end_of_a_program_comes_to_the_port_that_was_given_for_it() {
    let spawn = Message::request(5300, 5).chars(b"hello\0").int(0).port(MAKE_SEND_ONCE, 8);
    let exited = |port| Sample::received(Message::incoming(5301, port, 0).int(3));
    let samples = [&bootstrap(5)[..], &[Sample::sent(spawn), exited(8), exited(9)]].concat();
    assert_eq!(
        lines(&[], &samples)[2..],
        ["hello[1] <- boot_exited(exit_port: port 8, status: 3)", "hello[1] <- msgh_id 5301(on port 9, 48 bytes: 3)"]
    );
}

#[test]
fn records_come_to_a_trace_port() {
    let set = Message::request(7019, 6).int(TASK_TRACE_PORT).port(MAKE_SEND, 8);
    let record = |port| Sample::received(Message::incoming(5000, port, 0).int(7));
    let found = lines(&[], &[record(8), Sample::sent(set), record(8), record(9)]);
    assert_eq!(found[0], "hello[1] <- msgh_id 5000(on port 8, 48 bytes: 7)");
    assert_eq!(
        found[2..],
        ["hello[1] <- trace_record(trace_port: port 8, value: 7)", "hello[1] <- msgh_id 5000(on port 9, 48 bytes: 7)"]
    );
}

#[test]
fn calls_of_the_boot_server_that_nobody_wants_to_see_tell_what_they_bring() {
    let write = || Sample::sent(Message::request(7007, 9).chars(b"hi"));
    let quiet = [&bootstrap(5)[..], &console(5), &console(5), &[write()]].concat();
    let found = lines(&["-e", "device_write_inband"], &quiet);
    assert_eq!(found, ["hello[1] device_write_inband(device: device \"console\", data: \"hi\") = ?"]);
    // Those of other ports tell nothing.
    let other = [&bootstrap(5)[..], &console(6), &console(6), &[write()]].concat();
    let found = lines(&["-e", "device_write_inband"], &other);
    assert_eq!(found, ["hello[1] device_write_inband(device: port 9, data: \"hi\") = ?"]);
    let found = lines(&["-c"], &[bootstrap(5), console(5), console(6), console(5)].concat());
    let count = |name: &str| found.iter().find(|row| row.ends_with(name)).and_then(|row| row.split_whitespace().nth(3));
    assert_eq!((count(" boot_console"), count(" msgh_id 5305")), (Some("2"), Some("1")), "{found:?}");
}
