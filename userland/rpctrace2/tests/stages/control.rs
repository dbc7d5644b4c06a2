// SPDX-License-Identifier: GPL-2.0-or-later
//! Records of the other kinds: messages on control ports and exception ports.

use trace_port::EventKind;
use trace_port::record::{PORT_NUMBER, SENDER_IS_TRACER};

use crate::common::*;

#[test]
fn what_others_send_to_a_control_port_is_shown_with_the_kernels_answer() {
    let found = lines(
        &[],
        &[
            Sample::received(Message::request(7005, SELF).name(10)).kind(EventKind::Task).thread(0),
            Sample::sent(Message::reply(7105, u64::from(PORT_NUMBER | 3)).int(0)).kind(EventKind::Task).thread(0),
            Sample::sent(Message::request(7014, u64::from(PORT_NUMBER | 4))).kind(EventKind::ThreadException),
            Sample::received(Message::reply(7114, REPLY).int(5)).kind(EventKind::ThreadException).retval(5),
        ],
    );
    assert_eq!(
        found,
        [
            "hello[1] (task) <- mach_port_deallocate(task: self, name: port 10)",
            "hello[1] (task) -> mach_port_deallocate reply = KERN_SUCCESS",
            "hello[1] (thread exception) -> host_ping(host: port 4)",
            "hello[1] (thread exception) <- host_ping reply = KERN_FAILURE",
        ]
    );
}

#[test]
fn memory_on_its_way_to_the_kernel_or_from_it_has_no_address() {
    let give = Message::request(7009, SELF).port(MOVE_SEND, 8).data(&[]).memory(0, 4096);
    let found = lines(&[], &[Sample::received(give).kind(EventKind::Task).thread(0)]);
    let line = "hello[1] (task) <- give(port: self, right: move-send port 8, bytes: <>, memory: ool [4096 bytes])";
    assert_eq!(found, [line]);
}

#[test]
fn what_the_trace_shows_as_its_senders_is_not_shown_again() {
    let task = |sender| {
        let sample = Sample::received(Message::request(7005, SELF).name(10)).kind(EventKind::Task).task(41);
        sample.sender(sender).thread(0)
    };
    let first = Sample::sent(Message::request(7014, 2)).task(40);
    let found = lines(&[], &[first, task(40), task(SENDER_IS_TRACER), task(7)]);
    assert_eq!(
        found,
        [
            "hello[1] host_ping(host: host) <unfinished ...>",
            "[2] (task) <- mach_port_deallocate(task: self, name: port 41010)",
        ]
    );
}

/// Nothing waits for an answer to it afterwards, which would keep records from being passed over.
#[test]
fn what_others_send_to_a_control_port_may_expect_no_answer() {
    let told = Sample::received(Message::request_from(7002, SELF, 0).string("other")).kind(EventKind::Task).thread(0);
    let found = lines(&["-C"], &[told]);
    assert_eq!(found[0], "hello[1] (task) <- task_set_name(task: self, name: \"other\")");
    let row = found.iter().find(|row| row.ends_with(" task_set_name")).expect("a row");
    assert_eq!(row.split_whitespace().nth(3), Some("1"), "{row}");
}
